"""How a tail grows out of a spike: overlaps along the way, and what changes it.

Students as in :mod:`~lazyrich.experiments.heavy_tails.students`, with h = 3d/2 and n = 2d.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from lazyrich import heavy_tails as ht
from lazyrich import spectra
from lazyrich.arithmetic import jit, matmul
from lazyrich.experiments.heavy_tails.students import problems
from lazyrich.heavy_tails.metrics import weight_eigenvalues, weight_gram
from lazyrich.training import stacked, train


class OverlapRun(NamedTuple):
    """How the updates M_t = W_(t+1) − W_t lie in the weights W_(t+1), step by step."""

    left: Float[Array, "seeds steps"]
    """Participation number of u₁(M_t) in the left singular vectors of W_(t+1)."""
    right: Float[Array, "seeds steps"]
    """That of v₁(M_t) in the right ones."""
    left_matrices: Float[Array, "steps d d"]
    """All squared overlaps of the left singular vectors, of the first seed."""
    right_matrices: Float[Array, "steps d d"]
    """Those of the right ones."""


class Ablation(NamedTuple):
    """Spectra with and without the spike of the first step."""

    untouched: Float[Array, "seeds d"]
    """The eigenvalues of WᵀW at the end."""
    removed: Float[Array, "seeds d"]
    """Those at the end if σ₁ is set to the edge after the first step."""
    returned: Float[Array, "seeds d"]
    """Those of the latter one step after the removal."""
    first: Float[Array, "seeds d"]
    """Those after the first step, untouched."""
    always: Float[Array, "seeds d"]
    """Those at the end if σ₁ is set to the edge after every step, the last included."""


class BatchRun(NamedTuple):
    """Students trained with one batch size."""

    step: Int[Array | np.ndarray, "times"]
    """The steps at which they were observed."""
    hill: Float[Array, "seeds times"]
    """Hill's exponent of WᵀW."""
    loss: Float[Array, "seeds times"]
    """The training loss over all samples."""


def overlap_run(
    key: jax.Array, rate: float, inputs: int, seeds: int, steps: int = 10
) -> OverlapRun:
    """Overlaps of updates and weights in the first steps of Adam.

    Args:
        key: the problems.
        rate: η.
        inputs: d.
        seeds: how many.
        steps: of training.
    """
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1)
    tops, matrices = zip(*(_overlap_run(one, rate, steps=steps) for one in drawn), strict=True)
    return OverlapRun(*stacked(tops), *matrices[0])


def spike_ablation(
    key: jax.Array, rate: float, inputs: int, seeds: int, steps: int = 10
) -> Ablation:
    """Adam with the spike of its first step taken away: σ₁ is set to the edge, its vectors stay.

    The edge is τ (√h + √d), with the variance τ² that the step gives the bulk; where the spike is
    taken away after every step, with the variance that the median of the spectrum has then.
    Arguments as for :func:`overlap_run`.
    """
    d, h, _ = sizes = ht.sizes(inputs)
    edge = float(ht.update("Adam", rate, sizes).variance) ** 0.5 * (h**0.5 + d**0.5)
    drawn = problems(key, sizes, seeds, tests=1)
    return stacked(_spike_ablation(problem, rate, edge, steps=steps) for problem in drawn)


def batch_run(
    key: jax.Array,
    optimizer: str,
    rate: float,
    batch: int,
    inputs: int,
    seeds: int,
    schedule: Sequence[int],
) -> BatchRun:
    """Training with batches drawn anew at each step, without replacement.

    Args:
        key: the problems.
        optimizer: ``"GD"`` or ``"Adam"``.
        rate: η.
        batch: how many samples a step sees, at most n = 2d; n is the full batch.
        inputs: d.
        seeds: how many problems.
        schedule: the steps at which to observe, increasing.
    """
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1)
    options = {"name": optimizer, "batch": batch, "schedule": tuple(schedule)}
    observed = stacked(
        _batch_run(jax.random.fold_in(jax.random.fold_in(key, i), 1), problem, rate, **options)
        for i, problem in enumerate(drawn)
    )
    return BatchRun(np.asarray(schedule), *observed)


def hill_at_loss(run: BatchRun, level: float) -> Float[np.ndarray, "seeds"]:
    """Hill's exponent of each seed where its loss first falls below a level.

    By interpolation in the logarithm of the loss between two observations.

    Raises:
        ValueError: if a seed's loss does not fall so far.
    """
    found = []
    for hill, losses in zip(np.asarray(run.hill), np.asarray(run.loss), strict=True):
        if not (losses < level).any():
            raise ValueError(f"no loss below {level} in {len(losses)} observations")
        i = max(1, int(np.argmax(losses < level)))
        found.append(np.interp(np.log(level), np.log(losses[[i, i - 1]]), hill[[i, i - 1]]))
    return np.array(found)


@jit(static_argnames="steps")
def _overlap_run(problem, rate, *, steps):
    start, step = _adam(problem, rate)

    def observed(carry, _):
        (W, memory), change = step(carry)
        left, right = ht.overlaps(W, change)
        top = spectra.participation(left[:, 0]), spectra.participation(right[:, 0])
        return (W, memory), (top, (left.astype(jnp.float32), right.astype(jnp.float32)))

    return jax.lax.scan(observed, start, length=steps)[1]


@jit(static_argnames="steps")
def _spike_ablation(problem, rate, edge, *, steps):
    start, step = _adam(problem, rate)
    (W, memory), _ = step(start)
    U, sigma, Vt = jnp.linalg.svd(W, full_matrices=False)
    less = W - (sigma[0] - edge) * jnp.outer(U[:, 0], Vt[0])
    after, _ = step((less, memory))
    untouched, removed = (
        jax.lax.fori_loop(taken, steps, lambda _, carry: step(carry)[0], begin)[0]
        for taken, begin in ((1, (W, memory)), (2, after))
    )

    def cut(_, carry):
        (W, memory), _ = step(carry)
        return _without_spike(W), memory

    always = jax.lax.fori_loop(0, steps, cut, start)[0]
    return Ablation(*map(weight_eigenvalues, (untouched, removed, after[0], W, always)))


def _without_spike(W):
    """W with its largest singular value at the edge of the bulk, whose scale the median gives."""
    h, d = W.shape
    values, vectors = jnp.linalg.eigh(weight_gram(W))
    scale = jnp.median(values) / spectra.marchenko_pastur_median(d / h)
    sigma, edge = jnp.sqrt(values[-1]), jnp.sqrt(scale) * (1 + (d / h) ** 0.5)
    v = vectors[:, -1].astype(W.dtype)
    less = jnp.maximum(1 - edge / sigma, 0).astype(W.dtype)
    return W - less * jnp.outer(matmul(W, v), v)


@jit(static_argnames=("name", "batch", "schedule"))
def _batch_run(key, problem, rate, *, name, batch, schedule):
    x, y = problem.train

    def batch_loss(W, step):
        if batch == len(y):
            return ht.loss(W, problem.a, problem.train)
        chosen = jax.random.permutation(jax.random.fold_in(key, step), len(y))[:batch]
        return ht.loss(W, problem.a, ht.Samples(x[chosen], y[chosen]))

    def observe(W, step):
        return spectra.hill(weight_eigenvalues(W)), ht.loss(W, problem.a, problem.train)

    return train(batch_loss, problem.W, ht.optimizer(name, rate), schedule, observe).observed


def _adam(problem, rate):
    """Weights and memory at the start, and a step from them that also gives the change."""
    adam = ht.optimizer("Adam", rate)

    def step(carry):
        W, memory = carry
        change, memory = adam.update(jax.grad(ht.loss)(W, problem.a, problem.train), memory)
        return (optax.apply_updates(W, change), memory), change

    return (problem.W, adam.init(problem.W)), step
