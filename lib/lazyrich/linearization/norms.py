"""Sizes of tensors: injective norms, the largest values on unit vectors, by power iteration."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import einsum


def injective_norm(
    tensor: ArrayLike, key: jax.Array, starts: int = 16, iterations: int = 200
) -> Float[Array, ""]:
    """The injective norm of a tensor, max T·(v_1 ⊗ … ⊗ v_r) over unit vectors.

    Of a vector it is the length, of a matrix the largest singular value. Beyond that, alternating
    power iteration from several random starts finds a local maximum, the best of which is a lower
    bound that is almost always sharp for small tensors.

    Args:
        tensor: T with at least one axis.
        key: the starts.
        starts: their number.
        iterations: over all axes.

    A power of two next to the largest entry is taken out first, so that no square leaves the
    floats.

    >>> one = jnp.zeros((2, 2, 2)).at[0, 1, 0].set(3.0)
    >>> float(injective_norm(one, jax.random.key(0)))
    3.0
    """
    tensor = validation.floating("tensor", tensor, ndim=1)
    if tensor.size == 0:
        raise ValueError(f"tensor must not be empty, got shape {tensor.shape}")
    validation.random_key("key", key)
    power = _power_of_two(tensor)
    tensor = tensor / power
    if tensor.ndim <= 2:
        return power * jnp.linalg.norm(tensor, ord=2)
    starts, iterations = (
        validation.whole(name, number, least=1)
        for name, number in (("starts", starts), ("iterations", iterations))
    )
    normal = jax.random.normal(key, (starts, sum(tensor.shape)), tensor.dtype)
    vectors = jnp.split(normal, np.cumsum(tensor.shape)[:-1], axis=1)

    def sweep(_, vectors):
        for axis in range(tensor.ndim):
            vectors[axis] = _unit(_without(tensor, vectors, axis))
        return vectors

    def from_start(vectors):
        vectors = jax.lax.fori_loop(0, iterations, sweep, [_unit(v) for v in vectors])
        return jnp.linalg.norm(_without(tensor, vectors, 0))

    return power * jax.vmap(from_start)(vectors).max()


def spectral_norm(
    function: Callable, params, key: jax.Array, iterations: int = 60
) -> Float[Array, ""]:
    """The largest absolute eigenvalue of the Hessian of a function, by power iteration.

    The Hessian enters by its products with vectors. What comes out is a lower bound; where the
    largest eigenvalues lie close together, as for many neurons, a few parts in a thousand low
    after 60 iterations. With η/2 and the network as function it is |G²|, and with η²/2 and the
    derivative of the network along v it is |C^{2,1}·c|.

    Args:
        function: ``function(params) -> number``.
        params: where.
        key: the start.
        iterations: their number.

    Raises:
        ValueError: if params are not finite floats, or function does not give one number of them,
            a float, or has no finite first and second derivatives.
    """
    validation.random_key("key", key)
    validation.parameters("params", params)
    validation.giving("function", "one number, a float", (), function, params)
    gradient = jax.grad(function)
    flat, unravel = ravel_pytree(params)

    def product(_, w):
        return ravel_pytree(jax.jvp(gradient, (params,), (unravel(_unit(w)),))[1])[0]

    start = jax.random.normal(key, flat.shape, flat.dtype)
    iterations = validation.whole("iterations", iterations, least=1)
    moved = jax.lax.fori_loop(0, iterations, product, start)
    sentence = "function must have finite derivatives"
    [moved] = validation.finite_orders(sentence, moved[None], first=2)
    power = _power_of_two(moved)
    return power * jnp.linalg.norm(moved / power)


def _unit(vector):
    vector = vector / _power_of_two(vector)
    length = jnp.linalg.norm(vector)
    return vector / jnp.where(length > 0, length, 1)


def _power_of_two(array):
    """Next to the largest entry: over it squares stay in range, and no digit is lost."""
    largest = jnp.maximum(jnp.abs(array).max(initial=0), jnp.finfo(array.dtype).tiny)
    return jax.lax.stop_gradient(largest / (2 * jnp.frexp(largest)[0]))


def _without(tensor, vectors, axis):
    """The tensor contracted with all vectors but that of one axis."""
    others = [i for i in range(tensor.ndim) if i != axis]
    operands = itertools.chain.from_iterable((vectors[i], [i]) for i in others)
    return einsum(tensor, list(range(tensor.ndim)), *operands, [axis])
