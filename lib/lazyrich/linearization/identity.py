"""One step: its deviation from linearity is the sum of the correlations of order two and higher.

For a network that is analytic along the step θ_1 = θ_0 − η v,

    F(θ_1) − F_lin(1) = Σ_{d≥2} (−1)^d C^{0,d}·c^d,   F_lin(1) = F(θ_0) − C^{0,1}·c,

and the scaled derivatives G^D change in the same way, by Σ_{d≥1} (−1)^d C^{D,d}·c^d. So the
dynamics closes on the correlations.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import ordinarily
from lazyrich.linearization.correlations import IN_RANGE, contractions, fitting
from lazyrich.validation import ArrayLike


class OneStep(NamedTuple):
    """The deviation of one step from the linear model, and what the correlations say of it."""

    deviation: Float[Array, "*outputs"]
    """F(θ_1) − F_lin(1)."""
    terms: Float[Array, "orders *outputs"]
    """(−1)^d C^{0,d}·c^d for d = 2, …, order."""
    remainders: Float[Array, "orders *outputs"]
    """The deviation less the terms up to d, for d = 2, …, order."""


@ordinarily
def one_step(
    apply: Callable,
    params,
    x: ArrayLike,
    direction,
    order: int,
    rate: ArrayLike = 1.0,
    scale: ArrayLike = 1.0,
) -> OneStep:
    """One step from the parameters, beside its expansion in the correlations.

    Args:
        apply: the network.
        params: θ_0.
        x: the inputs at which the outputs are compared.
        direction: v of :func:`~lazyrich.linearization.correlations.update_direction`.
        order: the largest d, at least 2.
        rate: η at scale one; the step is θ_0 − (η/α) v.
        scale: α, of the outputs α F.

    The deviation is a difference of outputs, so that it and the remainders carry their rounding:
    about 10⁻¹⁶ |F|, and 10⁻⁷ |F| in float32. What lies below is no number.

    >>> step = one_step(lambda params, x: params**2 * x[:, 0], 3.0, jnp.ones((1, 1)), 2.0, 2, 0.5)
    >>> step.deviation.tolist(), step.remainders.tolist()
    ([1.0], [[0.0]])
    """
    validation.whole("order", order, least=2)
    step = fitting(apply, params, x, direction, order, rate, scale)
    changes = contractions(apply, *step)
    params, x, direction, _, rate, scale = step
    moved = jax.tree.map(lambda a, v: a - (rate / scale).astype(a.dtype) * v, params, direction)
    change = apply(moved, x) - apply(params, x)
    deviation = scale.astype(change.dtype) * change + changes[0]
    signs = (-1.0) ** jnp.arange(2, order + 1).reshape(-1, *[1] * deviation.ndim)
    terms = signs.astype(changes.dtype) * changes[1:]
    step = OneStep(deviation, terms, deviation - jnp.cumsum(terms, axis=0))
    return validation.finite(IN_RANGE, step)
