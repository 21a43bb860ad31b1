"""The meter read on networks that are not of the family, as on a reader's own.

A :class:`~lazyrich.linearization.systems.System` is known by its function alone, so that all goes
the general way: the network and its linear model are trained in their parameters, and the kernel
comes from the Jacobian.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from lazyrich import validation
from lazyrich.arithmetic import root_mean_square
from lazyrich.derivatives import empirical_ntk
from lazyrich.draws import normal
from lazyrich.linearization.family import over_seeds
from lazyrich.linearization.linear_model import linearize
from lazyrich.linearization.meter import MeterRun, laziness
from lazyrich.linearization.systems import ENTRIES, SYSTEMS, TOKENS
from lazyrich.training import each, mean_squared_error, train

TRAIN, TEST = 8, 16


def meter_system(
    key: jax.Array, system: str, width: int, seeds: int, rate: float = 0.5, steps: int = 60
) -> MeterRun:
    """Read the meter on a system and a task of its own, then train, seed by seed.

    The task is that of :func:`~lazyrich.linearization.family.task`, with twenty inputs.

    Args:
        key: draws, for each seed, the task and the weights.
        system: its name, in :data:`~lazyrich.linearization.systems.SYSTEMS`.
        width: n.
        seeds: the number of networks.
        rate: η.
        steps: of gradient descent with all samples in each step.
    """
    validation.one_of("system", system, SYSTEMS)
    width, steps = validation.whole("width", width, least=1), validation.whole("steps", steps)
    on_inputs, on_weights = jax.random.split(validation.random_key("key", key))
    params = over_seeds(on_weights, seeds, partial(SYSTEMS[system].init, width=width))
    x = over_seeds(on_inputs, seeds, lambda one: normal(one, (TRAIN + TEST, TOKENS * ENTRIES)))
    [rate] = validation.positives(rate=rate)
    # A program of this call alone, whose memory goes with it.
    return each(jax.jit(partial(_metered, system, steps, rate)), x, params)


def _metered(system, steps, rate, x, params):
    apply = SYSTEMS[system].apply
    x, x_test = x[:TRAIN], x[TRAIN:]
    y = (jnp.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] / 2)[:, None]
    reading = laziness(apply, params, x, y, rate, steps, x_test)

    def trained(apply):
        def loss(params, _):
            return mean_squared_error(apply(params, x), y)

        return train(loss, params, optax.sgd(rate), [steps]).params

    linear, end = linearize(apply, params), trained(apply)
    off = apply(end, x_test) - linear(trained(linear), x_test)
    now, then = (empirical_ntk(apply, theta, x) for theta in (end, params))
    return MeterRun(
        reading.distance,
        root_mean_square(off),
        root_mean_square(reading.terms[0]),
        reading.kernel,
        jnp.linalg.norm(now - then) / jnp.linalg.norm(then),
    )
