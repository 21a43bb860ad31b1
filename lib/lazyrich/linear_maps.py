"""The Jacobian of any network as a map: J v and Jᵀ v, without its rows.

A pass forwards, or one backwards, over the samples for each vector, a chunk of samples after
another, so that only its activations are held.
"""

from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp

from lazyrich.arithmetic import jit
from lazyrich.jacobians import Rows, few_samples, of_one


def linear_maps(rows: Rows, memory: int = 0) -> list[Callable]:
    """Functions that make the map v ↦ J v of some samples each, at a point of the parameters.

    What the maps keep of the activations is made once if that of all samples has room in so many
    bytes, and else each time.
    """
    make = [
        partial(_linearized, rows.apply, rows.params, rows.x[few])
        for few in few_samples(len(rows.x))
    ]
    if memory and len(make) * sum(leaf.nbytes for leaf in jax.tree.leaves(make[0]())) <= memory:
        return [partial(_itself, one()) for one in make]
    return make


def pulled(maps: list[Callable], params, vectors):
    """Jᵀ v for vectors of shape (samples, outputs, number), parameters with an axis in front."""
    pairs = zip(few_samples(len(vectors)), maps, strict=True)
    return _total(_back(make(), params, vectors[few]) for few, make in pairs)


def pushed(maps: list[Callable], directions):
    """J v for directions like the parameters with an axis in front: (samples, outputs, number)."""
    return jnp.concatenate([_forth(make(), directions) for make in maps])


def moment_product(maps: list[Callable], params, direction):
    """Σ_i J_iᵀ J_i v for a direction v like the parameters, in the same form."""
    direction = jax.tree.map(lambda leaf: leaf[None], direction)
    made = (make() for make in maps)
    total = _total(_back(one, params, _forth(one, direction)) for one in made)
    return jax.tree.map(lambda leaf: leaf[0], total)


def _total(trees):
    return reduce(partial(jax.tree.map, jnp.add), trees)


@jit(static_argnames="apply")
def _linearized(apply, params, x):
    """The map v ↦ J v of some samples, to (samples, outputs)."""
    return jax.linearize(lambda params: jax.vmap(partial(of_one, apply, params))(x), params)[1]


@jit
def _forth(push, directions):
    return jnp.moveaxis(jax.lax.map(push, directions), 0, -1)


@jit
def _back(push, params, vectors):
    pull = jax.linear_transpose(push, params)
    return jax.lax.map(lambda v: pull(v)[0], jnp.moveaxis(vectors, -1, 0))


def _itself(value):
    return value
