"""Quadratic systems, in which the correlations can be set one by one.

F = A·θ + ½ θᵀ H θ with a unit vector A and a diagonal H, from θ = 0 on one input with the target y
and the cost ½ (F − y)². There C^{0,1} = η, C^{0,2} = η² AᵀHA/2 and |C^{1,1}| = η^{3/2} |HA|, and
nothing beyond. So each of the conditions of the theorem can fail alone:

- H of +1 on a share 1/m of random axes: C^{0,2} ∝ 1/m and C^{1,1} ∝ 1/√m, and dev ∝ 1/m;
- H of random signs: C^{0,2} → 0 with the number of axes but |C^{1,1}| = η^{3/2}, and dev stays;
- H A = 0, at the same norm of H: no correlation, and dev = 0;
- H = 1/√m on all axes: C^{1,1} ∝ 1/√m but C^{0,2} ∝ 1/√m too, and dev ∝ 1/√m, not 1/m.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot
from lazyrich.draws import normal
from lazyrich.training import stacked

KINDS = ("share", "signs", "orthogonal", "even")


class QuadraticRun(NamedTuple):
    """Quadratic systems in training, a row a seed."""

    C02: Float[Array, "seeds"]
    """η² AᵀHA/2."""
    C11: Float[Array, "seeds"]
    """η^{3/2} |HA|."""
    deviation: Float[Array, "seeds"]
    """max_s |F − F_lin| over the steps."""
    hessian_norm: Float[Array, "seeds"]
    """|H|, its largest absolute entry."""


def quadratic_run(
    key: jax.Array,
    axes: int,
    kind: str,
    seeds: int,
    m: int = 1,
    rate: float = 0.3,
    steps: int = 60,
    y: float = 1.0,
) -> QuadraticRun:
    """Train quadratic systems with random A and H beside their linear models.

    Args:
        key: the draws.
        axes: P, the number of parameters.
        kind: ``"share"``, H = +1 on P/m random axes; ``"signs"``, H = ±1 at random on all;
            ``"orthogonal"``, random signs on the axes where A, now on half of them, is zero;
            ``"even"``, H = 1/√m on all.
        seeds: the number of systems.
        m: of ``"share"`` and ``"even"``.
        rate: η.
        steps: their number.
        y: the target.
    """
    P, m = validation.whole("axes", axes, least=2), validation.whole("m", m, least=1)
    validation.one_of("kind", kind, KINDS)
    if kind == "share" and m > P:
        raise ValueError(f"m must be at most {P} axes, got {m}")
    [rate] = validation.positives(rate=rate)
    y = validation.scalar("y", validation.floating("y", y))
    validation.random_key("key", key)
    steps = validation.whole("steps", steps, least=1)
    seeds = validation.whole("seeds", seeds, least=1)
    runs = []
    for seed in range(seeds):
        A, H = _system(jax.random.fold_in(key, seed), P, kind, m)
        runs.append(_run(A, H, rate, y, steps))
    return stacked(runs)


def alternating_signs(
    rate: float = 0.3, steps: int = 60, y: float = 1.0
) -> tuple[Float[Array, "times"], Float[Array, "times"]]:
    """F and F_lin of the system with random signs, in the limit of many axes, at 0, …, steps.

    There θ stays in the plane of A and HA, which are orthogonal: with θ = b A + e HA and
    F = b (1 + e), a step takes b to b − η c (1 + e) and e to e − η c b.
    """
    [rate] = validation.positives(rate=rate)
    y = validation.scalar("y", validation.floating("y", y))

    def step(state, _):
        b, e, linear = state
        c = b * (1 + e) - y
        now = b * (1 + e), linear
        return (b - rate * c * (1 + e), e - rate * c * b, linear - rate * (linear - y)), now

    zero = jnp.zeros_like(rate)
    length = validation.whole("steps", steps, least=1) + 1
    return jax.lax.scan(step, (zero, zero, zero), length=length)[1]


def _system(key, P, kind, m):
    return _placed(kind, normal(key, (2, P)), m)


@partial(jax.jit, static_argnums=0)
def _placed(kind, drawn, m):
    a, h = drawn
    if kind == "orthogonal":
        half = jnp.arange(len(a)) < len(a) // 2
        a, h = jnp.where(half, a, 0), jnp.where(half, 0, jnp.sign(h))
    elif kind == "signs":
        h = jnp.sign(h)
    elif kind == "even":
        h = jnp.full_like(h, 1.0) / m**0.5
    else:
        h = (h <= jnp.sort(h)[len(h) // m - 1]).astype(a.dtype)
    return a / jnp.linalg.norm(a), h


@partial(jax.jit, static_argnums=4)
def _run(A, H, rate, y, steps):
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
