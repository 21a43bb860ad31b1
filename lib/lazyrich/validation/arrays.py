"""Arrays and numbers: dtypes, shapes, ranges, and that every entry is finite."""

import math
from collections.abc import Sequence
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

ArrayLike = jax.typing.ArrayLike | Sequence
"""What :func:`numpy.asarray` makes an array: arrays, numbers, and nested sequences of them."""

EXTENDED = {np.dtype(np.longdouble), np.dtype(np.clongdouble)} - {
    np.dtype(float),
    np.dtype(complex),
}


def floating(name: str, value: ArrayLike, ndim: int = 0) -> Float[Array, "..."]:
    """`value` as an array of floats with at least `ndim` axes, every entry finite."""
    return _of_jax(_finite(name, value, ndim))


def positive(name: str, value: ArrayLike) -> Float[Array, "..."]:
    """`value` as floats, every one above zero."""
    array = _finite(name, value)
    _require(name, array, lambda known: known > 0, "positive")
    return _of_jax(array)


def nonnegative(name: str, value: ArrayLike, ndim: int = 0) -> Float[Array, "..."]:
    """`value` as floats, none below zero."""
    array = _finite(name, value, ndim)
    _require(name, array, lambda known: known >= 0, "not negative")
    return _of_jax(array)


def between(name: str, value: ArrayLike, low: float, high: float) -> Float[Array, "..."]:
    """`value` as floats, every one from `low` to `high`."""
    array = _finite(name, value)
    allowed = lambda known: (low <= known) & (known <= high)  # noqa: E731
    with np.errstate(over="ignore"):  # a limit may be beyond float32
        _require(name, array, allowed, f"from {low} to {high}")
    return _of_jax(array)


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


def filled(
    name: str, value: Float[Array | np.ndarray, "*shape"]
) -> Float[Array | np.ndarray, "*shape"]:
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
        with np.errstate(over="ignore"):
            length = float(np.linalg.norm(array))
        if abs(length - 1) > np.finfo(array.dtype).eps ** 0.5:
            raise ValueError(f"{name} must be a unit vector, got one of length {length:.6g}")
    return array


def vector(name: str, value: ArrayLike) -> Float[Array, "_"]:
    """`value` as floats on one axis, at least one, every one finite."""
    array = _finite(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, got shape {array.shape}")
    return _of_jax(array)


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


def axes(**arrays: tuple[object, str]) -> tuple[jax.Array, ...]:
    """Arrays of floats with the names of their axes; each name has one length, at least one.

    Entries may be inf or nan. A name that is a number is that length.

    >>> (x,) = axes(x=([[1.0, 2.0]], "n d"))
    >>> x.shape
    (1, 2)

    >>> axes(W=(jnp.ones((3, 2)), "h d"), x=(jnp.ones((5, 4)), "n d"))
    Traceback (most recent call last):
    ValueError: x must have shape (n, 2), got (5, 4)
    """
    lengths: dict[str, int] = {}
    checked = {name: _floats(name, value) for name, (value, _) in arrays.items()}
    for name, (_, wanted) in arrays.items():
        shape, names = checked[name].shape, wanted.split()
        described = str(tuple(lengths.get(axis, axis) for axis in names)).replace("'", "")
        lengths |= {axis: int(axis) for axis in names if axis.isdigit()}
        fitting = [lengths.setdefault(axis, n) == n for axis, n in zip(names, shape, strict=False)]
        if len(shape) != len(names) or 0 in shape or not all(fitting):
            raise ValueError(f"{name} must have shape {described}, got {shape}")
    return tuple(map(_of_jax, checked.values()))


def fitting(**arrays: tuple[object, str]) -> tuple[jax.Array, ...]:
    """Arrays with the names of their axes as for :func:`axes`, finite and of the first one's dtype.

    Integers and truth values beside the first are taken as such floats, as images in bytes are.

    >>> W, x = fitting(W=(np.ones((3, 2)), "k d"), x=(np.full((1, 2), 200, np.uint8), "n d"))
    >>> x.tolist()
    [[200.0, 200.0]]
    """
    first = next(iter(arrays))
    dtype = _finite(first, arrays[first][0]).dtype
    return axes(**{name: (_as(dtype, first, name, x), of) for name, (x, of) in arrays.items()})


def _as(dtype, first, name, value):
    array = array_of(name, value)
    if array.dtype.kind in "biu" and name != first:
        return array.astype(dtype)
    array = _finite(name, array)
    if array.dtype != dtype:
        raise ValueError(f"{name} must have the dtype of {first}, {dtype}, got {array.dtype}")
    return array


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
    return _of_jax(array)


def array_of(name: str, value: object) -> jax.Array | np.ndarray:
    """`value` as an array of the machine's byte order and of a precision that JAX is set to.

    A mask is refused, since it would be dropped, and so are numbers that are lost in float32.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name} must be an array without a mask, got {type(value).__name__}")
    if isinstance(value, jax.Array):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be an array of numbers: {first_line(error)}") from error
    if array.dtype in EXTENDED:
        raise ValueError(f"{name} must be float32 or float64, got dtype {array.dtype}")
    return _native(name, array) if array.dtype.kind in "biufc" else array


def at_least_single(array: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    """Floats, where half precision, as that of checkpoints, becomes float32."""
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def first_line(error: Exception) -> str:
    """What an error says, without the paragraphs that follow."""
    return f"{str(error) or type(error).__name__}".splitlines()[0]


def _native(name, array):
    dtype = jax.dtypes.canonicalize_dtype(array.dtype.newbyteorder("="))
    with np.errstate(over="ignore", under="ignore"):
        native = array.astype(dtype, copy=False)
    if dtype.itemsize < array.dtype.itemsize and array.dtype.kind == "f":
        lost = np.isfinite(array) & ~np.isfinite(native)
        if array.any() and not native.any():
            lost = array != 0
        if lost.any():
            raise ValueError(
                f"{name} must be in the range of float32, as jax_enable_x64 is off, "
                f"got {array[lost].flat[0]}"
            )
    return native


def _finite(name, value, ndim=0):
    if isinstance(value, Real) and not isinstance(value, (bool, np.floating)):
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must be finite as a float, got a larger number") from None
    array = _floats(name, value)
    if array.ndim < ndim:
        raise ValueError(f"{name} must have at least {ndim} axes, got shape {array.shape}")
    _require(name, array, np.isfinite, "finite")
    return array


def _floats(name, value):
    array = array_of(name, value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name} must be an array of floats, got dtype {array.dtype}")
    return at_least_single(array)


def _require(name, array, allowed, description):
    # On NumPy's side: inside a trace JAX would turn even known values into unknown ones.
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        if not allowed(known).all():
            first = known[~allowed(known)].flat[0]
            raise ValueError(f"{name} must be {description}, got {first}")


def _of_jax(array):
    # jnp.asarray would compile a program for each shape.
    return array if isinstance(array, jax.Array) else jax.device_put(array)
