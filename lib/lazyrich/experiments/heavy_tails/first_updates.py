"""The first update of many students: what the gradient is made of, and the spike of one step.

Each function is one experiment, on the problems of
:mod:`~lazyrich.experiments.heavy_tails.students`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from lazyrich import heavy_tails as ht
from lazyrich.arithmetic import jit, numpy_if_known
from lazyrich.experiments.heavy_tails.students import problems
from lazyrich.heavy_tails import metrics
from lazyrich.heavy_tails.first_step import directions_of
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

    sigma: Float[Array | np.ndarray, "*seeds rates"]
    """The largest singular value of W_1."""
    left: Float[Array | np.ndarray, "*seeds rates"]
    """(u₁·w)²."""
    right: Float[Array | np.ndarray, "*seeds rates"]
    """(v₁·p̂)²."""
    teacher: Float[Array | np.ndarray, "*seeds rates"]
    """|v₁·β|."""
    p_norm2: Float[Array | np.ndarray, "*seeds rates"]
    """‖p‖²."""


class StepFeatures(NamedTuple):
    """What the same students compute, at many rates."""

    coded: Float[Array, "seeds rates"]
    """The kernel-target alignment of features as coded."""
    written: Float[Array, "seeds rates"]
    """That of features as written."""
    p_norm2: Float[Array, "seeds rates"]
    """‖p‖²."""
    p_teacher: Float[Array, "seeds rates"]
    """|p·β|."""


def first_gradients(
    key: jax.Array, inputs: int, seeds: int, samples: int | None = None
) -> Gradients:
    """What the first gradient is made of.

    Args:
        key: the problems.
        inputs: d, with h = 3d/2.
        seeds: how many.
        samples: n, by default 2d.
    """
    drawn = problems(key, ht.sizes(inputs, samples=samples), seeds, tests=1)
    return stacked(map(_gradient, drawn))


def one_step(
    key: jax.Array, optimizer: str, ratios: Sequence[float], inputs: int, seeds: int
) -> OneStep:
    """Students after one step of gradient descent or Adam from the same start.

    Args:
        key: the problems.
        optimizer: ``"GD"`` or ``"Adam"``, whose first step is η times the sign of the gradient.
        ratios: η/η*, the rates over the threshold of the spike; at zero the start.
        inputs: d, with h = 3d/2 and n = 2d.
        seeds: how many.
    """
    rates = np.asarray(ratios) * ht.threshold(optimizer, ht.sizes(inputs))
    drawn = problems(key, ht.sizes(inputs), seeds, tests=1)
    return _after_one_step(_spike, drawn, optimizer, rates)


def one_step_law(
    optimizer: str, ratios: Sequence[float], inputs: int, naive: bool = False
) -> OneStep:
    """What the theorem expects of :func:`one_step`.

    Arguments as there; `naive` drops the update's correlation with the start from the spike.
    """
    sizes = ht.sizes(inputs)
    rates = np.asarray(ratios) * ht.threshold(optimizer, sizes)
    spike = ht.spike_law(optimizer, rates, sizes, naive=naive)
    p_norm2 = ht.update(optimizer, rates, sizes, naive=naive).p_norm2
    return OneStep(*spike, ht.teacher_alignment(optimizer, rates, sizes), p_norm2)


def crossing(curve: Sequence[float], at: Sequence[float], level: float) -> float:
    """Where a curve over increasing places first rises above a level, by interpolation."""
    i = int(np.argmax(np.asarray(curve) > level))
    return float(np.interp(level, curve[i - 1 : i + 1], at[i - 1 : i + 1]))


def one_step_features(
    key: jax.Array,
    optimizer: str,
    rates: Sequence[float],
    inputs: int,
    seeds: int,
    samples: int | None = None,
) -> StepFeatures:
    """What students compute after one step at rates η, of n samples, by default 2d.

    Other arguments as for :func:`one_step`.
    """
    drawn = problems(key, ht.sizes(inputs, samples=samples), seeds, tests=1)
    return _after_one_step(_features, drawn, optimizer, rates)


def one_step_loss(
    key: jax.Array, optimizer: str, rates: Sequence[float], inputs: int, seeds: int
) -> Float[Array, "seeds rates"]:
    """The students' own mean squared error on the test set after one step at rates η.

    Arguments as for :func:`one_step`.
    """
    return _after_one_step(_loss, problems(key, ht.sizes(inputs), seeds), optimizer, rates)


def largest_stable_rates(
    key: jax.Array, inputs: int, seeds: int, samples: int | None = None
) -> Float[Array, "seeds"]:
    """n/λ_max of the tangent kernel at the start, beyond which gradient descent grows.

    Arguments as for :func:`first_gradients`.
    """
    drawn = problems(key, ht.sizes(inputs, samples=samples), seeds, tests=1)
    return stacked(_stable_rate(one.W, one.a, one.train.x) for one in drawn)


@numpy_if_known
def _stable_rate(xp, W, a, x):
    (h, d), n = W.shape, len(x)
    slopes = a[:, None] * (1 - xp.tanh(W @ x.T / d**0.5) ** 2)
    kernel = (slopes.T @ slopes / h) * (x @ x.T / d)
    return n / xp.linalg.eigvalsh(kernel)[-1]


def _gradient(problem):
    # In NumPy: to compile this for each size would take longer than to compute it.
    found = directions_of(problem.W, problem.a, problem.train)
    G, A, q, W, a = map(np.asarray, (*found, problem.W, problem.a))
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
    values, vectors = leading(jax.device_put(M.T @ M), 2)
    return np.sqrt(values), np.asarray(vectors)[:, 0]


def _after_one_step(observe, drawn, optimizer, rates):
    """``observe(W_1, w, problem)`` for all problems that are drawn, at all rates."""

    def stepped(problem):
        G = directions_of(problem.W, problem.a, problem.train).gradient

        def at_rate(rate):
            return observe(*_step(problem.W, problem.a, G, rate, optimizer=optimizer), problem)

        return each(at_rate, np.asarray(rates))

    return stacked(map(stepped, drawn))


@numpy_if_known
def _step(xp, W, a, G, rate, *, optimizer):
    """The weights after a step, and the direction of the update over hidden units."""
    update, w = (xp.sign(G), xp.sign(a)) if optimizer == "Adam" else (G, a)
    return W - rate * update, w / xp.linalg.norm(w)


def _spike(W, w, problem):
    return _measured_spike(W, w, problem.teacher, *leading(metrics.weight_gram(W), 1))


@numpy_if_known
def _measured_spike(xp, W, w, teacher, values, vectors):
    p, sigma, v = w @ W, xp.sqrt(values[0]), vectors[:, 0]
    left, right = (W @ v @ w / sigma) ** 2, (v @ p) ** 2 / (p**2).sum()
    return OneStep(sigma, left, right, xp.abs(v @ teacher), (p**2).sum())


def _features(W, w, problem):
    scales = (metrics.scale_of(scaling, W.shape[1]) for scaling in ht.SCALINGS)
    aligned = (_alignment(W, problem.probe, scale) for scale in scales)
    return StepFeatures(*aligned, *_along(W, w, problem.teacher))


_alignment = jit(metrics.alignment_of)


@numpy_if_known
def _along(xp, W, w, teacher):
    """‖p‖² and |p·β|."""
    p = w @ W
    return (p**2).sum(), xp.abs(p @ teacher)


@jit
def _loss(W, w, problem):
    del w
    return ht.loss(W, problem.a, problem.test)
