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
from lazyrich.arithmetic import jit
from lazyrich.experiments.heavy_tails.students import problems
from lazyrich.heavy_tails.metrics import weight_eigenvalues
from lazyrich.heavy_tails.optimizers import NEVER
from lazyrich.training import stacked


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
    """
    variant = ht.AdamVariant(rate, epsilon, amsgrad, frozen_from)
    dtype = jnp.float64 if double else jnp.float32
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1, dtype=dtype)
    observed = stacked(_long_run(problem, variant, schedule=tuple(schedule)) for problem in drawn)
    return LongRun(np.asarray(schedule), *observed)


def last_calm_step(run: LongRun, fitted: float = 1e-6) -> int:
    """The last observed step before any student, once fitted, has a larger loss again.

    Args:
        run: the students.
        fitted: the training loss below which the data are fitted.
    """
    below = np.minimum.accumulate(np.asarray(run.loss), axis=1) < fitted
    bursts = (below[:, :-1] & (np.asarray(run.largest_loss)[:, 1:] > fitted)).any(axis=0)
    return int(run.step[bursts.argmax() if bursts.any() else -1])


@jit(static_argnames="schedule")
def _long_run(problem, variant, *, schedule):
    """The observations of one student; the variant is data, so that one program serves all."""
    value_and_grad, adam = jax.value_and_grad(ht.loss), ht.adam_variant(variant)

    def step(_, carry):
        W, moments, largest = carry
        value, gradient = value_and_grad(W, problem.a, problem.train)
        change, moments = adam.update(gradient, moments)
        return optax.apply_updates(W, change), moments, jnp.maximum(largest, value)

    def interval(carry, ends):
        W, moments = carry
        start = (W, moments, jnp.zeros((), W.dtype))
        W, moments, largest = jax.lax.fori_loop(*ends, step, start)
        seen = (
            spectra.hill(weight_eigenvalues(W)),
            ht.loss(W, problem.a, problem.train),
            largest,
            jnp.sqrt(moments.corrected.mean()),
        )
        return (W, moments), seen

    ends = jnp.asarray(list(pairwise((0, *schedule))))
    return jax.lax.scan(interval, (problem.W, adam.init(problem.W)), ends)[1]
