"""Wide networks with the activations of the paper's first figure: the angle along training."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from scipy.special import ndtri

from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit
from lazyrich.draws import standard_normal
from lazyrich.training import mean_squared_error, train

ACTIVATIONS = {
    "linear": (lambda z: z, 1.0),
    "ReLU": (jax.nn.relu, 0.5),
    "leaky ReLU": (jax.nn.leaky_relu, 0.505),
    "swish": (jax.nn.swish, 0.5),
    "sigmoid": (jax.nn.sigmoid, 0.25),
}
"""Activations φ with the slope s of their odd part; for the sigmoid, whose odd part is no line, it
is that at zero."""


class AngleRun(NamedTuple):
    """One network along gradient descent, beside the linear network with A s² and y*/s."""

    step: Float[Array, "steps"]
    """Steps taken."""
    cosine: Float[Array, "steps"]
    """cos ζ in training."""
    mapped: Float[Array, "steps"]
    """cos ζ of the linear network by the exact map of gradient descent."""
    flow: Float[Array, "steps"]
    """cos ζ of the linear network by the closed form of gradient flow."""


def angle_in_training(
    key: jax.Array,
    activation: str,
    cosine: float,
    scale: float,
    y_star: float,
    d: int = 10_000,
    points: int = 8,
    steps: int = 120,
) -> AngleRun:
    """Gradient descent in mean-field scaling, f(a) = Σ_i u_i φ(a v_i)/d, from a start of given ζ.

    The data are quantiles of a normal law, symmetric about zero, with A = 1 and the labels y* a.
    The layers have equal lengths; the step size is a tenth of 1/λ of the linear network.

    Args:
        key: of the normal draws of the start.
        activation: a name in ``ACTIVATIONS``.
        cosine: cos ζ at the start.
        scale: R at the start.
        y_star: the target.
        d: the width.
        points: number of data points.
        steps: number of steps.
    """
    phi, s = ACTIVATIONS[activation]
    along, other = np.asarray(standard_normal(key, (2, d)))
    along = along / np.linalg.norm(along)
    other = other - (other @ along) * along
    sine = (1 - cosine**2) ** 0.5
    u = (scale * d) ** 0.5 * along
    v = (scale * d) ** 0.5 * (cosine * along + sine / np.linalg.norm(other) * other)
    a = ndtri((np.arange(points) + 0.5) / points)
    a = a / np.mean(a * a) ** 0.5
    target = y_star / s
    rate = d * 0.1 / (2 * s**2 * np.hypot(target, scale * sine))
    linear = m.Setting(gamma=1 / d, eta_u=rate, eta_w=rate, A=s**2, y_star=target)
    seen = _cosines(phi, u, v, a, y_star * a, rate, steps=steps)
    line = m.descend(linear, u, v, steps)
    N_perp = m.invariants(linear, u, v).N_perp * jnp.exp(line.log_erosion)
    step = np.arange(steps + 1.0)
    flow = m.evolve(linear, u, v, step).cosine
    return jax.device_get(AngleRun(step, seen, m.cosine_law(line.output, N_perp), flow))


@jit(static_argnames=("phi", "steps"))
def _cosines(phi, u, v, a, y, rate, steps):
    setting = m.Setting(gamma=1 / len(u))

    def loss(weights, step):
        outputs = phi(jnp.outer(a, weights.v)) @ weights.u / len(u)
        return mean_squared_error(outputs, y)

    def observe(weights, step):
        return m.state(setting, *weights).cosine

    return train(loss, m.Weights(u, v), optax.sgd(rate), range(steps + 1), observe).observed
