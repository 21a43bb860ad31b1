"""What a deep linear network learns: least squares, which it sees through two moments.

With the root R of Σ, R Rᵀ = Σ, and the least-squares optimum W*, the loss above its floor is
½ |(W^L ⋯ W^1 − W*) R|², and W* R is the correlation of the targets with the whitened inputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.conditioning.covariance import Covariance, axes_of, fitting_moment
from lazyrich.conditioning.weights import fitting
from lazyrich.validation import ArrayLike


class LeastSquares(NamedTuple):
    """Least squares as a linear network sees them."""

    inputs: Covariance
    """Σ on its range."""
    optimum: Float[Array, "k s"]
    """W* R: what the network must do to the directions of Σ, each at its standard deviation."""


def least_squares(x: ArrayLike, y: ArrayLike, inputs: Covariance) -> LeastSquares:
    """The least squares of targets y on inputs x.

    Args:
        x: the samples, shape (n, d).
        y: their targets, shape (n, k).
        inputs: Σ of the samples on its range.

    Raises:
        ValueError: if a variance is zero, samples and targets do not fit, or the optimum is out of
            the range of its precision.
    """
    inputs, x, y = fitting_moment(inputs, x=(x, "n d"), y=(y, "n k"))
    validation.positive("inputs.variances", inputs.variances)
    optimum = _optimum(x, y, inputs)
    validation.in_range("x, y and inputs", (x, y, inputs), optimum, vanishing=True)
    return LeastSquares(inputs, optimum)


def loss_above_floor(weights: Sequence[ArrayLike], problem: LeastSquares) -> Float[Array, ""]:
    """½ |(W^L ⋯ W^1 − W*) R|², the loss ½ |F − y|² averaged over samples, above its least value.

    Args:
        weights: W^1, …, W^L.
        problem: the data.

    Raises:
        ValueError: if they do not fit, or the loss is out of the range of its precision.
    """
    validation.instance("problem", problem, LeastSquares)
    arrays = axes_of(problem.inputs, name="problem.inputs")
    arrays |= {"problem.optimum": (problem.optimum, "k s")}
    weights, _, *inputs, optimum = fitting(weights, **arrays)
    loss = _loss_above_floor(weights, Covariance(*inputs), optimum)
    return validation.in_range("weights", weights, loss, vanishing=True)


@numpy_if_known
def _loss_above_floor(xp, weights, inputs, optimum):
    product = inputs.directions * xp.sqrt(inputs.variances)
    for W in weights:
        product = W @ product
    return ((product - optimum) ** 2).sum() / 2


@numpy_if_known
def _optimum(xp, x, y, inputs):
    towards = x @ (inputs.directions / xp.sqrt(inputs.variances))
    return y.T @ towards / len(x)
