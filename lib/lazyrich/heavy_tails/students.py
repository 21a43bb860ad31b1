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
from lazyrich.heavy_tails.first_step import directions
from lazyrich.heavy_tails.metrics import (
    SCALINGS,
    Losses,
    kernel_alignment,
    ridge_losses,
    weight_metrics,
)
from lazyrich.heavy_tails.optimizers import optimizer
from lazyrich.heavy_tails.setting import ACTIVATIONS, Problem, Shape, draw, loss, shape
from lazyrich.heavy_tails.spike import OPTIMIZERS
from lazyrich.training import ensemble, stacked, train


class Gradients(NamedTuple):
    """The first gradient of many students, and the weights it meets."""

    singular_values: Float[Array, "seeds 2"]
    """The two largest of G."""
    left: Float[Array, "seeds"]
    """|u₁·â|."""
    right: Float[Array, "seeds"]
    """|v₁·q̂|."""
    stable_rank: Float[Array, "seeds"]
    """‖G‖_F²/‖G‖₂²."""
    remainder: Float[Array, "seeds"]
    """‖G − A‖_F/‖A‖_F."""
    sign_norm: Float[Array, "seeds"]
    """‖sign G‖₂/√(hd)."""
    sign_second: Float[Array, "seeds"]
    """The second singular value of sign G over the first."""
    equal_norms: Float[Array, "seeds 4"]
    """The rates at which an update is as large as W_0: for G in the spectral and the Frobenius
    norm, then for sign G likewise."""


class OneStep(NamedTuple):
    """Students after one step, at many rates."""

    sigma: Float[Array, "seeds rates 2"]
    """The two largest singular values of W_1."""
    left: Float[Array, "seeds rates"]
    """(u₁·w)²."""
    right: Float[Array, "seeds rates"]
    """(v₁·p̂)²."""
    teacher: Float[Array, "seeds rates"]
    """|v₁·β|."""
    p_norm2: Float[Array, "seeds rates"]
    """‖p‖²."""


class StepFeatures(NamedTuple):
    """What the same students compute, at many rates."""

    alignment: Float[Array, "seeds rates 2"]
    """The kernel-target alignment, as coded and as written."""
    test: Float[Array, "seeds rates"]
    """The student's own mean squared error on the test set."""
    p_norm2: Float[Array, "seeds rates"]
    """‖p‖²."""
    p_teacher: Float[Array, "seeds rates"]
    """|p·β|."""


class Trajectory(NamedTuple):
    """Students along their training."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    loss: Float[Array, "seeds rates times"]
    """The training loss."""
    eigenvalues: Float[Array, "seeds rates times d"]
    """Of WᵀW, ascending."""
    teacher: Float[Array, "seeds rates times"]
    """|v₁·β|."""
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
        spectra.weight_spectrum(problem.W) for problem in problems(key, shape(inputs), seeds)
    )


def first_gradients(
    key: jax.Array, inputs: int, seeds: int, samples: int | None = None, noise: float = 0.3
) -> Gradients:
    """What the first gradient is made of.

    Args:
        key: the problems.
        inputs: d, with h = 3d/2.
        seeds: how many.
        samples: n, by default 2d.
        noise: ρ.
    """
    sizes = shape(inputs, samples=samples)
    return stacked(map(_gradient, problems(key, sizes, seeds, noise)))


def one_step(
    key: jax.Array,
    optimizer: str,
    rates: Sequence[float],
    inputs: int,
    seeds: int,
    samples: int | None = None,
    noise: float = 0.3,
) -> OneStep:
    """Students after one step of gradient descent or Adam from the same start.

    Args:
        key: the problems.
        optimizer: ``"GD"`` or ``"Adam"``, whose first step is η times the sign of the gradient.
        rates: η, at zero the start.
        inputs: d, with h = 3d/2.
        seeds: how many.
        samples: n, by default 2d.
        noise: ρ.
    """
    return _after_one_step(_spikes, key, optimizer, rates, inputs, seeds, samples, noise)


def one_step_features(
    key: jax.Array,
    optimizer: str,
    rates: Sequence[float],
    inputs: int,
    seeds: int,
    samples: int | None = None,
    noise: float = 0.3,
) -> StepFeatures:
    """What students compute after one step. Arguments as for :func:`one_step`."""
    return _after_one_step(_step_features, key, optimizer, rates, inputs, seeds, samples, noise)


def _after_one_step(observe, key, optimizer, rates, inputs, seeds, samples, noise):
    adam = validation.one_of("optimizer", optimizer, OPTIMIZERS) == "Adam"
    rates = validation.nonnegative("rates", validation.vector("rates", rates))
    sizes = shape(inputs, samples=samples)
    return stacked(
        _one_step(observe, problem, rates, adam) for problem in problems(key, sizes, seeds, noise)
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
        for problem in problems(key, sizes, seeds, noise, jnp.float32)
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
    rates = validation.positive("rates", validation.vector("rates", rates))
    ridges = validation.positive("ridges", validation.vector("ridges", ridges))
    decay = validation.scalar("decay", validation.positive("decay", decay))
    schedule = validation.schedule("schedule", schedule)
    normalise = validation.flag("normalise", normalise)
    dtype = jnp.float64 if validation.flag("double", double) else jnp.float32
    sizes = shape(inputs, hidden, samples)
    observed = stacked(
        _train(problem, rates, ridges, decay, optimizer, schedule, normalise, activation)
        for problem in problems(key, sizes, seeds, noise, dtype)
    )
    return Trajectory(jnp.asarray(schedule), *observed)


def problems(
    key: jax.Array,
    sizes: Shape,
    seeds: int,
    noise: float = 0.3,
    dtype: DTypeLike = float,
) -> Iterator[Problem]:
    """The problems of a key one by one; more seeds begin with the same ones.

    Args:
        key: a random key.
        sizes: d, h, n.
        seeds: how many.
        noise: ρ.
        dtype: of all arrays.
    """
    seeds = range(validation.whole("seeds", seeds, least=1))
    return (draw(jax.random.fold_in(key, i), sizes, noise, dtype=dtype) for i in seeds)


@partial(jax.jit, static_argnums=3)
def _fits(W, problem, ridges, activation):
    return tuple(ridge_losses(W, problem, ridges, scaling, activation) for scaling in SCALINGS)


@jax.jit
def _gradient(problem):
    G, A, q = directions(problem)
    W, a, signs = problem.W, problem.a, jnp.sign(G)
    values, vectors = jnp.linalg.eigh(matmul(G.T, G))
    sigma, v = jnp.sqrt(values[:-3:-1]), vectors[:, -1]
    u = matmul(G, v) / sigma[0]
    of_start, of_signs = (jnp.sqrt(jnp.linalg.eigvalsh(matmul(M.T, M))[:-3:-1]) for M in (W, signs))
    start = jnp.stack([of_start[0], jnp.linalg.norm(W)])
    updates = jnp.stack([sigma[0], jnp.linalg.norm(G), of_signs[0], jnp.linalg.norm(signs)])
    return Gradients(
        sigma,
        jnp.abs(matmul(u, a)) / jnp.linalg.norm(a),
        jnp.abs(matmul(v, q)) / jnp.linalg.norm(q),
        (updates[1] / sigma[0]) ** 2,
        jnp.linalg.norm(G - A) / jnp.linalg.norm(A),
        of_signs[0] / G.size**0.5,
        of_signs[1] / of_signs[0],
        jnp.tile(start, 2) / updates,
    )


@partial(jax.jit, static_argnums=(0, 3))
def _one_step(observe, problem, rates, adam):
    G = directions(problem).gradient
    update = jnp.sign(G) if adam else G
    w = jnp.sign(problem.a) if adam else problem.a
    w = w / jnp.linalg.norm(w)
    return ensemble(lambda rate: observe(problem.W - rate * update, problem, w))(rates)


def _spikes(W, problem, w):
    values, vectors = jnp.linalg.eigh(matmul(W.T, W))
    sigma, v, p = jnp.sqrt(values[:-3:-1]), vectors[:, -1], matmul(w, W)
    return OneStep(
        sigma,
        (matmul(matmul(W, v), w) / sigma[0]) ** 2,
        matmul(v, p) ** 2 / (p**2).sum(),
        jnp.abs(matmul(v, problem.teacher)),
        (p**2).sum(),
    )


def _step_features(W, problem, w):
    alignment = jnp.stack([kernel_alignment(W, problem, scaling) for scaling in SCALINGS])
    p = matmul(w, W)
    aligned = jnp.abs(matmul(p, problem.teacher))
    return StepFeatures(alignment, loss(W, problem.a, problem.test), (p**2).sum(), aligned)


@partial(jax.jit, static_argnums=(4, 5, 6, 7))
def _train(problem, rates, ridges, decay, name, schedule, normalise, activation):
    def normalised(W):
        return W * (W.size**0.5 / jnp.linalg.norm(W))

    def observe(W, step):
        return loss(W, problem.a, problem.train, activation), *weight_metrics(W, problem.teacher)

    def run(rate):
        trained = train(
            lambda W, step: loss(W, problem.a, problem.train, activation),
            problem.W,
            optimizer(name, rate, decay),
            schedule,
            observe,
            before=normalised if normalise else None,
        )
        fits = _fits(trained.params, problem, ridges, activation)
        return *trained.observed, *fits

    return ensemble(run)(rates.astype(problem.W.dtype))
