"""Runs: the network itself, trained by automatic differentiation on data along a line.

Nothing here knows the solution; it is what the closed form is held against. The network is
f(x) = γ Σ_i u_i (w_i·x)^β with all its input weights W, of shape (d, inputs), and β = 1 but for the
monomial variant.
"""

import math
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot
from lazyrich.mechanisms.setting import Setting, Weights, invariants
from lazyrich.mechanisms.solution import time_to_reach
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
    key: jax.Array, cases: int, kind: str = "random", observations: int = 60
) -> tuple[Cases, Run]:
    """Train :func:`random_cases` by gradient flow until the residual fell to 1e-7 of its start.

    The observations are equidistant in time, but for one: where the output crosses zero, that is
    observed too (elsewhere it lies between the first two).
    """
    drawn = random_cases(key, cases, kind)
    duration, crossing = _duration(drawn), _time_to(drawn, 0.0)
    crosses = (crossing > 0) & (crossing < duration)
    once = jnp.where(crosses, crossing, duration / (2 * observations))
    times = duration[:, None] * jnp.linspace(0.0, 1.0, observations - 1)
    return drawn, _flows(*drawn, jnp.sort(jnp.append(times, once[:, None], axis=1)))


def _duration(drawn, least=1e-7):
    """The time in which each residual falls to a share of its start."""
    v = jnp.einsum("cdi,ci->cd", drawn.W, drawn.line.direction)
    start = drawn.setting.gamma * (drawn.u * v).sum(-1)
    return _time_to(drawn, drawn.setting.y_star + least * (start - drawn.setting.y_star))


def _time_to(drawn, output):
    v = jnp.einsum("cdi,ci->cd", drawn.W, drawn.line.direction)
    return time_to_reach(drawn.setting, drawn.u, v, output)


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


def descend_cases(key: jax.Array, cases: int, steps: int, share: float) -> Weights:
    """Gradient descent on :func:`random_cases` by autodiff, in equal steps.

    Args:
        key: as for :func:`random_cases`.
        cases: their number.
        steps: the number of steps.
        share: how far to go, as a share of the time that :func:`flow_cases` takes.

    Returns:
        The weights u and v at the end, of shape (cases, d).
    """
    drawn = random_cases(key, cases)
    return _descend_cases(drawn, steps, share * _duration(drawn) / steps)


@partial(jax.jit, static_argnums=1)
@partial(jax.vmap, in_axes=(0, None, 0))
def _descend_cases(drawn, steps, rate):
    setting, u, W, line = drawn

    def loss(params, step):
        error = predict(setting.gamma, params.u, params.W, line.x) - line.y
        return setting.c * (error**2).mean() / 2

    optimizer = optax.partition(
        {"u": optax.sgd(rate * setting.eta_u), "W": optax.sgd(rate * setting.eta_w)},
        _Network("u", "W"),
    )
    params = train(loss, _Network(u, W), optimizer, [steps]).params
    return Weights(params.u, dot(params.W, line.direction))
