"""Deep linear networks in training: gradient descent, and what becomes of the conditioning.

A linear network learns from its data through two moments. With the root R of Σ, R Rᵀ = Σ, and the
least-squares optimum W*, the loss above its floor is ½ |(W^L ⋯ W^1 − W*) R|², and W* R is the
correlation of the targets with the whitened inputs.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lazyrich import spectra, validation
from lazyrich.arithmetic import matmul
from lazyrich.conditioning.bounds import bounds_of, data_condition_number, extremes
from lazyrich.conditioning.covariance import Covariance, whitened
from lazyrich.conditioning.linear import Factors, factors, rank, reduced_matrix
from lazyrich.conditioning.starts import (
    coloured_matrix,
    draws_of,
    layer_widths,
    moment,
    samples,
)
from lazyrich.conditioning.weights import kaiming
from lazyrich.training import ensemble, stacked, train

CLASSES = 10


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


class Task(NamedTuple):
    """What a linear network sees of a data set with classes as targets."""

    inputs: Covariance
    """Σ on its range."""
    optimum: Float[Array, "k s"]
    """W* R: what the network must do to the directions of Σ, each at its standard deviation."""


class Descent(NamedTuple):
    """Networks along gradient descent, a row a draw."""

    step: Int[Array, "times"]
    """The steps at which they were observed."""
    condition_number: Float[Array, "draws times"]
    """κ, ``inf`` once a network has diverged."""
    ratio_of_sums: Float[Array, "draws times"]
    """The bound on κ, ``inf`` once a network has diverged."""
    loss: Float[Array, "draws times"]
    """The loss above its floor; in a network that diverges it ends in ``inf`` or ``nan``."""


class Fit(NamedTuple):
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


def classes(data: str, whiten: bool = True, all_pixels: bool = False) -> Task:
    """The task of telling the classes of a data set, by targets one of ten.

    Args:
        data: a name in :data:`~lazyrich.conditioning.starts.DATA`.
        whiten: whether to whiten the inputs.
        all_pixels: whether to keep pixels that are 0 in all images.
    """
    x, labels = samples(data, all_pixels)
    raw = moment(data, all_pixels)
    targets = jax.nn.one_hot(labels, CLASSES, dtype=x.dtype)
    towards = matmul(x, raw.directions / jnp.sqrt(raw.variances))
    return Task(
        whitened(raw) if validation.flag("whiten", whiten) else raw,
        matmul(targets.T, towards) / len(x),
    )


def loss_above_floor(weights, task: Task) -> Float[Array, ""]:
    """½ |(W^L ⋯ W^1 − W*) R|², the loss ½ |F − y|² averaged over samples, above its least value.

    Args:
        weights: W^1, …, W^L.
        task: the data.
    """
    product = task.inputs.directions * jnp.sqrt(task.inputs.variances)
    for W in weights:
        product = matmul(W, product)
    return ((product - task.optimum) ** 2).sum() / 2


def descend(
    key: jax.Array,
    width: int,
    depth: int,
    rate: float,
    steps: int,
    interval: int,
    draws: int,
    data: str = "digits",
    whiten: bool = True,
) -> Descent:
    """Gradient descent from Kaiming starts, with κ and its bound along the way.

    Args:
        key: the draws.
        width: of the hidden layers.
        depth: the number L of weight matrices.
        rate: learning rate.
        steps: their number.
        interval: how many steps lie between two observations.
        draws: the number of networks.
        data: a name in :data:`~lazyrich.conditioning.starts.DATA`, with classes.
        whiten: whether the data are whitened.
    """
    task = classes(data, whiten)
    widths = layer_widths(len(task.inputs.directions), width, depth, CLASSES)
    interval = validation.whole("interval", interval, least=1)
    schedule = tuple(range(0, validation.whole("steps", steps) + 1, interval))
    rate = validation.scalar("rate", validation.positive("rate", rate))
    white, loss = _descend(kaiming(key, widths, draws), task, rate, schedule)
    white = _or_zero(white)
    # One network at a time, since the matrices of all times are large.
    values = stacked(
        spectra.eigenvalues(coloured_matrix(Factors(A, B), task.inputs)) for A, B in draws_of(white)
    )
    return Descent(
        jnp.asarray(schedule),
        spectra.condition_number(values, rank(widths, len(task.inputs.variances))),
        bounds_of(extremes(*white), data_condition_number(task.inputs)).ratio_of_sums,
        loss,
    )


def descend_to_fit(
    key: jax.Array,
    width: int,
    draws: int,
    treatment: str = "whitened data",
    share: float = 1e-3,
    limit: int = 2000,
    data: str = "digits",
) -> Fit:
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
        data: a name in :data:`~lazyrich.conditioning.starts.DATA`, with classes.
    """
    how = TREATMENTS[validation.one_of("treatment", treatment, TREATMENTS)]
    raw, task = classes(data, whiten=False), classes(data, how.whitened_data)
    Q, variances = raw.inputs.directions, raw.inputs.variances
    V, W = kaiming(key, layer_widths(len(Q), width, 2, CLASSES), draws)
    share = validation.scalar("share", validation.between("share", share, 0, 1))
    limit = validation.whole("limit", limit, least=1)
    if how.whitening_start:
        V = matmul(V, matmul(Q / jnp.sqrt(variances), Q.T))
    scale = 1 / variances if how.whitened_gradient else jnp.ones_like(variances)
    kappa, top = ends([V, W], task.inputs, scale)
    # Training rests a step after the one that fits, so it has one step more.
    schedule = (*_denser_at_first(limit), limit + 1)
    steps, loss = _descend_to_fit([V, W], 1 / top, task, scale, share, schedule)
    steps = jnp.where(jnp.isfinite(loss[:, -1]), steps - 1, limit)
    return Fit(steps, kappa, jnp.asarray(schedule[:-1]), loss[:, :-1] / loss[:, :1])


def _denser_at_first(limit, times=200):
    return sorted({round(limit * (i / times) ** 2) for i in range(times + 1)})


def _or_zero(factors):
    """The factors, but zero where training has diverged, since κ of zero is infinite.

    It has diverged where the squared terms of Ĝ leave the range of floats.
    """
    A, C = factors
    size = ((A**2).sum((-2, -1)) * (C**2).sum((-2, -1))).sum(-1)
    kept = jnp.isfinite(size)[..., None, None, None]
    return Factors(jnp.where(kept, A, 0), jnp.where(kept, C, 0))


@partial(jax.jit, static_argnums=3)
def _descend(weights, task, rate, schedule):
    def one(weights):
        def observe(weights, step):
            return factors(weights, whitened(task.inputs)), loss_above_floor(weights, task)

        return train(loss_of(task), weights, optax.sgd(rate), schedule, observe).observed

    return ensemble(one)(weights)


@partial(jax.jit, static_argnums=5)
def _descend_to_fit(weights, rates, task, scale, share, schedule):
    Q = task.inputs.directions

    def scaled(slopes, _):
        return [matmul(matmul(slopes[0], Q) * scale, Q.T), slopes[1]]

    def one(weights, rate):
        trained = train(
            loss_of(task),
            weights,
            optax.chain(optax.stateless(scaled), optax.sgd(rate)),
            schedule,
            lambda weights, _: loss_above_floor(weights, task),
            share * loss_above_floor(weights, task),
        )
        return trained.steps, trained.observed

    return ensemble(one)(weights, rates)


# What the experiments share


def ends(weights, inputs, scale):
    """κ and λ_max of many networks of two layers, V learning at these rates along Σ."""
    (_, m, d), (_, k, _) = (W.shape for W in weights)
    known = rank((d, m, k), len(inputs.variances))

    def of_one(weights):
        values = spectra.eigenvalues(_scaled_matrix(factors(weights, inputs), scale))
        return spectra.condition_number(values, known), values[-1]

    return stacked(map(of_one, draws_of(weights)))


@jax.jit
def _scaled_matrix(factors, scale):
    """Ĝ with its first term, that of V, at these rates along Σ."""
    return reduced_matrix(Factors(factors.A, factors.C.at[0].multiply(scale)))


def loss_of(task):
    """The loss above its floor, as a trainer takes it."""
    return lambda weights, step: loss_above_floor(weights, task)
