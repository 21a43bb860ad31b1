"""Ensembles of one scale under gradient flow, with γ = c = A = y* = 1: what a start decides."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit
from lazyrich.draws import standard_normal, standard_normals
from lazyrich.experiments.mechanisms.flows import predict

ONES = m.Setting()
UNEQUAL = ONES._replace(eta_u=0.7, eta_w=1.3)
"""The same with unequal rates."""


def normal_weights(
    key: jax.Array, scale: float, networks: int, d: int, symmetric: bool = False
) -> m.Weights:
    """Weights of a scale times standard normal, from the same draws at every scale.

    Symmetric ones are u = (x, −x) and v = (y, y), so that the output starts at zero.
    """
    u, v = scale * standard_normal(key, (2, networks, d))
    if symmetric:
        x, y = u[:, : d // 2], v[:, : d // 2]
        u, v = np.concatenate([x, -x], axis=1), np.concatenate([y, y], axis=1)
    return m.Weights(u, v)


class Change(NamedTuple):
    """What training makes of networks, from their states before and after."""

    before: Float[Array, "..."]
    """|cos ζ| before."""
    after: Float[Array, "..."]
    """|cos ζ| after."""
    kernel: Float[Array, "..."]
    """κ after over κ before."""
    scale: Float[Array, "..."]
    """R after over R before."""
    after_law: Float[Array, "..."]
    """The law of the angle after, 1/√(1 + N⊥²)."""
    kernel_limit: Float[Array, "..."]
    """The law of the kernel for a large start, √(1 − (F(0)/M(0))²)."""


@jit
def change(before: m.State, after: m.State) -> Change:
    """What training makes of networks, with γ = η = A = y* = c = 1."""
    N_perp = jnp.sqrt(before.scale**2 - before.output**2)
    M = before.kernel / 2
    return Change(
        jnp.abs(before.cosine),
        jnp.abs(after.cosine),
        after.kernel / before.kernel,
        after.scale / before.scale,
        1 / jnp.hypot(1, N_perp),
        jnp.sqrt(1 - (before.output / M) ** 2),
    )


def flow_scaled(
    key: jax.Array, scale: float, networks: int, d: int, symmetric: bool = False
) -> Change:
    """What gradient flow for the time 40/λ makes of networks of one scale."""
    u, v = normal_weights(key, scale, networks, d, symmetric)
    return change(m.state(ONES, u, v), m.state(ONES, *_flow_to(40, u, v)))


class Plateau(NamedTuple):
    """Networks that start small, a row a network, watched until twice the time of half fit."""

    times: Float[Array, "networks times"]
    """Times, equidistant; that of half fit, F = y*/2, in their middle."""
    output: Float[Array, "networks times"]
    """F in training."""
    exact: Float[Array, "networks times"]
    """F in closed form."""
    half: Float[Array, "networks"]
    """The exact time t½ of half fit."""
    short: Float[Array, "networks"]
    """What the short formula says of it."""
    late: Float[Array, "networks"]
    """How much later than t½ the trained network is there, relative to t½."""
    left_out: Float[Array, "networks"]
    """What the short formula leaves out, over the next order of the expansion."""
    wait: Float[Array, "networks"]
    """λ t½."""


def flow_plateau(
    key: jax.Array, scale: float, networks: int, d: int, observations: int = 81
) -> Plateau:
    """Networks as of :func:`flow_scaled`, at an odd number of times."""
    u, v = normal_weights(key, scale, networks, d)
    half = np.asarray(m.time_to_reach(ONES, u, v, 0.5))
    times = half[:, None] * np.linspace(0.0, 2.0, observations)
    return _plateau(u, v, half, times, m.flow(m.squared_loss, ONES, u, v, times))


@jit
def _plateau(u, v, half, times, trained):
    start, seen, speed = m.state(ONES, u, v), m.state(ONES, *trained), m.learning_speed(ONES, u, v)
    short, middle = m.plateau_time(ONES, u, v), times.shape[1] // 2
    slope = seen.kernel[:, middle] * 0.5
    M, F = start.kernel / 2, start.output
    return Plateau(
        times,
        seen.output,
        m.evolve(ONES, u, v, times).output,
        half,
        short,
        (seen.output[:, middle] - 0.5) / slope / half,
        speed * (half - short) / (9 / 4 * (M**2 - F**2) - M * F / 2),
        speed * half,
    )


def typical_plateau(
    key: jax.Array, scales: Float[np.ndarray, "scales"], networks: int, d: int
) -> Float[np.ndarray, "scales"]:
    """The median of the short formula over the networks of :func:`flow_plateau`, at any scales."""
    u, v = (scales[:, None, None] * x for x in normal_weights(key, 1.0, networks, d))
    return np.median(m.plateau_time(ONES, u, v), axis=1)


def flow_at_60_degrees(
    key: jax.Array, scale: float, end: float, networks: int = 12, observations: int = 4001
) -> m.State:
    """The one of some networks of two neurons that starts nearest to 60 degrees, along the flow.

    The rates are ``UNEQUAL``, and the times equidistant up to `end`.
    """
    u, v = normal_weights(key, scale, networks, 2)
    times = np.broadcast_to(np.linspace(0, end, observations), (networks, observations))
    along = jax.device_get(m.state(UNEQUAL, *m.flow(m.squared_loss, UNEQUAL, u, v, times)))
    one = np.argmin(np.abs(along.cosine[:, 0] - 0.5))
    return m.State(*(series[one] for series in along))


class Split(NamedTuple):
    """How much of the learning between neighbouring times is turning."""

    progress: Float[Array, "intervals"]
    """How far ln |F| has come on its way to ln |y*|, in the middle of the interval."""
    share: Float[Array, "intervals"]
    """Δ ln |cos ζ| over Δ ln |F|."""
    law: Float[Array, "intervals"]
    """sin² ζ."""


def split(along: m.State, until: float = 0.01) -> Split:
    """Turning along one training, up to where the output is within a share of its target."""
    target = along.output[0] - along.residual[0]
    output, cosine, scale = (
        x[np.abs(along.residual / target) > until]
        for x in (along.output, along.cosine, along.scale)
    )
    learned = np.log(output / output[0])
    progress = (learned[1:] + learned[:-1]) / 2 / np.log(target / output[0])
    return Split(progress, *m.turning_share(cosine, scale))


def off_the_line(
    key: jax.Array, scale: float, networks: int, d: int = 50, inputs: int = 20
) -> tuple[Float[Array, "networks"], Float[Array, "networks"]]:
    """The extra squared error of trained networks at test points off the data line.

    The data lie along the first axis; std(u) = scale/√d and std(W) = scale/√inputs at the start.
    The networks are trained by gradient flow for the time 20/λ. A test point adds standard normal
    coordinates along the other axes.

    Returns:
        The mean of (f(x) − f(a n))² over 64 points, and what the formula of the error says of the
        fixed point.
    """
    u, W, x = standard_normals(key, [(d,), (d, inputs), (64, inputs - 1)], (networks,))
    std = scale / inputs**0.5
    u, W = scale / d**0.5 * u, std * W
    return _off_the_line(_flow_to(20, u, W[..., 0], rtol=1e-6).u, W, x, u, std)


@jit
def _off_the_line(trained, W, x, u, std):
    extra = jax.vmap(predict, in_axes=(None, 0, 0, 0))(1.0, trained, W[..., 1:], x)
    exact = m.fixed_point(ONES, u, W[..., 0]).u
    return (extra**2).mean(-1), m.orthogonal_error(ONES, exact, std, x.shape[-1])


def _flow_to(end, u, v, **tolerance):
    """The weights of networks after gradient flow for a time in units of their 1/λ."""
    times = np.asarray(end / m.learning_speed(ONES, u, v))[:, None] * [0.0, 1.0]
    weights = jax.device_get(m.flow(m.squared_loss, ONES, u, v, times, **tolerance))
    return m.Weights(*(layer[:, -1] for layer in weights))
