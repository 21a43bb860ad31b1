"""Finite steps: gradient descent is an exact map of two scalars, with and without noise.

One step with a gradient factor h (see :mod:`lazyrich.mechanisms.setting`; the step size is inside
the rates) multiplies every p_i by 1 − g h and every q_i by 1 + g h. So with x = g h

    M + F ↦ (1 − x)² (M + F),    M − F ↦ (1 + x)² (M − F),

while N and N⊥ shrink or grow by the factor |1 − x²|: what the flow conserves, steps erode.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.mechanisms.setting import (
    Setting,
    Weights,
    checked,
    in_range,
    over_networks,
    parts,
    shared_rate,
)
from lazyrich.validation import ArrayLike


class LineDescent(NamedTuple):
    """Gradient descent on the line, after 0, 1, 2, … steps."""

    output: Float[Array, "*networks times"]
    """F = γ u·v."""
    kernel: Float[Array, "*networks times"]
    """κ, with the rates and so the step size inside: a step is stable if c A κ < 2."""
    log_erosion: Float[Array, "*networks times"]
    """ln N(t)/N(0) = ln N⊥(t)/N⊥(0) = Σ ln |1 − g² h²|."""


def descend(setting: Setting, u: ArrayLike, v: ArrayLike, steps: int) -> LineDescent:
    """Full-batch gradient descent by the exact map: h = c γ A (F − y*).

    The step size is part of the rates η_u, η_w. A run that diverges ends in inf or nan.

    Args:
        setting: the constants.
        u: output weights at the start, shape (…, d).
        v: input weights along the data at the start, shape (…, d).
        steps: the number of steps.

    Returns:
        The scalars, each of shape (…, steps + 1).
    """
    setting, u, v = checked(setting, u, v)
    once = jnp.ones(validation.whole("steps", steps, least=1), u.dtype)
    moments = (jnp.multiply.outer(x, once) for x in (setting.A, setting.A * setting.y_star))
    return _descend(setting, u, v, *moments)


def descend_on_samples(
    setting: Setting, u: ArrayLike, v: ArrayLike, a: ArrayLike, y: ArrayLike
) -> LineDescent:
    """Stochastic gradient descent with one sample a step: h = c γ a (a F − y).

    Args:
        setting: the constants; A and y* do not count.
        u: output weights at the start, shape (…, d).
        v: input weights along the data at the start, shape (…, d).
        a: the position of each step's sample on the line, shape (…, steps).
        y: its label, shape (…, steps).

    Returns:
        The scalars, each of shape (…, steps + 1); inf or nan where they diverge.
    """
    a, y = validation.floating("a", a, ndim=1), validation.floating("y", y, ndim=1)
    setting, u, v, a, y = checked(setting, u, v, series={"a": a, "y": y})
    if a.shape != y.shape:
        raise ValueError(f"a and y must have one shape, got {a.shape} and {y.shape}")
    return _descend(setting, u, v, a * a, a * y)


def step(setting: Setting, u: ArrayLike, v: ArrayLike, h: ArrayLike) -> Weights:
    """One step of the weights: p ↦ (1 − g h) p and q ↦ (1 + g h) q.

    It is u − η_u h v and v − η_w h u, written in the coordinates that do not mix.
    """
    return in_range(_step(*checked(setting, u, v, numbers={"h": validation.floating("h", h)})))


@over_networks("(d),(d),()->(d),(d)", Weights)
def _step(s, u, v, h):
    p, q, *_ = parts(s, u, v)
    x = shared_rate(s) * h
    p, q = (1 - x) * p, (1 + x) * q
    return jnp.sqrt(s.eta_u) / 2 * (p + q), jnp.sqrt(s.eta_w) / 2 * (p - q)


@over_networks("(d),(d),(t),(t)->(s),(s),(s)", LineDescent)
def _descend(s, u, v, second_moment, covariance):
    """Steps with h = c γ (second_moment · F − covariance)."""
    _, _, plus, minus, *_ = parts(s, u, v)
    g = shared_rate(s)

    def one(carry, moments):
        plus, minus, log_erosion = carry
        x = g * s.c * s.gamma * (moments[0] * (plus - minus) / 2 - moments[1])
        carry = (1 - x) ** 2 * plus, (1 + x) ** 2 * minus, log_erosion + jnp.log(jnp.abs(1 - x * x))
        return carry, carry

    start = plus, minus, jnp.zeros_like(plus)
    _, rest = jax.lax.scan(one, start, (second_moment, covariance))
    plus, minus, erosion = (jnp.concatenate([a[None], b]) for a, b in zip(start, rest, strict=True))
    return (plus - minus) / 2, s.gamma * g * (plus + minus), erosion
