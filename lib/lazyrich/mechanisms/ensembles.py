"""Ensembles: networks of one scale, trained by flow, by steps and with noise.

Each function is one experiment, given by a key and named numbers, so that a sweep can repeat it at
many of them. Networks are held by their weights along the data line.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot
from lazyrich.mechanisms.runs import predict
from lazyrich.mechanisms.setting import Setting, State, Weights, checked, state
from lazyrich.mechanisms.solution import (
    fixed_point,
    kernel_change,
    learning_speed,
    orthogonal_error,
    time_to_reach,
)
from lazyrich.mechanisms.steps import descend
from lazyrich.training import gradient_flow, train

LOSSES = ("squared", "logistic")


def flow_scaled(
    key: jax.Array, scale: float, networks: int, d: int, symmetric: bool = False
) -> tuple[State, State]:
    """Networks of one scale before and after gradient flow: γ = η = A = y* = c = 1.

    Args:
        key: the same normal draws at every scale.
        scale: factor on standard normal weights.
        networks: their number.
        d: the width.
        symmetric: as for :func:`flow_normal`.

    Returns:
        The scalars at the start, and after the time 40/λ.
    """
    u, v = _normal_weights(key, scale, networks, d, symmetric)
    end = 40 / learning_speed(Setting(), u, v)
    after = flow_loss(_loss(Setting()), u, v, end[:, None] * jnp.array([0.0, 1.0]))
    return state(Setting(), u, v), state(Setting(), after.u[:, -1], after.v[:, -1])


def flow_plateau(
    key: jax.Array, scale: float, networks: int, d: int, observations: int
) -> tuple[Float[Array, "networks times"], Weights]:
    """Networks as of :func:`flow_scaled`, watched until twice the time of half fit, F = y*/2.

    Returns:
        The times, equidistant for each network, and the weights of shape (networks, times, d).
    """
    u, v = _normal_weights(key, scale, networks, d)
    half = time_to_reach(Setting(), u, v, 0.5)
    times = half[:, None] * jnp.linspace(0.0, 2.0, observations)
    return times, flow_loss(_loss(Setting()), u, v, times)


def flow_normal(
    key: jax.Array,
    times: tuple[float, ...],
    scale: float = 1.0,
    networks: int = 1,
    d: int = 10,
    symmetric: bool = False,
    loss: str = "squared",
    power: int = 1,
    decay: float = 0.0,
    **constants: float,
) -> Weights:
    """Networks with normal weights under gradient flow, for any of the losses of the chapter.

    Args:
        key: the same normal draws at every scale.
        times: when to observe, increasing.
        scale: factor on standard normal weights.
        networks: their number.
        d: the width.
        symmetric: whether u = (x, −x) and v = (y, y), so that the output starts at zero at any
            scale; then d must be even.
        loss: ``"squared"`` or ``"logistic"``.
        power: exponent β of the activation, for the squared loss.
        decay: weight decay μ, see :func:`with_decay`.
        constants: fields of a :class:`Setting`.

    Returns:
        The weights, of shape (networks, times, d).
    """
    u, v = _normal_weights(key, scale, networks, d, symmetric)
    setting = Setting(**constants)
    times = jnp.broadcast_to(jnp.asarray(times, u.dtype), (networks, len(times)))
    return flow_loss(_loss(setting, loss, power, decay), u, v, times, setting)


def _normal_weights(key, scale, networks, d, symmetric=False):
    u, v = scale * jax.random.normal(key, (2, networks, validation.whole("d", d, least=1)))
    if symmetric:
        if d % 2:
            raise ValueError(f"d must be even for symmetric weights, got {d}")
        u, v = u[:, : d // 2], v[:, : d // 2]
        u, v = jnp.concatenate([u, -u], axis=1), jnp.concatenate([v, v], axis=1)
    return Weights(u, v)


@lru_cache  # one function for one loss, since each compiles
def _loss(setting, kind="squared", power=1, decay=0.0):
    validation.one_of("loss", kind, LOSSES)
    loss = squared_loss(setting, power) if kind == "squared" else logistic_loss(setting)
    return with_decay(loss, setting, decay) if decay else loss


def squared_loss(setting: Setting, power: int = 1) -> Callable:
    """The loss (c/2) A (F − y*)² of the weights along the line, with F = γ Σ_i u_i v_i^β."""

    def loss(weights):
        output = setting.gamma * (weights.u * weights.v**power).sum()
        return setting.c * setting.A * (output - setting.y_star) ** 2 / 2

    return loss


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
    rtol: float = 1e-12,
) -> Weights:
    """Gradient flow of the two weight vectors for any loss of them, many networks at once.

    Args:
        loss: ``loss(Weights) -> number``.
        u: output weights at the start.
        v: input weights along the data at the start.
        times: increasing, for each network.
        setting: the constants, as numbers; only the rates count. One by default.
        rtol: relative tolerance of a step.

    Returns:
        The weights, of shape (networks, times, d).
    """
    setting, u, v, times = checked(Setting() if setting is None else setting, u, v, times=times)
    rates = Weights(setting.eta_u, setting.eta_w)
    return _flow_loss(loss, Weights(u, v), validation.increasing("times", times), rates, rtol)


@partial(jax.jit, static_argnums=(0, 4))
def _flow_loss(loss, weights, times, rates, rtol):
    def one(weights, times):
        return gradient_flow(loss, weights, times, rates, rtol=rtol, atol=rtol / 100)

    return jax.vmap(one)(weights, times)


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


class Catapult(NamedTuple):
    """Gradient descent in NTK scaling with one step size, a row a network."""

    output: Float[Array, "networks"]
    """F after the last step, inf or nan if it diverged."""
    kernel: Float[Array, "networks"]
    """κ after the last step, over that at the start."""
    erosion: Float[Array, "networks"]
    """N⊥ after the last step, over that at the start."""
    flow: Float[Array, "networks"]
    """κ(∞)/κ(0) − 1 of gradient flow."""
    pull: Float[Array, "networks"]
    """(F(0) − y*)²/(4 M(0)²) at the start, which sets the erosion."""


def catapult(
    key: jax.Array, top: float, networks: int, d: int = 400, steps: int = 3000
) -> Catapult:
    """Gradient descent in NTK scaling, γ = 1/√d, from normal weights: A = y* = c = 1.

    Args:
        key: the same normal draws at every step size.
        top: the step size in units of the inverse curvature, c A κ(0) with the step inside.
        networks: their number.
        d: the width.
        steps: the number of steps.
    """
    validation.positive("top", top)
    u, v = _normal_weights(key, 1.0, networks, d)
    ntk = Setting(gamma=d**-0.5)
    start = state(ntk, u, v)
    eta = top / start.kernel
    descent = descend(ntk._replace(eta_u=eta, eta_w=eta), u, v, steps)
    return Catapult(
        descent.output[:, -1],
        descent.kernel[:, -1] / top,
        jnp.exp(descent.log_erosion[:, -1]),
        kernel_change(ntk, u, v),
        (start.residual * ntk.gamma / start.kernel) ** 2,
    )


def off_the_line(
    key: jax.Array, scale: float, networks: int, d: int = 50, inputs: int = 20, tests: int = 64
) -> tuple[Float[Array, "networks"], Float[Array, "networks"]]:
    """The extra squared error of trained networks at test points off the data line.

    The data lie along the first axis; std(u) = scale/√d and std(W) = scale/√inputs at the start,
    γ = η = A = y* = c = 1. The networks are trained by gradient flow for the time 20/λ. A test
    point adds standard normal coordinates along the other axes.

    Returns:
        The mean of (f(x) − f(a n))² over `tests` points, and what :func:`orthogonal_error` says of
        the :func:`fixed_point`.
    """
    validation.whole("tests", tests, least=1)
    draws = jax.random.normal(key, (networks, d + d * inputs + tests * (inputs - 1)))
    u, W, x = jnp.split(draws, [d, d + d * inputs], axis=1)
    std = scale / inputs**0.5
    u, W = scale / d**0.5 * u, std * W.reshape(networks, d, inputs)
    x = x.reshape(networks, tests, inputs - 1)
    setting, v = Setting(), W[..., 0]
    end = 20 / learning_speed(setting, u, v)
    times = end[:, None] * jnp.array([0.0, 1.0])
    trained = flow_loss(_loss(setting), u, v, times, rtol=1e-6).u[:, -1]
    extra = jax.vmap(predict, in_axes=(None, 0, 0, 0))(1.0, trained, W[..., 1:], x)
    exact = fixed_point(setting, u, v).u
    return (extra**2).mean(-1), orthogonal_error(setting, exact, std, float(inputs - 1))
