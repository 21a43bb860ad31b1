"""One hidden leaky-ReLU layer, F(x) = W σ(V x): the exact spectrum from nk × nk, and its bounds.

σ(z) = z for z ≥ 0 and α z below; α = 0 is ReLU. With n samples as columns of X, D_i the diagonal
of the slopes σ'(v_i·x_q) of unit i at the samples q, v_i row i of V, w_i column i of W, and
T = σ(V X)ᵀ σ(V X), n times the Gauss-Newton matrix has the non-zero spectrum of J Jᵀ, which is
(rows run over samples, then outputs)

    n Ĝ = Σ_i (D_i Xᵀ X D_i) ⊗ w_i w_iᵀ + T ⊗ I_k.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import binary_unit, numpy_if_known, ratio
from lazyrich.conditioning.weights import fitting, in_units
from lazyrich.spectra.symmetric import values_only
from lazyrich.validation import ArrayLike


class LeakyReluExtremes(NamedTuple):
    """The smallest and largest eigenvalue, each pair of shape (2,), of what the bounds need."""

    data: Float[Array, "2"]
    """Of Xᵀ X, n × n."""
    outputs: Float[Array, "2"]
    """Of W Wᵀ, k × k."""
    hidden: Float[Array, "2"]
    """Of T = σ(V X)ᵀ σ(V X), n × n."""
    linear: Float[Array, "2"]
    """Of Xᵀ Vᵀ V X, n × n: what T is without σ."""


class LeakyReluBounds(NamedTuple):
    """Bounds on κ from above: one proven, and two that put Xᵀ Vᵀ V X for T."""

    proven: Float[Array, ""]
    """[λ_max(XᵀX) λ_max(WWᵀ) + λ_max(T)]/[α² λ_min(XᵀX) λ_min(WWᵀ) + λ_min(T)]."""
    linear_top: Float[Array, ""]
    """With λ_max(XᵀVᵀVX) for λ_max(T). No bound in general: λ_max(T) may be larger."""
    linear_bottom: Float[Array, ""]
    """With α² λ_min(XᵀVᵀVX) for λ_min(T). No bound in general: λ_min(T) may be smaller."""


def leaky_relu_matrix(
    weights: Sequence[ArrayLike], x: ArrayLike, slope: ArrayLike
) -> Float[Array, "nk nk"]:
    """Ĝ of n samples, whose non-zero spectrum is that of the Gauss-Newton matrix.

    Args:
        weights: V of shape (m, d), W of shape (k, m).
        x: the samples, shape (n, d).
        slope: α, from −1 to 1.
    """
    return _matrix_in_range(*_fitting(weights, x, slope))


def leaky_relu_spectrum(
    weights: Sequence[ArrayLike], x: ArrayLike, slope: ArrayLike
) -> Float[Array, "nk"]:
    """The nk eigenvalues of Ĝ, ascending: all of the Gauss-Newton matrix that are not zero.

    Arguments as for :func:`leaky_relu_matrix`.
    """
    return values_only(_matrix_in_range(*_fitting(weights, x, slope)))


def leaky_relu_condition_number(
    weights: Sequence[ArrayLike], x: ArrayLike, slope: ArrayLike
) -> Float[Array, ""]:
    """κ of the Gauss-Newton matrix with all nk eigenvalues, ``inf`` if some of them vanish.

    Neither a factor of all weights nor one of the samples changes it. Arguments as for
    :func:`leaky_relu_matrix`.
    """
    values = values_only(_matrix_in_range(*_in_units(*_fitting(weights, x, slope))))
    return spectra.pseudo_condition_number(values, len(values))


def leaky_relu_extremes(
    weights: Sequence[ArrayLike], x: ArrayLike, slope: ArrayLike
) -> LeakyReluExtremes:
    """The extreme eigenvalues that enter the bounds. Arguments as for :func:`leaky_relu_matrix`."""
    return _extremes_in_range(*_fitting(weights, x, slope))


def leaky_relu_bounds(
    weights: Sequence[ArrayLike], x: ArrayLike, slope: ArrayLike
) -> LeakyReluBounds:
    """The bound on κ, and its two simplifications, which hold often but not in general.

    *Proof of the denominator.* For U of shape n × k, as |α| ≤ 1,
    Σ_i |X D_i U w_i|² ≥ λ_min(XᵀX) α² Σ_i |U w_i|² ≥ λ_min(XᵀX) α² λ_min(WWᵀ) |U|².

    They are ``inf`` where the denominator is at the rounding floor, as for n > d with a singular T.
    Arguments as for :func:`leaky_relu_matrix`.
    """
    V, W, x, slope = _in_units(*_fitting(weights, x, slope))
    return _bounds(_extremes_in_range(V, W, x, slope), slope, samples=len(x))


@numpy_if_known
def _leaky_relu_matrix(xp, V, W, x, slope):
    (n, _), (k, _) = x.shape, W.shape
    z = x @ V.T
    hidden = _leaky(xp, z, slope)
    # Row (q, c) holds σ'(v_i·x_q) W_ci over units i, so that one product sums over them.
    back = (xp.where(z >= 0, 1, slope)[:, None] * W).reshape(n * k, -1)
    inner = (back @ back.T).reshape(n, k, n, k) * (x @ x.T)[:, None, :, None]
    outer = (hidden @ hidden.T)[:, None, :, None] * xp.eye(k, dtype=x.dtype)[:, None]
    return (inner + outer).reshape(n * k, n * k) / n


@numpy_if_known
def _grams(xp, V, W, x, slope):
    z = x @ V.T
    return [rows @ rows.T for rows in (x, W, _leaky(xp, z, slope), z)]


@numpy_if_known
def _extremes(xp, grams):
    return LeakyReluExtremes(*(xp.linalg.eigvalsh(gram)[xp.array([0, -1])] for gram in grams))


@numpy_if_known
def _bounds(xp, ends, slope, *, samples):
    floor = samples * xp.finfo(ends.data.dtype).eps
    low = [xp.where(pair[0] > floor * pair[1], pair[0], 0) for pair in ends]
    top, linear_top = (ends.data[1] * ends.outputs[1] + T[1] for T in (ends.hidden, ends.linear))
    weakest = slope**2 * low[0] * low[1]
    bottom, linear_bottom = weakest + low[2], weakest + slope**2 * low[3]
    pairs = (top, bottom), (linear_top, bottom), (top, linear_bottom)
    return LeakyReluBounds(*(ratio(*pair, xp) for pair in pairs))


def _leaky(xp, z, slope):
    return xp.where(z >= 0, z, slope * z)


def _matrix_in_range(V, W, x, slope):
    matrix = _leaky_relu_matrix(V, W, x, slope)
    return validation.in_range("weights and x", (V, W, x), matrix, vanishing=True)


def _extremes_in_range(V, W, x, slope):
    grams = _grams(V, W, x, slope)
    return _extremes(validation.in_range("weights and x", (V, W, x), grams, vanishing=True))


def _fitting(weights, x, slope):
    (V, W), _, x = fitting(weights, layers=2, x=(x, "n d"))
    slope = validation.scalar("slope", validation.between("slope", slope, -1, 1))
    return V, W, x, slope.astype(V.dtype)


def _in_units(V, W, x, slope):
    weights, _ = in_units([V, W], None)
    return *weights, _in_unit(x), slope


@numpy_if_known
def _in_unit(xp, x):
    return x / binary_unit(xp, xp.abs(x).max())
