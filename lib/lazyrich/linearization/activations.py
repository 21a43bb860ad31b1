"""Activations by name, and the condition on their derivatives under which wide networks linearise.

The theorem on wide networks asks that sup_k max_z |φ^(k)(z)|/(k+1)! be finite. For large k this
goes as ρ^(−k)/k, with ρ the distance of the nearest complex singularity of φ from the real line:
π/2 for tanh, π for the sigmoid, infinite for erf and sin. So tanh(3z), with ρ = π/6, violates the
condition, which a smaller learning rate repairs: it is no property of the shape alone.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import UnexpectedTracerError
from jax.experimental.jet import jet
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.validation import ArrayLike

ACTIVATIONS_BY_NAME: dict[str, Callable] = {
    "linear": lambda z: z,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "erf": jax.scipy.special.erf,
    "sin": jnp.sin,
    "softplus": jax.nn.softplus,
    "GELU": partial(jax.nn.gelu, approximate=False),
    "ReLU": jax.nn.relu,
    "leaky ReLU": partial(jax.nn.leaky_relu, negative_slope=0.1),
}
"""The activations φ by name."""

MOST_DERIVATIVES = 30


def activation(name: str, sharpness: ArrayLike = 1.0) -> Callable:
    """φ(β z)/β: the activation of a name, made sharper without changing its slope at zero.

    As β grows, softplus and GELU become ReLU, which stays as it is.

    Args:
        name: in :data:`ACTIVATIONS_BY_NAME`.
        sharpness: β, from 10⁻¹⁶ to 10¹⁶.

    >>> float(activation("tanh", 10.0)(5.0))
    0.1
    """
    phi = ACTIVATIONS_BY_NAME[validation.one_of("activation", name, ACTIVATIONS_BY_NAME)]
    # Far beyond, β z or φ/β leaves the floats, in float32 soonest.
    beta = validation.between("sharpness", *validation.positives(sharpness=sharpness), 1e-16, 1e16)
    return lambda z: phi(beta * z) / beta


def largest_derivatives(
    phi: Callable, order: int, ends: ArrayLike = 4.0, points: int = 801
) -> Float[Array, "order"]:
    """max_z |φ^(k)(z)|/(k+1)! for k = 1, …, order, over points from −ends to ends.

    Of points alone: a kink or a pole between them is not seen, and a narrow peak is cut. The time
    grows faster than the square of the order, from a second at 10 to ten at 30.

    Args:
        phi: an activation that :mod:`jax.experimental.jet` knows, in float64: the derivatives of
            high order are sums that cancel.
        order: the largest k, at most 30.
        ends: of the interval.
        points: equidistant, both ends among them.

    Raises:
        ValueError: if floats have 32 bits, order is out of range, phi does not give a float for
            each point, jet does not know it, or a derivative at a point is not finite.

    >>> jax.config.update("jax_enable_x64", True)
    >>> [round(float(x), 4) for x in largest_derivatives(jnp.tanh, 3)]
    [0.5, 0.1283, 0.0833]
    """
    order = validation.whole("order", order, least=1)
    if order > MOST_DERIVATIVES:
        raise ValueError(f"order must be at most {MOST_DERIVATIVES}, got {order}")
    [ends] = validation.positives(ends=ends)
    z = jnp.linspace(-ends, ends, validation.whole("points", points, least=2))
    if z.dtype != jnp.float64:
        raise ValueError(f"floats must have 64 bits (jax_enable_x64), got {z.dtype}")
    validation.giving("phi", f"a float for each of {len(z)} points", z.shape, phi, z)
    one, zero = jnp.ones_like(z), jnp.zeros_like(z)
    try:
        _, derivatives = jet(phi, (z,), ([one] + [zero] * (order - 1),))
    # How jet says that it does not know something is another with each version.
    except (AttributeError, NotImplementedError, TypeError, UnexpectedTracerError) as error:
        raise ValueError(
            "phi must be an activation that jax.experimental.jet knows, which softplus and ReLU "
            f"are not: {validation.first_line(error)[:60]}"
        ) from error
    # Those of a constant come without their axis.
    sizes = jnp.stack([jnp.abs(derivative).max() for derivative in derivatives])
    validation.finite_orders("phi must have finite derivatives", sizes, first=1)
    return sizes / np.array([math.factorial(k + 1) for k in range(1, order + 1)], float)
