"""A network in training beside its linear model.

The cost is ½ mean (F − y)² over the samples of a step, all of them or one. Measured are, on a
schedule of steps, how far the outputs on test inputs are from those of the linear model, and how
far the tangent kernel and the gradient have moved. The linear model is trained in kernel space, by
the same steps.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import jit, matmul, relative_size, root_mean_square
from lazyrich.derivatives import jacobian
from lazyrich.kernels import empirical_ntk
from lazyrich.networks import Network
from lazyrich.validation import ArrayLike


class Deviations(NamedTuple):
    """A network in training beside its linear model."""

    output: Float[Array, "*seeds times"]
    """|F − F_lin|, root mean square over the test inputs."""
    kernel: Float[Array, "*seeds times"]
    """|K − K_0|/|K_0| on the training inputs, Frobenius norms."""
    gradient: Float[Array, "*seeds times"]
    """|J − J_0|/|J_0| on the training inputs, Frobenius norms."""
    residual: Float[Array, "*seeds times"]
    """|F_lin − y|, root mean square over the training inputs."""
    training_output: Float[Array, "*seeds times"]
    """|F − F_lin|, root mean square over the training inputs."""
    network_residual: Float[Array, "*seeds times"]
    """|F − y|, root mean square over the training inputs."""


def train_beside_linear(
    network: Callable | Network,
    params,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike,
    rate: ArrayLike,
    schedule: Sequence[int],
    scale: ArrayLike = 1.0,
    centred: bool = False,
    samples: ArrayLike | None = None,
    noise: ArrayLike | None = None,
) -> Deviations:
    """Gradient descent on ½ mean (α F − y)² beside the linear model, observed on a schedule.

    Args:
        network: of one output, ``(samples, 1)`` of them; a function ``apply(params, x)`` goes
            through its Jacobian. Programs are compiled once for each network.
        params: θ_0.
        x: training inputs, shape (samples, inputs).
        y: their targets, shape (samples,).
        x_test: where the outputs are compared.
        rate: η at scale one: the network's own rate is η/α².
        schedule: after how many steps to observe, increasing.
        scale: α, a factor on the outputs.
        centred: whether the outputs at the start are taken off.
        samples: which training input each step takes, by its number; by default all of them.
        noise: what each step adds to the target of its sample.

    Training that diverges has inf or nan, and where the kernel of the start vanishes the changes
    are nan.

    Raises:
        ValueError: if the network does not give one float a sample or has no derivative backwards,
            targets do not fit the outputs, rate or scale is not positive, the schedule is no
            increasing sequence, or samples or noise end before it.

    A network that is linear in its parameters stays on its linear model:

    >>> x, y = jnp.eye(2), jnp.ones(2)
    >>> apply = lambda w, x: x @ w
    >>> train_beside_linear(apply, jnp.zeros((2, 1)), x, y, x, 1.0, [0, 1]).residual.tolist()
    [1.0, 0.5]
    """
    steps = validation.schedule("schedule", schedule)
    rate, scale = validation.positives(rate=rate, scale=scale)
    centred = validation.flag("centred", centred)
    if isinstance(network, Network):  # hashable, so that its compiled programs are found again
        network = network._replace(layers=tuple(network.layers))
    params, x, outputs = validation.network(_apply(network), params, x)
    _, x_test, _ = validation.network(_apply(network), params, x_test, "x_test")
    y = validation.floating("y", y)
    if outputs.shape != (len(x), 1) or y.shape != (len(x),):
        shapes = f"{outputs.shape} and {y.shape}"
        raise ValueError(
            f"outputs and y must have shapes ({len(x)}, 1) and ({len(x)},), got {shapes}"
        )
    samples = None if samples is None else validation.kind("samples", samples, "integers")
    noise = None if noise is None else validation.vector("noise", noise)
    for name, each in (("samples", samples), ("noise", noise)):
        if each is not None and each.shape < (steps[-1],):
            raise ValueError(f"{name} must have one for each of {steps[-1]} steps, got {len(each)}")
    y, rate, scale, noise = jax.tree.map(
        lambda number: number.astype(outputs.dtype), (y, rate, scale, noise)
    )
    problem = _Problem(x, y, x_test, rate, scale, samples, noise)
    with validation.differentiable("apply", "by jax.vjp"):
        start, linear = _start(network, params, problem, float(centred))
        moved, rows = params, []
        for ends in pairwise((0, *steps)):
            moved, linear, row = _interval(network, start, moved, linear, ends, problem)
            rows.append(row)
    return jax.tree.map(lambda *times: jnp.stack(times), *rows)


def relative_gradient_change(
    network: Callable | Network, params, start, x: ArrayLike
) -> Float[Array, ""]:
    """|J − J_0|/|J_0| of the gradients since the start, of a layered network without a Jacobian.

    A layer's gradient is D ⊗ h, and D ⊗ h − D_0 ⊗ h_0 = (D − D_0) ⊗ h + D_0 ⊗ (h − h_0), so that
    lengths and inner products of D, h and their changes suffice and nothing cancels. Where J_0
    vanishes the change is nan.

    Raises:
        ValueError: if params and start are not alike, of finite floats, or the network does not
            take the samples.
    """
    params, x, _ = validation.network(_apply(network), params, x)
    return _gradient_change(network, params, validation.like("start", start, "params", params), x)


def _gradient_change(network, params, start, x):
    if not isinstance(network, Network) or network.sensitivities is None:
        now, then = (jacobian(_apply(network), theta, x) for theta in (params, start))
        return relative_size(now - then, then)
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


class _Problem(NamedTuple):
    """What all steps share."""

    x: Float[Array, "samples inputs"]
    y: Float[Array, "samples"]
    x_test: Float[Array, "test inputs"]
    rate: Float[Array, ""]
    scale: Float[Array, ""]
    samples: Int[Array, "steps"] | None
    noise: Float[Array, "steps"] | None


class _Start(NamedTuple):
    """What the start leaves."""

    params: Any
    kernel: Float[Array, "rows samples"]
    """T, rows for training and test inputs."""
    shift: Float[Array, "rows"]
    """What is taken off the outputs."""


@jit(static_argnames="network")
def _start(network, params, problem, centred):
    """What is kept of the start, and the linear model there."""
    both = jnp.concatenate([problem.x, problem.x_test])
    outputs = problem.scale * _apply(network)(params, both)[:, 0]
    T = empirical_ntk(network, params, both, problem.x)
    return _Start(params, T, centred * outputs), (1 - centred) * outputs


@jit(static_argnames="network")
def _interval(network, start, params, linear, ends, problem):
    """The parameters and the linear model some steps later, and what is observed there."""
    x, y, x_test, rate, scale, samples, noise = problem
    N, apply = len(y), _apply(network)

    def outputs_of(params, x):
        return scale * apply(params, x)[:, 0]

    def update(step, state):
        params, linear = state
        chosen = jnp.arange(N) if samples is None else samples[step][None]
        targets = y[chosen] + (0.0 if noise is None else noise[step])
        outputs, pull = jax.vjp(lambda params: outputs_of(params, x[chosen]), params)
        [v] = pull((outputs - start.shift[chosen] - targets) / len(chosen))
        residual = (linear[chosen] - targets) / len(chosen)
        moved = jax.tree.map(lambda w, v: w - rate / scale**2 * v, params, v)
        return moved, linear - rate * matmul(start.kernel[:, chosen], residual)

    params, linear = jax.lax.fori_loop(*ends, update, (params, linear))
    kernel = empirical_ntk(network, params, x)
    on_training = outputs_of(params, x) - start.shift[:N]
    return (
        params,
        linear,
        Deviations(
            root_mean_square(outputs_of(params, x_test) - start.shift[N:] - linear[N:]),
            relative_size(kernel - start.kernel[:N], start.kernel[:N]),
            _gradient_change(network, params, start.params, x),
            root_mean_square(linear[:N] - y),
            root_mean_square(on_training - linear[:N]),
            root_mean_square(on_training - y),
        ),
    )


def _apply(network):
    return network.apply if isinstance(network, Network) else network


def _inner(x, y):
    return (x * y).sum(-1)
