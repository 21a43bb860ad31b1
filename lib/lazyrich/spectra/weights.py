"""The spectrum of a weight matrix, and how its strength is spread."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, SupportsIndex

import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, numpy_if_known
from lazyrich.spectra.power_law import ascending
from lazyrich.spectra.symmetric import values_only
from lazyrich.validation import ArrayLike


def weight_spectrum(W: ArrayLike, rows: SupportsIndex | Sequence[int] = 0) -> Float[Array, "d"]:
    """All d eigenvalues of WᵀW, ascending: the squared singular values of W, and zeros.

    They are those of the smaller of WᵀW and WWᵀ, in the precision of W; for h < d there are d − h
    zeros besides. What is below the rounding floor d ε ‖W‖² is zero here (ε = 2e-16 in float64,
    1e-7 in float32), so that a matrix of low rank has as many eigenvalues as its rank.

    Args:
        W: the weights of a layer, shape (h, d). Those with more axes become a matrix by `rows`, as
            the kernel of a convolution; many matrices are taken by ``jax.vmap``.
        rows: the axis or axes of W that count the rows; the others, in their order, count the
            columns. By default the first, that of the outputs in PyTorch; −1 is that in Flax.

    Raises:
        ValueError: if W is not of floats, finite, and of at least one row and one column, an axis
            is not there, or the eigenvalues are out of the range of this precision.

    >>> weight_spectrum(np.array([[3.0, 0.0, 4.0]])).tolist()
    [0.0, 0.0, 25.0]
    >>> weight_spectrum(np.ones((8, 4, 3, 3))).shape
    (36,)
    """
    W = as_matrix(W, rows)
    return validation.in_range("W", W, spectrum_of(W))


def as_matrix(W: ArrayLike, rows: SupportsIndex | Sequence[int] = 0) -> Float[Array, "h d"]:
    """The weights of a layer as a matrix, its rows counted by some of the axes.

    Args:
        W: two axes or more.
        rows: as for :func:`weight_spectrum`.

    >>> as_matrix(np.ones((3, 3, 4, 8)), rows=-1).shape
    (8, 36)
    """
    W = validation.filled("W", validation.floating("W", W, ndim=2))
    axes = some_axes(W.shape, rows)
    if axes is None:
        raise ValueError(
            f"rows must be some axes of W, which has shape {W.shape}, but not all, got {rows}"
        )
    return W if W.ndim == 2 and axes == (0,) else with_rows(W, axes)


def some_axes(shape: tuple[int, ...], given: Any) -> tuple[int, ...] | None:
    """The axes of a shape that are given, counted from the first; None if not some but not all."""
    given = tuple(given) if isinstance(given, Sequence) else (given,)
    whole = [axis for axis in given if isinstance(axis, Integral) and not isinstance(axis, bool)]
    axes = tuple(int(axis) % len(shape) for axis in whole if -len(shape) <= axis < len(shape))
    return axes if len(set(axes)) == len(given) and 0 < len(axes) < len(shape) else None


def with_rows(W, axes: tuple[int, ...]):
    """An array as a matrix whose rows some axes count, a view where that is possible."""
    others = [axis for axis in range(W.ndim) if axis not in axes]
    return W.transpose(*axes, *others).reshape(math.prod(W.shape[axis] for axis in axes), -1)


def spectrum_of(W: Float[Array, "*batch h d"]) -> Float[Array, "*batch d"]:
    """:func:`weight_spectrum` of matrices that are known to be finite and not empty."""
    gram, unit = _unit_gram(W)
    return _whole(values_only(gram), unit, size=W.shape[-1])


@numpy_if_known
def _unit_gram(xp, W):
    """The smaller of WᵀW and WWᵀ, of W in units of a power of two, so that no square is lost."""
    unit = binary_unit(xp, xp.abs(W).max((-2, -1)))
    W = W / unit[..., None, None]
    transposed = xp.swapaxes(W, -1, -2)
    return transposed @ W if W.shape[-1] <= W.shape[-2] else W @ transposed, unit


@numpy_if_known
def _whole(xp, values, unit, *, size):
    """All eigenvalues from those of :func:`_unit_gram`, with zeros for what rounding left."""
    values = above_floor(xp, values, size)
    missing = [(0, 0)] * (values.ndim - 1) + [(size - values.shape[-1], 0)]
    return xp.pad(values * unit[..., None] * unit[..., None], missing)


def above_floor(xp, values, size=None):
    """Ascending eigenvalues, those below the rounding floor of a matrix of a size set to zero."""
    floor = (size or values.shape[-1]) * xp.finfo(values.dtype).eps * values[..., -1:]
    return xp.where(values <= floor, 0, values)  # nan stays


def stable_rank(eigenvalues: ArrayLike) -> Float[Array, "*batch"]:
    """The stable rank ‖W‖_F²/‖W‖_2² of a matrix: the sum of ℓ over the largest.

    Args:
        eigenvalues: of WᵀW, in any order, none negative, shape (…, d).

    Raises:
        ValueError: if one is negative or not finite, or none is positive.

    >>> float(stable_rank(np.array([1.0, 4.0, 2.0])))
    1.75
    """
    return _stable_rank(ascending(eigenvalues))


@numpy_if_known
def _stable_rank(xp, values):
    values = values / binary_unit(xp, values[..., -1:])
    return values.sum(axis=-1) / values[..., -1]


def participation(overlaps: ArrayLike) -> Float[Array, "*batch"]:
    """The participation number 1/Σ o_i²: over how many vectors of a basis another is spread.

    Args:
        overlaps: the squares o_i of a unit vector's components, shape (…, n). They sum to one, or
            to less if the vector does not lie in the span, as with the left singular vectors of a
            tall matrix; what lies outside then counts for nothing.

    Raises:
        ValueError: if one is negative or not finite, the sum is above one (to half the digits) or
            zero, or their squares are out of range.

    >>> float(participation(np.array([0.25, 0.25, 0.25, 0.25])))
    4.0
    """
    overlaps = validation.nonnegative("overlaps", overlaps, ndim=1)
    if not isinstance(overlaps, Tracer):
        sums = np.asarray(overlaps).sum(axis=-1)
        wrong = (sums > 1 + np.finfo(overlaps.dtype).eps ** 0.5) | (sums == 0)
        if wrong.any():
            raise ValueError(
                f"overlaps must sum to 1, or to less but not 0, got a sum of {sums[wrong][0]:.6g}"
            )
    return validation.in_range("overlaps", overlaps, 1 / (overlaps**2).sum(axis=-1))
