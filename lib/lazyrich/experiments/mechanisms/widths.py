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
    descended: Float[Array, "networks"]
    """F after 200 steps of gradient descent with step size one, inf or nan if it diverged."""


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
        m.descend(setting, u, v, 200).output[..., -1],
    )


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
