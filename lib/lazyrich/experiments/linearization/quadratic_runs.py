"""Quadratic systems with random gradients and Hessians, in training."""

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from lazyrich.experiments.linearization import family
from lazyrich.linearization import QuadraticRun, train_quadratic
from lazyrich.training import stacked

RATE, STEPS = 0.3, 60


def train_systems(
    key: jax.Array, axes: int, kind: str, seeds: int, m: int = 1, steps: int = STEPS
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
        steps: their number.
    """
    systems = (quadratic_system(one, axes, kind, m) for one in family.seed_keys(key, seeds))
    return stacked(train_quadratic(A, H, RATE, steps) for A, H in systems)


def quadratic_system(
    key: jax.Array, axes: int, kind: str, m: int = 1
) -> tuple[Float[np.ndarray, "axes"], Float[np.ndarray, "axes"]]:
    """The unit vector A and the diagonal of H of F = A·θ + ½ θᵀ H θ.

    Arguments as for :func:`train_systems`.
    """
    a, h = QUADRATIC_KINDS[kind](*family.first_normal(key, (2, axes)), m)
    return a / np.linalg.norm(a), h


def distance_in_the_plane(
    kind: str, q: ArrayLike, steps: int = STEPS, rate: float = RATE
) -> Float[np.ndarray, "..."]:
    """The largest |F − F_lin| of such a system, exactly, as a function of q = AᵀHA alone.

    The square of each H is α H + β, with (α, β) = (1, 0) for ``"share"``, (0, 1) for ``"signs"``
    and (q, 0) for ``"even"``. So θ = b A + e HA, and a step with the residual c takes b to
    b − η c (1 + β e) and e to e − η c (b + α e), while F = b + e q + ½ (b² q + 2 b e p + e² s) with
    p = AᵀH²A = α q + β and s = AᵀH³A = α p + β q.

    Args:
        kind: ``"share"``, ``"signs"`` or ``"even"``.
        q: AᵀHA, any number of them.
        steps: their number.
        rate: η.
    """
    q = np.asarray(q, float)
    alpha, beta = {"share": (1.0, 0.0), "signs": (0.0, 1.0), "even": (q, 0.0)}[kind]
    p = alpha * q + beta
    s = alpha * p + beta * q
    b, e, linear, farthest = (np.zeros_like(q) for _ in range(4))
    for _ in range(steps + 1):
        F = b + e * q + (b**2 * q + 2 * b * e * p + e**2 * s) / 2
        farthest = np.maximum(farthest, np.abs(F - linear))
        c = F - 1
        b, e = b - rate * c * (1 + beta * e), e - rate * c * (b + alpha * e)
        linear = linear - rate * (linear - 1)
    return np.asarray(farthest)


def _on_a_share(a, h, m):
    return a, (h <= np.sort(h)[len(h) // m - 1]).astype(a.dtype)


def _with_signs(a, h, m):
    return a, np.sign(h)


def _orthogonal(a, h, m):
    half = np.arange(len(a)) < len(a) // 2
    return np.where(half, a, 0), np.where(half, 0, np.sign(h))


def _even(a, h, m):
    return a, np.full_like(h, m**-0.5)


QUADRATIC_KINDS = {
    "share": _on_a_share,
    "signs": _with_signs,
    "orthogonal": _orthogonal,
    "even": _even,
}
