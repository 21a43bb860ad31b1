"""The data, which enter a linear network through their second moment Σ = E[x xᵀ], uncentred."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import spectra, validation

# In full precision also on a GPU; for all modules of this package.
matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


class Covariance(NamedTuple):
    """The second moment Σ = Q diag(λ) Qᵀ of the inputs, on its range."""

    variances: Float[Array, "rank"]
    """The non-zero eigenvalues λ, ascending."""
    directions: Float[Array, "inputs rank"]
    """Their eigenvectors Q, as columns."""


def second_moment(x: ArrayLike) -> Float[Array, "inputs inputs"]:
    """Σ = (1/n) Σ_i x_i x_iᵀ of n samples, uncentred.

    Args:
        x: shape (samples, inputs).
    """
    x = validation.floating("x", x, ndim=2)
    return matmul(x.T, x) / len(x)


def on_range(Sigma: ArrayLike, rank: int | None = None) -> Covariance:
    """Σ on its range, which is where its root can be taken and inverted.

    Args:
        Sigma: symmetric, with no negative eigenvalue.
        rank: of Σ; directions beyond it are dropped. By default the number of eigenvalues above
            d ε λ_max, which is not known inside compiled code.

    Raises:
        ValueError: if Σ is asymmetric or has an eigenvalue below −d ε λ_max, or if the rank is
            larger than the default.
    """
    Sigma = validation.symmetric("Sigma", Sigma)
    values, vectors = jnp.linalg.eigh(Sigma)
    if isinstance(values, jax.core.Tracer):
        rank = validation.whole("rank inside compiled code", rank, least=1)
        possible = len(values)
    else:
        floor = spectra.rounding_floor(jnp.abs(values))
        if values[0] < -floor:
            raise ValueError(f"Sigma must have no negative eigenvalue, got {values[0]:.3g}")
        possible = int((values > floor).sum())
        rank = possible if rank is None else validation.whole("rank", rank, least=1)
    if not 1 <= rank <= possible:
        raise ValueError(f"rank must be from 1 to that of Sigma, {possible}, got {rank}")
    return Covariance(values[-rank:], vectors[:, -rank:])


def whitened(inputs: Covariance) -> Covariance:
    """The same directions, each with variance one."""
    return inputs._replace(variances=jnp.ones_like(inputs.variances))


def whiten(x: Float[Array, "samples inputs"], inputs: Covariance) -> Float[Array, "samples inputs"]:
    """The samples Σ^(−½) x, Σ^(−½) = Q diag(1/√λ) Qᵀ, whose second moment is I on the range of Σ.

    Args:
        x: the samples.
        inputs: their second moment Σ on its range.
    """
    Q = inputs.directions
    return matmul(matmul(x, Q / jnp.sqrt(inputs.variances)), Q.T)
