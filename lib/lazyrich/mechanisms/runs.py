"""Runs: the network itself, trained by automatic differentiation on data along a line.

Nothing here knows the solution; it is what the closed form is held against. The network is
f(x) = γ Σ_i u_i (w_i·x)^β with all its input weights W, of shape (d, inputs), and β = 1 but for the
monomial variant.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.mechanisms.setting import Setting, State, Weights, dot, invariants, state
from lazyrich.mechanisms.solution import (
    fixed_point,
    learning_speed,
    orthogonal_error,
    time_to_reach,
)
from lazyrich.training import gradient_flow, train

_SAMPLES = 32


class Line(NamedTuple):
    """Data on one line, x_i = a_i n."""

    x: Float[Array, "*cases samples inputs"]
    """Inputs a_i n."""
    y: Float[Array, "*cases samples"]
    """Labels."""
    a: Float[Array, "*cases samples"]
    """Positions along the line."""
    direction: Float[Array, "*cases inputs"]
    """The unit vector n."""


class Cases(NamedTuple):
    """Networks with their data, all on one leading axis."""

    setting: Setting
    """The constants, with A and y* those of the data."""
    u: Float[Array, "cases d"]
    """Output weights at the start; the neurons that a narrower network lacks are zero."""
    W: Float[Array, "cases d inputs"]
    """Input weights at the start."""
    line: Line
    """Data on a line."""


class Run(NamedTuple):
    """Networks along training: what autodiff and the definitions say."""

    times: Float[Array, "cases times"]
    """Times of observation."""
    u: Float[Array, "cases times d"]
    """Output weights."""
    v: Float[Array, "cases times d"]
    """Input weights along the data, v = W n."""
    across: Float[Array, "cases times d inputs"]
    """Input weights across the data, W − v nᵀ."""
    output: Float[Array, "cases times"]
    """Output F on the line, the network's value at the unit vector n."""
    kernel: Float[Array, "cases times"]
    """Tangent kernel κ on the line, with the rates inside, from derivatives of the network."""
    loss: Float[Array, "cases times"]
    """Training loss."""


def predict(gamma, u, W, x: Float[Array, "samples inputs"]) -> Float[Array, "samples"]:
    """The network's outputs, γ x Wᵀ u."""
    return gamma * dot(dot(x, W.T), u)


def random_cases(
    key: jax.Array, cases: int, kind: str = "random", neurons: int = 11, inputs: int = 6
) -> Cases:
    """Networks of random width, scale, rates, data and loss.

    The width is uniform on 1…`neurons`; γ, η_u, η_w and E[a²] are log-normal (E[a²] up to the
    scatter of 32 samples), y* is normal with deviation 2, the weights are normal with a log-normal
    deviation of median ½, and c is 1 or 2.

    Args:
        key: a random key.
        cases: their number.
        kind: ``"random"``; ``"aligned"``, with v parallel to u; or ``"targets"``, one network at
            targets from 0 to 4 N, without label noise.
        neurons: the largest width.
        inputs: input dimension.
    """
    validation.whole("cases", cases, least=1)
    validation.whole("neurons", neurons, least=1)
    validation.whole("inputs", inputs, least=1)
    validation.one_of("kind", kind, ("random", "aligned", "targets"))
    drawn = _random_cases(key, cases, neurons, inputs)
    if kind == "aligned":
        v = jnp.einsum("cdi,ci->cd", drawn.W, drawn.line.direction)
        turned = jnp.einsum("cd,ci->cdi", 0.7 * drawn.u - v, drawn.line.direction)
        return drawn._replace(W=drawn.W + turned)
    if kind == "targets":
        drawn = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), drawn)
        v = jnp.einsum("cdi,ci->cd", drawn.W, drawn.line.direction)
        y_star = jnp.linspace(0.0, 4.0, cases) * invariants(drawn.setting, drawn.u, v).N
        return drawn._replace(
            setting=drawn.setting._replace(y_star=y_star),
            line=drawn.line._replace(y=y_star[:, None] * drawn.line.a),
        )
    return drawn


@partial(jax.jit, static_argnums=(1, 2, 3))
def _random_cases(key, cases, neurons, inputs):
    # One draw of each kind, cut into pieces: compiling a draw takes longer than all the rest.
    on_normal, on_uniform = jax.random.split(key)
    shapes = [(5,), (), (_SAMPLES,), (_SAMPLES,), (inputs,), (neurons,), (neurons, inputs)]
    cuts = list(accumulate(math.prod(shape) for shape in shapes))
    normal = jnp.split(jax.random.normal(on_normal, (cases, cuts[-1])), cuts[:-1], axis=1)
    scales, slope, a, noise, direction, u, W = (
        piece.reshape(cases, *shape) for piece, shape in zip(normal, shapes, strict=True)
    )
    gamma, eta_u, eta_w, power, std = jnp.exp(scales.T)
    a = jnp.sqrt(power)[:, None] * a
    y = 2 * slope[:, None] * a + jnp.sqrt(power)[:, None] * noise / 2
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    width, choice = jax.random.uniform(on_uniform, (2, cases, 1))
    present = jnp.arange(neurons) < 1 + jnp.floor(neurons * width)
    A = (a**2).mean(-1)
    y_star, c = (a * y).mean(-1) / A, jnp.where(choice[:, 0] < 0.5, 1.0, 2.0)
    setting = Setting(gamma, eta_u, eta_w, A, y_star, c)
    line = Line(a[..., None] * direction[:, None], y, a, direction)
    size = std[:, None] / 2 * present
    return Cases(setting, size * u, size[..., None] * W, line)


def flow_cases(
    key: jax.Array, cases: int, kind: str = "random", observations: int = 60, least: float = 1e-7
) -> tuple[Cases, Run]:
    """Train :func:`random_cases` by gradient flow until the residual fell to a share `least`.

    The observations are equidistant in time.
    """
    drawn = random_cases(key, cases, kind)
    v = jnp.einsum("cdi,ci->cd", drawn.W, drawn.line.direction)
    start = drawn.setting.gamma * (drawn.u * v).sum(-1)
    nearly = drawn.setting.y_star + least * (start - drawn.setting.y_star)
    end = time_to_reach(drawn.setting, drawn.u, v, nearly)
    times = end[:, None] * jnp.linspace(0.0, 1.0, observations)
    return drawn, _flows(*drawn, times)


@jax.jit
def _flows(setting, u, W, line, times):
    return jax.vmap(_flow)(setting, u, W, line, times)


def _flow(setting, u, W, line, times):
    def loss(params):
        error = predict(setting.gamma, params.u, params.W, line.x) - line.y
        return setting.c * (error**2).mean() / 2

    def observe(params):
        f = lambda params: predict(setting.gamma, params.u, params.W, line.direction[None])[0]  # noqa: E731
        output, slope = jax.value_and_grad(f)(params)
        kernel = setting.eta_u * (slope.u**2).sum() + setting.eta_w * (slope.W**2).sum()
        v = dot(params.W, line.direction)
        across = params.W - jnp.outer(v, line.direction)
        return params.u, v, across, output, kernel, loss(params)

    rates = _Network(setting.eta_u, setting.eta_w)
    return Run(times, *gradient_flow(loss, _Network(u, W), times, rates, observe, 1e-13, 1e-15))


class _Network(NamedTuple):
    u: Array
    W: Array


def final_rate(times: Float[Array, "cases times"], residual: Float[Array, "cases times"]) -> Array:
    """The rate at which each residual decays in the last quarter of its observations.

    The least-squares slope of −ln |residual| against time, shape (cases,).
    """
    late = slice(-(times.shape[1] // 4), None)
    times, logs = times[:, late], jnp.log(jnp.abs(residual[:, late]))
    centred = times - times.mean(1, keepdims=True)
    return -(centred * logs).sum(1) / (centred**2).sum(1)


def flow_scaled(
    key: jax.Array, scale: float, networks: int, d: int, symmetric: bool = False
) -> tuple[State, State]:
    """Networks of one scale before and after gradient flow: γ = η = A = y* = c = 1.

    The weights are `scale` times standard normal. Symmetric ones have u = (x, −x) and v = (y, y),
    so that the output starts at zero at any scale.

    Args:
        key: the same normal draws at every scale.
        scale: factor on the weights.
        networks: their number.
        d: the width.
        symmetric: whether to draw symmetric weights.

    Returns:
        The scalars at the start, and after the time 40/λ.
    """
    u, v = scale * jax.random.normal(key, (2, networks, d))
    if symmetric:
        u, v = u[:, : d // 2], v[:, : d // 2]
        u, v = jnp.concatenate([u, -u], axis=1), jnp.concatenate([v, v], axis=1)
    end = 40 / learning_speed(Setting(), u, v)
    after = flow_loss(_UNIT_LOSS, u, v, end[:, None] * jnp.array([0.0, 1.0]))
    return state(Setting(), u, v), state(Setting(), after.u[:, -1], after.v[:, -1])


def squared_loss(setting: Setting, power: int = 1) -> Callable:
    """The loss (c/2) A (F − y*)² of the weights along the line, with F = γ Σ_i u_i v_i^β."""

    def loss(weights):
        output = setting.gamma * (weights.u * weights.v**power).sum()
        return setting.c * setting.A * (output - setting.y_star) ** 2 / 2

    return loss


_UNIT_LOSS = squared_loss(Setting())


def logistic_loss(setting: Setting) -> Callable:
    """The logistic loss ln(1 + e^{−F}) of one point a = 1 with label +1."""
    return lambda weights: jax.nn.softplus(-setting.gamma * dot(weights.u, weights.v))


def with_decay(loss: Callable, setting: Setting, mu: float) -> Callable:
    """A loss whose flow has the extra terms −μ u and −μ v, at any rates."""

    def decayed(weights):
        size = (weights.u**2).sum() / setting.eta_u + (weights.v**2).sum() / setting.eta_w
        return loss(weights) + mu * size / 2

    return decayed


def flow_loss(
    loss: Callable,
    u: Float[Array, "networks d"],
    v: Float[Array, "networks d"],
    times: Float[Array, "networks times"],
    setting: Setting | None = None,
) -> Weights:
    """Gradient flow of the two weight vectors for any loss of them, many networks at once.

    Args:
        loss: ``loss(Weights) -> number``.
        u: output weights at the start.
        v: input weights along the data at the start.
        times: increasing, for each network.
        setting: the constants, as numbers; only the rates count. One by default.

    Returns:
        The weights, of shape (networks, times, d).
    """
    setting = Setting() if setting is None else setting
    return _flow_loss(loss, Weights(u, v), times, Weights(setting.eta_u, setting.eta_w))


@partial(jax.jit, static_argnums=0)
def _flow_loss(loss, weights, times, rates):
    def one(weights, times):
        return gradient_flow(loss, weights, times, rates, rtol=1e-12, atol=1e-14)

    return jax.vmap(one)(weights, times)


def descend_cases(drawn: Cases, steps: int, horizon: Float[Array, "cases"]) -> Weights:
    """Gradient descent on :func:`random_cases` in equal steps up to a time, by autodiff.

    Returns:
        The weights u and v at the end, of shape (cases, d).
    """

    @jax.jit
    @jax.vmap
    def one(drawn, horizon):
        setting, u, W, line = drawn

        def loss(params, step):
            error = predict(setting.gamma, params.u, params.W, line.x) - line.y
            return setting.c * (error**2).mean() / 2

        rate = horizon / steps
        optimizer = optax.partition(
            {"u": optax.sgd(rate * setting.eta_u), "W": optax.sgd(rate * setting.eta_w)},
            _Network("u", "W"),
        )
        params = train(loss, _Network(u, W), optimizer, [steps]).params
        return Weights(params.u, dot(params.W, line.direction))

    return one(drawn, horizon)


def descend_stochastic(
    key: jax.Array,
    networks: int,
    d: int = 20,
    steps: int = 4000,
    rate: float = 0.05,
    noise: float = 1.0,
    interval: int = 50,
) -> tuple[Weights, Float[Array, "networks steps"], Float[Array, "networks steps"]]:
    """Stochastic gradient descent by autodiff, one fresh sample a step.

    The sample is a standard normal position a with label a + `noise` times a standard normal; the
    weights start at 1.5/√d times standard normal; γ = c = 1.

    Returns:
        The weights every `interval` steps, of shape (networks, observations, d), and the positions
        and labels of the samples.
    """
    normal = jax.random.normal(key, (networks, 2 * d + 2 * steps))
    u, v, a, error = jnp.split(normal, [d, 2 * d, 2 * d + steps], axis=1)
    y = a + noise * error

    @jax.jit
    @jax.vmap
    def one(weights, a, y):
        def loss(weights, step):
            return (a[step] * dot(weights.u, weights.v) - y[step]) ** 2 / 2

        schedule = range(0, steps + 1, interval)
        return train(loss, weights, optax.sgd(rate), schedule, lambda weights, _: weights).observed

    scale = 1.5 / d**0.5
    return one(Weights(scale * u, scale * v), a, y), a, y


def off_the_line(
    key: jax.Array, scale: float, networks: int, d: int = 50, inputs: int = 20, tests: int = 256
) -> tuple[Float[Array, "networks"], Float[Array, "networks"]]:
    """The extra squared error of trained networks at test points off the data line.

    The data lie along the first axis; std(u) = scale/√d and std(W) = scale/√inputs at the start,
    γ = η = A = y* = c = 1. A test point adds standard normal coordinates along the other axes.

    Returns:
        The mean of (f(x) − f(a n))² over `tests` points, and what :func:`orthogonal_error` says.
    """
    draws = jax.random.normal(key, (networks, d + d * inputs + tests * (inputs - 1)))
    u, W, x = jnp.split(draws, [d, d + d * inputs], axis=1)
    std = scale / inputs**0.5
    u, W = scale / d**0.5 * u, std * W.reshape(networks, d, inputs)
    x = x.reshape(networks, tests, inputs - 1)
    setting = Setting()
    trained = fixed_point(setting, u, W[..., 0])
    extra = jax.vmap(predict, in_axes=(None, 0, 0, 0))(1.0, trained.u, W[..., 1:], x)
    return (extra**2).mean(-1), orthogonal_error(setting, trained.u, std, float(inputs - 1))
