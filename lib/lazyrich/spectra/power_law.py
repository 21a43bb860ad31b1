"""Power laws in the upper part of a spectrum: ρ(ℓ) ∝ ℓ^(−α) from a cut on."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.validation import ArrayLike

PROBES = 32  # eigenvalues from which the distance of a cut is bounded


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
        D_i = max_(j≥i) |1 − (ℓ_j/ℓ_i)^(1−α_i) − (j − i)/N|,

    and the answer is that of the smallest D_i. Without a least size of the tail it often is the
    fit to a few eigenvalues at the edge. Zeros below the cut are no obstacle; they are no cuts. If
    all eigenvalues above a cut are equal, then α_i = inf and D_i = 1 − 1/N: so a constant spectrum
    has the exponent ``inf``.

    The package `powerlaw` has the same α_i and D_i. Its default leaves out tails of two
    (``smallest_tail=3`` does so here) and prefers exponents up to 3 (``parameter_ranges={"alpha":
    [0, numpy.inf]}`` lifts that there); of equal eigenvalues it takes the first only as a cut.
    `weightwatcher` has the same cuts as here, for 20 eigenvalues or more. The sums are suffix sums
    of the gaps log(ℓ_(k+1)/ℓ_k), without cancellation. Few cuts are looked at in full, those whose
    distance at 32 of the eigenvalues leaves them a chance; the memory is that of 32 spectra.

    Args:
        eigenvalues: in any order, none negative, shape (…, d).
        smallest_tail: the fewest eigenvalues that count as a tail, from 2 to d.

    Raises:
        ValueError: if one is negative or not finite, or fewer than `smallest_tail` are positive.
            Where this is not known yet, under ``jit``, the exponent of such a spectrum is nan, the
            distance inf and the tail 0.
    """
    smallest = validation.whole("smallest_tail", smallest_tail, least=2)
    return fit_logarithms(jnp.log(ascending(eigenvalues, smallest)), smallest)


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
    return _sorted(values)


@numpy_if_known
def _sorted(xp, values):
    return xp.sort(values, axis=-1)


def hill_of_ascending(values: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """:func:`hill` of sorted eigenvalues."""
    return _hill(values)


@numpy_if_known
def _hill(xp, values):
    tail = values[..., values.shape[-1] // 2 :]
    zero = tail[..., 0] == 0
    logs = xp.log(xp.where(zero[..., None], xp.ones_like(tail), tail))
    total = (logs - logs[..., :1]).sum(axis=-1)
    return xp.where(zero, xp.ones_like(total), 1 + tail.shape[-1] / total)


@partial(jax.jit, static_argnames="smallest")
def fit_logarithms(logs: Float[Array, "*batch d"], smallest: int) -> PowerLawFit:
    """:func:`power_law_fit` to eigenvalues of which the logarithms are given, ascending."""
    if logs.ndim > 1:
        # One after the other: together, all would wait for the one that looks at most cuts.
        flat = logs.reshape(-1, logs.shape[-1])
        fits = jax.lax.map(lambda one: fit_logarithms(one, smallest), flat)
        return jax.tree.map(lambda of_all: of_all.reshape(logs.shape[:-1]), fits)
    sizes = len(logs) - jnp.arange(len(logs))
    usable = (logs > -jnp.inf) & (sizes >= smallest)
    logs = jnp.where(logs > -jnp.inf, logs, 0)
    rates = sizes / _excess(logs)
    cut, distance = _best_cut(logs, rates, usable)
    found = jnp.isfinite(distance)
    exponent = jnp.where(found, 1 + rates[cut], jnp.nan)
    return PowerLawFit(exponent, distance, jnp.where(found, sizes[cut], 0))


def _excess(logs):
    """Σ_(j≥i) log(ℓ_j/ℓ_i) for every cut i: the gap above each k ≥ i counts d − 1 − k times."""
    above = jnp.arange(len(logs) - 1, 0, -1)
    sums = jnp.cumsum((above * jnp.diff(logs))[::-1])[::-1]
    return jnp.append(sums, 0)


def _best_cut(logs, rates, usable):
    """The usable cut of smallest distance, and that distance: inf if there is none.

    A maximum over some j is a lower bound of the one over all. The cut of the lowest bound is
    looked at in full, again and again, until the lowest is no bound any more but a distance.
    """
    cuts, d = jnp.arange(len(logs)), len(logs)
    sizes = (d - cuts).astype(logs.dtype)
    # Equal eigenvalues have an infinite rate, and of these the model says nothing.
    slopes = jnp.where(jnp.isfinite(rates), rates, 0)

    def off(cut, j):
        model = 1 - jnp.exp(slopes[cut] * (logs[cut] - logs[j]))
        return jnp.abs(model - (j - cut).astype(logs.dtype) / sizes[cut])

    spread = cuts + jnp.arange(PROBES)[:, None] * (d - cuts) // PROBES
    bounds = jnp.where(
        usable, jnp.maximum(off(cuts, spread).max(axis=0), off(cuts, d - 1)), jnp.inf
    )

    def look(state):
        bounds, seen, _ = state
        cut = jnp.argmin(bounds)
        distance = jnp.where(cuts >= cut, off(cut, cuts), 0).max()
        return bounds.at[cut].max(distance), seen.at[cut].set(True), seen[cut]

    start = bounds, jnp.zeros(d, bool), jnp.array(False)
    bounds, _, _ = jax.lax.while_loop(lambda state: ~state[2], look, start)
    cut = jnp.argmin(bounds)
    return cut, bounds[cut]
