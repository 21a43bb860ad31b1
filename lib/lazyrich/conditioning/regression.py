"""What a deep linear network learns: least squares, which it sees through two moments.

With the root R of Σ, R Rᵀ = Σ, and the least-squares optimum W*, the loss above its floor is
½ |(W^L ⋯ W^1 − W*) R|², and W* R is the correlation of the targets with the whitened inputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import matmul, numpy_if_known
from lazyrich.conditioning.covariance import Covariance, checked_moment
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
    """
    x = validation.samples("x", x, entries=len(checked_moment(inputs).directions))
    y = validation.samples("y", y)
    if len(x) != len(y):
        raise ValueError(f"y must have a row for each of {len(x)} samples, got {len(y)}")
    return LeastSquares(inputs, _optimum(x, y, inputs))


def loss_above_floor(
    weights: Sequence[Float[Array, "_ _"]], problem: LeastSquares
) -> Float[Array, ""]:
    """½ |(W^L ⋯ W^1 − W*) R|², the loss ½ |F − y|² averaged over samples, above its least value.

    Args:
        weights: W^1, …, W^L.
        problem: the data.
    """
    product = problem.inputs.directions * jnp.sqrt(problem.inputs.variances)
    for W in weights:
        product = matmul(W, product)
    return ((product - problem.optimum) ** 2).sum() / 2


@numpy_if_known
def _optimum(xp, x, y, inputs):
    towards = x @ (inputs.directions / xp.sqrt(inputs.variances))
    return y.T @ towards / len(x)
