"""The data, which enter a linear network through their second moment Σ = E[x xᵀ], uncentred."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import jit, matmul, numpy_if_known
from lazyrich.validation import ArrayLike


class Covariance(NamedTuple):
    """The second moment Σ = Q diag(λ) Qᵀ of the inputs, on its range.

    That of samples x is ``on_range(second_moment(x))``.
    """

    variances: Float[Array, "rank"]
    """The non-zero eigenvalues λ, ascending."""
    directions: Float[Array, "inputs rank"]
    """Their eigenvectors Q, as columns."""


def second_moment(x: ArrayLike) -> Float[Array, "inputs inputs"]:
    """Σ = (1/n) Σ_i x_i x_iᵀ of n samples, uncentred.

    Args:
        x: shape (samples, inputs).

    Raises:
        ValueError: if x is not finite and of floats, or Σ is out of the range of its precision.
    """
    x = validation.samples("x", x)
    return validation.in_range("x", x, _second_moment(x))


def on_range(Sigma: ArrayLike, rank: int | None = None) -> Covariance:
    """Σ on its range, which is where its root can be taken and inverted.

    Args:
        Sigma: symmetric, with no negative eigenvalue.
        rank: of Σ; directions beyond it are dropped. By default the number of eigenvalues above
            d ε λ_max, which is not known inside compiled code.

    Raises:
        ValueError: if Σ is zero or asymmetric or has an eigenvalue below −d ε λ_max, or if the rank
            is larger than the default.
    """
    Sigma = validation.matrix("Sigma", validation.symmetric("Sigma", Sigma))
    values, vectors = _eigh(Sigma)
    if isinstance(values, jax.core.Tracer):
        rank = validation.whole("rank inside compiled code", rank, least=1)
        possible = len(values)
    else:
        values, vectors = np.asarray(values), np.asarray(vectors)
        floor = float(spectra.rounding_floor(np.abs(values)))
        if values[0] < -floor:
            raise ValueError(f"Sigma must have no negative eigenvalue, got {values[0]:.3g}")
        possible = int((values > floor).sum())
        if possible == 0:
            raise ValueError("Sigma must not be zero, got a matrix of zeros")
        rank = possible if rank is None else validation.whole("rank", rank, least=1)
    if not 1 <= rank <= possible:
        raise ValueError(f"rank must be from 1 to that of Sigma, {possible}, got {rank}")
    return Covariance(jax.device_put(values[-rank:]), jax.device_put(vectors[:, -rank:]))


def whitened(inputs: Covariance) -> Covariance:
    """The same directions, each with variance one."""
    return white(*fitting_moment(inputs))


def whiten(x: ArrayLike, inputs: Covariance) -> Float[Array, "samples inputs"]:
    """The samples Σ^(−½) x, Σ^(−½) = Q diag(1/√λ) Qᵀ, whose second moment is I on the range of Σ.

    Args:
        x: the samples, shape (samples, inputs).
        inputs: their second moment Σ on its range.

    Raises:
        ValueError: if a variance is zero, the samples do not fit, or the result is out of range.
    """
    inputs, x = fitting_moment(inputs, x=(x, "n d"))
    validation.positive("inputs.variances", inputs.variances)
    white = _whiten(x, inputs)
    return validation.in_range("x and inputs", (x, inputs.variances), white, vanishing=True)


# What the modules of this package share


def white(inputs):
    """:func:`whitened`, of what is known to be a second moment."""
    ones = np.ones(inputs.variances.shape, inputs.variances.dtype)
    return Covariance(jax.device_put(ones), inputs.directions)


def fitting_moment(inputs, **others):
    """The second moment, and other arrays with the names of their axes, "s" and "d" its own."""
    variances, directions, *others = validation.fitting(**axes_of(inputs), **others)
    return Covariance(variances, directions), *others


def axes_of(inputs, entries="d", name="inputs"):
    """The arrays of a second moment with the names of their axes, or the number of entries.

    A variance may be zero: then its direction belongs to the null space, which some keep.
    """
    validation.instance(name, inputs, Covariance)
    validation.nonnegative(f"{name}.variances", inputs.variances)
    return {
        f"{name}.variances": (inputs.variances, "s"),
        f"{name}.directions": (inputs.directions, f"{entries} s"),
    }


@jit
def _second_moment(x):
    return matmul(x.T, x) / len(x)


@numpy_if_known
def _eigh(xp, Sigma):
    return tuple(xp.linalg.eigh(Sigma))


@numpy_if_known
def _whiten(xp, x, inputs):
    Q = inputs.directions
    return x @ (Q / xp.sqrt(inputs.variances)) @ Q.T
