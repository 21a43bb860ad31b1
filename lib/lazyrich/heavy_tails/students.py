"""Students in their first steps: ensembles over teachers and rates, observed along the way.

Each function is one experiment, given by a key and named numbers. Seed i is problem i in every
experiment with the same sizes, so that optimisers, rates and knobs are compared pair by pair. On a
CPU one student is trained after the other, on a GPU all at once; nothing leaves the device before
the end.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from lazyrich import spectra, validation
from lazyrich.arithmetic import matmul
from lazyrich.heavy_tails.metrics import (
    SCALINGS,
    Losses,
    gram_eigenvalues,
    ridge_losses,
    weight_gram,
)
from lazyrich.heavy_tails.optimizers import optimizer
from lazyrich.heavy_tails.setting import (
    ACTIVATIONS,
    Problem,
    Shape,
    checked_shape,
    draw,
    loss,
    shape,
)
from lazyrich.heavy_tails.spike import OPTIMIZERS
from lazyrich.spectra.symmetric import leading
from lazyrich.training import each, stacked, train


class Trajectory(NamedTuple):
    """Students along their training."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    loss: Float[Array, "seeds rates times"]
    """The training loss."""
    eigenvalues: Float[Array, "seeds rates times d"]
    """Of WᵀW, ascending."""
    teacher: Float[Array, "seeds rates"]
    """|v₁·β| at the end."""
    coded: Losses
    """The last layer fitted at the end on features as coded, of shape (seeds, rates, ridges)."""
    written: Losses
    """The same on features as written."""

    @property
    def finite(self) -> Bool[Array, "seeds rates times"]:
        """Where all weights are finite; training that diverges has nan from some step on."""
        return jnp.isfinite(self.eigenvalues).all(-1)


def start_spectra(key: jax.Array, inputs: int, seeds: int) -> Float[Array, "seeds d"]:
    """The eigenvalues of WᵀW at the start, with h = 3d/2.

    Args:
        key: the problems.
        inputs: d.
        seeds: how many.
    """
    return stacked(
        spectra.weight_spectrum(problem.W)
        for problem in problems(key, shape(inputs), seeds, tests=1)
    )


def start_losses(
    key: jax.Array,
    inputs: int,
    seeds: int,
    samples: int | None = None,
    hidden: int | None = None,
    noise: float = 0.3,
    ridges: Sequence[float] = (0.01,),
    activation: str = "tanh",
) -> tuple[Losses, Losses]:
    """The last layer fitted at the start, on features as coded and as written.

    Arguments as for :func:`train_students`; the losses have shape (seeds, ridges).
    """
    validation.one_of("activation", activation, ACTIVATIONS)
    ridges = validation.positive("ridges", validation.vector("ridges", ridges))
    sizes = shape(inputs, hidden, samples)
    return stacked(
        _fits(problem.W, problem, ridges, activation)
        for problem in problems(key, sizes, seeds, noise, dtype=jnp.float32)
    )


def train_students(
    key: jax.Array,
    optimizer: str,
    rates: Sequence[float],
    inputs: int,
    seeds: int,
    schedule: Sequence[int] = (0, 10),
    samples: int | None = None,
    hidden: int | None = None,
    noise: float = 0.3,
    ridges: Sequence[float] = (0.01,),
    decay: float = 1.0,
    normalise: bool = False,
    activation: str = "tanh",
    double: bool = False,
) -> Trajectory:
    """Students trained at many rates, with all metrics of the paper.

    Args:
        key: the problems.
        optimizer: ``"GD"`` or ``"Adam"``.
        rates: η.
        inputs: d.
        seeds: how many problems.
        schedule: the steps at which to observe, increasing.
        samples: n, by default 2d.
        hidden: h, by default 3d/2.
        noise: ρ.
        ridges: λ, of the last layer that is fitted.
        decay: γ; step t uses the rate η γ^(t−1).
        normalise: whether W ← W √(hd)/‖W‖_F before each step.
        activation: of the student.
        double: whether to train in float64 in place of float32.
    """
    validation.one_of("optimizer", optimizer, OPTIMIZERS)
    validation.one_of("activation", activation, ACTIVATIONS)
    rates = validation.vector("rates", validation.known("rates", rates))
    validation.positive("rates", rates)
    ridges = validation.positive("ridges", validation.vector("ridges", ridges))
    decay = validation.scalar("decay", validation.positive("decay", decay))
    schedule = validation.schedule("schedule", schedule)
    normalise = validation.flag("normalise", normalise)
    dtype = jnp.float64 if validation.flag("double", double) else jnp.float32
    sizes = shape(inputs, hidden, samples)

    def trained(problem):
        def one(rate):
            (losses, grams), W = _train(
                problem, rate, decay, normalise, optimizer, schedule, activation
            )
            _, top = leading(grams[-1], 1)
            aligned = jnp.abs(matmul(top[:, 0], problem.teacher.astype(top.dtype)))
            return losses, gram_eigenvalues(grams), aligned, *_fits(W, problem, ridges, activation)

        return each(one, rates.astype(dtype))

    observed = stacked(map(trained, problems(key, sizes, seeds, noise, dtype=dtype)))
    return Trajectory(jnp.asarray(schedule), *observed)


def problems(
    key: jax.Array,
    sizes: Shape,
    seeds: int,
    noise: float = 0.3,
    tests: int = 2000,
    dtype: DTypeLike = float,
) -> Iterator[Problem]:
    """The problems of a key one by one; more seeds begin with the same ones.

    Args:
        key: a random key.
        sizes: d, h, n.
        seeds: how many.
        noise: ρ.
        tests: the size of the test set, which comes last and changes nothing else.
        dtype: of all arrays.
    """
    key, sizes = validation.random_key("key", key), checked_shape(sizes)
    if isinstance(key, jax.core.Tracer):
        raise ValueError("key must be a known key, got one that jit, vmap or grad traces")
    seeds = range(validation.whole("seeds", seeds, least=1))
    return (draw(jax.random.fold_in(key, i), sizes, noise, tests, dtype) for i in seeds)


@partial(jax.jit, static_argnums=3)
def _fits(W, problem, ridges, activation):
    return tuple(ridge_losses(W, problem, ridges, scaling, activation) for scaling in SCALINGS)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _train(problem, rate, decay, normalise, name, schedule, activation):
    """The losses and WᵀW along the way, and the weights at the end."""

    def before(W):
        return W * jnp.where(normalise, W.size**0.5 / jnp.linalg.norm(W), 1)

    def observe(W, step):
        return loss(W, problem.a, problem.train, activation), weight_gram(W)

    trained = train(
        lambda W, step: loss(W, problem.a, problem.train, activation),
        problem.W,
        optimizer(name, rate, decay),
        schedule,
        observe,
        before=before,
    )
    return trained.observed, trained.params
