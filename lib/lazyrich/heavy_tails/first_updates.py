"""The first update of many students: what the gradient is made of, and the spike of one step.

Each function is one experiment, on the problems of :mod:`lazyrich.heavy_tails.students`.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import matmul
from lazyrich.heavy_tails.first_step import directions
from lazyrich.heavy_tails.metrics import SCALINGS, kernel_alignment, weight_gram
from lazyrich.heavy_tails.setting import loss, shape
from lazyrich.heavy_tails.spike import OPTIMIZERS
from lazyrich.heavy_tails.students import problems
from lazyrich.spectra.symmetric import leading
from lazyrich.training import each, stacked


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
    p_norm2: Float[Array, "seeds rates"]
    """‖p‖²."""
    p_teacher: Float[Array, "seeds rates"]
    """|p·β|."""


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
    return stacked(map(_gradient, problems(key, sizes, seeds, noise, tests=1)))


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
    return _after_one_step(_spikes, key, optimizer, rates, inputs, seeds, samples, noise, tests=1)


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
    return _after_one_step(
        _step_features, key, optimizer, rates, inputs, seeds, samples, noise, tests=1
    )


def one_step_loss(
    key: jax.Array,
    optimizer: str,
    rates: Sequence[float],
    inputs: int,
    seeds: int,
    samples: int | None = None,
    noise: float = 0.3,
) -> Float[Array, "seeds rates"]:
    """The students' own mean squared error on the test set after one step.

    Arguments as for :func:`one_step`.
    """
    return _after_one_step(_step_loss, key, optimizer, rates, inputs, seeds, samples, noise)


def _after_one_step(observe, key, optimizer, rates, inputs, seeds, samples, noise, tests=2000):
    adam = validation.one_of("optimizer", optimizer, OPTIMIZERS) == "Adam"
    rates = validation.vector("rates", validation.known("rates", rates))
    validation.nonnegative("rates", rates)
    sizes = shape(inputs, samples=samples)
    return stacked(
        _one_step(observe, problem, rates, adam)
        for problem in problems(key, sizes, seeds, noise, tests)
    )


def _gradient(problem):
    # In NumPy: to compile this for each size would take longer than to compute it.
    G, A, q, W, a = map(np.asarray, (*directions(problem), problem.W, problem.a))
    signs = np.sign(G)
    (sigma, v), (of_start, _), (of_signs, _) = (_largest(M) for M in (G, W, signs))
    u = G @ v / sigma[0]
    start = np.array([of_start[0], np.linalg.norm(W)])
    updates = np.array([sigma[0], np.linalg.norm(G), of_signs[0], np.linalg.norm(signs)])
    return Gradients(
        sigma,
        np.abs(u @ a) / np.linalg.norm(a),
        np.abs(v @ q) / np.linalg.norm(q),
        (updates[1] / sigma[0]) ** 2,
        np.linalg.norm(G - A) / np.linalg.norm(A),
        of_signs[0] / G.size**0.5,
        of_signs[1] / of_signs[0],
        np.tile(start, 2) / updates,
    )


def _largest(M):
    """The two largest singular values of a matrix, and the right vector of the first."""
    values, vectors = leading(jnp.asarray(M.T @ M), 2)
    return np.sqrt(values), np.asarray(vectors[:, 0])


def _one_step(observe, problem, rates, adam):
    update, w = _first_update(problem, adam)
    return each(lambda rate: observe(_moved(problem.W, rate, update), problem, w), rates)


@partial(jax.jit, static_argnums=1)
def _first_update(problem, adam):
    """The update that a rate of one takes away, and its direction over hidden units."""
    G = directions(problem).gradient
    w = jnp.sign(problem.a) if adam else problem.a
    return jnp.sign(G) if adam else G, w / jnp.linalg.norm(w)


@jax.jit
def _moved(W, rate, update):
    return W - rate * update


def _spikes(W, problem, w):
    values, vectors = leading(weight_gram(W), 2)
    return _measured_spikes(W, problem.teacher, w, jnp.sqrt(values), vectors[:, 0])


@jax.jit
def _measured_spikes(W, teacher, w, sigma, v):
    p = matmul(w, W)
    return OneStep(
        sigma,
        (matmul(matmul(W, v), w) / sigma[0]) ** 2,
        matmul(v, p) ** 2 / (p**2).sum(),
        jnp.abs(matmul(v, teacher)),
        (p**2).sum(),
    )


@jax.jit
def _step_features(W, problem, w):
    alignment = jnp.stack([kernel_alignment(W, problem, scaling) for scaling in SCALINGS])
    p = matmul(w, W)
    return StepFeatures(alignment, (p**2).sum(), jnp.abs(matmul(p, problem.teacher)))


@jax.jit
def _step_loss(W, problem, w):
    del w
    return loss(W, problem.a, problem.test)
