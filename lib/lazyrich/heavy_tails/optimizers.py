"""The optimisers of the chapter as optax transformations, in PyTorch's order of operations.

Adam divides the bias-corrected mean m̂ of the gradients by √v̂ + ε, v̂ the bias-corrected mean of
their squares. So its first step is −η sign(G) up to ε. A student learns from a problem of one's own
by :func:`lazyrich.training.train`:

>>> from lazyrich.heavy_tails import draw, loss, sizes, weight_metrics
>>> from lazyrich.training import train
>>> teacher, W, a, samples, *_ = draw(jax.random.key(0), sizes(20))
>>> student = train(lambda W, step: loss(W, a, samples), W, optimizer("Adam", 1.0), [10])
>>> bool(weight_metrics(student.params, teacher).teacher > weight_metrics(W, teacher).teacher)
True
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lazyrich import validation
from lazyrich.heavy_tails.single_index import LARGEST
from lazyrich.validation import ArrayLike

BETA_1, BETA_2 = 0.9, 0.999
NEVER = jnp.iinfo(jnp.int32).max  # steps are counted in int32


class AdamVariant(NamedTuple):
    """Adam with changes to its second moment, as data: one program serves all of them."""

    rate: ArrayLike
    """η."""
    epsilon: ArrayLike = 1e-8
    """ε."""
    amsgrad: ArrayLike = False
    """Whether v is the largest so far, as in AMSGrad. The maximum is taken before the correction of
    bias, so that what Adam divides by, √v̂ = √(v/(1 − 0.999^t)), still falls as that goes to one."""
    frozen_from: ArrayLike = NEVER
    """The step from which on v̂ stays what it is."""


class _Moments(NamedTuple):
    count: jax.Array
    mean: optax.Params
    square: optax.Params
    largest: optax.Params
    corrected: optax.Params


def optimizer(name: str, rate: ArrayLike, decay: ArrayLike = 1.0) -> optax.GradientTransformation:
    """Gradient descent or Adam at the rate η γ^(t−1) in step t.

    Args:
        name: ``"GD"`` or ``"Adam"``, the latter with (0.9, 0.999) and ε = 1e-8.
        rate: η.
        decay: γ.
    """
    rate = validation.scalar("rate", validation.nonnegative("rate", rate))
    decay = validation.scalar("decay", validation.positive("decay", decay))
    makers = {"GD": optax.sgd, "Adam": optax.adam}
    make = makers[validation.one_of("name", name, makers)]
    return make(lambda count: rate * decay**count)


def adam_variant(variant: AdamVariant) -> optax.GradientTransformation:
    """Adam with the changes of an :class:`AdamVariant`; by default it is ``optax.adam``."""
    rate, epsilon, amsgrad, frozen_from = validation.instance("variant", variant, AdamVariant)
    rate = validation.scalar("variant.rate", validation.nonnegative("variant.rate", rate))
    epsilon = validation.scalar("variant.epsilon", validation.positive("variant.epsilon", epsilon))
    validation.kind("variant.amsgrad", amsgrad, "truth values")
    frozen_from = validation.kind("variant.frozen_from", frozen_from, "integers")
    if isinstance(frozen_from, np.ndarray):
        frozen_from = np.minimum(frozen_from, NEVER)

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return _Moments(jnp.zeros((), jnp.int32), zeros, zeros, zeros, zeros)

    def update(gradients, moments, params=None):
        del params
        count = moments.count + 1
        mean = _average(moments.mean, gradients, BETA_1)
        square = _average(moments.square, jax.tree.map(jnp.square, gradients), BETA_2)
        largest = jax.tree.map(jnp.maximum, moments.largest, square)

        def correct(square, largest, frozen):
            now = jnp.where(amsgrad, largest, square) / (1 - BETA_2**count)
            now = now.astype(square.dtype)
            return jnp.where(count > frozen_from.astype(count.dtype), frozen, now)

        corrected = jax.tree.map(correct, square, largest, moments.corrected)

        def change(mean, corrected):
            root = jnp.sqrt(corrected) + epsilon.astype(corrected.dtype)
            step = mean / (1 - BETA_1**count) / root
            return (-rate.astype(step.dtype) * step).astype(mean.dtype)

        changes = jax.tree.map(change, mean, corrected)
        return changes, _Moments(count, mean, square, largest, corrected)

    return optax.GradientTransformation(init, update)


def burst_step(sharpness: ArrayLike, rate: ArrayLike, step: ArrayLike) -> np.ndarray:
    """The step at which Adam without gradients turns unstable, by the decay of v̂ alone.

    Adam with momentum β₁ is stable while the sharpness χ of the preconditioned loss is below
    2(1 + β₁)/((1 − β₁) η) = 38/η. Once the gradients have vanished, v falls as β₂^t, and χ grows as
    1/√v̂. With χ_s at a step s and x = (χ_s η/38)² β₂^s/(1 − β₂^s) that is passed at

        t = ln[x/(1 + x)]/ln β₂.

    Args:
        sharpness: χ_s, positive.
        rate: η, positive.
        step: s, from 1 to 1e50.

    >>> int(burst_step(190.0, 0.1, 1000))
    2063
    """
    sharpness, rate = validation.known("sharpness", sharpness), validation.known("rate", rate)
    step = validation.known("step", step)
    validation.positive("sharpness", sharpness)
    validation.positive("rate", rate)
    validation.between("step", step, 1, LARGEST)
    validation.broadcasting(sharpness=sharpness, rate=rate, step=step)
    threshold, decay = 2 * (1 + BETA_1) / (1 - BETA_1), np.log(BETA_2)
    share = np.log(sharpness) + np.log(rate) - np.log(threshold)
    x = 2 * share + step * decay - np.log(-np.expm1(step * decay))  # its logarithm
    return np.asarray(np.logaddexp(0, -x) / -decay)


def _average(mean, new, beta):
    return jax.tree.map(lambda m, g: beta * m + (1 - beta) * g, mean, new)
