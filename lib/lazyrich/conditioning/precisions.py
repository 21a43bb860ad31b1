"""The spectrum of the Gauss-Newton matrix in training, in two precisions."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import matmul
from lazyrich.conditioning.covariance import Covariance, second_moment
from lazyrich.conditioning.descents import CLASSES, classes, ends, loss_of
from lazyrich.conditioning.linear import Factors, factors, reduced_matrix
from lazyrich.conditioning.starts import layer_widths, mapped, samples
from lazyrich.conditioning.weights import kaiming
from lazyrich.training import train


def spectra_in_training(
    key: jax.Array, width: int, steps: int, draws: int, data: str = "digits"
) -> tuple[Float[Array, "draws 2 ks"], Float[Array, "draws 2 ks"]]:
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
        data: a name in :data:`~lazyrich.conditioning.starts.DATA`, with classes.

    Returns:
        At the start and at the end all eigenvalues of Ĝ, ascending. Once in float64, and once from
        the same matrix in float32.
    """
    task = classes(data, whiten=False, all_pixels=True)
    widths = layer_widths(len(task.inputs.directions), width, 2, CLASSES)
    steps = validation.whole("steps", steps, least=1)
    weights = kaiming(key, widths, draws)
    _, top = ends(weights, task.inputs, jnp.ones_like(task.inputs.variances))
    G = _spectra_in_training(weights, 1 / top, task, whole_moment(data), (0, steps))
    return spectra.eigenvalues(G), spectra.eigenvalues(G.astype(jnp.float32))


@cache
def whole_moment(data: str) -> Covariance:
    """Σ of all pixels, with the directions in which the data do not vary at variance zero."""
    variances, directions = jnp.linalg.eigh(second_moment(samples(data, all_pixels=True).x))
    return Covariance(jnp.maximum(variances, 0), directions)


@partial(jax.jit, static_argnums=4)
def _spectra_in_training(weights, rates, task, inputs, schedule):
    def one(weights, rate):
        Q = inputs.directions

        def observe(weights, _):
            A, C = factors(weights, inputs)
            return reduced_matrix(Factors(A, matmul(matmul(Q, C), Q.T)))

        return train(loss_of(task), weights, optax.sgd(rate), schedule, observe).observed

    return mapped(one, weights, rates)
