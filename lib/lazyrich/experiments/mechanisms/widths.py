"""Named parametrisations at growing width, and the plane of their exponents."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit
from lazyrich.draws import standard_normal
from lazyrich.experiments.mechanisms.flows import final_rate

RATE_POWERS = (-0.5, 0.0, 0.5)
"""Powers of the width by which both rates are multiplied where steps of size one are tried."""


class WidthRun(NamedTuple):
    """Networks of one parametrisation and width, a row a network."""

    output: Float[Array, "networks"]
    """F(0) at the start."""
    cosine: Float[Array, "networks"]
    """cos ζ at the start."""
    trained_cosine: Float[Array, "networks"]
    """cos ζ after gradient flow."""
    rescaled_cosine: Float[Array, "networks"]
    """F/M = 2 U·V/(|U|² + |V|²) after gradient flow, with U = u/√η_u and V = v/√η_w."""
    movement: Float[Array, "networks"]
    """What the exponent of the kernel is of: |κ(∞)/κ(0) − 1| in the kernel phases, where m > 0, and
    κ(∞)/κ(0) in the others."""
    speed: Float[Array, "networks"]
    """λ."""
    scale: Float[Array, "networks"]
    """R at the start."""
    trained_scale: Float[Array, "networks"]
    """R after gradient flow."""
    descended: Float[Array, "networks rates"]
    """F after 200 steps of gradient descent with step size one, inf or nan if it diverged: with
    both rates multiplied by the width to the ``RATE_POWERS``."""


def run_at_width(key: jax.Array, scheme: str, width: int, networks: int, widest: int) -> WidthRun:
    """Random networks of a named parametrisation at a width, trained in closed form.

    Args:
        key: a random key; a narrower network takes the first neurons of a wider one.
        scheme: a name in ``SCHEMES``.
        width: d.
        networks: their number.
        widest: the largest width that shares the draws.
    """
    u, v = standard_normal(key, (2, networks, widest))[..., :width]
    frozen = m.exponents(m.SCHEMES[scheme]).size > 0
    return _run_at_width(np.array(m.SCHEMES[scheme], u.dtype), frozen, u, v)


@jit
def _run_at_width(scaling, frozen, u, v):
    setting, (u, v) = m.at_width(m.Scaling(*scaling), u, v)
    start, end = m.state(setting, u, v), m.state(setting, *m.fixed_point(setting, u, v))
    change = m.kernel_change(setting, u, v)
    return WidthRun(
        start.output,
        start.cosine,
        end.cosine,
        2 * setting.gamma * jnp.sqrt(setting.eta_u * setting.eta_w) * end.output / end.kernel,
        jnp.where(frozen, jnp.abs(change), 1 + change),
        m.learning_speed(setting, u, v),
        start.scale,
        end.scale,
        jnp.stack([_descended(setting, u.shape[-1] ** by, u, v) for by in RATE_POWERS], axis=-1),
    )


def _descended(setting, factor, u, v):
    faster = setting._replace(eta_u=factor * setting.eta_u, eta_w=factor * setting.eta_w)
    return m.descend(faster, u, v, 200).output[..., -1]


class Starts(NamedTuple):
    """Networks of one parametrisation and width at their start, a row a network."""

    output: Float[Array, "networks"]
    """F."""
    cosine: Float[Array, "networks"]
    """cos ζ."""


def starts_at_width(key: jax.Array, scheme: str, width: int, networks: int) -> Starts:
    """Random networks of a named parametrisation, not trained; the width is folded into the key."""
    u, v = standard_normal(jax.random.fold_in(key, width), (2, networks, width))
    setting, start = m.at_width(m.SCHEMES[scheme], u, v)
    state = m.state(setting, *start)
    return Starts(state.output, state.cosine)


class TrainedRun(NamedTuple):
    """Networks of one parametrisation and width, trained by an ODE solver, a row a network."""

    kernel: Float[Array, "networks"]
    """κ(∞)/κ(0)."""
    cosine: Float[Array, "networks"]
    """|cos ζ| after training."""
    scale: Float[Array, "networks"]
    """R after training."""
    rate: Float[Array, "networks"]
    """The rate at which the residual decays late in training."""
    across: Float[Array, "networks"]
    """N⊥ at the start."""
    change: Float[Array, "networks"]
    """What the closed form says of κ(∞)/κ(0) − 1."""
    speed: Float[Array, "networks"]
    """λ in closed form."""


def train_at_width(
    key: jax.Array,
    scheme: str | Sequence[float],
    width: int,
    networks: int,
    observations: int = 80,
) -> TrainedRun:
    """Random networks of a parametrisation under gradient flow, to 1e-7 of their first residual.

    Args:
        key: the same normal draws for every parametrisation.
        scheme: a name in ``SCHEMES``, or the five exponents of a ``Scaling``.
        width: d.
        networks: their number.
        observations: their number.
    """
    scaling = m.SCHEMES[scheme] if isinstance(scheme, str) else m.Scaling(*scheme)
    setting, start = m.at_width(scaling, *standard_normal(key, (2, networks, width)))
    target = 1 + 1e-7 * (m.state(setting, *start).output - 1)
    end = np.asarray(m.time_to_reach(setting, *start, target))
    times = end[:, None] * np.linspace(0, 1, observations)
    seen = m.state(setting, *m.flow(m.squared_loss, setting, *start, times))
    return TrainedRun(
        seen.kernel[:, -1] / seen.kernel[:, 0],
        jnp.abs(seen.cosine[:, -1]),
        seen.scale[:, -1],
        final_rate(jnp.asarray(times), seen.residual),
        m.invariants(setting, *start).N_perp,
        m.kernel_change(setting, *start),
        m.learning_speed(setting, *start),
    )


def kernel_change_by_ratio(
    key: jax.Array, scheme: str, width: int, networks: int, ratios: Sequence[float]
) -> Float[np.ndarray, "networks ratios"]:
    """|κ(∞)/κ(0) − 1| of a named parametrisation, the ratio of its layers' rates changed.

    Args:
        key: the same normal draws at every ratio.
        scheme: a name in ``SCHEMES``; only its output scale and its initialisation count.
        width: d.
        networks: their number.
        ratios: exponents r; the rates are η_u = d^(r−c) and η_w = d^(−r−c), with γ = d^c.
    """
    u, v = standard_normal(key, (2, networks, width))
    base = m.SCHEMES[scheme]

    def change(r):
        rates = {"rate_u": r - base.gamma, "rate_w": -r - base.gamma}
        setting, start = m.at_width(base._replace(**rates), u, v)
        return m.kernel_change(setting, *start)

    return np.abs(np.stack([change(r) for r in ratios], axis=-1))


def kernel_change_at(
    key: jax.Array, width: int, gammas: Sequence[float], rates: Sequence[float], networks: int = 4
) -> Float[np.ndarray, "gammas rates"]:
    """The median |κ(∞)/κ(0) − 1| of standard normal weights over a plane of exponents.

    Args:
        key: the width is folded into it.
        width: d.
        gammas: exponents of γ.
        rates: exponents of both learning rates.
        networks: number of networks at each point of the plane.
    """
    u, v = standard_normal(jax.random.fold_in(key, width), (2, networks, width))
    gamma, eta = (width ** np.asarray(exponents) for exponents in (gammas, rates))
    eta = eta[:, None]
    setting = m.Setting(gamma=gamma[:, None, None], eta_u=eta, eta_w=eta)
    return np.median(np.abs(m.kernel_change(setting, u, v)), axis=-1)
