"""Averages of an activation and of the teacher over a normal variable, which all laws take.

For an odd φ and t = x·x'/d the mean tangent kernel of the network of the chapter is

    K(t) = E φ φ' + t E φ_1 φ_1' ≈ 2 μ₁² t + (κ_v + κ_w) 1{x = x'},

with φ_1 the derivative, since what is of higher order in t is small for two samples and not for
one. The nuggets κ_v and κ_w are what the two layers keep on the diagonal.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import matmul
from lazyrich.heavy_tails import normal_mean
from lazyrich.validation import ArrayLike

SINE_SIZE = (2 / (1 - np.exp(-2))) ** 0.5
SINE_CORRELATION = float(SINE_SIZE * np.exp(-0.5))
"""b = E z y, 0.92245: the correlation of the labels of :func:`sine_teacher` with z = β·x."""


class GaussianMoments(NamedTuple):
    """Averages of φ(g) and of its derivatives over g ~ N(0, 1)."""

    slope: ArrayLike
    """μ₁ = E φ'."""
    power: ArrayLike
    """E φ²."""
    slope_power: ArrayLike
    """E φ'²."""
    third: ArrayLike
    """E φ''', the coefficient of the third Hermite polynomial times √6."""

    @property
    def output_nugget(self) -> ArrayLike:
        """κ_v = E φ² − μ₁², of the kernel of the output weights, for an odd φ."""
        return self.power - self.slope**2

    @property
    def hidden_nugget(self) -> ArrayLike:
        """κ_w = E φ'² − μ₁², of the kernel of the hidden weights, for an odd φ."""
        return self.slope_power - self.slope**2


def gaussian_moments(activation: Callable) -> GaussianMoments:
    """The averages of an activation by :func:`~lazyrich.heavy_tails.normal_means.normal_mean`.

    Rounding is the error for smooth activations, and a step of 1/64 times the jump of φ'² at a
    kink. By Stein's lemma E φ''' = E (g³ − 3g) φ, which takes no third derivative.

    Args:
        activation: φ of one number, in the operations of JAX.

    Raises:
        ValueError: if it is no function, JAX cannot differentiate it, or an average is not finite.

    >>> round(gaussian_moments(jax.scipy.special.erf).slope, 3)
    0.651
    """
    validation.function("activation", activation)
    with validation.differentiable("activation", "by jax.grad"):
        slope = jax.vmap(jax.grad(lambda g: activation(g)))

        def mean(function):
            return float(normal_mean(lambda g: np.asarray(function(jnp.asarray(g)))))

        moments = GaussianMoments(
            mean(slope),
            mean(lambda g: activation(g) ** 2),
            mean(lambda g: slope(g) ** 2),
            mean(lambda g: (g**3 - 3 * g) * activation(g)),
        )
    if not np.isfinite(moments).all():
        raise ValueError(f"activation must have finite averages over N(0, 1), got {moments}")
    return moments


def sine_teacher(x: ArrayLike, direction: ArrayLike) -> Float[Array, "n"]:
    """The labels y = √2 sin(β·x)/√(1 − e^(−2)), for which E y² = 1.

    Args:
        x: inputs.
        direction: β, of length one.

    Raises:
        ValueError: if β has another length, or shapes do not fit.

    >>> sine_teacher(jnp.array([[0.0, 1.0]]), jnp.array([1.0, 0.0])).tolist()
    [0.0]
    """
    direction = validation.unit("direction", direction)
    x = validation.samples("x", x, len(direction))
    z = validation.in_range("x", x, matmul(x, direction.astype(x.dtype)), vanishing=True)
    return SINE_SIZE * jnp.sin(z)
