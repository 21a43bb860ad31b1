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
import numpy as np
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import matmul, numpy_if_known
from lazyrich.conditioning.covariance import Covariance
from lazyrich.conditioning.weights import checked, sizes
from lazyrich.validation import ArrayLike


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
    V, W = _checked(weights)
    ones = np.ones(len(V), V.dtype)
    return Normalised(V, jax.device_put(ones), jax.device_put(0 * ones), W)


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
    return _spectrum(*_checked(weights, inputs), inputs)


def normalised_condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance
) -> Float[Array, ""]:
    """κ over all eigenvalues that are not zero, r s + (k − r) min(m, s) + r with r = min(k, m).

    Args:
        weights: V, W.
        inputs: the centred covariance Σ_c on its range, of rank s.
    """
    weights = _checked(weights, inputs)
    (_, m, k), s = sizes(weights, inputs)
    r = min(k, m)
    rank = r * s + (k - r) * min(m, s) + r
    return spectra.condition_number(_spectrum(*weights, inputs), rank)


@numpy_if_known
def _spectrum(xp, V, W, inputs):
    k, s = len(W), len(inputs.variances)
    root = inputs.directions * xp.sqrt(inputs.variances)
    p = V @ root  # rows Rᵀ v_i
    square = (p**2).sum(axis=1, keepdims=True)
    a = p / square @ root.T  # rows a_i
    q = a @ root
    # Rᵀ M_i M_iᵀ R = RᵀR − (p_i q_iᵀ + q_i p_iᵀ) + |a_i|² p_i p_iᵀ, and p_i p_iᵀ for the scales
    own = (a**2).sum(axis=1, keepdims=True) + 1
    once = xp.einsum("is,it->ist", own * p - q, p) - xp.einsum("is,it->ist", p, q)
    once = (once + xp.diag(inputs.variances)) / square[:, None]
    inner = xp.einsum("ai,bi,ist->asbt", W, W, once, optimize=True)
    outer = xp.einsum("ab,is,it->asbt", xp.eye(k, dtype=W.dtype), p / square, p, optimize=True)
    shifts = xp.linalg.eigvalsh(W @ W.T)
    others = xp.linalg.eigvalsh((inner + outer).reshape(k * s, k * s))
    return xp.sort(xp.concatenate([others, shifts]))


def _checked(weights, inputs=None):
    V, W = checked(weights, inputs, layers=2)
    validation.positive("the length of each row of weights[0]", _lengths(V))
    return V, W


@numpy_if_known
def _lengths(xp, V):
    return xp.linalg.norm(V, axis=1)
