"""The laziness meter, read at the start beside what training then does, network by network."""

from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from lazyrich import linearization as lin
from lazyrich.arithmetic import quickly_compiled
from lazyrich.experiments.linearization import family
from lazyrich.experiments.linearization.systems import INPUTS, SYSTEMS
from lazyrich.training import each, stacked


class MeterRun(NamedTuple):
    """Readings at the start beside what training did, a row a seed."""

    predicted_distance: Float[Array, "seeds"]
    """The meter's |F − F_lin|, root mean square over the test inputs."""
    distance: Float[Array, "seeds"]
    """|F − F_lin| after training."""
    predicted_kernel: Float[Array, "seeds"]
    """The meter's |K − K_0|/|K_0|."""
    kernel: Float[Array, "seeds"]
    """|K − K_0|/|K_0| after training."""


def meter_run(
    key: jax.Array, width: int, seeds: int, steps: int = 60, activation: str = "tanh"
) -> MeterRun:
    """Read the meter on networks of the family and the tasks of the key, then train.

    Args:
        key: draws a task and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        steps: of gradient descent with all samples in each step.
        activation: φ, by its name.
    """
    network = family.network(width, 1, activation)
    params, tasks = family.weights(key, width, 1, seeds), family.toy_tasks(key, seeds)
    return _metered(network.apply, network, params, tasks, 0.5, steps)


def meter_system(
    key: jax.Array, system: str, width: int, seeds: int, rate: float = 0.5, steps: int = 60
) -> MeterRun:
    """Read the meter on networks that are not of the family, known by their function alone.

    Args:
        key: draws, for each seed, the task, with twenty inputs, and the weights.
        system: its name, in :data:`~lazyrich.experiments.linearization.systems.SYSTEMS`.
        width: n.
        seeds: the number of networks.
        rate: η.
        steps: of gradient descent with all samples in each step.
    """
    on_inputs, on_weights = jax.random.split(key)
    init, apply = SYSTEMS[system]
    params = stacked(init(one, width) for one in family.seed_keys(on_weights, seeds))
    shape = family.TRAIN + family.TEST, INPUTS
    tasks = stacked(
        family.task_of(family.first_normal(one, shape))
        for one in family.seed_keys(on_inputs, seeds)
    )
    return _metered(apply, apply, params, tasks, rate, steps)


def _metered(apply, network, params, tasks, rate, steps):
    # A program of this call alone, whose memory goes with it.
    reading_of = quickly_compiled(partial(lin.laziness, apply, steps=steps))

    def of_seed(params, task):
        reading = reading_of(params, task.x, task.y[:, None], rate, x_test=task.x_test)
        run = lin.train_beside_linear(network, params, *task, rate, [steps])
        return MeterRun(reading.distance, run.output[0], reading.kernel, run.kernel[0])

    return each(of_seed, params, tasks)
