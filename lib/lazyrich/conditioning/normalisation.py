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
import numpy as np
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import binary_unit, numpy_if_known
from lazyrich.conditioning.covariance import Covariance
from lazyrich.conditioning.weights import fitting, sizes, variances_in_units
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
    (V, W), _ = fitting(weights, layers=2)
    validation.positive("the largest entry of each row of weights[0]", _largest(V))
    ones = np.ones(len(V), V.dtype)
    return Normalised(V, jax.device_put(ones), jax.device_put(0 * ones), W)


def normalised_outputs(params: Normalised, x: ArrayLike) -> Float[Array, "samples outputs"]:
    """The outputs with the statistics of the batch x itself, and no ε under the root.

    Args:
        params: of the network.
        x: the batch, shape (samples, inputs); integers are taken as floats.

    Raises:
        ValueError: if the shapes do not fit, a hidden unit does not vary over the batch, or the
            outputs are out of the range of their precision.
    """
    validation.instance("params", params, Normalised)
    arrays = zip(params._fields, zip(params, ("m d", "m", "m", "k m"), strict=True), strict=True)
    *params, x = validation.fitting(**{f"params.{name}": of for name, of in arrays}, x=(x, "n d"))
    z = _centred(params[0], x)
    validation.positive("the largest deviation of x along each row of params.inner", _largest(z.T))
    outputs = _outputs(z, *params[1:])
    return validation.in_range("params and x", (params, x), outputs, vanishing=True)


def normalised_spectrum(weights: Sequence[ArrayLike], inputs: Covariance) -> Float[Array, "_"]:
    """The ks + k eigenvalues, ascending: ks of weights and scales, k of the shifts.

    A factor of Σ_c does not change them.

    Args:
        weights: V, W.
        inputs: the centred covariance Σ_c on its range, of rank s.

    Raises:
        ValueError: if an input of a hidden unit does not vary, or the spectrum is out of range.
    """
    return _spectrum(*fitting(weights, inputs, layers=2))


def normalised_condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance
) -> Float[Array, ""]:
    """κ over all eigenvalues that are not zero, r s + (k − r) min(m, s) + r with r = min(k, m).

    It is ``inf`` at weights at which there are fewer.

    Args:
        weights: V, W.
        inputs: the centred covariance Σ_c on its range, of rank s.
    """
    weights, inputs = fitting(weights, inputs, layers=2)
    (_, m, k), s = sizes(weights, inputs)
    r = min(k, m)
    rank = r * s + (k - r) * min(m, s) + r
    return spectra.pseudo_condition_number(_spectrum(weights, inputs), rank)


def _spectrum(weights, inputs):
    validation.positive("the largest entry of each row of weights[0]", _largest(weights[0]))
    parts = _parts(*weights, inputs)
    validation.in_range("weights", weights, parts, vanishing=True)
    return _values(*parts)


@numpy_if_known
def _centred(xp, V, x):
    return (x - x.mean(axis=0)) @ V.T


@numpy_if_known
def _outputs(xp, z, gamma, b, W):
    z = z / binary_unit(xp, xp.abs(z).max(axis=0))
    return (gamma * z / xp.sqrt((z**2).mean(axis=0)) + b) @ W.T


@numpy_if_known
def _parts(xp, V, W, inputs):
    """The two blocks of the spectrum, from Σ and each row of V in units of powers of two."""
    k, s = len(W), len(inputs.variances)
    variances = variances_in_units(xp, inputs)
    root = inputs.directions * xp.sqrt(variances)
    unit = binary_unit(xp, xp.abs(V).max(axis=1, keepdims=True))
    p = V / unit @ root  # rows Rᵀ v_i
    square = (p**2).sum(axis=1, keepdims=True)
    a = p / square @ root.T  # rows a_i
    q = a @ root / unit / unit
    # Rᵀ M_i M_iᵀ R = RᵀR − (p_i q_iᵀ + q_i p_iᵀ) + |a_i|² p_i p_iᵀ, and p_i p_iᵀ for the scales
    own = (a**2).sum(axis=1, keepdims=True) / unit / unit + 1
    once = xp.einsum("is,it->ist", own * p - q, p) - xp.einsum("is,it->ist", p, q)
    once = (once + xp.diag(variances) / (unit**2)[:, None]) / square[:, None]
    inner = xp.einsum("ai,bi,ist->asbt", W, W, once, optimize=True)
    outer = xp.einsum("ab,is,it->asbt", xp.eye(k, dtype=W.dtype), p / square, p, optimize=True)
    return (inner + outer).reshape(k * s, k * s), W @ W.T


@numpy_if_known
def _values(xp, *parts):
    return xp.sort(xp.concatenate([xp.linalg.eigvalsh(part) for part in parts]))


@numpy_if_known
def _largest(xp, V):
    return xp.abs(V).max(axis=1)
