"""Checks at the public border, made outside of compiled code.

Each function takes the name of an argument and its value, and gives the value back or raises a
``ValueError`` whose one sentence names the argument, what came and what is allowed. Under
``jit``, ``vmap`` or ``grad`` a value is not known yet, so there only shape and dtype are checked.
"""

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Real

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def floating(name: str, value: ArrayLike, ndim: int = 0) -> Float[Array, "..."]:
    """`value` as an array of floats with at least `ndim` axes, every entry finite."""
    return jnp.asarray(_finite(name, value, ndim))


def positive(name: str, value: ArrayLike) -> Float[Array, "..."]:
    """`value` as floats, every one above zero."""
    array = _finite(name, value)
    _require(name, array, lambda known: known > 0, "positive")
    return jnp.asarray(array)


def nonnegative(name: str, value: ArrayLike, ndim: int = 0) -> Float[Array, "..."]:
    """`value` as floats, none below zero."""
    array = _finite(name, value, ndim)
    _require(name, array, lambda known: known >= 0, "not negative")
    return jnp.asarray(array)


def between(name: str, value: ArrayLike, low: float, high: float) -> Float[Array, "..."]:
    """`value` as floats, every one from `low` to `high`."""
    array = _finite(name, value)
    allowed = lambda known: (low <= known) & (known <= high)  # noqa: E731
    _require(name, array, allowed, f"from {low} to {high}")
    return jnp.asarray(array)


def positives(**numbers: ArrayLike) -> list[Float[Array, ""]]:
    """The numbers as floats in their order, each one number above zero."""
    return [scalar(name, positive(name, value)) for name, value in numbers.items()]


def increasing(name: str, value: Float[Array, "*shape times"]) -> Float[Array, "*shape times"]:
    """`value`, at least one along its last axis and none below the one before."""
    filled(name, value)
    steps = np.diff(value) if not isinstance(value, jax.core.Tracer) else np.zeros(1)
    if (steps < 0).any():
        raise ValueError(f"{name} must be increasing, got a step of {steps[steps < 0][0]}")
    return value


def scalar(name: str, value: Float[Array, "..."]) -> Float[Array, ""]:
    """`value`, which must be one number."""
    if value.ndim:
        raise ValueError(f"{name} must be one number, got shape {value.shape}")
    return value


def filled(name: str, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`value`, which must hold at least one number."""
    if 0 in value.shape:
        raise ValueError(f"{name} must hold at least one number, got shape {value.shape}")
    return value


def known(name: str, value: object) -> np.ndarray:
    """`value` as NumPy's floats in double precision, every one finite and none traced."""
    if isinstance(value, jax.core.Tracer):
        raise ValueError(f"{name} must be a known number, got one that jit, vmap or grad traces")
    return np.asarray(_finite(name, value), dtype=float)


def unit(name: str, value: object) -> Float[Array, "_"]:
    """`value` as a vector of length one, to half its digits."""
    array = vector(name, value)
    if not isinstance(array, jax.core.Tracer):
        length = float(np.linalg.norm(array))
        if abs(length - 1) > np.finfo(array.dtype).eps ** 0.5:
            raise ValueError(f"{name} must be a unit vector, got one of length {length:.6g}")
    return array


def vector(name: str, value: ArrayLike | Sequence[float]) -> Float[Array, "_"]:
    """`value` as floats on one axis, at least one, every one finite."""
    array = _finite(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, got shape {array.shape}")
    return jnp.asarray(array)


def matrix(name: str, value: ArrayLike) -> Float[Array, "_ _"]:
    """`value` as one matrix of floats that is not empty."""
    array = floating(name, value, 2)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be one matrix (jax.vmap takes many), got {array.shape}")
    return array


def samples(name: str, value: ArrayLike, entries: int | None = None) -> Float[Array, "samples _"]:
    """`value` as samples in rows of floats, at least one, with so many entries if that is known."""
    array = floating(name, value, 2)
    if array.ndim != 2 or len(array) == 0 or entries not in (None, array.shape[1]):
        wanted = "entries" if entries is None else entries
        raise ValueError(
            f"{name} must have shape (samples, {wanted}), one sample or more, got {array.shape}"
        )
    return array


def axes(**arrays: tuple[object, str]) -> None:
    """Arrays of floats with the names of their axes; each name has one length, at least one.

    Entries may be inf or nan.

    >>> axes(W=(jnp.ones((3, 2)), "h d"), x=(jnp.ones((5, 4)), "n d"))
    Traceback (most recent call last):
    ValueError: x must have shape (n, 2), got (5, 4)
    """
    lengths: dict[str, int] = {}
    for name, (value, wanted) in arrays.items():
        shape, names = _floats(name, value).shape, wanted.split()
        described = str(tuple(lengths.get(axis, axis) for axis in names)).replace("'", "")
        fitting = [lengths.setdefault(axis, n) == n for axis, n in zip(names, shape, strict=False)]
        if len(shape) != len(names) or 0 in shape or not all(fitting):
            raise ValueError(f"{name} must have shape {described}, got {shape}")


def broadcasting(**arrays: jax.Array | np.ndarray) -> None:
    """Arrays whose shapes broadcast against each other."""
    shapes = [array.shape for array in arrays.values()]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        names, came = (" and ".join(map(str, each)) for each in (arrays, shapes))
        raise ValueError(f"{names} must broadcast against each other, got shapes {came}") from None


def symmetric(name: str, value: ArrayLike) -> Float[Array, "*batch n n"]:
    """`value` as symmetric matrices of floats, equal to their transposes to half the digits."""
    array = _finite(name, value, 2)
    if array.shape[-2] != array.shape[-1]:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        # A product that should be symmetric is so up to rounding, a wrong one is not at all.
        allowed = np.finfo(known.dtype).eps ** 0.5 * np.abs(known).max(initial=0.0)
        each = known.reshape(math.prod(known.shape[:-2]), *known.shape[-2:])  # there may be many
        off = max((np.abs(one - one.T).max(initial=0.0) for one in each), default=0.0)
        if off > allowed:
            raise ValueError(
                f"{name} must be symmetric, got {off:.3g} between it and its transpose"
            )
    return jnp.asarray(array)


def whole(name: str, value: object, least: int = 0) -> int:
    """`value` as an integer that is at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def schedule(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """`value` as increasing numbers of steps, at least one."""
    steps = tuple(whole(name, step) for step in value) if isinstance(value, Iterable) else ()
    if not steps or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError(f"{name} must hold increasing numbers of steps, got {value!r}")
    return steps


def widths(name: str, value: object, least: int = 2) -> tuple[int, ...]:
    """`value` as the widths of a network's layers, at least `least` positive integers."""
    if not isinstance(value, Sequence) or len(value) < least:
        raise ValueError(f"{name} must be a sequence of at least {least} integers, got {value!r}")
    return tuple(whole(name, width, least=1) for width in value)


def kind(name: str, value: object, of: str) -> np.ndarray | jax.Array:
    """`value` as an array of ``"integers"`` or of ``"truth values"``."""
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if not jnp.issubdtype(array.dtype, {"integers": jnp.integer, "truth values": jnp.bool_}[of]):
        raise ValueError(f"{name} must be of {of}, got dtype {array.dtype}")
    return array


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
        raise ValueError(f"{name} must be a {kind.__name__}, got a {type(value).__name__}")
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


def _finite(name, value, ndim=0):
    if isinstance(value, Real) and not isinstance(value, (bool, np.generic)):
        value = float(value)
    array = _floats(name, value)
    if array.ndim < ndim:
        raise ValueError(f"{name} must have at least {ndim} axes, got shape {array.shape}")
    _require(name, array, np.isfinite, "finite")
    return array


def _floats(name, value):
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of floats, got ragged nested lists") from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name} must be an array of floats, got dtype {array.dtype}")
    if array.dtype.itemsize < 4:
        raise ValueError(f"{name} must be float32 or float64, got dtype {array.dtype}")
    return array


def _require(name, array, allowed, description):
    # On NumPy's side: inside a trace JAX would turn even known values into unknown ones.
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        if not allowed(known).all():
            first = known[~allowed(known)].flat[0]
            raise ValueError(f"{name} must be {description}, got {first}")
