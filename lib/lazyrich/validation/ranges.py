"""Results that their dtype holds."""

import jax
import numpy as np

from lazyrich.arithmetic import all_known


def in_range(name: str, value: object, result: object, vanishing: bool = False):
    """`result`, computed from `value`, which must not be too large or too small for its dtype.

    Both may be pytrees of arrays. A result is zero where one of the values is zero; that of
    `vanishing` values may be so elsewhere. Of what is not finite it may be anything.
    """
    if not all_known(result):
        return result
    largest, sizes = max(_sizes(result)), _sizes(value)
    if np.inf in sizes:
        return result
    info = np.finfo(np.asarray(jax.tree.leaves(result)[0]).dtype)
    least = 0 if vanishing or 0 in sizes else info.tiny / info.eps
    if not least <= largest < np.inf:
        raise ValueError(
            f"{name} must be of a size whose result is in the range of {info.dtype}, got "
            f"entries up to {max(sizes):.3g}: divide by that"
        )
    return result


def in_precision(name: str, value: jax.Array | np.ndarray, dtype: np.dtype) -> jax.Array:
    """`value` in a precision, which must hold it."""
    with np.errstate(over="ignore", under="ignore"):
        return in_range(name, value, value.astype(dtype))


def _sizes(tree):
    """The largest entry of each array in size; inf where there is a nan."""
    arrays = map(np.asarray, jax.tree.leaves(tree))
    ends = ((x.max(initial=0.0), x.min(initial=0.0)) for x in arrays)
    return [np.inf if np.isnan(high) else float(max(high, -low)) for high, low in ends]
