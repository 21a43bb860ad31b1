"""The correlations along training: the conditions of the start hold at every later step, or not.

The theorem asks for weak correlations at the start alone, because a step changes each by products
of others: what is small stays small. To see that, the correlations of the trained network are
contracted with one fixed residual, c = (1, −1, 1, −1, …)/√N on the training inputs, in place of its
own, which decays.
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import linearization as lin
from lazyrich.arithmetic import quickly_compiled, root_mean_square
from lazyrich.experiments.linearization import family
from lazyrich.training import each, mean_squared_error, train


class CorrelationsAlong(NamedTuple):
    """Correlations in training, root mean squares over the test inputs, a row a seed."""

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
) -> CorrelationsAlong:
    """Gradient descent with all samples in each step, and the correlations on the way.

    Args:
        key: draws a task and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η_0, the rate of the kernel: the network's own is η_0 n^(2a−1).
        a: the exponent of the scaling.
    """
    apply, scale = family.network(width).apply, family.external_scale(width, a)
    of_seed = partial(_correlations_along, apply, tuple(schedule), scale, rate)
    return each(of_seed, family.weights(key, width, 1, seeds), family.toy_tasks(key, seeds))


@partial(quickly_compiled, static_argnames=("apply", "schedule"))
def _correlations_along(apply, schedule, scale, rate, params, task):
    F = family.one_output(apply)
    residual = (-1.0) ** np.arange(len(task.y)) / len(task.y) ** 0.5

    def loss(params, _):
        return mean_squared_error(scale * F(params, task.x), task.y)

    def observe(params, _):
        v = lin.update_direction(F, params, task.x, residual)
        C0 = lin.contracted(F, params, task.x_test, v, 2, rate, scale)
        C1 = lin.gradient_norms(F, params, task.x_test, v, 1, rate, scale)
        return CorrelationsAlong(*map(root_mean_square, (*C0, *C1)))

    return train(loss, params, optax.sgd(rate / scale**2), schedule, observe).observed
