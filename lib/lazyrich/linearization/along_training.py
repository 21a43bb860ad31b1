"""The correlations along training: the conditions of the start hold at every later step, or not.

The theorem asks for weak correlations at the start alone, because a step changes each by products
of others: what is small stays small. To see that, the correlations of the trained network are
contracted with one fixed residual, c = (1, −1, 1, −1, …)/√N on the training inputs, in place of its
own, which decays.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import root_mean_square
from lazyrich.linearization.correlations import contracted, gradient_norms, update_direction
from lazyrich.linearization.family import external_scale, network, task, weights
from lazyrich.training import each, mean_squared_error, train


class CorrelationsAlong(NamedTuple):
    """Correlations in training, root mean squares over the test inputs, a row a seed."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    C01: Float[Array, "seeds times"]
    """C^{0,1}·c."""
    C02: Float[Array, "seeds times"]
    """C^{0,2}·c²."""
    C11: Float[Array, "seeds times"]
    """|C^{1,1}·c|."""


def correlations_along(
    key: jax.Array,
    width: int,
    seeds: int,
    schedule: tuple[int, ...],
    rate: float = 0.5,
    a: float = 0.5,
    depth: int = 1,
    activation: str = "tanh",
) -> CorrelationsAlong:
    """Gradient descent with all samples in each step, and the correlations on the way.

    Args:
        key: draws a task and the weights for each seed.
        width: n.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η_0, the rate of the kernel: the network's own is η_0 n^(2a−1).
        a: the exponent of the scaling.
        depth: number of hidden layers.
        activation: φ, by its name.
    """
    steps = validation.schedule("schedule", schedule)
    [rate] = validation.positives(rate=rate)
    params, tasks = weights(key, width, depth, seeds), task(key, seeds)
    numbers = external_scale(width, a), rate
    of_one = partial(_along, (width, depth, activation, steps), numbers)
    return CorrelationsAlong(jnp.asarray(steps), *each(of_one, params, tasks))


@partial(jax.jit, static_argnums=0)
def _along(settings, numbers, params, task):
    width, depth, activation, schedule = settings
    scale, rate = numbers
    net = network(width, depth, activation)

    def apply(params, x):
        return net.apply(params, x)[:, 0]

    signs = (-1.0) ** jnp.arange(len(task.y))
    residual = (signs / len(task.y) ** 0.5).astype(task.y.dtype)

    def loss(params, _):
        return mean_squared_error(scale * apply(params, task.x), task.y)

    def observe(params, _):
        v = update_direction(apply, params, task.x, residual)
        C0 = contracted(apply, params, task.x_test, v, 2, rate, scale)
        C1 = gradient_norms(apply, params, task.x_test, v, 1, rate, scale)
        return tuple(map(root_mean_square, (*C0, *C1)))

    return train(loss, params, optax.sgd(rate / scale**2), schedule, observe).observed
