"""The spectrum of the Gauss-Newton matrix in training, in two precisions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import conditioning as cond
from lazyrich import spectra
from lazyrich.arithmetic import jit, matmul
from lazyrich.experiments.conditioning.data_sets import CLASSES, classification, whole_moment
from lazyrich.experiments.conditioning.descents import ends, loss_of
from lazyrich.experiments.conditioning.starts import layer_widths
from lazyrich.training import each, train


class SpectraInTraining(NamedTuple):
    """All eigenvalues of Ĝ at the start and at the end, ascending, a row a draw."""

    double: Float[Array, "draws 2 ks"]
    """In float64."""
    single: Float[Array, "draws 2 ks"]
    """From the same matrix in float32."""


class Cut(NamedTuple):
    """What of a spectrum a threshold leaves."""

    rank: np.ndarray
    """The number of eigenvalues above it."""
    condition_number: np.ndarray
    """The largest over the smallest of these."""


def spectra_in_training(
    key: jax.Array, width: int, steps: int, draws: int, data: str = "digits"
) -> SpectraInTraining:
    """The spectra of two layers on raw images at the start and after training, in two precisions.

    The images keep the pixels that are 0 in all of them, and Ĝ the null space of Σ, with its root
    Σ^½ over the pixels, as in code that does not ask for the rank of its data. (In the eigenbasis
    of Σ the rows of Ĝ would be ordered by size, and float32 would do.) The step is 1/λ_max(Ĝ) at
    the start.

    Args:
        key: the draws.
        width: of the hidden layer.
        steps: of gradient descent.
        draws: the number of networks.
        data: a name in :data:`~lazyrich.experiments.conditioning.data_sets.DATA_SETS`, with
            classes.
    """
    problem, inputs = classification(data, whiten=False, all_pixels=True), whole_moment(data)
    widths = layer_widths(len(inputs.directions), width, 2, CLASSES)
    weights = cond.kaiming(key, widths, draws)
    top = ends(weights, problem.inputs).largest

    def matrices(weights, top):
        return _matrices(weights, 1 / top, problem, inputs, schedule=(0, steps))

    G = each(matrices, weights, top)
    return SpectraInTraining(spectra.eigenvalues(G), spectra.eigenvalues(G.astype(jnp.float32)))


def cut(values: np.ndarray, threshold: float) -> Cut:
    """The rank and κ that a threshold gives, relative to the largest eigenvalue.

    Args:
        values: the eigenvalues, shape (…, ks).
        threshold: relative.
    """
    values = np.asarray(values)
    top = values.max(-1, keepdims=True)
    kept = np.where(values > threshold * top, values, np.inf)
    return Cut(np.isfinite(kept).sum(-1), top[..., 0] / kept.min(-1))


@jit(static_argnames="schedule")
def _matrices(weights, rate, problem, inputs, schedule):
    """Ĝ over the pixels at each step of the schedule."""
    Q = inputs.directions

    def observe(weights, _):
        A, C = cond.linear_factors(weights, inputs)
        return cond.reduced_matrix(cond.Factors(A, matmul(matmul(Q, C), Q.T)))

    return train(loss_of(problem), weights, optax.sgd(rate), schedule, observe).observed
