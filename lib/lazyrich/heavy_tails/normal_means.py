"""Averages over a normal variable g that decide what the first step does."""

from collections.abc import Callable

import numpy as np


def normal_mean(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """E function(g) for g ~ N(0, 1), by the trapezoidal rule from −10 to 10 at steps of 1/64.

    The error is of the order e^(−128 π b) for functions that are analytic and bounded up to a
    distance b of the real axis. That is rounding for all here: tanh(τ g) has b = π/(2 τ). It is of
    the order of a step squared where the function has a kink, and of a step where it jumps. What
    lies beyond ±10 is left out: a function that grows like e^(g²/2), which has no mean, is given
    that of the interval, and one that grows like e^(b g²) with b near ½ loses most of it.

    Args:
        function: of points on one axis, which must be the last of its result.

    Raises:
        ValueError: if it is no function, or its result has another last axis.

    >>> round(float(normal_mean(lambda g: g**4)), 12)
    3.0
    """
    if not callable(function):
        raise ValueError(f"function must be one of points, got a {type(function).__name__}")
    points = np.linspace(-10, 10, 1281)
    weights, values = np.exp(-(points**2) / 2), np.asarray(function(points))
    if values.shape[-1:] != points.shape:
        raise ValueError(
            f"function must give values on a last axis of {points.size}, got shape {values.shape}"
        )
    return np.asarray((values * weights).sum(-1) / weights.sum())


def _slope(g):
    return 1 - np.tanh(g) ** 2


SLOPE = float(normal_mean(_slope))
"""μ₁ = E tanh'(g), 0.60571."""
SLOPE_VARIANCE = float(normal_mean(lambda g: _slope(g) ** 2)) - SLOPE**2
"""v₁ = Var tanh'(g), 0.09752."""
SLOPE_CURVATURE = float(normal_mean(lambda g: _slope(g) * (g**2 - 1)))
"""c₂ = E tanh'(g) (g² − 1), −0.36360: what tanh' shares between inputs that are not orthogonal."""
FEATURE_POWER = float(normal_mean(lambda g: np.tanh(g) ** 2))
"""E tanh²(g), 0.39429: the second moment of the student's output at the start."""
TEACHER_SLOPE = 0.5
"""c₁ = E softplus'(g): the correlation of the labels with the teacher's direction."""
TEACHER_POWER = float(normal_mean(lambda g: np.logaddexp(0, g) ** 2))
"""m₂ = E softplus²(g), 0.92125."""
EVEN_POWER = float(normal_mean(lambda g: np.log(2 * np.cosh(g / 2)) ** 2))
"""E log²(2 cosh(g/2)), 0.67125: the teacher's even part, which no odd student can learn."""
