"""Gradient flow of any loss of the weights along the line, by an ODE solver.

Here nothing knows the solution. A loss is a function of the constants of a network and its two
weight vectors; whatever it is, κ(F) and cos ζ(F) follow from its output alone, as long as it is a
function of the output.
"""

from collections.abc import Callable
from functools import partial

import jax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot
from lazyrich.mechanisms.setting import Setting, Weights, checked
from lazyrich.training import gradient_flow
from lazyrich.validation import ArrayLike


def squared_loss(
    setting: Setting, u: Float[Array, "d"], v: Float[Array, "d"], power: int = 1
) -> Float[Array, ""]:
    """The loss (c/2) A (F − y*)², with F = γ Σ_i u_i v_i^β for the power β of the activation."""
    output = setting.gamma * (u * v**power).sum()
    return setting.c * setting.A * (output - setting.y_star) ** 2 / 2


def logistic_loss(setting: Setting, u: Float[Array, "d"], v: Float[Array, "d"]) -> Float[Array, ""]:
    """The logistic loss ln(1 + e^{−F}) of one point a = 1 with label +1."""
    return jax.nn.softplus(-setting.gamma * dot(u, v))


def weight_decay(
    setting: Setting, u: Float[Array, "d"], v: Float[Array, "d"], mu: ArrayLike
) -> Float[Array, ""]:
    """The term (μ/2)(|u|²/η_u + |v|²/η_w), whose flow is −μ u and −μ v at any rates."""
    return mu * ((u**2).sum() / setting.eta_u + (v**2).sum() / setting.eta_w) / 2


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
        The weights, of shape (networks, times, d).
    """
    times = validation.increasing("times", validation.nonnegative("times", times, ndim=2))
    setting, u, v, times = checked(setting, u, v, series={"times": times})
    return _flow(loss, setting, Weights(u, v), times, rtol)


@partial(jax.jit, static_argnames=("loss", "rtol"))
def _flow(loss, setting, weights, times, rtol):
    rates = Weights(setting.eta_u, setting.eta_w)

    def one(weights, times):
        value = lambda weights: loss(setting, *weights)  # noqa: E731
        return gradient_flow(value, weights, times, rates, rtol=rtol, atol=rtol / 100)

    return jax.vmap(one)(weights, times)
