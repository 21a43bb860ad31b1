"""Students in their first steps: ensembles over teachers and rates, observed along the way.

Each function is one experiment, given by a key and named numbers. Seed i is problem i in every
experiment with the same sizes, so that optimisers, rates and knobs are compared pair by pair. On a
CPU one student is trained after the other, on a GPU all at once; nothing leaves the device before
the end.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from lazyrich import heavy_tails as ht
from lazyrich import spectra
from lazyrich.arithmetic import jit, numpy_if_known
from lazyrich.heavy_tails import metrics
from lazyrich.training import each, stacked, train


class Trajectory(NamedTuple):
    """Students along their training."""

    step: Int[Array | np.ndarray, "times"]
    """The steps at which they were observed."""
    rate: Float[Array | np.ndarray, "rates"]
    """η."""
    loss: Float[Array, "seeds rates times"]
    """The training loss."""
    eigenvalues: Float[Array, "seeds rates times d"]
    """Of WᵀW, ascending."""
    overlaps: Float[Array, "seeds rates d"]
    """(v_i·β)² at the end, v_i the eigenvectors of WᵀW in the order of the eigenvalues."""
    coded: ht.Losses
    """The last layer fitted at the end on features as coded, of shape (seeds, rates, ridges)."""
    written: ht.Losses
    """The same on features as written."""

    @property
    def teacher(self) -> Float[Array, "seeds rates"]:
        """|v₁·β| at the end."""
        return self.overlaps[..., -1] ** 0.5

    @property
    def finite(self) -> Bool[Array, "seeds rates times"]:
        """Where all weights are finite; training that diverges has nan from some step on."""
        return jnp.isfinite(self.eigenvalues).all(-1)


class StartLosses(NamedTuple):
    """The last layer fitted at the start, of shape (seeds, ridges)."""

    coded: ht.Losses
    """On features as coded."""
    written: ht.Losses
    """On features as written."""


class InputLosses(NamedTuple):
    """Regression on the inputs of the same sets, a row a seed."""

    ridge: Float[Array, "seeds"]
    """The test loss of ridge regression at its best strength."""
    least_squares: Float[Array, "seeds"]
    """That of least squares."""
    both: Float[Array, "seeds"]
    """That of ridge regression at its best strength on the training and the probe set together."""


class ScalingGaps(NamedTuple):
    """Test losses on features as written minus those on features as coded."""

    plain: Float[np.ndarray, "seeds rates"]
    """At the default ridge."""
    tuned: Float[np.ndarray, "seeds rates"]
    """At the best ridge of each."""


def problems(
    key: jax.Array,
    sizes: ht.Sizes,
    seeds: int,
    noise: float = 0.3,
    tests: int = 2000,
    dtype: DTypeLike = float,
) -> Iterator[ht.Problem]:
    """The problems of a key one by one; more seeds begin with the same ones."""
    return (ht.draw(jax.random.fold_in(key, i), sizes, noise, tests, dtype) for i in range(seeds))


def start_spectra(key: jax.Array, inputs: int, seeds: int) -> Float[Array, "seeds d"]:
    """The eigenvalues of WᵀW at the start, with h = 3d/2.

    Args:
        key: the problems.
        inputs: d.
        seeds: how many.
    """
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1)
    return stacked(spectra.weight_spectrum(problem.W) for problem in drawn)


def start_losses(
    key: jax.Array,
    inputs: int,
    seeds: int,
    samples: int | None = None,
    ridges: Sequence[float] = (0.01,),
) -> StartLosses:
    """The last layer fitted at the start. Arguments as for :func:`train_students`."""
    drawn = problems(key, ht.sizes(inputs, samples=samples), seeds)
    return stacked(StartLosses(*_fits(one.W, one, ridges)) for one in drawn)


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
    dtype = jnp.float64 if double else jnp.float32

    def trained(problem):
        def one(rate):
            how = {"name": optimizer, "schedule": tuple(schedule), "activation": activation}
            (losses, grams), W, gram = _train(problem, rate, decay, normalise, **how)
            eigenvalues = metrics.gram_eigenvalues(grams)
            overlaps = _overlaps(gram, problem.teacher)
            return losses, eigenvalues, overlaps, *_fits(W, problem, ridges, activation)

        return each(one, np.asarray(rates, dtype))

    drawn = problems(key, ht.sizes(inputs, hidden, samples), seeds, noise, dtype=dtype)
    return Trajectory(np.asarray(schedule), np.asarray(rates), *stacked(map(trained, drawn)))


def linear_losses(
    key: jax.Array, inputs: int, hidden: int, samples: int, seeds: int
) -> Float[Array, "seeds"]:
    """What the best linear function x·β/2 leaves of the students' test sets."""
    drawn = problems(key, ht.sizes(inputs, hidden, samples), seeds)
    return stacked(_linear_loss(one.test.x, one.test.y, one.teacher) for one in drawn)


def input_losses(
    key: jax.Array, inputs: int, samples: int, seeds: int, noise: float = 0.3
) -> InputLosses:
    """Regression on the inputs of the students' probe sets, tested on their test sets.

    A student's weights have seen the training set, too, so it may do better than with one alone.

    Arguments as for :func:`train_students`.
    """
    drawn = problems(key, ht.sizes(inputs, samples=samples), seeds, noise)
    strength = 4 * inputs * ht.parity_floor(noise)  # 4 δ σ² a sample, for any number of them
    return stacked(
        InputLosses(*_input_losses(*one.train, *one.probe, *one.test, strength)) for one in drawn
    )


def chosen_by_others(
    losses: Float[Array | np.ndarray, "seeds rates"],
) -> Float[np.ndarray, "seeds"]:
    """The losses of the seeds at the rate that is best for all others."""
    losses = np.asarray(losses)
    best = [np.delete(losses, i, 0).mean(0).argmin() for i in range(len(losses))]
    return losses[np.arange(len(losses)), best]


def inner_gains(losses: Float[Array | np.ndarray, "seeds rates"]) -> Float[np.ndarray, "seeds"]:
    """By how much the best rate inside the grid beats the better end.

    For each seed both are chosen by the other seeds, so that choice brings no gain.
    """
    gains = []
    for i, own in enumerate(losses):
        others = np.delete(losses, i, 0).mean(0)
        inside, end = 1 + others[1:-1].argmin(), 0 if others[0] < others[-1] else -1
        gains.append(own[end] - own[inside])
    return np.array(gains)


def lowest(losses: Float[Array | np.ndarray, "seeds ..."]) -> Float[np.ndarray, "seeds"]:
    """The losses of the seeds in the one case whose mean is lowest."""
    cases = np.asarray(losses).reshape(len(losses), -1)
    return cases[:, cases.mean(0).argmin()]


def scaling_gaps(run: Trajectory | StartLosses, default: int) -> ScalingGaps:
    """By how much the losses as written exceed those as coded; `default` numbers the ridge."""
    written, coded = np.asarray(run.written.test), np.asarray(run.coded.test)
    gaps = (written - coded)[..., default], written.min(-1) - coded.min(-1)
    return ScalingGaps(*(gap.reshape(len(gap), -1) for gap in gaps))


@numpy_if_known
def _linear_loss(xp, x, y, teacher):
    return ((y - x @ teacher / 2) ** 2).mean()


@numpy_if_known
def _input_losses(xp, others, their, x, y, tests, labels, strength):
    gram, correlation = x.T @ x, x.T @ y
    more, theirs, unit = gram + others.T @ others, correlation + others.T @ their, xp.eye(len(gram))
    fits = [
        xp.linalg.solve(gram + strength * unit, correlation),
        xp.linalg.solve(gram, correlation),
        xp.linalg.solve(more + strength * unit, theirs),
    ]
    return [((tests @ fit - labels) ** 2).mean() for fit in fits]


def _fits(W, problem, ridges, activation="tanh"):
    """The losses on features in both scalings, of one program."""
    scales = [metrics.scale_of(scaling, W.shape[1]) for scaling in ht.SCALINGS]
    sets = problem.probe, problem.test
    return [_fitted(W, *sets, np.asarray(ridges), scale, activation) for scale in scales]


_fitted = jit(metrics.fitted, static_argnames="activation")


@jit(static_argnames=("name", "schedule", "activation"))
def _train(problem, rate, decay, normalise, *, name, schedule, activation):
    """The losses and WᵀW along the way, and W and WᵀW at the end."""
    optimizer = ht.optimizer(name, rate, decay)

    def loss(W, step):
        return ht.loss(W, problem.a, problem.train, activation)

    def before(W):
        return W * jnp.where(normalise, W.size**0.5 / jnp.linalg.norm(W), 1)

    def observe(W, step):
        return loss(W, step), metrics.weight_gram(W)

    trained = train(loss, problem.W, optimizer, schedule, observe, before=before)
    return trained.observed, trained.params, metrics.weight_gram(trained.params)


@numpy_if_known
def _overlaps(xp, gram, teacher):
    """(v_i·β)²; nan where the matrix is not finite."""
    finite = xp.isfinite(gram).all()
    vectors = xp.linalg.eigh(xp.where(finite, gram, 0))[1]
    return xp.where(finite, (teacher.astype(gram.dtype) @ vectors) ** 2, xp.nan)
