"""What is measured of a student: its weights, its features, and how an update meets its weights.

The features of the losses and of the kernel-target alignment come in two scalings. The model says
Z = tanh(W x/√d)/√h, *as written*. The released code, taken literally, divides by √d twice,
Z = tanh(W x/d)/√h, *as coded*: nearly linear features, whose ridge is in effect d times stronger.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, jit, matmul, numpy_if_known
from lazyrich.heavy_tails.single_index import (
    ACTIVATIONS,
    Problem,
    checked_problem,
    hidden_features,
)
from lazyrich.spectra.weights import above_floor, spectrum_of
from lazyrich.validation import ArrayLike

SCALINGS = ("as coded", "as written")
"""How the features are scaled."""


class Losses(NamedTuple):
    """A last layer fitted by ridge regression on the features of the probe set."""

    train: Float[Array, "*batch"]
    """Its mean squared error on the probe set, from which it is fitted."""
    test: Float[Array, "*batch"]
    """Its mean squared error on the test set."""
    alignment: Float[Array, "*batch"]
    """The kernel-target alignment on the probe set."""


class WeightMetrics(NamedTuple):
    """What is measured of the weights alone."""

    eigenvalues: Float[Array, "d"]
    """Of WᵀW, ascending."""
    teacher: Float[Array, ""]
    """|v₁·β|, v₁ the top right singular vector of W."""


class Overlaps(NamedTuple):
    """Squared overlaps of the singular vectors of W (rows) and of an update M (columns)."""

    left: Float[Array, "r r"]
    """(U_Wᵀ U_M)²."""
    right: Float[Array, "r r"]
    """(V_Wᵀ V_M)²."""


def ridge_losses(
    W: ArrayLike,
    problem: Problem,
    ridge: ArrayLike = 0.01,
    scaling: str = "as written",
    activation: str = "tanh",
) -> Losses:
    """Ridge regression on the hidden features, â = (ZᵀZ + (λ/h) n I)⁻¹ Zᵀy on the probe set.

    Of ZᵀZ and ZZᵀ the smaller is formed, once for all λ and for :func:`kernel_alignment`.

    Args:
        W: hidden weights; those that are not finite have the losses nan, and where products or
            squares overflow, these are inf or nan.
        problem: the probe and test sets.
        ridge: λ > 0, one or more, whose shape is that of the losses.
        scaling: one of :data:`SCALINGS`.
        activation: of the student.
    """
    ridge = validation.filled("ridge", validation.positive("ridge", ridge))
    W, problem, scale = _checked(W, problem, scaling, activation)
    return fitted(W, problem.probe, problem.test, ridge, scale, activation)


def fitted(W, probe, test, ridge, scale=1.0, activation="tanh"):
    """:func:`ridge_losses` of weights and samples that fit, at the scale of a scaling."""
    y, tests = probe.y, hidden_features(W, test.x, activation, scale)
    Z = hidden_features(W, probe.x, activation, scale)
    gram, correlation = _gram(Z), matmul(Z.T, y)
    few, one = len(gram) < len(W), jnp.eye(len(gram), dtype=Z.dtype)

    def errors(ridge):
        factor = jax.scipy.linalg.cho_factor(gram + ridge * (len(y) / len(W)) * one)
        solved = jax.scipy.linalg.cho_solve(factor, y if few else correlation)
        a = matmul(Z.T, solved) if few else solved
        return ((matmul(Z, a) - y) ** 2).mean(), ((matmul(tests, a) - test.y) ** 2).mean()

    flat = ridge.astype(Z.dtype).ravel()
    on_probe, on_test = (each.reshape(ridge.shape) for each in jax.lax.map(errors, flat))
    return Losses(on_probe, on_test, jnp.broadcast_to(_alignment(Z, gram, y), ridge.shape))


def kernel_alignment(
    W: ArrayLike,
    problem: Problem,
    scaling: str = "as written",
    activation: str = "tanh",
) -> Float[Array, ""]:
    """The kernel-target alignment ⟨K, yyᵀ⟩/(‖K‖_F ‖y‖²) on the probe set, K = ZZᵀ uncentred.

    It is ‖Zᵀy‖²/(‖ZᵀZ‖_F ‖y‖²), and decays like d^(−½): to be compared at one (d, h, n) only. It
    is nan where all features or all labels vanish, where a product of features overflows, or where
    weights or samples are not finite.
    Arguments as for :func:`ridge_losses`.
    """
    W, problem, scale = _checked(W, problem, scaling, activation)
    return alignment_of(W, problem.probe, scale, activation)


def alignment_of(W, probe, scale=1.0, activation="tanh"):
    """:func:`kernel_alignment` of weights and samples that fit, at the scale of a scaling."""
    Z = hidden_features(W, probe.x, activation, scale)
    return _alignment(Z, _gram(Z), probe.y)


def scale_of(scaling: str, inputs: int) -> float:
    """By what the pre-activations of a scaling are multiplied."""
    return inputs**-0.5 if scaling == "as coded" else 1.0


def weight_metrics(W: ArrayLike, teacher: ArrayLike) -> WeightMetrics:
    """The spectrum of the weights and how its top vector stands to the teacher.

    One eigendecomposition, in float64 where that is on, since float32 would lose the lower end.
    What is below the rounding floor d ε ‖W‖² is zero. Weights that are not finite have nan. Where
    the largest eigenvalue is repeated, as in the zero matrix, v₁ is one choice among many.

    Args:
        W: hidden weights.
        teacher: β, a unit vector.

    Raises:
        ValueError: if the shapes do not fit, the teacher is not of length one, or the eigenvalues
            are out of the range of the floats.
    """
    W, teacher = validation.axes(W=(W, "h d"), teacher=(teacher, "d"))
    teacher = validation.unit("teacher", teacher)
    values, top = _decomposed(W.astype(jnp.result_type(float)))
    aligned = jnp.abs(matmul(top, teacher.astype(top.dtype)))
    return WeightMetrics(validation.in_range("W", W, values), aligned)


def weight_eigenvalues(W: Float[Array, "h d"]) -> Float[Array, "d"]:
    """The eigenvalues of WᵀW alone, ascending, in the precision of :func:`weight_metrics`."""
    return spectrum_of(W.astype(jnp.result_type(float)))


def weight_gram(W: Float[Array, "h d"]) -> Float[Array, "d d"]:
    """WᵀW in float64 where that is on, since float32 would lose the lower end."""
    return _gram_matrix(W.astype(jnp.result_type(float)))


def gram_eigenvalues(grams: Float[Array, "*batch d d"]) -> Float[Array, "*batch d"]:
    """The eigenvalues of many WᵀW, ascending, as of :func:`weight_metrics`."""
    return _gram_eigenvalues(grams)


@numpy_if_known
def _gram_eigenvalues(xp, grams):
    finite = xp.isfinite(grams).all((-1, -2), keepdims=True)
    values = xp.linalg.eigvalsh(xp.where(finite, grams, 0))
    return xp.where(finite[..., 0], above_floor(xp, values), xp.nan)


@jit
def _decomposed(W):
    """The eigenvalues of WᵀW and its top vector, of W in units of a power of two."""
    unit = binary_unit(jnp, jnp.abs(W).max())
    values, vectors = jnp.linalg.eigh(weight_gram(W / unit))
    return above_floor(jnp, values) * unit * unit, vectors[:, -1]


def overlaps(W: ArrayLike, M: ArrayLike) -> Overlaps:
    """The squared overlaps of all singular vectors of two matrices, largest first.

    Vectors of a singular value that is repeated, or zero, are one choice among many. Matrices that
    are not finite have nan.

    Raises:
        ValueError: if they are no matrices of one shape.
    """
    W, M = validation.axes(W=(W, "h d"), M=(M, "h d"))
    (U, _, Vt), (U_M, _, Vt_M) = (
        jnp.linalg.svd(each / binary_unit(jnp, jnp.abs(each).max()), full_matrices=False)
        for each in (W, M)
    )
    return Overlaps(matmul(U.T, U_M) ** 2, matmul(Vt, Vt_M.T) ** 2)


def _checked(W, problem, scaling, activation):
    """Weights and a problem that fit each other, and the scale of the features."""
    validation.one_of("scaling", scaling, SCALINGS)
    validation.one_of("activation", activation, ACTIVATIONS)
    (W,), problem = validation.axes(W=(W, "h d")), checked_problem(problem)
    return W, problem, scale_of(scaling, W.shape[1])


@numpy_if_known
def _gram_matrix(xp, W):
    return W.T @ W


def _gram(Z):
    return matmul(Z, Z.T) if Z.shape[0] < Z.shape[1] else matmul(Z.T, Z)


def _alignment(Z, gram, y):
    # Without their sizes, whose powers may overflow or vanish where the quotient does not.
    y, size = y / jnp.abs(y).max(), jnp.abs(gram).max()
    correlation = matmul(Z.T, y) / jnp.sqrt(size)
    return (correlation**2).sum() / (jnp.linalg.norm(gram / size) * (y**2).sum())
