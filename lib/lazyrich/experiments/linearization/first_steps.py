"""Networks of the family at the start: their correlations, and their first step."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import linearization as lin
from lazyrich.arithmetic import jit, quickly_compiled
from lazyrich.experiments.linearization import family
from lazyrich.kernels import empirical_ntk
from lazyrich.training import each, stacked


class Correlations(NamedTuple):
    """Correlations at the start on the probe, a row a seed, for d = 1, 2, … along the row."""

    C0: Float[Array, "seeds order"]
    """C^{0,d}·c^d, with its sign."""
    C1: Float[Array, "seeds free_order"]
    """|C^{1,d}·c^d|."""


def correlations_at_start(
    key: jax.Array,
    width: int,
    seeds: int,
    depth: int = 1,
    activation: str = "tanh",
    a: float = 0.5,
    scale: float = 1.0,
    order: int = 4,
    free_order: int = 2,
) -> Correlations:
    """C^{0,d} and C^{1,d} on the probe of the key, contracted with its residual, at its rate.

    Args:
        key: draws the probe, which all seeds share, and the weights.
        width: n.
        seeds: the number of networks.
        depth: number of hidden layers.
        activation: φ, by its name.
        a: the exponent of the scaling.
        scale: a further external scale.
        order: the largest d of C^{0,d}.
        free_order: the largest d of C^{1,d}.
    """
    on_inputs, on_weights = jax.random.split(key)
    network = family.network(width, depth, activation)
    alpha, probe = scale * family.external_scale(width, a), family.probe(on_inputs)

    def of_seed(params):
        of_test = _correlations(network.apply, params, probe, alpha, order, free_order)
        return Correlations(*(values[:, 0] for values in of_test))

    return each(of_seed, family.weights(on_weights, width, depth, seeds))


def correlations_beyond_layers(
    key: jax.Array, width: int, seeds: int, depth: int, activation: str
) -> Correlations:
    """C^{0,d} over C^{0,1} for two d > L + 1, and C^{1,d} over C^{1,1} for d = L + 1.

    Arguments as for :func:`correlations_at_start`. A network that is multilinear in its L + 1
    layers has none.
    """
    orders = depth + 3, depth + 1
    C0, C1 = correlations_at_start(key, width, seeds, depth, activation, 0.5, 1.0, *orders)
    C0, C1 = np.asarray(C0), np.asarray(C1)
    return Correlations(C0[:, -2:] / C0[:, :1], C1[:, -1:] / C1[:, :1])


def one_step_at_start(
    key: jax.Array,
    width: int,
    seeds: int,
    depth: int = 2,
    activation: str = "tanh",
    rate: float = 1.0,
    order: int = 6,
) -> lin.OneStep:
    """The first step of gradient descent on the tasks of the key, beside its expansion.

    Args:
        key: draws a task and the weights for each seed.
        width: n.
        seeds: the number of networks.
        depth: number of hidden layers.
        activation: φ, by its name.
        rate: η.
        order: the largest d.

    Returns:
        The step, each entry with the seeds on a leading axis, then the orders if it has them, then
        the test inputs.
    """
    network = family.network(width, depth, activation)

    def of_seed(key):  # its weights alone, since those of all seeds may not fit
        params = family.weights_of_one(key, width, depth)
        return _first_step(network.apply, params, family.toy_task(key), rate, order)

    return stacked(map(of_seed, family.seed_keys(key, seeds)))


def hessian_difference(key: jax.Array, width: int) -> Float[Array, "2"]:
    """C^{0,2} and C^{1,1} from the whole Hessian of a network, over those along v, less one.

    Args:
        key: draws a probe, and the weights.
        width: n, of one hidden layer.
    """
    on, net = family.probe(key), family.network(width)
    flat, unravel = ravel_pytree(family.weights_of_one(family.seed_keys(key, 1)[0], width, 1))
    F = family.one_output(lambda flat, x: net.apply(unravel(flat), x))

    @quickly_compiled
    def difference(flat):
        v = lin.update_direction(F, flat, on.x, on.residual)
        turn = jax.hessian(lambda flat: F(flat, on.x_test)[0])(flat) @ v
        eta = family.PROBE_RATE
        whole = jnp.stack([eta**2 / 2 * turn @ v, eta**1.5 * jnp.linalg.norm(turn)])
        C0, C1 = on_probe(F, flat, on, 2, 1, eta)
        return whole / jnp.stack([C0[1, 0], C1[0, 0]]) - 1

    return difference(flat)


def gradient_turn(
    key: jax.Array, width: int, seeds: int, steps: int, rate: float = 0.5
) -> Float[Array, "seeds"]:
    """|J − J_0|/|J_0| after training, to leading order: C^{1,1} against the summed residuals.

    A step changes the gradient by −C^{1,1}·c/√η, to first order, and to that order the residuals
    are those of the linear model.

    Args:
        key: draws a task and the weights for each seed.
        width: n, of one hidden layer of tanh.
        seeds: the number of networks.
        steps: of gradient descent with all samples in each step.
        rate: η.
    """
    network = family.network(width)
    F = family.one_output(network.apply)

    @quickly_compiled
    def of_seed(params, task):
        K, N = empirical_ntk(network, params, task.x), len(task.y)
        slope = lambda outputs: (outputs - task.y) / N  # noqa: E731
        path = lin.descend_linear(F(params, task.x), K, slope, rate, steps)[:-1]
        v = lin.update_direction(F, params, task.x, slope(path).sum(0))
        [turn] = lin.gradient_norms(F, params, task.x, v, 1, rate)
        return jnp.sqrt((turn**2).sum() / (rate * jnp.trace(K)))

    return each(of_seed, family.weights(key, width, 1, seeds), family.toy_tasks(key, seeds))


@partial(quickly_compiled, static_argnames=("apply", "order", "free_order"))
def _correlations(apply, params, probe, scale, order, free_order):
    F, eta = family.one_output(apply, scale), family.PROBE_RATE / scale**2
    return on_probe(F, params, probe, order, free_order, eta)


@jit(static_argnames=("apply", "order"))
def _first_step(apply, params, task, rate, order):
    F = family.one_output(apply)
    residual = (F(params, task.x) - task.y) / len(task.y)
    v = lin.update_direction(F, params, task.x, residual)
    return lin.one_step(F, params, task.x_test, v, order, rate)


# What the experiments share


def on_probe(F, params, probe, order, free_order, eta, direction=lambda v: v) -> Correlations:
    """Those of a function of one output on a probe, along a direction made of v.

    Rows are the orders d, columns the test inputs.
    """
    v = direction(lin.update_direction(F, params, probe.x, probe.residual))
    C0 = lin.contracted(F, params, probe.x_test, v, order, eta)
    return Correlations(C0, lin.gradient_norms(F, params, probe.x_test, v, free_order, eta))
