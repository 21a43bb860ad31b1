"""Gradient descent in finite steps: the catapult, and the noise of single samples."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import mechanisms as m
from lazyrich.arithmetic import dot, jit
from lazyrich.draws import standard_normal, standard_normals
from lazyrich.experiments.mechanisms.ensembles import normal_weights
from lazyrich.training import train


class Catapult(NamedTuple):
    """Gradient descent in NTK scaling with one step size, a row a network."""

    converged: Array
    """Whether |F − y*| < 1e-6 after the last step."""
    kernel: Float[Array, "networks"]
    """κ after the last step, over that at the start."""
    curvature: Float[Array, "networks"]
    """c A κ after the last step; a step is stable below 2."""
    across: Float[Array, "networks"]
    """N⊥ after the last step, over that at the start."""
    erosion: Float[Array, "networks"]
    """What erosion alone leaves of N⊥ and κ for cAκ(0) < 2: one minus
    cAκ(0) (F(0) − y*)²/(4 M(0)² (2 − cAκ(0)))."""
    unexplained: Float[Array, "networks"]
    """What erosion and gradient flow leave of κ after over κ before."""


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
    return _catapult(top, *normal_weights(key, 1.0, networks, d), steps=steps)


@jit(static_argnames="steps")
def _catapult(top, u, v, steps):
    ntk = m.Setting(gamma=u.shape[1] ** -0.5)
    start = m.state(ntk, u, v)
    eta = top / start.kernel
    path = m.descend(ntk._replace(eta_u=eta, eta_w=eta), u, v, steps)
    end = m.LineDescent(*(series[:, -1] for series in path))
    erosion = 1 - top / (2 - top) * (start.residual * ntk.gamma / start.kernel) ** 2
    return Catapult(
        jnp.abs(end.output - 1) < 1e-6,
        end.kernel / top,
        end.kernel,
        jnp.exp(end.log_erosion),
        erosion,
        end.kernel / top - (erosion + m.kernel_change(ntk, u, v)),
    )


def errors_of_the_map(
    key: jax.Array, top: float, steps: int, d: int = 400
) -> dict[str, np.ndarray]:
    """How far the exact map is from gradient descent by automatic differentiation, step by step.

    Args:
        key: of the normal weights of one network in NTK scaling.
        top: the step size, as for :func:`catapult`.
        steps: the number of steps.
        d: the width.

    Returns:
        The largest error of output and kernel, relative to their largest values, and the relative
        errors of N⊥.
    """
    u, v = standard_normal(key, (2, d))
    ntk = m.Setting(gamma=d**-0.5)
    rate = float(top / m.state(ntk, u, v).kernel)
    errors = jax.device_get(_errors_of_the_map(ntk, rate, u, v, steps=steps))
    return dict(zip(("output", "kernel", "N⊥"), errors, strict=True))


@jit(static_argnames="steps")
def _errors_of_the_map(ntk, rate, u, v, steps):
    setting = ntk._replace(eta_u=rate, eta_w=rate)

    def loss(weights, step):
        return m.squared_loss(ntk, *weights)

    def observe(weights, step):
        return m.state(setting, *weights), m.invariants(setting, *weights).N_perp

    trained = train(loss, m.Weights(u, v), optax.sgd(rate), range(steps + 1), observe).observed
    (seen, N_perp), mapped = trained, m.descend(setting, u, v, steps)
    far = lambda x, y: jnp.abs(x - y).max() / jnp.abs(y).max()  # noqa: E731
    return (
        far(mapped.output, seen.output),
        far(mapped.kernel, seen.kernel),
        jnp.exp(mapped.log_erosion) / (N_perp / N_perp[0]) - 1,
    )


class NoisyRun(NamedTuple):
    """Stochastic gradient descent, a row a network."""

    step: Float[Array, "times"]
    """Steps taken."""
    N: Float[Array, "networks times"]
    """N over that at the start."""
    N_law: Float[Array, "networks times"]
    """The product of |1 − g²h²| over the samples drawn so far."""
    cosine: Float[Array, "networks times"]
    """|cos ζ|."""


def descend_on_noise(
    key: jax.Array,
    networks: int,
    rate: float,
    d: int = 20,
    steps: int = 4000,
    noise: float = 1.0,
    interval: int = 50,
) -> NoisyRun:
    """Stochastic gradient descent by autodiff, one fresh sample a step.

    The sample is a standard normal position a with label a + `noise` times a standard normal; the
    weights start at 1.5/√d times standard normal; γ = c = 1, and both layers have the same rate.
    They are observed every `interval` steps.
    """
    start, a, error = _noisy_samples(key, networks, d, steps)
    return _descend_on_noise(start, a, a + noise * error, rate, interval=interval)


def erosion_of_the_map(
    key: jax.Array, networks: int, rate: float, d: int = 20, steps: int = 4000
) -> Float[np.ndarray, "networks"]:
    """The ln of N/N(0) of networks as of :func:`descend_on_noise`, by the exact map."""
    start, a, error = _noisy_samples(key, networks, d, steps)
    setting = m.Setting(eta_u=rate, eta_w=rate)
    return np.asarray(m.descend_on_samples(setting, *start, a, a + error).log_erosion[:, -1])


def _noisy_samples(key, networks, d, steps):
    """Weights of deviation 1.5/√d, and normal positions and errors of the labels, one a step."""
    u, v, a, error = standard_normals(key, [(d,), (d,), (steps,), (steps,)], (networks,))
    return m.Weights(1.5 / d**0.5 * u, 1.5 / d**0.5 * v), a, error


def expected_erosion(N: float, rate: float, steps: int) -> float:
    """The mean of ln N/N(0) under noise one, to order η⁴: N falls step by step.

    With M = √(1 + N²) the residual has settled at the variance V = ηM/(1 − 3ηM), and x = g h has
    E x² = η²(1 + 3V) and E x⁴ = η⁴(9 + 90V + 315V²), of which ln |1 − x²| = −x² − x⁴/2 takes both.

    Args:
        N: at the start.
        rate: the rate η of both layers.
        steps: their number.
    """
    log = start = math.log(N)
    for _ in range(int(steps)):
        M = math.hypot(1, math.exp(log))
        V = rate * M / (1 - 3 * rate * M)
        log -= rate**2 * (1 + 3 * V) + rate**4 * (9 + 90 * V + 315 * V**2) / 2
    return log - start


@jit(static_argnames="interval")
def _descend_on_noise(start, a, y, rate, interval):
    schedule = range(0, a.shape[1] + 1, interval)

    @jax.vmap
    def trained(weights, a, y):
        def loss(weights, step):
            return (a[step] * dot(weights.u, weights.v) - y[step]) ** 2 / 2

        return train(loss, weights, optax.sgd(rate), schedule, lambda weights, _: weights).observed

    setting, weights = m.Setting(eta_u=rate, eta_w=rate), trained(start, a, y)
    N = m.invariants(setting, *weights).N
    mapped = m.descend_on_samples(setting, *start, a, y)
    return NoisyRun(
        jnp.array(schedule),
        N / N[:, :1],
        jnp.exp(mapped.log_erosion[:, ::interval]),
        jnp.abs(m.state(setting, *weights).cosine),
    )
