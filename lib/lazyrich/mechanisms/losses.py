"""Gradient flow of any loss of the weights along the line, by an ODE solver.

Here nothing knows the solution. A loss is a function of the constants of a network and its two
weight vectors; whatever it is, κ(F) and cos ζ(F) follow from its output alone, as long as it is a
function of the output.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot, jit
from lazyrich.mechanisms.setting import Setting, Weights, checked, in_range, over_networks
from lazyrich.training import gradient_flow
from lazyrich.validation import ArrayLike


def squared_loss(
    setting: Setting, u: ArrayLike, v: ArrayLike, power: int = 1
) -> Float[Array, "*shape"]:
    """The loss (c/2) A (F − y*)², with F = γ Σ_i u_i v_i^β for the power β of the activation."""
    power = validation.whole("power", power, least=1)
    s, u, v = checked(setting, u, v)
    output = s.gamma * (u * v**power).sum(-1)
    return in_range(s.c * s.A * (output - s.y_star) ** 2 / 2)


def logistic_loss(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape"]:
    """The logistic loss ln(1 + e^{−F}) of one point a = 1 with label +1."""
    return in_range(_logistic_loss(*checked(setting, u, v)))


@over_networks("(d),(d)->()")
def _logistic_loss(s, u, v):
    return jax.nn.softplus(-s.gamma * dot(u, v))


def weight_decay(
    setting: Setting, u: ArrayLike, v: ArrayLike, mu: ArrayLike
) -> Float[Array, "*shape"]:
    """The term (μ/2)(|u|²/η_u + |v|²/η_w), whose flow is −μ u and −μ v at any rates."""
    mu = validation.floating("mu", mu)
    s, u, v, mu = checked(setting, u, v, numbers={"mu": mu})
    return in_range(mu * ((u**2).sum(-1) / s.eta_u + (v**2).sum(-1) / s.eta_w) / 2)


def flow(
    loss: Callable,
    setting: Setting,
    u: ArrayLike,
    v: ArrayLike,
    times: ArrayLike,
    rtol: float = 1e-12,
) -> Weights:
    """Gradient flow of the two weight vectors for any loss of them, many networks at once.

    Args:
        loss: ``loss(setting, u, v) -> number`` of one network. It compiles once for each function.
        setting: the constants, one number each.
        u: output weights at the start, shape (networks, d).
        v: input weights along the data at the start, likewise.
        times: when to observe, increasing, shape (networks, times).
        rtol: relative tolerance of a step.

    Returns:
        The weights, of shape (networks, times, d), inf after a step limit of a million.
    """
    times = validation.increasing("times", validation.nonnegative("times", times, ndim=2))
    setting, u, v, times = checked(setting, u, v, series={"times": times})
    for name, value in setting._asdict().items():
        validation.scalar(f"setting.{name}", value)
    if not u.ndim == v.ndim == times.ndim == 2 or not len(u) == len(v) == len(times):
        shapes = f"{u.shape}, {v.shape} and {times.shape}"
        raise ValueError(f"u, v and times must be of as many networks, got shapes {shapes}")
    return _flow(loss, setting, Weights(u, v), times, rtol)


@jit(static_argnames=("loss", "rtol"))
def _flow(loss, setting, weights, times, rtol):
    rates = Weights(setting.eta_u, setting.eta_w)

    def one(weights, times):
        value = lambda weights: loss(setting, *weights)  # noqa: E731
        return gradient_flow(value, weights, times, rates, rtol=rtol, atol=rtol / 100)

    return jax.vmap(one)(weights, times)
