"""Networks of the family in training, beside their linear models.

The cost is ½ mean (F − y)² over the samples of a step, all of them or one. Measured are, on a
schedule of steps, how far the outputs on test inputs are from those of the linear model, and how
far the tangent kernel and the gradient have moved. The linear model is trained in kernel space, by
the same steps. Each function is one experiment, given by a key and named scalars; a program is
compiled once for a width, depth and activation, for all rates, scales, schedules and seeds.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import matmul, root_mean_square
from lazyrich.derivatives import empirical_ntk
from lazyrich.linearization.activations import checked_sharpness
from lazyrich.linearization.family import (
    external_scale,
    network,
    noise_of_samples,
    order_of_samples,
    task,
    weights,
)
from lazyrich.linearization.linear_model import taylor_expand
from lazyrich.networks import Network
from lazyrich.training import each, mean_squared_error, train


class Deviations(NamedTuple):
    """Networks in training beside their linear models, a row a seed."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    output: Float[Array, "seeds times"]
    """|F − F_lin|, root mean square over the test inputs."""
    kernel: Float[Array, "seeds times"]
    """|K − K_0|/|K_0| on the training inputs, Frobenius norms."""
    gradient: Float[Array, "seeds times"]
    """|J − J_0|/|J_0| on the training inputs, Frobenius norms."""
    residual: Float[Array, "seeds times"]
    """|F_lin − y|, root mean square over the training inputs."""


def kernel_change(
    network: Network, params, start, x: Float[Array, "samples inputs"]
) -> Float[Array, ""]:
    """|K − K_0|/|K_0| of the tangent kernel since the start, Frobenius norms; inf if K_0 is 0."""
    now, then = empirical_ntk(network, params, x), empirical_ntk(network, start, x)
    return jnp.linalg.norm(now - then) / jnp.linalg.norm(then)


def gradient_change(
    network: Network, params, start, x: Float[Array, "samples inputs"]
) -> Float[Array, ""]:
    """|J − J_0|/|J_0| of a layered network's gradients since the start, without a Jacobian.

    A layer's gradient is D ⊗ h, and D ⊗ h − D_0 ⊗ h_0 = (D − D_0) ⊗ h + D_0 ⊗ (h − h_0), so that
    lengths and inner products of D, h and their changes suffice and nothing cancels.
    """
    if network.sensitivities is None:
        raise ValueError("network must know its sensitivities, got one without")
    changed, size = 0.0, 0.0
    layers = zip(
        network.layers,
        *network.sensitivities(params, x),
        *network.sensitivities(start, x),
        strict=True,
    )
    for layer, h, D, h_0, D_0 in layers:
        h, h_0 = h[:, None], h_0[:, None]
        dD, dh = D - D_0, h - h_0
        squares = _inner(dD, dD) * _inner(h, h) + _inner(D_0, D_0) * _inner(dh, dh)
        both = _inner(dD, D_0) * _inner(h, dh)
        changed += layer.multiplier**2 * (squares + 2 * both).sum()
        size += layer.multiplier**2 * (_inner(D_0, D_0) * _inner(h_0, h_0)).sum()
    return jnp.sqrt(jnp.maximum(changed, 0) / size)


def descend(
    key: jax.Array,
    width: int,
    seeds: int,
    schedule: tuple[int, ...],
    rate: float = 0.5,
    depth: int = 1,
    activation: str = "tanh",
    sharpness: float = 1.0,
    a: float = 0.5,
    scale: float = 1.0,
    centred: bool = False,
    offset: float = 0.0,
    rescaled: bool = False,
) -> Deviations:
    """Gradient descent with all samples in each step.

    Args:
        key: draws a task and the weights for each seed.
        width: n.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η_0, the rate of the kernel: the network's own is η_0 n^(2a−1)/scale².
        depth: number of hidden layers.
        activation: φ, by its name.
        sharpness: β, for φ(β z)/β.
        a: the exponent of the scaling.
        scale: a further external scale of the outputs.
        centred: whether the outputs at the start are taken off.
        offset: the mean of the output weights.
        rescaled: whether the training inputs have one length.
    """
    settings, steps = (width, depth, activation), validation.schedule("schedule", schedule)
    sharpness = checked_sharpness(sharpness)
    scale, rate = validation.positives(scale=scale, rate=rate)
    scale, centred = scale * external_scale(width, a), float(validation.flag("centred", centred))
    numbers = sharpness, scale, rate, centred
    params = weights(key, width, depth, seeds, offset)
    return _descend(settings, numbers, steps, params, task(key, seeds, rescaled))


def descend_by_sample(
    key: jax.Array,
    width: int,
    seeds: int,
    schedule: tuple[int, ...],
    rate: float = 0.25,
    activation: str = "tanh",
    noise: float = 0.0,
) -> Deviations:
    """Stochastic gradient descent in NTK scaling, one random sample a step, its residual F − y.

    The linear model sees the same samples and the same noise, and the training inputs have one
    length.

    Args:
        key: draws a task, the order of its samples, their noise and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η.
        activation: φ, by its name.
        noise: standard deviation of what each step adds to the target of its sample; with it the
            residuals do not decay.
    """
    steps = validation.schedule("schedule", schedule)
    [rate] = validation.positives(rate=rate)
    sigma = validation.scalar("noise", validation.nonnegative("noise", noise))
    params, tasks = weights(key, width, 1, seeds), task(key, seeds, rescaled=True)
    drawn = max(int(steps[-1]), 1)
    order = order_of_samples(key, seeds, drawn)
    added = sigma * noise_of_samples(key, seeds, drawn)
    numbers = 1.0, 1.0, rate, 0.0
    return _descend((width, 1, activation), numbers, steps, params, tasks, (order, added))


def taylor_distances(
    key: jax.Array,
    width: int,
    seeds: int,
    orders: tuple[int, ...] = (1, 2, 3),
    rate: float = 1.0,
    steps: int = 40,
    activation: str = "tanh",
    depth: int = 1,
) -> Float[Array, "seeds orders"]:
    """How far Taylor models of some orders are from the network, each trained by itself.

    Args:
        key: draws a task, its training inputs of one length, and the weights for each seed.
        width: n.
        seeds: the number of networks.
        orders: of the Taylor models about the start.
        rate: η.
        steps: of gradient descent with all samples in each step.
        activation: φ, by its name.
        depth: number of hidden layers.

    Returns:
        The distances of the outputs at the end, root mean squares over the test inputs.
    """
    if not isinstance(orders, Sequence) or not orders:
        raise ValueError(f"orders must be a sequence of one order or more, got {orders!r}")
    orders = tuple(validation.whole("orders", order) for order in orders)
    settings = width, depth, activation, orders, validation.whole("steps", steps)
    params = weights(key, width, depth, seeds)
    [rate] = validation.positives(rate=rate)
    tasks = task(key, seeds, rescaled=True)
    # A program of this call alone, whose memory goes with it.
    program = jax.jit(partial(_taylor_distances, settings))
    return each(partial(program, rate), params, tasks)


def _descend(settings, numbers, schedule, params, tasks, samples=None):
    def one(params, task, samples):
        kernel, shift, linear = _start(settings, numbers, params, task)
        state, rows = (params, linear), []
        for ends in pairwise((0, *schedule)):
            state, row = _interval(
                settings, numbers, (params, kernel, shift), state, ends, task, samples
            )
            rows.append(row)
        return jax.tree.map(lambda *times: jnp.stack(times), *rows)

    return Deviations(jnp.asarray(schedule), *each(one, params, tasks, samples))


@partial(jax.jit, static_argnums=0)
def _start(settings, numbers, params, task):
    """The kernel T, what is taken off the outputs, and the outputs less that."""
    width, depth, activation = settings
    sharpness, scale, _, centred = numbers
    net = network(width, depth, activation, sharpness)
    both = jnp.concatenate([task.x, task.x_test])
    outputs = scale * net.apply(params, both)[:, 0]
    T = empirical_ntk(net, params, both, task.x)
    return T, centred * outputs, (1 - centred) * outputs


@partial(jax.jit, static_argnums=0)
def _interval(settings, numbers, start, state, ends, task, samples):
    """The parameters and the linear model some steps later, and what is observed there."""
    width, depth, activation = settings
    sharpness, scale, rate, _ = numbers
    net = network(width, depth, activation, sharpness)
    at_start, T, shift = start
    N = len(task.y)

    def outputs_of(params, x):
        return scale * net.apply(params, x)[:, 0]

    def update(step, state):
        params, linear = state
        chosen, added = jnp.arange(N), 0.0
        if samples is not None:
            chosen, added = (every[step][None] for every in samples)
        x, y = task.x[chosen], task.y[chosen] + added
        outputs, pull = jax.vjp(lambda params: outputs_of(params, x), params)
        [v] = pull((outputs - shift[chosen] - y) / len(chosen))
        residual = (linear[chosen] - y) / len(chosen)
        moved = jax.tree.map(lambda w, v: w - rate / scale**2 * v, params, v)
        return moved, linear - rate * matmul(T[:, chosen], residual)

    params, linear = jax.lax.fori_loop(*ends, update, state)
    return (params, linear), (
        root_mean_square(outputs_of(params, task.x_test) - shift[N:] - linear[N:]),
        kernel_change(net, params, at_start, task.x),
        gradient_change(net, params, at_start, task.x),
        root_mean_square(linear[:N] - task.y),
    )


def _taylor_distances(settings, rate, params, task):
    width, depth, activation, orders, steps = settings
    net = network(width, depth, activation).apply

    def trained(apply):
        def loss(params, _):
            return mean_squared_error(apply(params, task.x)[:, 0], task.y)

        end = train(loss, params, optax.sgd(rate), [steps]).params
        return apply(end, task.x_test)[:, 0]

    outputs = trained(net)
    models = (taylor_expand(net, params, order) for order in orders)
    return jnp.stack([root_mean_square(trained(model) - outputs) for model in models])


def _inner(x, y):
    return (x * y).sum(-1)
