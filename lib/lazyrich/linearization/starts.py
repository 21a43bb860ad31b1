"""Networks of the family at the start: their correlations, and their first step.

Each function is one experiment, given by a key and named scalars, so that a sweep can repeat it at
many of them.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.derivatives import along
from lazyrich.linearization.activations import checked_sharpness
from lazyrich.linearization.correlations import (
    contracted,
    gradient_norms,
    update_direction,
)
from lazyrich.linearization.family import (
    external_scale,
    network,
    probe,
    task,
    weights,
    weights_of_one,
)
from lazyrich.linearization.identity import OneStep, one_step
from lazyrich.linearization.norms import spectral_norm
from lazyrich.training import each, stacked


class Correlations(NamedTuple):
    """Correlations at the start on the probe, a row a seed, for d = 1, 2, … along the row."""

    C0: Float[Array, "seeds order"]
    """C^{0,d}·c^d, with its sign."""
    C1: Float[Array, "seeds free_order"]
    """|C^{1,d}·c^d|."""


class SpectralNorms(NamedTuple):
    """Sizes of two matrices at the start on the probe, a row a seed."""

    G2: Float[Array, "seeds"]
    """|G²| = η/2 |∇²F|, of the Hessian."""
    C21: Float[Array, "seeds"]
    """|C^{2,1}·c|."""


def correlations_at_start(
    key: jax.Array,
    width: int,
    seeds: int,
    depth: int = 1,
    activation: str = "tanh",
    sharpness: float = 1.0,
    a: float = 0.5,
    scale: float = 1.0,
    rate: float = 0.5,
    order: int = 4,
    free_order: int = 2,
) -> Correlations:
    """C^{0,d} and C^{1,d} on the probe of the key, contracted with its residual.

    Args:
        key: draws the probe, which all seeds share, and the weights.
        width: n.
        seeds: the number of networks.
        depth: number of hidden layers.
        activation: φ, by its name.
        sharpness: β, for φ(β z)/β.
        a: the exponent of the scaling.
        scale: a further external scale.
        rate: η_0.
        order: the largest d of C^{0,d}.
        free_order: the largest d of C^{1,d}.
    """
    on_inputs, on_weights = jax.random.split(validation.random_key("key", key))
    settings = (
        width,
        depth,
        validation.whole("order", order, least=1),
        validation.whole("free_order", free_order, least=1),
        activation,
    )
    sharpness = checked_sharpness(sharpness)
    scale, rate = validation.positives(scale=scale, rate=rate)
    numbers = sharpness, scale * external_scale(width, a), rate
    params = weights(on_weights, width, depth, seeds)
    return each(partial(_correlations, settings, numbers, probe(on_inputs)), params)


def spectral_norms_at_start(
    key: jax.Array,
    width: int,
    seeds: int,
    depth: int = 1,
    activation: str = "tanh",
    a: float = 0.5,
    rate: float = 0.5,
    iterations: int = 60,
) -> SpectralNorms:
    """The spectral norms of G² and C^{2,1} on the probe of the key, by power iteration.

    Args:
        key: as for :func:`correlations_at_start`.
        width: n.
        seeds: the number of networks.
        depth: number of hidden layers.
        activation: φ, by its name.
        a: the exponent of the scaling.
        rate: η_0.
        iterations: of each power iteration.
    """
    on_inputs, on_weights = jax.random.split(validation.random_key("key", key))
    settings = width, depth, validation.whole("iterations", iterations, least=1), activation
    params = weights(on_weights, width, depth, seeds)
    numbers = external_scale(width, a), *validation.positives(rate=rate)
    of_one = partial(_spectral_norms, settings, numbers, probe(on_inputs), on_inputs)
    return each(of_one, params)


def one_step_at_start(
    key: jax.Array,
    width: int,
    seeds: int,
    depth: int = 2,
    activation: str = "tanh",
    a: float = 0.5,
    rate: float = 1.0,
    order: int = 6,
) -> OneStep:
    """The first step of gradient descent on the tasks of the key, beside its expansion.

    Args:
        key: draws a task and the weights for each seed.
        width: n.
        seeds: the number of networks.
        depth: number of hidden layers.
        activation: φ, by its name.
        a: the exponent of the scaling.
        rate: η_0.
        order: the largest d.

    Returns:
        The step, each entry with the seeds on a leading axis, then the orders if it has them, then
        the test inputs.
    """
    settings = width, depth, validation.whole("order", order, least=2), activation
    numbers = external_scale(width, a), *validation.positives(rate=rate)
    tasks = task(key, seeds)

    def of_seed(seed):  # its weights alone, since those of all seeds may not fit
        own = jax.tree.map(lambda x: x[seed], tasks)
        drawn = weights_of_one(jax.random.fold_in(key, seed), width, depth)
        return _one_step(settings, numbers, own, drawn)

    return stacked(map(of_seed, range(seeds)))


@partial(jax.jit, static_argnums=0)
def _correlations(settings, numbers, probe, params):
    width, depth, order, free_order, activation = settings
    sharpness, scale, rate = numbers
    apply = _scaled(network(width, depth, activation, sharpness), scale)
    eta = rate / scale**2

    v = update_direction(apply, params, probe.x, probe.residual)
    C0 = contracted(apply, params, probe.x_test, v, order, eta)
    C1 = gradient_norms(apply, params, probe.x_test, v, free_order, eta)
    return Correlations(C0[:, 0], C1[:, 0])


@partial(jax.jit, static_argnums=0)
def _spectral_norms(settings, numbers, probe, key, params):
    width, depth, iterations, activation = settings
    scale, rate = numbers
    apply = _scaled(network(width, depth, activation), scale)
    eta = rate / scale**2

    v = update_direction(apply, params, probe.x, probe.residual)
    output = lambda params: apply(params, probe.x_test)[0]  # noqa: E731
    slope = lambda params: along(output, params, v, 1)[1]  # noqa: E731
    G2, C21 = (spectral_norm(f, params, key, iterations) for f in (output, slope))
    return SpectralNorms(eta / 2 * G2, eta**2 / math.factorial(2) * C21)


@partial(jax.jit, static_argnums=0)
def _one_step(settings, numbers, task, params):
    width, depth, order, activation = settings
    scale, rate = numbers
    apply = _scaled(network(width, depth, activation), scale)

    residual = (apply(params, task.x) - task.y) / len(task.y)
    v = update_direction(apply, params, task.x, residual)
    return one_step(apply, params, task.x_test, v, order, rate / scale**2)


def _scaled(network, scale):
    """α F, as one number a sample."""
    return lambda params, x: scale * network.apply(params, x)[:, 0]
