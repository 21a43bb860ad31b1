"""Long training by Adam: what becomes of the spectrum when the data have long been fitted.

Once the gradients have vanished, the mean of their squares decays, the preconditioned step grows,
and the iteration turns unstable in bursts. The variants tell whether it is that decay: freeze the
mean of squares, keep its maximum (AMSGrad), or enlarge ε.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lazyrich import spectra, validation
from lazyrich.heavy_tails.metrics import weight_eigenvalues
from lazyrich.heavy_tails.optimizers import NEVER, AdamVariant, adam_variant
from lazyrich.heavy_tails.setting import loss, shape
from lazyrich.heavy_tails.students import problems
from lazyrich.training import ensemble, stacked


class LongRun(NamedTuple):
    """Long runs, a row a seed and a variant."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    hill: Float[Array, "seeds variants times"]
    """Hill's exponent of the spectrum of WᵀW."""
    loss: Float[Array, "seeds variants times"]
    """The training loss."""
    largest_loss: Float[Array, "seeds variants times"]
    """The largest training loss that a step since the last observation began at; 0 at the start."""
    second_moment: Float[Array, "seeds variants times"]
    """The root mean square of √v̂, what the mean gradient is divided by."""


VARIANTS: Mapping[str, dict] = {
    "as it is": {},
    "v̂ frozen": {"frozen": True},
    "AMSGrad": {"amsgrad": True},
    "ε = 1e-5": {"epsilon": 1e-5},
    "ε = 1e-3": {"epsilon": 1e-3},
}
"""The variants of Adam by name."""


def long_run(
    key: jax.Array,
    rate: float,
    variants: Sequence[str],
    inputs: int,
    seeds: int,
    schedule: Sequence[int],
    frozen_from: int = 1000,
    double: bool = False,
) -> LongRun:
    """Full-batch Adam for many steps, with changes to its second moment.

    Args:
        key: the problems, of shape d, h = 3d/2, n = 2d.
        rate: η.
        variants: names in :data:`VARIANTS`.
        inputs: d.
        seeds: how many problems.
        schedule: the steps at which to observe, increasing.
        frozen_from: the step from which v̂ is frozen in the variant of that name.
        double: whether to train in float64 in place of float32.
    """
    rate = validation.scalar("rate", validation.positive("rate", rate))
    schedule = validation.schedule("schedule", schedule)
    frozen_from = validation.whole("frozen_from", frozen_from, least=1)
    if not isinstance(variants, Sequence) or isinstance(variants, str) or not variants:
        raise ValueError(f"variants must hold at least one name, got {variants!r}")
    chosen = [VARIANTS[validation.one_of("variants", name, VARIANTS)] for name in variants]
    dtype = jnp.float64 if validation.flag("double", double) else jnp.float32
    data = AdamVariant(
        jnp.full(len(chosen), rate, dtype),
        jnp.asarray([each.get("epsilon", 1e-8) for each in chosen], dtype),
        jnp.asarray([each.get("amsgrad", False) for each in chosen]),
        jnp.asarray([frozen_from if each.get("frozen") else NEVER for each in chosen], jnp.int32),
    )
    drawn = problems(key, shape(inputs), seeds, tests=1, dtype=dtype)
    observed = stacked(_long_run(problem, data, schedule) for problem in drawn)
    return LongRun(jnp.asarray(schedule), *observed)


@partial(jax.jit, static_argnums=2)
def _long_run(problem, variants, schedule):
    value_and_grad = jax.value_and_grad(loss)

    def run(variant):
        optimizer = adam_variant(variant)

        def step(_, carry):
            W, moments, largest = carry
            value, gradient = value_and_grad(W, problem.a, problem.train)
            change, moments = optimizer.update(gradient, moments)
            return optax.apply_updates(W, change), moments, jnp.maximum(largest, value)

        def interval(carry, ends):
            W, moments = carry
            start = (W, moments, jnp.zeros((), W.dtype))
            W, moments, largest = jax.lax.fori_loop(*ends, step, start)
            seen = (
                spectra.hill(weight_eigenvalues(W)),
                loss(W, problem.a, problem.train),
                largest,
                jnp.sqrt(moments.corrected.mean()),
            )
            return (W, moments), seen

        ends = jnp.asarray([(0, schedule[0]), *zip(schedule[:-1], schedule[1:], strict=True)])
        return jax.lax.scan(interval, (problem.W, optimizer.init(problem.W)), ends)[1]

    return ensemble(run)(variants)
