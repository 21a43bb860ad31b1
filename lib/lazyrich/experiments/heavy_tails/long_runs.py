"""Long training by Adam: what becomes of the spectrum when the data have long been fitted.

Once the gradients have vanished, the mean of their squares decays, the preconditioned step grows,
and the iteration turns unstable in bursts. Changes to Adam tell whether it is that decay: freeze
the mean of squares, keep its maximum (AMSGrad), or enlarge ε.
"""

from collections.abc import Sequence
from itertools import pairwise
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
from lazyrich.heavy_tails.metrics import weight_eigenvalues
from lazyrich.heavy_tails.optimizers import NEVER
from lazyrich.training import stacked

FITTED, AFTERWARDS = 1e-6, 50
"""The training loss below which the data are fitted, and the steps from then to a burst."""


class LongRun(NamedTuple):
    """Long runs, a row a seed."""

    step: Int[Array | np.ndarray, "times"]
    """The steps at which they were observed."""
    hill: Float[Array, "seeds times"]
    """Hill's exponent of the spectrum of WᵀW."""
    loss: Float[Array, "seeds times"]
    """The training loss."""
    largest_loss: Float[Array, "seeds times"]
    """The largest training loss that a step since the last observation began at; 0 at the start."""
    second_moment: Float[Array, "seeds times"]
    """The root mean square of √v̂, what the mean gradient is divided by."""
    sharpness: Float[Array, "seeds times"]
    """The largest eigenvalue of (2/n) J D⁻¹ Jᵀ, D the diagonal matrix of √v̂ + ε, J the Jacobian of
    the outputs; nan where it is not asked for."""
    burst: Int[Array, "seeds"]
    """The first step, fifty or more after the loss was below 1e-6, that begins above; or NEVER."""
    eigenvalues: Float[Array, "seeds d"]
    """Of WᵀW at the end, ascending."""


def long_run(
    key: jax.Array,
    rate: float,
    inputs: int,
    seeds: int,
    schedule: Sequence[int],
    epsilon: float = 1e-8,
    amsgrad: bool = False,
    frozen_from: int = NEVER,
    double: bool = False,
    stability: bool = False,
) -> LongRun:
    """Full-batch Adam for many steps, with changes to its second moment.

    Args:
        key: the problems, of shape d, h = 3d/2, n = 2d.
        rate: η.
        inputs: d.
        seeds: how many problems.
        schedule: the steps at which to observe, increasing.
        epsilon: ε.
        amsgrad: whether √v takes the largest v so far.
        frozen_from: the step from which on v̂ stays what it is.
        double: whether to train in float64 in place of float32.
        stability: whether to observe the sharpness, which takes n² h d operations each time.
    """
    variant = ht.AdamVariant(rate, epsilon, amsgrad, frozen_from)
    dtype = jnp.float64 if double else jnp.float32
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1, dtype=dtype)
    options = {"schedule": tuple(schedule), "stability": stability}
    observed, bursts, ends = stacked(_long_run(problem, variant, **options) for problem in drawn)
    return LongRun(np.asarray(schedule), *observed, bursts, ends)


def last_calm_step(run: LongRun, fitted: float = FITTED) -> int:
    """The last observed step before any student, once fitted, has a larger loss again.

    Args:
        run: the students.
        fitted: the training loss below which the data are fitted.
    """
    below = np.minimum.accumulate(np.asarray(run.loss), axis=1) < fitted
    bursts = (below[:, :-1] & (np.asarray(run.largest_loss)[:, 1:] > fitted)).any(axis=0)
    return int(run.step[bursts.argmax() if bursts.any() else -1])


@jit(static_argnames=("schedule", "stability"))
def _long_run(problem, variant, *, schedule, stability):
    """The observations of one student; the variant is data, so that one program serves all."""
    value_and_grad, adam = jax.value_and_grad(ht.loss), ht.adam_variant(variant)

    def step(_, carry):
        W, moments, largest, events = carry
        value, gradient = value_and_grad(W, problem.a, problem.train)
        events = _events(events, moments.count, value)
        change, moments = adam.update(gradient, moments)
        return optax.apply_updates(W, change), moments, jnp.maximum(largest, value), events

    def interval(carry, ends):
        W, moments, events = carry
        start = (W, moments, jnp.zeros((), W.dtype), events)
        W, moments, largest, events = jax.lax.fori_loop(*ends, step, start)
        seen = (
            spectra.hill(weight_eigenvalues(W)),
            ht.loss(W, problem.a, problem.train),
            largest,
            jnp.sqrt(moments.corrected.mean()),
            _sharpness(W, problem, jnp.sqrt(moments.corrected) + variant.epsilon)
            if stability
            else jnp.asarray(jnp.nan),
        )
        return (W, moments, events), seen

    ends = jnp.asarray(list(pairwise((0, *schedule))))
    start = (problem.W, adam.init(problem.W), (jnp.int32(NEVER), jnp.int32(NEVER)))
    (W, _, (_, burst)), seen = jax.lax.scan(interval, start, ends)
    return seen, burst, weight_eigenvalues(W)


def _events(events, count, loss):
    """The first step at which the data are fitted, and that of the first burst after it."""
    fitted, burst = events
    later = (burst == NEVER) & (fitted < count - AFTERWARDS) & (loss > FITTED)
    burst = jnp.where(later, count, burst)
    return jnp.where((fitted == NEVER) & (loss < FITTED), count, fitted), burst


def _sharpness(W, problem, root):
    """The largest eigenvalue of (2/n) J D⁻¹ Jᵀ, summed over the hidden units."""
    (h, d), x = W.shape, problem.train.x
    slopes = problem.a[:, None] * (1 - jnp.tanh(matmul(W, x.T) / d**0.5) ** 2)

    def add(kernel, unit):
        slope, root = unit
        rows = slope[:, None] * x
        return kernel + matmul(rows / root, rows.T), None

    zeros = jnp.zeros((len(x), len(x)), x.dtype)
    kernel = jax.lax.scan(add, zeros, (slopes, root.astype(x.dtype)))[0]
    return 2 / (len(x) * h * d) * jnp.linalg.eigvalsh(kernel.astype(float))[-1]
