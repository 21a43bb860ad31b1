"""Deep linear networks in training: gradient descent, and what becomes of the conditioning."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from lazyrich import conditioning as cond
from lazyrich import spectra
from lazyrich.arithmetic import jit, matmul, numpy_if_known
from lazyrich.conditioning.linear import matrix_of
from lazyrich.experiments.conditioning.data_sets import CLASSES, classification, moment
from lazyrich.experiments.conditioning.starts import conditions_on, layer_widths
from lazyrich.spectra.symmetric import values_only
from lazyrich.training import each, ensemble, train


class Treatment(NamedTuple):
    """What is done about the covariance Σ of the data in a run of two layers W V."""

    whitened_data: bool
    """The data are whitened."""
    whitening_start: bool
    """V starts at Ṽ Σ^(−½), with Ṽ the Kaiming start."""
    whitened_gradient: bool
    """The gradient of V is multiplied by Σ⁻¹."""


TREATMENTS = {
    "whitened data": Treatment(True, False, False),
    "raw data": Treatment(False, False, False),
    "gradient times Σ⁻¹": Treatment(False, False, True),
    "whitening start": Treatment(False, True, False),
    "whitening start, gradient times Σ⁻¹": Treatment(False, True, True),
}
"""The runs of :func:`descend_to_fit`, by name."""


class ConditionAlongDescent(NamedTuple):
    """Networks along gradient descent, a row a draw."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    condition_number: Float[Array, "draws times"]
    """κ, ``inf`` once a network has diverged."""
    ratio_of_sums: Float[Array, "draws times"]
    """The bound on κ, ``inf`` once a network has diverged."""
    loss: Float[Array, "draws times"]
    """The loss above its floor; in a network that diverges it ends in ``inf`` or ``nan``."""


class DescentToFit(NamedTuple):
    """Networks trained until they fit, a row a draw."""

    steps: Int[Array, "draws"]
    """Steps until the loss above its floor had fallen to the wanted share, or the limit.

    The limit also for a network that has diverged.
    """
    condition_number: Float[Array, "draws"]
    """κ at the start."""
    step: Int[Array, "times"]
    """The steps at which the loss was observed, denser at first."""
    loss: Float[Array, "draws times"]
    """The loss above its floor, over that at the start."""


class FrozenDescent(NamedTuple):
    """Networks whose matrix stands still, a row a draw."""

    step: Int[np.ndarray, "times"]
    """The steps at which the loss is given."""
    loss: Float[np.ndarray, "draws times"]
    """The loss above its floor, over that at the start."""


def condition_along_descent(
    key: jax.Array,
    width: int,
    depth: int,
    rate: float,
    steps: int,
    interval: int,
    draws: int,
    data: str = "digits",
    whiten: bool = True,
) -> ConditionAlongDescent:
    """Gradient descent from Kaiming starts, with κ and its bound along the way.

    Args:
        key: the draws.
        width: of the hidden layers.
        depth: the number L of weight matrices.
        rate: learning rate.
        steps: their number.
        interval: how many steps lie between two observations.
        draws: the number of networks.
        data: a name in :data:`~lazyrich.experiments.conditioning.data_sets.DATA_SETS`, with
            classes.
        whiten: whether the data are whitened.
    """
    problem, schedule = classification(data, whiten), tuple(range(0, steps + 1, interval))
    widths = layer_widths(len(problem.inputs.directions), width, depth, CLASSES)
    white, loss = _descend(cond.kaiming(key, widths, draws), problem, rate, schedule)
    # One network at a time, since the matrices of all times are large.
    found = each(conditions_on(problem.inputs, widths), *_zero_where_diverged(white))
    step = jax.device_put(np.array(schedule))
    return ConditionAlongDescent(step, found.condition_number, found.ratio_of_sums, loss)


def descend_to_fit(
    key: jax.Array,
    width: int,
    draws: int,
    treatment: str = "whitened data",
    share: float = 1e-3,
    limit: int = 2000,
    data: str = "digits",
) -> DescentToFit:
    """Gradient descent of two layers W V until they fit, at the rate 1/λ_max(Ĝ) of the start.

    With the gradient of V times Σ⁻¹, descent on raw data is descent on whitened data in other
    coordinates: V Σ^½ moves by the gradient with respect to itself. The first term of Ĝ is then
    W Wᵀ ⊗ I in place of W Wᵀ ⊗ Σ, and κ and the rate are those of this matrix.

    Args:
        key: the same draws for every treatment.
        width: of the hidden layer.
        draws: the number of networks.
        treatment: of the data's covariance, a name in :data:`TREATMENTS`.
        share: of its start to which the loss above its floor must fall.
        limit: the largest number of steps.
        data: a name in :data:`~lazyrich.experiments.conditioning.data_sets.DATA_SETS`, with
            classes.
    """
    problem, weights, scale = _treated(key, width, draws, treatment, data)
    schedule, start = _schedule(limit), ends(weights, problem.inputs, scale)
    rates = 1 / np.asarray(start.largest)
    steps, loss = _descend_to_fit(weights, rates, problem, scale, share, schedule=schedule)
    return DescentToFit(steps, start.condition_number, jax.device_put(np.array(schedule)), loss)


def frozen_descent(
    key: jax.Array,
    width: int,
    draws: int,
    treatment: str = "whitened data",
    limit: int = 2000,
    data: str = "digits",
) -> FrozenDescent:
    """What the runs of :func:`descend_to_fit` would do if Ĝ stayed what it is at the start.

    Then E = (W V − W*) R changes linearly, and its part along an eigenvector of Ĝ is multiplied by
    1 − λ/λ_max at each step. Arguments as for :func:`descend_to_fit`.
    """
    problem, weights, scale = _treated(key, width, draws, treatment, data)
    schedule = _schedule(limit)

    def loss(weights):
        factors = _scaled_factors(cond.linear_factors(weights, problem.inputs), scale)
        values, vectors = np.linalg.eigh(np.asarray(matrix_of(factors)))
        root = problem.inputs.directions * np.sqrt(problem.inputs.variances)
        error = np.asarray(weights[1] @ weights[0] @ root - problem.optimum)
        parts = (vectors.T @ error.ravel()) ** 2
        shrunk = np.abs(1 - values / values[-1])[:, None] ** (2 * np.array(schedule))
        return parts @ shrunk / parts.sum()

    return FrozenDescent(np.array(schedule), np.asarray(each(loss, weights)))


def steps_to_share(step: np.ndarray, loss: np.ndarray, share: float = 1e-3) -> np.ndarray:
    """Where the loss of each draw crosses a share of its start, by its logarithm between steps."""
    found = []
    for one in np.asarray(loss):
        i = int(np.argmax(one <= share))
        logs = np.log(one[i - 1 : i + 1] / share)
        found.append(step[i - 1] + (step[i] - step[i - 1]) * logs[0] / (logs[0] - logs[1]))
    return np.array(found)


@numpy_if_known
def _whitened_columns(xp, V, inputs):
    """V Σ^(−½) of many networks."""
    return V @ (inputs.directions / xp.sqrt(inputs.variances) @ inputs.directions.T)


def _treated(key, width, draws, treatment, data):
    """The problem, the weights at the start, and the scale of the gradient of V along Σ."""
    how = TREATMENTS[treatment]
    raw, problem = moment(data), classification(data, how.whitened_data)
    V, W = cond.kaiming(key, layer_widths(len(raw.directions), width, 2, CLASSES), draws)
    if how.whitening_start:
        V = _whitened_columns(V, raw)
    variances = np.asarray(raw.variances)
    scale = 1 / variances if how.whitened_gradient else np.ones_like(variances)
    return problem, [V, W], scale


def _schedule(limit):
    """Steps to observe, denser at first."""
    return tuple(sorted({round(limit * (i / 200) ** 2) for i in range(201)}))


@numpy_if_known
def _zero_where_diverged(xp, factors):
    """The factors, but zero where training has diverged, since κ of zero is infinite.

    It has diverged where the squared terms of Ĝ leave the range of floats.
    """
    A, C = factors
    size = ((A**2).sum((-2, -1)) * (C**2).sum((-2, -1))).sum(-1)
    kept = xp.isfinite(size)[..., None, None, None]
    return cond.Factors(xp.where(kept, A, 0), xp.where(kept, C, 0))


@jit(static_argnames="schedule")
def _descend(weights, problem, rate, schedule):
    white = cond.whitened(problem.inputs)

    def one(weights):
        def observe(weights, step):
            return cond.linear_factors(weights, white), cond.loss_above_floor(weights, problem)

        return train(loss_of(problem), weights, optax.sgd(rate), schedule, observe).observed

    return ensemble(one)(weights)


@jit(static_argnames="schedule")
def _descend_to_fit(weights, rates, problem, scale, share, schedule):
    Q, limit = problem.inputs.directions, schedule[-1]

    def scaled(slopes, _):
        return [matmul(matmul(slopes[0], Q) * scale, Q.T), slopes[1]]

    def one(weights, rate):
        trained = train(
            loss_of(problem),
            weights,
            optax.chain(optax.stateless(scaled), optax.sgd(rate)),
            (*schedule, limit + 1),  # training rests a step after the one that fits
            loss_of(problem),
            share * cond.loss_above_floor(weights, problem),
        )
        loss = trained.observed
        steps = jnp.where(jnp.isfinite(loss[-1]), trained.steps - 1, limit)
        return steps, loss[:-1] / loss[0]

    return ensemble(one)(weights, rates)


# What the experiments share


class Ends(NamedTuple):
    """κ and λ_max of networks, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ."""
    largest: Float[Array, "draws"]
    """λ_max."""


def ends(weights, inputs, scale=1.0) -> Ends:
    """κ and λ_max of many networks of two layers, V learning at these rates along Σ."""
    (_, m, d), (_, k, _) = (W.shape for W in weights)
    rank = cond.linear_rank((d, m, k), len(inputs.variances))

    def of_one(weights):
        factors = _scaled_factors(cond.linear_factors(weights, inputs), scale)
        values = values_only(matrix_of(factors))
        return Ends(spectra.pseudo_condition_number(values, rank), values.max())

    return each(of_one, weights)


@numpy_if_known
def _scaled_factors(xp, factors, scale):
    """The factors with those of the first term, that of V, at these rates along Σ."""
    A, C = factors
    return cond.Factors(A, xp.concatenate([C[:1] * scale, C[1:]]))


def loss_of(problem):
    """The loss above its floor, as a trainer takes it."""
    return lambda weights, step: cond.loss_above_floor(weights, problem)
