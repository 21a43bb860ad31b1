"""The spectrum of a weight matrix, and how its strength is spread."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.spectra.power_law import ascending
from lazyrich.spectra.symmetric import values_only


def weight_spectrum(W: ArrayLike) -> Float[Array, "*batch d"]:
    """All d eigenvalues of WᵀW, ascending: the squared singular values of W, and zeros.

    They are those of the smaller of WᵀW and WWᵀ, in the precision of W; for h < d there are d − h
    zeros besides. The squaring loses what is below ε ‖W‖² (ε = 2e-16 in float64, 1e-7 in float32);
    what rounding makes negative is zero here.

    Args:
        W: shape (…, h, d).

    Raises:
        ValueError: if it is not of floats, finite, and of at least one row and one column.

    >>> weight_spectrum(jnp.array([[3.0, 0.0, 4.0]])).tolist()
    [0.0, 0.0, 25.0]
    """
    W = validation.floating("W", W, ndim=2)
    if 0 in W.shape[-2:]:
        raise ValueError(f"W must have at least one row and one column, got shape {W.shape}")
    return spectrum_of(W)


def spectrum_of(W: Float[Array, "*batch h d"]) -> Float[Array, "*batch d"]:
    """:func:`weight_spectrum` of a matrix that is known to be finite and not empty."""
    h, d = W.shape[-2:]
    transposed = jnp.swapaxes(W, -1, -2)
    left, right = (transposed, W) if d <= h else (W, transposed)
    values = jnp.maximum(values_only(jnp.matmul(left, right, precision="highest")), 0)
    zeros = [(0, 0)] * (values.ndim - 1) + [(d - min(h, d), 0)]
    return jnp.pad(values, zeros)


def stable_rank(eigenvalues: ArrayLike) -> Float[Array, "*batch"]:
    """The stable rank ‖W‖_F²/‖W‖_2² of a matrix: the sum of ℓ over the largest.

    Args:
        eigenvalues: of WᵀW, in any order, none negative, shape (…, d).

    Raises:
        ValueError: if one is negative or not finite, or none is positive.

    >>> float(stable_rank(jnp.array([1.0, 4.0, 2.0])))
    1.75
    """
    values = ascending(eigenvalues)
    return values.sum(axis=-1) / values[..., -1]


def participation(overlaps: ArrayLike) -> Float[Array, "*batch"]:
    """The participation number 1/Σ o_i²: over how many vectors of a basis another is spread.

    Args:
        overlaps: the squares o_i of a unit vector's components, shape (…, n). They sum to one, or
            to less if the vector does not lie in the span, as with the left singular vectors of a
            tall matrix; what lies outside then counts for nothing.

    Raises:
        ValueError: if one is negative or not finite, or the sum is above one (to half the digits)
            or zero.

    >>> float(participation(jnp.array([0.25, 0.25, 0.25, 0.25])))
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
    return 1 / (overlaps**2).sum(axis=-1)
