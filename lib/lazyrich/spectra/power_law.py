"""Power laws in the upper part of a spectrum: ρ(ℓ) ∝ ℓ^(−α) from a cut on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.validation import ArrayLike


class PowerLawFit(NamedTuple):
    """A power law fitted to the largest eigenvalues."""

    exponent: Float[Array, "*batch"]
    """α."""
    distance: Float[Array, "*batch"]
    """D, the Kolmogorov-Smirnov distance from there on."""
    tail: Int[Array, "*batch"]
    """How many eigenvalues the fit is to, with that at the cut."""


def hill(eigenvalues: ArrayLike) -> Float[Array, "*batch"]:
    """Hill's estimate of the exponent, cut at the median.

        α = 1 + N/Σ_(j≥i) log(ℓ_j/ℓ_i),  i = ⌊d/2⌋,  N = d − i,

    where ℓ_0 ≤ … ≤ ℓ_(d−1): the term of the cut itself, which is zero, counts in N. It is ``inf``
    if all eigenvalues from the cut on are equal, and 1, its limit, if that at the cut is zero.

    Args:
        eigenvalues: in any order, none negative, shape (…, d).

    Raises:
        ValueError: if one is negative or not finite, or none is positive. Where this is not known
            yet, under ``jit``, the answer is nan, or of zeros alone 1.

    >>> round(float(hill(jnp.array([0.0, 0.0, 1.0, jnp.e]))), 9)
    3.0
    """
    return hill_of_ascending(ascending(eigenvalues))


def power_law_fit(eigenvalues: ArrayLike, smallest_tail: int = 2) -> PowerLawFit:
    """The power law above the cut from which on it fits best.

    For each cut i, with N = d − i eigenvalues from there on,

        α_i = 1 + N/Σ_(j≥i) log(ℓ_j/ℓ_i),
        D_i = max_(j≥i) |(d − j)/N − (ℓ_j/ℓ_i)^(1−α_i)|,

    and the answer is that of the smallest D_i. Without a least size of the tail it often is the
    fit to a few eigenvalues at the edge. Zeros below the cut are no obstacle; they are no cuts. If
    all eigenvalues above a cut are equal, then α_i = inf and D_i = 1 − 1/N: so a constant spectrum
    has the exponent ``inf``.

    The package `powerlaw` has the same α_i and D_i. Its default leaves out tails of two
    (``smallest_tail=3`` does so here) and prefers exponents up to 3 (``parameter_ranges={"alpha":
    [0, numpy.inf]}`` lifts that there); of equal eigenvalues it takes the first only as a cut.
    `weightwatcher` has the same cuts as here, for 20 eigenvalues or more. The sums are suffix sums
    of the gaps log(ℓ_(k+1)/ℓ_k), without cancellation. A dozen cuts are looked at in full, since
    what is wrong with one is wrong with others; time and memory grow as d.

    Args:
        eigenvalues: in any order, none negative, shape (…, d).
        smallest_tail: the fewest eigenvalues that count as a tail, from 2 to d.

    Raises:
        ValueError: if one is negative or not finite, or fewer than `smallest_tail` are positive.
            Where this is not known yet, under ``jit``, the exponent of such a spectrum is nan, the
            distance inf and the tail 0.
    """
    smallest = validation.whole("smallest_tail", smallest_tail, least=2)
    return fit_logarithms(logarithms(ascending(eigenvalues, smallest)), smallest)


def ascending(eigenvalues: ArrayLike, positive: int = 1) -> Float[Array, "*batch n"]:
    """Sorted eigenvalues, none negative, of which each spectrum has `positive` above zero.

    Under ``jit``, where that is not known yet, a spectrum with a negative number, inf or nan
    becomes one of nan alone.
    """
    values = validation.nonnegative("eigenvalues", eigenvalues, ndim=1)
    least = values.shape[-1]
    if isinstance(values, jax.core.Tracer):
        sound = ((values >= 0) & (values < jnp.inf)).all(axis=-1, keepdims=True)
        values = jnp.where(sound, values, jnp.nan)
    else:
        least = np.count_nonzero(values, axis=-1).min(initial=least)
    if least < positive:
        raise ValueError(
            f"eigenvalues must hold at least {positive} positive numbers a spectrum, got {least}"
        )
    return in_order(values)


def in_order(values: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """`values`, ascending."""
    return _in_order(values)


@numpy_if_known
def _in_order(xp, values):
    return xp.sort(values, axis=-1)


def hill_of_ascending(values: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """:func:`hill` of sorted eigenvalues."""
    return _hill(values)


def hill_of_sorted(xp, values):
    """:func:`hill` of sorted eigenvalues, in the operations of ``xp``."""
    tail = values[..., values.shape[-1] // 2 :]
    zero = tail[..., 0] == 0
    logs = xp.log(xp.where(zero[..., None], xp.ones_like(tail), tail))
    total = (logs - logs[..., :1]).sum(axis=-1)
    return xp.where(zero, xp.ones_like(total), 1 + tail.shape[-1] / total)


_hill = numpy_if_known(hill_of_sorted)


def logarithms(values: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Logarithms of eigenvalues, −∞ of zero."""
    return _logarithms(values)


@numpy_if_known
def _logarithms(xp, values):
    return xp.log(values)


def fit_logarithms(logs: Float[Array, "*batch d"], smallest: int) -> PowerLawFit:
    """:func:`power_law_fit` to eigenvalues of which the logarithms are given, ascending."""
    return _fit(logs, smallest=smallest)


@numpy_if_known
def _fit(xp, logs, *, smallest):
    d = logs.shape[-1]
    cuts = xp.broadcast_to(xp.arange(d), logs.shape)
    usable = (logs > -xp.inf) & (cuts <= d - smallest)
    logs = xp.where(logs > -xp.inf, logs, 0)
    rates = (d - cuts).astype(logs.dtype) / _excess(xp, logs)
    cut, distance = _best_cut(xp, logs, rates, usable)
    found = xp.isfinite(distance)
    exponent = xp.where(found, 1 + xp.take_along_axis(rates, cut, axis=-1), xp.nan)
    of_all = exponent, distance, xp.where(found, d - cut, 0)
    return PowerLawFit(*(one[..., 0] for one in of_all))


def _excess(xp, logs):
    """Σ_(j≥i) log(ℓ_j/ℓ_i) for every cut i: the gap above each k ≥ i counts d − 1 − k times."""
    gaps = xp.diff(logs)
    above = xp.broadcast_to(xp.arange(gaps.shape[-1], 0, -1), gaps.shape)
    terms = above.astype(logs.dtype) * gaps
    # In double precision where there is one: a running sum rounds at each of its terms.
    sums = xp.cumsum(terms[..., ::-1], axis=-1, dtype=float)[..., ::-1].astype(logs.dtype)
    return xp.concatenate([sums, xp.zeros_like(logs[..., :1])], axis=-1)


def _best_cut(xp, logs, rates, usable):
    """The usable cut of smallest distance, and that distance: inf if there is none.

    What is off at one eigenvalue is a lower bound of the distance. The cut of the lowest bound is
    looked at in full. Where it is farthest off, others are too: at this eigenvalue, or at that
    with the same share of their tail below it. This raises their bounds. So again and again, until
    the lowest is no bound any more but a distance.
    """
    d = logs.shape[-1]
    cuts = xp.broadcast_to(xp.arange(d), logs.shape)
    sizes = (d - cuts).astype(logs.dtype)
    # Equal eigenvalues have an infinite rate, and of these the model says nothing.
    slopes = xp.where(xp.isfinite(rates), rates, 0)

    def at(values, places):
        return values if places is cuts else xp.take_along_axis(values, places, axis=-1)

    def off(cut, j):
        law = xp.exp(at(slopes, cut) * (at(logs, cut) - at(logs, j)))
        return xp.where(j >= cut, xp.abs(at(sizes, j) / at(sizes, cut) - law), 0)

    def look(state):
        bounds, _ = state
        cut = xp.argmin(bounds, axis=-1, keepdims=True)
        here = off(cut, cuts)
        worst = xp.argmax(here, axis=-1, keepdims=True)
        distance, bound = at(here, worst), at(bounds, cut)
        share = (worst - cut).astype(logs.dtype) / at(sizes, cut)
        alike = cuts + (share * sizes).astype(cuts.dtype)
        bounds = xp.maximum(bounds, xp.maximum(off(cuts, worst), off(cuts, alike)))
        bounds = xp.where(cuts == cut, xp.maximum(bounds, distance), bounds)
        return bounds, distance > bound

    start = xp.where(usable, xp.zeros_like(logs), xp.inf), xp.ones_like(usable[..., :1])
    repeat = _while if xp is np else jax.lax.while_loop
    bounds, _ = repeat(lambda state: state[1].any(), look, start)
    cut = xp.argmin(bounds, axis=-1, keepdims=True)
    return cut, at(bounds, cut)


def _while(unfinished, step, state):
    """:func:`jax.lax.while_loop` in NumPy."""
    while unfinished(state):
        state = step(state)
    return state
