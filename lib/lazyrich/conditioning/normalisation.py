"""Batch normalisation after one hidden linear layer: the Gauss-Newton matrix in closed form.

The network is F(x) = W (γ ∘ x̂ + b) with x̂_i = v_i·(x − mean)/ν_i, where v_i is row i of V, the mean
and ν_i² = v_iᵀ Σ_c v_i are those of the batch, and Σ_c is its centred covariance. All of V, γ, b, W
are parameters, here at γ = 1 and b = 0. With w_i column i of W and

    a_i = Σ_c v_i/ν_i²,   M_i = I − v_i a_iᵀ,   Σ_c = R Rᵀ,

x̂_i has the derivative (x − mean)·M_i/ν_i with respect to v_i: none along v_i itself, whose length
does not count. So the Gauss-Newton matrix has the non-zero spectrum of

    Σ_i w_i w_iᵀ ⊗ Rᵀ (M_i M_iᵀ + v_i v_iᵀ) R/ν_i² + I_k ⊗ Rᵀ (Σ_i v_i v_iᵀ/ν_i²) R,

together with that of W Wᵀ, from the shifts b: what they change is constant over the batch, where
all else has mean zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import spectra
from lazyrich.conditioning.covariance import Covariance, einsum, matmul
from lazyrich.conditioning.weights import checked, sizes


class Normalised(NamedTuple):
    """The parameters of the network."""

    inner: Float[Array, "m d"]
    """V."""
    scale: Float[Array, "m"]
    """γ."""
    shift: Float[Array, "m"]
    """b."""
    outer: Float[Array, "k m"]
    """W."""


def normalised_parameters(weights: Sequence[ArrayLike]) -> Normalised:
    """The parameters with the weights V and W, γ = 1 and b = 0."""
    V, W = _two(weights)
    return Normalised(V, jnp.ones(len(V), V.dtype), jnp.zeros(len(V), V.dtype), W)


def normalised_outputs(
    params: Normalised, x: Float[Array, "samples inputs"]
) -> Float[Array, "samples outputs"]:
    """The outputs with the statistics of the batch x itself, and no ε under the root."""
    z = matmul(x - x.mean(axis=0), params.inner.T)
    hidden = params.scale * z / jnp.sqrt((z**2).mean(axis=0)) + params.shift
    return matmul(hidden, params.outer.T)


def normalised_spectrum(weights: Sequence[ArrayLike], inputs: Covariance) -> Float[Array, "_"]:
    """The ks + k eigenvalues, ascending: ks of weights and scales, k of the shifts.

    Args:
        weights: V, W.
        inputs: the centred covariance Σ_c on its range, of rank s.
    """
    V, W = _two(weights, inputs)
    shifts = spectra.eigenvalues(matmul(W, W.T))
    return jnp.sort(jnp.concatenate([spectra.eigenvalues(_reduced(V, W, inputs)), shifts]))


def normalised_condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance
) -> Float[Array, ""]:
    """κ over all eigenvalues that are not zero, r s + (k − r) min(m, s) + r with r = min(k, m).

    Args:
        weights: V, W.
        inputs: the centred covariance Σ_c on its range, of rank s.
    """
    weights = _two(weights, inputs)
    (_, m, k), s = sizes(weights, inputs)
    r = min(k, m)
    rank = r * s + (k - r) * min(m, s) + r
    return spectra.condition_number(normalised_spectrum(weights, inputs), rank)


@jax.jit
def _reduced(V, W, inputs):
    k, s = len(W), len(inputs.variances)
    root = inputs.directions * jnp.sqrt(inputs.variances)
    p = matmul(V, root)  # rows Rᵀ v_i
    square = (p**2).sum(axis=1, keepdims=True)
    a = matmul(p / square, root.T)  # rows a_i
    q = matmul(a, root)
    # Rᵀ M_i M_iᵀ R = RᵀR − (p_i q_iᵀ + q_i p_iᵀ) + |a_i|² p_i p_iᵀ, and p_i p_iᵀ for the scales
    own = (a**2).sum(axis=1, keepdims=True) + 1
    once = jnp.einsum("is,it->ist", own * p - q, p) - jnp.einsum("is,it->ist", p, q)
    once = (once + jnp.diag(inputs.variances)) / square[:, None]
    inner = einsum("ai,bi,ist->asbt", W, W, once)
    outer = einsum("ab,is,it->asbt", jnp.eye(k, dtype=W.dtype), p / square, p)
    return (inner + outer).reshape(k * s, k * s)


def _two(weights, inputs=None):
    weights = checked(weights, inputs)
    if len(weights) != 2:
        raise ValueError(f"weights must hold two matrices, got {len(weights)}")
    return weights
