"""Whole numbers, types, keys, and names out of a list."""

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import pairwise
from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np

from lazyrich.validation.arrays import array_of, at_least_single

KINDS = {
    "floats": [jnp.floating],
    "integers": [jnp.integer],
    "truth values": [jnp.bool_],
    "real numbers": [jnp.floating, jnp.integer, jnp.bool_],
}


def whole(name: str, value: object, least: int = 0, below: float = 2**31) -> int:
    """`value` as an integer that is at least `least`, and below what int32 or another holds."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value >= below:
        # Python refuses to print what is very long.
        raise ValueError(
            f"{name} must be an integer below 2**31, got about 2**{math.log2(value):.4g}"
        )
    return int(value)


def schedule(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """`value` as increasing numbers of steps, at least one."""
    try:
        steps = tuple(whole(name, step) for step in value) if isinstance(value, Iterable) else ()
    except ValueError:
        steps = ()  # the sentence is to show all of it
    if not steps or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError(
            f"{name} must hold increasing numbers of steps, got {value!r}, "
            "each an integer of at least 0 and below 2**31"
        )
    return steps


def widths(name: str, value: object, least: int = 2) -> tuple[int, ...]:
    """`value` as the widths of a network's layers, at least `least` positive integers."""
    if not isinstance(value, Sequence) or len(value) < least:
        raise ValueError(f"{name} must be a sequence of at least {least} integers, got {value!r}")
    return tuple(whole(name, width, least=1) for width in value)


def kind(name: str, value: object, of: str) -> np.ndarray | jax.Array:
    """`value` as an array of ``"floats"``, ``"integers"``, ``"truth values"`` or of all of these.

    Half precision becomes float32; all of these are ``"real numbers"``.
    """
    array = array_of(name, value)
    if not any(jnp.issubdtype(array.dtype, dtype) for dtype in KINDS[of]):
        raise ValueError(f"{name} must be of {of}, got dtype {array.dtype}")
    return at_least_single(array) if jnp.issubdtype(array.dtype, jnp.floating) else array


def precision(name: str, value: object) -> np.dtype:
    """`value` as float32 or float64."""
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError):
        dtype = None
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {value!r}")
    return dtype


def instance(name: str, value: object, kind: type) -> object:
    """`value`, which must be a `kind`."""
    if not isinstance(value, kind):
        wanted, came = map(_with_article, (kind, type(value)))
        raise ValueError(f"{name} must be {wanted}, got {came}")
    return value


def flag(name: str, value: object) -> bool:
    """`value`, which must be a truth value."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def one_of(name: str, value: Hashable, allowed: Collection) -> Hashable:
    """`value`, which must stand in `allowed`."""
    if not isinstance(value, Hashable) or value not in allowed:
        options = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} must be one of {options}, got {value!r}")
    return value


def random_key(name: str, value: object) -> jax.Array:
    """`value`, which must be one key of :func:`jax.random.key` (or of the older ``PRNGKey``)."""
    shape, dtype = jnp.shape(value), getattr(value, "dtype", type(value).__name__)
    typed = isinstance(value, jax.Array) and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not (typed and shape == () or dtype == jnp.uint32 and shape == (2,)):
        raise ValueError(f"{name} must be one jax.random.key, got {dtype} of shape {shape}")
    return value


def _with_article(kind):
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"
