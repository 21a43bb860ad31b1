"""Gradient flow beyond the squared loss of a linear network: other losses, decay, activations."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import cumulative_simpson, quad

from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit
from lazyrich.experiments.mechanisms.ensembles import ONES, UNEQUAL, normal_weights

NEURONS = 10


class LogisticRun(NamedTuple):
    """Networks under the logistic loss, and the laws that were derived for the squared one."""

    times: Float[Array, "times"]
    """Times of observation."""
    output: Float[Array, "networks times"]
    """F."""
    kernel: Float[Array, "networks times"]
    """κ."""
    kernel_law: Float[Array, "networks times"]
    """κ(F)."""
    cosine: Float[Array, "networks times"]
    """cos ζ."""
    cosine_law: Float[Array, "networks times"]
    """cos ζ(F)."""
    clock: Float[Array, "networks"]
    """The time at which the equation of the output reaches its last value."""


def flow_logistic(
    key: jax.Array, scale: float, networks: int, end: float = 200.0, observations: int = 160
) -> LogisticRun:
    """Symmetrised networks of ten neurons and one scale under the logistic loss."""
    u, v = normal_weights(key, scale, networks, NEURONS, symmetric=True)
    times = np.r_[0, np.geomspace(0.01, end, observations)]
    trained = m.flow(m.logistic_loss, ONES, u, v, np.broadcast_to(times, (networks, len(times))))
    seen, N, _, kernels, cosines = jax.device_get(_with_laws(ONES, trained, np.ones_like(times)))
    clock = np.array([_clock(*pair) for pair in zip(seen.output[:, -1], N[:, 0], strict=True)])
    return LogisticRun(times, seen.output, seen.kernel, kernels, seen.cosine, cosines, clock)


def _clock(output, N):
    """The time that the one equation left, dF/dt = 2 √(N² + F²)/(1 + e^F), needs from zero."""
    return quad(lambda F: (1 + np.exp(F)) / (2 * np.hypot(N, F)), 0, output, epsabs=0)[0]


class DecayRun(NamedTuple):
    """One network under weight decay."""

    times: Float[Array, "times"]
    """Times of observation."""
    N: Float[Array, "times"]
    """N over that at the start."""
    N_law: Float[Array, "times"]
    """exp(−2 μ t)."""
    cosine: Float[Array, "times"]
    """cos ζ."""
    cosine_law: Float[Array, "times"]
    """cos ζ(F), with the fading N⊥."""
    exit_time: Float[Array, ""]
    """The time at which N has fallen to the target."""
    exit_cosine: Float[Array, ""]
    """cos ζ(y*) at that time."""


def flow_with_decay(
    key: jax.Array, scale: float, mu: float, end: float = 60.0, observations: int = 301
) -> DecayRun:
    """A network of ten neurons with weight decay μ in both layers, at unequal rates."""
    loss = lambda *network: m.squared_loss(*network) + m.weight_decay(*network, mu)  # noqa: E731
    times = np.linspace(0, end, observations)
    trained = m.flow(loss, UNEQUAL, *normal_weights(key, scale, 1, NEURONS), times[None])
    left = np.exp(-2 * mu * times)
    seen, (N,), (N_perp,), _, (law,) = jax.device_get(_with_laws(UNEQUAL, trained, left))
    exit_time, exit_cosine = np.log(N[0]) / (2 * mu), 1 / np.hypot(1, N_perp[0] / N[0])
    return DecayRun(times, N / N[0], left, seen.cosine[0], law, exit_time, exit_cosine)


@jit
def _with_laws(setting, weights, left):
    """State, N and N⊥ along training, and κ(F) and cos ζ(F) with what is left of N and N⊥."""
    seen, (N, N_perp) = m.state(setting, *weights), m.invariants(setting, *weights)
    kernels = m.kernel_law(setting, seen.output, N[:, :1] * left)
    return seen, N, N_perp, kernels, m.cosine_law(seen.output, N_perp[:, :1] * left)


class MonomialRun(NamedTuple):
    """One network with the activation z^β."""

    u: Float[Array, "times d"]
    """Output weights."""
    v: Float[Array, "times d"]
    """Input weights along the data."""
    C: Float[Array, "times d"]
    """C_i = u_i²/η_u − v_i²/(β η_w)."""
    S: Float[Array, "times"]
    """The internal time, the integral of h."""


def flow_monomial(
    key: jax.Array, power: int, scale: float = 0.5, end: float = 0.9, observations: int = 1801
) -> MonomialRun:
    """A network of ten neurons with a monomial activation, at unequal rates and y* = 3."""
    setting, times = UNEQUAL._replace(y_star=3.0), np.linspace(0, end, observations)
    loss = partial(m.squared_loss, power=power)
    trained = m.flow(loss, setting, *normal_weights(key, scale, 1, NEURONS), times[None])
    u, v = (np.asarray(weights[0]) for weights in trained)
    h = (u * v**power).sum(1) - setting.y_star
    S = cumulative_simpson(h, x=times, initial=0)
    return MonomialRun(u, v, np.asarray(m.neuron_constants(setting, u, v, power)), S)


class QuadraticLaws(NamedTuple):
    """What the closed form says of a network with β = 2."""

    u: Float[Array, "times d"]
    """Output weights at the internal times."""
    v: Float[Array, "times d"]
    """Input weights, from the constants."""
    S: Float[Array, "times"]
    """The internal time, read off the neuron that moved farthest."""


@jit
def quadratic_laws(run: MonomialRun) -> QuadraticLaws:
    """The closed form from the start of a run with β = 2."""
    start, C, fastest = run.u[0], run.C[0], jnp.argmax(jnp.abs(run.u[-1] - run.u[0]))
    u = m.quadratic_output_weights(UNEQUAL, start, C, run.S[:, None])
    square = 2 * UNEQUAL.eta_w * (u**2 / UNEQUAL.eta_u - C)
    v = jnp.sign(run.v[0]) * jnp.sqrt(jnp.maximum(square, 0))
    S = m.internal_time(UNEQUAL, start[fastest], C[fastest], run.u[:, fastest])
    return QuadraticLaws(u, v, S)
