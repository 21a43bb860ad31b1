"""Bounds on the condition number that need no more than extreme eigenvalues of the factors.

With A_l, B_l, C_l and Ĝ of :mod:`lazyrich.conditioning.linear`, and B_l on the range of Σ, let

    M_l = λ_max(A_l) λ_max(B_l),   μ_l = λ_min(A_l) λ_min(B_l),   κ_l = M_l/μ_l.

By Weyl's inequality for the sum of layers and Ostrowski's for the root of Σ,

    κ ≤ κ(Σ) Σ_l M_l / Σ_l μ_l = κ(Σ) Σ_l γ_l κ_l ≤ κ(Σ) max_l κ_l,   γ_l = μ_l / Σ_l μ_l.

From below, Rayleigh quotients of Ĝ bound λ_max from below and λ_min from above, so their ratio
bounds κ, wherever Ĝ is not singular. Where it is, κ is that of the non-zero part, and they say
nothing about it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import binary_unit, einsum, jit, numpy_if_known, ratio
from lazyrich.conditioning.covariance import Covariance, fitting_moment, white
from lazyrich.conditioning.linear import Factors, checked_factors, factors_in_range, spectrum_of
from lazyrich.conditioning.weights import fitting, in_units, sizes
from lazyrich.spectra.symmetric import values_only
from lazyrich.validation import ArrayLike

SWEEPS = 60


class LayerExtremes(NamedTuple):
    """The largest and smallest eigenvalue of A_l and B_l; 0 where they are at the rounding floor.

    The singular values of W^(L:l+1) and W^(l−1:1) are their roots.
    """

    A_largest: Float[Array, "*draws layers"]
    """λ_max(A_l)."""
    A_smallest: Float[Array, "*draws layers"]
    """λ_min(A_l)."""
    B_largest: Float[Array, "*draws layers"]
    """λ_max(B_l)."""
    B_smallest: Float[Array, "*draws layers"]
    """λ_min(B_l)."""


class UpperBounds(NamedTuple):
    """Bounds on κ from above, and their parts."""

    ratio_of_sums: Float[Array, "*draws"]
    """κ(Σ) Σ_l M_l / Σ_l μ_l, the same number as the convex combination κ(Σ) Σ_l γ_l κ_l."""
    loose: Float[Array, "*draws"]
    """κ(Σ) max_l κ_l."""
    layers: Float[Array, "*draws layers"]
    """κ_l, ``inf`` if μ_l = 0."""
    shares: Float[Array, "*draws layers"]
    """γ_l."""


class RayleighBound(NamedTuple):
    """A bound on κ from below, and the values between which the spectrum of Ĝ surely reaches."""

    ratio: Float[Array, ""]
    """largest/smallest ≤ κ."""
    largest: Float[Array, ""]
    """At most λ_max(Ĝ)."""
    smallest: Float[Array, ""]
    """At least λ_min(Ĝ)."""


def layer_extremes(weights: Sequence[ArrayLike], inputs: Covariance | None = None) -> LayerExtremes:
    """The extreme eigenvalues of A_l and B_l at each layer l, without the variances of the data.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I. Only the directions count.
    """
    return extremes_of(*fitting(weights, inputs))


def linear_bounds(weights: Sequence[ArrayLike], inputs: Covariance | None = None) -> UpperBounds:
    """The ratio of sums, and the looser maximum over layers.

    For L = 2, Σ = I and a width of at least min(d, k) the ratio of sums is κ, and the maximum is if
    κ_1 = κ_2. Narrower layers make Ĝ singular and both ``inf``, while κ is that of its non-zero
    part. The maximum is also ``inf`` if some hidden layer is narrower than the input or the output.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.
    """
    weights, inputs = in_units(*fitting(weights, inputs))
    ends = extremes_of(weights, inputs)
    return bounds_of(ends, 1.0 if inputs is None else data_condition(inputs))


def data_condition_number(inputs: Covariance) -> Float[Array, ""]:
    """κ(Σ) on the range of Σ, ``inf`` if a variance is zero."""
    return data_condition(*fitting_moment(inputs))


def linear_data_bounds(
    weights: Sequence[ArrayLike], inputs: Covariance
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """κ(Σ)/κ_white ≤ κ ≤ κ(Σ) κ_white, with κ_white that of the same weights on whitened data.

    The second is at least as sharp as the ratio of sums. Both need widths of at least min(s, k), so
    that Ĝ is not singular; where it is so none the less, they are 0 and ``inf``.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range.

    Raises:
        ValueError: if a layer is too narrow, or a variance is zero.
    """
    weights, inputs = fitting(weights, inputs)
    validation.positive("inputs.variances", inputs.variances)
    widths, data_rank = sizes(weights, inputs)
    least = min(data_rank, widths[-1])
    if min(widths) < least:
        raise ValueError(
            f"weights must have widths of at least {least}, so that Ĝ is not singular, got {widths}"
        )
    values = spectrum_of(*in_units(weights, white(inputs)))
    return _data_bounds(
        data_condition(inputs), spectra.pseudo_condition_number(values, len(values))
    )


def partial_trace_bound(factors: Factors) -> RayleighBound:
    """κ from below by the partial traces P_k = Σ_l A_l tr(C_l)/s and P_d = Σ_l C_l tr(A_l)/k.

    *Proof.* uᵀ P_k u is the mean of (u⊗e)ᵀ Ĝ (u⊗e) over an orthonormal basis of vectors e, hence
    between λ_min(Ĝ) and λ_max(Ĝ); likewise for P_d.

    The ratio is ``inf`` where the smallest value is not positive.
    """
    return _in_range(_partial_trace_bound, factors)


def product_vector_bound(factors: Factors) -> RayleighBound:
    """κ from below by product vectors: the extremes of (u⊗v)ᵀ Ĝ (u⊗v) over unit vectors u and v.

    For fixed v the best u is an eigenvector of Σ_l A_l vᵀ C_l v, for fixed u the best v one of
    Σ_l C_l uᵀ A_l u; the two alternate for 60 sweeps. They start at the top eigenvector of P_d (see
    :func:`partial_trace_bound`) for the maximum, at the lowest three for the minimum. However
    close to the extremes they come, each value is a Rayleigh quotient; for L = 2 the extremes are
    eigenvalues of Ĝ.

    Over draws use ``jax.lax.map``: a vectorised loop of eigenproblems is slow on a CPU. The ratio
    is ``inf`` where the smallest value is not positive.
    """
    return _in_range(_product_vector_bound, factors)


# What the modules of this package share


def extremes_of(weights, inputs=None):
    """:func:`layer_extremes` of weights that fit."""
    return extremes(*factors_in_range(weights, None if inputs is None else white(inputs)))


def extremes(A, B):
    """The :class:`LayerExtremes` of the factors A_l and B_l, for one network or many."""
    return LayerExtremes(*_ends(values_only(A)), *_ends(values_only(B)))


@numpy_if_known
def bounds_of(xp, ends, data):
    """The :class:`UpperBounds` from the extremes and κ(Σ), for one network or many."""
    M, mu = ends.A_largest * ends.B_largest, ends.A_smallest * ends.B_smallest
    layers, total = ratio(M, mu, xp), mu.sum(-1)
    shares = mu / xp.where(total > 0, total, 1)[..., None]
    return UpperBounds(data * ratio(M.sum(-1), total, xp), data * layers.max(-1), layers, shares)


def data_condition(inputs):
    """:func:`data_condition_number` of a second moment that fits."""
    return spectra.pseudo_condition_number(inputs.variances, len(inputs.variances))


@numpy_if_known
def _ends(xp, values):
    """The largest and smallest eigenvalue of each matrix, 0 for what may be rounding."""
    smallest, largest = values[..., 0], values[..., -1]
    floor = values.shape[-1] * xp.finfo(values.dtype).eps * xp.abs(values).max(axis=-1)
    return largest, xp.where(smallest > floor, smallest, 0)


@numpy_if_known
def _data_bounds(xp, data, white):
    return data / white, data * white


def _in_range(bound, factors):
    """A bound from below of factors in units of powers of two, so that its ratio is one at all."""
    factors = checked_factors(factors)
    ratio, *ends = _with_units(bound(*_in_units(factors)), factors)
    return RayleighBound(ratio, *validation.in_range("factors", factors, ends, vanishing=True))


@numpy_if_known
def _partial_trace_bound(xp, *factors):
    P_k, P_d = map(xp.linalg.eigvalsh, _partial_traces(xp, *factors))
    return _rayleigh_bound(xp, xp.maximum(P_k[-1], P_d[-1]), xp.minimum(P_k[0], P_d[0]))


@jit
def _product_vector_bound(A, C):
    _, P_d = _partial_traces(jnp, A, C)
    starts = jnp.linalg.eigh(P_d)[1].T
    lowest = jax.lax.map(lambda v: _alternate(A, C, v, 0), starts[:3])
    largest, smallest = _alternate(A, C, starts[-1], -1), lowest.min()
    return _rayleigh_bound(jnp, largest, smallest)


def _alternate(A, C, v, end):
    """The last quotient of the sweeps from v, towards the lowest (0) or highest (−1) eigenvalue."""

    def sweep(_, carry):
        v, _ = carry
        _, u = jnp.linalg.eigh(einsum("lab,lst,s,t->ab", A, C, v, v))
        values, v = jnp.linalg.eigh(einsum("lab,lst,a,b->st", A, C, u[:, end], u[:, end]))
        return v[:, end], values[end]

    return jax.lax.fori_loop(0, SWEEPS, sweep, (v, jnp.zeros((), A.dtype)))[1]


def _partial_traces(xp, A, C):
    k, s = A.shape[-1], C.shape[-1]
    return xp.einsum("lab,lss->ab", A, C) / s, xp.einsum("laa,lst->st", A, C) / k


def _rayleigh_bound(xp, largest, smallest):
    return RayleighBound(ratio(largest, smallest, xp), largest, smallest)


@numpy_if_known
def _in_units(xp, factors):
    return [part / binary_unit(xp, xp.abs(part).max()) for part in factors]


@numpy_if_known
def _with_units(xp, bound, factors):
    one, other = (binary_unit(xp, xp.abs(part).max()) for part in factors)
    return RayleighBound(bound.ratio, *(end * one * other for end in bound[1:]))
