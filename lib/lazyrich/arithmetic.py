"""Arithmetic that does not depend on the device, and none that is compiled to be used once."""

import inspect
from collections.abc import Callable
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

# In full precision also on a GPU.
dot, matmul, einsum = (
    partial(product, precision=jax.lax.Precision.HIGHEST)
    for product in (jnp.dot, jnp.matmul, jnp.einsum)
)


def ordinarily(function: Callable) -> Callable:
    """Let a function mix ranks and dtypes as JAX does by itself, however a user has set it."""

    @wraps(function)
    def ordinary(*arguments, **settings):
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            return function(*arguments, **settings)

    return ordinary


def jit(function: Callable | None = None, **settings) -> Callable:
    """:func:`jax.jit`, which is traced :func:`ordinarily`; also as ``@jit(static_argnames=…)``."""
    if function is None:
        return partial(jit, **settings)
    return jax.jit(ordinarily(function), **settings)


def hashable(function: Callable) -> Callable:
    """A function as ``jit`` takes it for a static argument, also where its owner has no hash."""
    try:
        hash(function)
    except TypeError:
        return partial(function)
    return function


def quickly_compiled(function: Callable, **settings) -> Callable:
    """``jax.jit`` for what runs briefly: little optimised, it compiles in half the time."""
    return jit(function, compiler_options={"xla_backend_optimization_level": 0}, **settings)


def numpy_if_known(function: Callable) -> Callable:
    """Let a function of arrays run in NumPy where these are known and no GPU holds them.

    JAX compiles a program for each shape, which for a few operations takes a thousand times longer
    than to run it. Elsewhere, as under ``jit`` or ``vmap``, the function is such a program, with
    products in full precision.

    Args:
        function: ``function(xp, *arrays, **settings) -> pytree of arrays``, in the operations of
            ``xp``, which is ``numpy`` or ``jax.numpy``; the settings are keyword-only, and static.

    >>> @numpy_if_known
    ... def outer(xp, x, y, *, power):
    ...     return xp.multiply.outer(x, y) ** power
    >>> outer(jnp.arange(2.0), jnp.ones(2), power=3).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    parameters = inspect.signature(function).parameters.values()
    settings = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    def in_full_precision(*arrays, **settings):
        with jax.default_matmul_precision("highest"):
            return function(jnp, *arrays, **settings)

    in_full_precision.__name__ = function.__name__
    compiled = jit(in_full_precision, static_argnames=settings)

    @wraps(function)
    def either(*arrays, **settings):
        if all(map(at_hand, jax.tree.leaves(arrays))):
            with np.errstate(all="ignore"):  # inf and nan are results, as in JAX
                result = function(np, *jax.tree.map(_of_numpy, arrays), **settings)
            return jax.device_put(result)
        return compiled(*arrays, **settings)

    return either


def all_known(tree) -> bool:
    """Whether all leaves of a pytree are values, and none is traced by ``jit`` or its like."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def at_hand(array: ArrayLike) -> bool:
    """Whether the numbers of an array are known, and in the memory of a CPU."""
    if isinstance(array, jax.core.Tracer):
        return False
    return not isinstance(array, jax.Array) or all(
        device.platform == "cpu" for device in array.devices()
    )


def root_mean_square(x: Float[Array, "..."]) -> Float[Array, ""]:
    """√(mean x²) over all entries."""
    return jnp.sqrt((x**2).mean())


def relative_size(x: Float[Array, "..."], other: Float[Array, "..."]) -> Float[Array, ""]:
    """|x|/|other|, whose squares stay in the floats where the entries do; nan if both are zero.

    >>> float(relative_size(jnp.array([3e-200, 4e-200]), jnp.array([1e-200])))
    5.0
    """
    largest = jnp.abs(other).max()
    return jnp.linalg.norm(x / largest) / jnp.linalg.norm(other / largest)


def ratio(x: ArrayLike, y: ArrayLike, xp=jnp) -> Float[Array | np.ndarray, "*shape"]:
    """x/y, and ``inf`` with gradient 0 where y ≤ 0, in the operations of ``xp``.

    >>> ratio(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0])).tolist()
    [0.5, inf]
    """
    return xp.where(y > 0, x / xp.where(y > 0, y, 1), xp.inf)


def binary_unit(xp, sizes: ArrayLike) -> ArrayLike:
    """Powers of two near sizes, by which to divide so that nothing overflows or is rounded.

    Where a size is 0 or not finite it is 1. The powers and their reciprocals are normal numbers.

    >>> binary_unit(np, np.array([5.0, 0.0, 1e-300])).tolist() == [4.0, 1.0, 2.0**-997]
    True
    """
    limit = xp.finfo(sizes.dtype).maxexp - 4
    ordinary = (sizes > 0) & (sizes < xp.inf)
    _, exponent = xp.frexp(xp.where(ordinary, sizes, 1))
    return xp.ldexp(xp.ones_like(sizes), xp.clip(exponent - 1, -limit, limit))


def _of_numpy(array):
    # A number of Python's stays one, so that it does not decide the dtype of a result.
    return np.asarray(array) if isinstance(array, jax.Array) else array
