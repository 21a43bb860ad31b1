"""Quadratic systems, in which the correlations can be set one by one.

F = A·θ + ½ θᵀ H θ with a unit vector A and a diagonal H, from θ = 0 on one input with the target y
and the cost ½ (F − y)². There C^{0,1} = η, C^{0,2} = η² AᵀHA/2 and |C^{1,1}| = η^{3/2} |HA|, and
nothing beyond. So each of the conditions of the theorem can fail alone:

- H of +1 on a share 1/m of random axes: C^{0,2} ∝ 1/m and C^{1,1} ∝ 1/√m, and dev ∝ 1/m;
- H of random signs: C^{0,2} → 0 with the number of axes but |C^{1,1}| = η^{3/2}, and dev stays;
- H A = 0, at the same norm of H: no correlation, and dev = 0;
- H = 1/√m on all axes: C^{1,1} ∝ 1/√m but C^{0,2} ∝ 1/√m too, and dev ∝ 1/√m, not 1/m.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot, jit
from lazyrich.validation import ArrayLike


class QuadraticRun(NamedTuple):
    """A quadratic system in training beside its linear model."""

    C02: Float[Array, "*seeds"]
    """η² AᵀHA/2."""
    C11: Float[Array, "*seeds"]
    """η^{3/2} |HA|."""
    deviation: Float[Array, "*seeds"]
    """max_s |F − F_lin| over the steps."""
    hessian_norm: Float[Array, "*seeds"]
    """|H|, its largest absolute entry."""


def train_quadratic(
    A: ArrayLike,
    H: ArrayLike,
    rate: ArrayLike = 0.3,
    steps: int = 60,
    y: ArrayLike = 1.0,
) -> QuadraticRun:
    """Train a quadratic system beside its linear model; steps that diverge leave inf or nan.

    Args:
        A: the gradient at the start, of length one.
        H: the diagonal of the Hessian.
        rate: η.
        steps: their number.
        y: the target.

    >>> train_quadratic(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])).deviation.item() < 1e-6
    True
    """
    A, H = validation.unit("A", A), validation.vector("H", H)
    if A.shape != H.shape:
        raise ValueError(f"H must have an entry for each of {len(A)} axes, got {len(H)}")
    [rate] = validation.positives(rate=rate)
    y = validation.scalar("y", validation.floating("y", y))
    rate, y = rate.astype(A.dtype), y.astype(A.dtype)
    return _train(A, H.astype(A.dtype), rate, y, validation.whole("steps", steps, least=1))


@jit(static_argnames="steps")
def _train(A, H, rate, y, steps):
    def step(state, _):
        theta, linear = state
        F = dot(A, theta) + dot(theta, H * theta) / 2
        moved = theta - rate * (F - y) * (A + H * theta)
        return (moved, linear - rate * (linear - y)), jnp.abs(F - linear)

    start = jnp.zeros_like(A), jnp.zeros((), A.dtype)
    _, deviation = jax.lax.scan(step, start, length=steps + 1)
    return QuadraticRun(
        rate**2 * dot(A, H * A) / 2,
        rate**1.5 * jnp.linalg.norm(H * A),
        deviation.max(),
        jnp.abs(H).max(),
    )
