"""Is the tail of a spectrum a power law? A bootstrap of its distance, and likelihood ratios."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax.scipy.special import erfc, log_ndtr
from jaxtyping import Array, Bool, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import jit, numpy_if_known
from lazyrich.spectra.power_law import (
    PowerLawFit,
    ascending,
    fit_logarithms,
    in_order,
    logarithms,
)
from lazyrich.validation import ArrayLike

ALTERNATIVES = ("log-normal", "exponential")
"""What :func:`likelihood_ratio` compares a power law with."""

AT_ONCE = 2**20  # numbers in the replicas that are drawn and fitted together

# Of the truncated normal law: where its moments are taken by quadrature, and the limits of a.
LAGUERRE, NODES = 5.0, 32
LOWEST, HIGHEST, BISECTIONS = -1e7, 1e4, 80


class Goodness(NamedTuple):
    """How well a power law fits, in comparison with samples of it."""

    p_value: Float[Array, "*batch"]
    """The share of replicas that are at least as far from their fit."""
    fit: PowerLawFit
    """The fit to the spectrum itself."""


class LikelihoodRatio(NamedTuple):
    """A comparison of a power law with another law."""

    ratio: Float[Array, "*batch"]
    """R, positive if the power law is more likely."""
    p_value: Float[Array, "*batch"]
    """Two-sided, for R = 0."""


def power_law_goodness(
    key: jax.Array, eigenvalues: ArrayLike, replicas: int = 1000, smallest_tail: int = 2
) -> Goodness:
    """The semiparametric bootstrap p-value of a power-law fit, after Clauset, Shalizi & Newman.

    A replica has as many eigenvalues as the spectrum. Each is drawn from the fitted power law with
    the probability N/d of the tail, and otherwise from the eigenvalues below the cut. The fit is
    repeated for each replica, choice of the cut included, and p is the share of replicas whose
    distance is at least that of the spectrum; its standard error is √(p (1 − p)/replicas). A small
    p speaks against a power law.

    Draws are independent while eigenvalues of random matrices repel each other, which makes their
    distances smaller: so a large p says less of a spectrum than of independent data. Where the
    exponent is ``inf``, as of a constant spectrum, there is nothing to draw and p is nan.

    Source: Clauset, Shalizi & Newman, *Power-law distributions in empirical data* (SIAM Review 51,
    2009), section 4.1.

    Args:
        key: of the draws.
        eigenvalues: in any order, none negative, shape (…, d).
        replicas: their number. Some are drawn and fitted at a time, about a million numbers.
        smallest_tail: as in :func:`~lazyrich.spectra.power_law.power_law_fit`.

    Raises:
        ValueError: as there.
    """
    key = validation.random_key("key", key)
    smallest = validation.whole("smallest_tail", smallest_tail, least=2)
    replicas = validation.whole("replicas", replicas, least=1)
    logs = logarithms(ascending(eigenvalues, smallest))
    fit = fit_logarithms(logs, smallest)
    parts = min(replicas, 1 + replicas * logs.size // AT_ONCE)
    keys = [key] if parts == 1 else jax.random.split(key, parts)
    drawn = (_replicas(one, logs, fit, math.ceil(replicas / parts)) for one in keys)
    distances = [fit_logarithms(in_order(each), smallest).distance for each in drawn]
    return Goodness(_share_farther(distances, fit, replicas=replicas), fit)


def likelihood_ratio(eigenvalues: ArrayLike, tail: ArrayLike, alternative: str) -> LikelihoodRatio:
    """Vuong's test of a power law in the tail against a law with as much freedom or more.

        R = √N mean(δ)/std(δ),  p = erfc(|R|/√2),

    with δ_j the difference of the log-likelihoods of ℓ_j, power law minus alternative. Both laws
    begin at the cut, the smallest eigenvalue of the tail, and have maximum likelihood.

    The log-normal law is that of y = log(ℓ/cut) normal, given y ≥ 0, and its closure holds the
    power law, y exponential. For mean(y²) ≥ 2 mean(y)² that limit is the most likely of all: then
    R = 0 and p = 1, and else R < 0. So a power law never wins against it, and only p tells.

    Source: Vuong, *Likelihood ratio tests for model selection and non-nested hypotheses*
    (Econometrica 57, 1989). The package `powerlaw` has the same test as ``distribution_compare``
    with ``normalized_ratio=True``, and finds the log-normal law by a search, which does not end
    well where the limit is the most likely.

    Args:
        eigenvalues: in any order, none negative, shape (…, d).
        tail: the number N of the largest that are the tail, from 2 to d; broadcasts against the
            leading axes.
        alternative: ``"log-normal"`` or ``"exponential"``.

    Raises:
        ValueError: if an eigenvalue is negative or not finite, or those of a tail are equal or not
            all positive. Where this is not known yet, under ``jit``, the answer then is nan.
    """
    validation.one_of("alternative", alternative, ALTERNATIVES)
    values = ascending(eigenvalues)
    tail, values = valid_tail(tail, values)
    return _likelihood_ratio(logarithms(values), tail, alternative)


def valid_tail(
    tail: ArrayLike, values: Float[Array, "..."]
) -> tuple[Int[Array, "*batch"], Float[Array, "*batch d"]]:
    """How many of each spectrum are its tail; there they are positive and not all equal."""
    tail, d = jnp.asarray(validation.kind("tail", tail, "integers")), values.shape[-1]
    validation.broadcasting(tail=tail, spectra=values[..., 0])
    batch = jnp.broadcast_shapes(tail.shape, values.shape[:-1])
    tail, values = jnp.broadcast_to(tail, batch), jnp.broadcast_to(values, (*batch, d))
    if not isinstance(tail, jax.core.Tracer):
        wrong = np.asarray((tail < 2) | (tail > d))
        if wrong.any():
            raise ValueError(f"tail must be from 2 to {d}, got {np.asarray(tail)[wrong][0]}")
        if not isinstance(values, jax.core.Tracer):
            cut = np.take_along_axis(np.asarray(values), d - np.asarray(tail)[..., None], axis=-1)
            if not ((cut > 0) & (cut < values[..., -1:])).all():
                raise ValueError("eigenvalues of a tail must be positive and differ, got some not")
    return tail, values


@jit(static_argnames="replicas")
def _replicas(key, logs, fit, replicas):
    """Logarithms of replicas of a spectrum, in any order, shape (replicas, …, d)."""
    d, shape = logs.shape[-1], (replicas, *logs.shape)
    logs, tail, exponent = logs[None], fit.tail[None, ..., None], fit.exponent[None, ..., None]
    below = d - tail
    first, second, third = jax.random.split(key, 3)
    in_tail = jax.random.randint(first, shape, 0, d) < tail
    places = jax.random.randint(second, shape, 0, jnp.maximum(below, 1))
    body = jnp.take_along_axis(jnp.broadcast_to(logs, shape), places, axis=-1)
    cut = jnp.take_along_axis(logs, jnp.minimum(below, d - 1), axis=-1)
    drawn = cut + jax.random.exponential(third, shape, logs.dtype) / (exponent - 1)
    return jnp.where(in_tail, drawn, body)


@numpy_if_known
def _share_farther(xp, distances, fit, *, replicas):
    distances = xp.concatenate(distances)[:replicas]
    farther = (distances >= fit.distance[None]).mean(axis=0, dtype=distances.dtype)
    return xp.where(xp.isfinite(fit.exponent), farther, xp.nan)


@jit
def above_cut(
    logs: Float[Array, "*batch d"], tail: Int[Array, "*batch"]
) -> tuple[Float[Array, "*batch d"], Bool[Array, "*batch d"]]:
    """Excesses y = log(ℓ/cut) of ascending eigenvalues, zero below the cut; who is above it."""
    start = logs.shape[-1] - tail[..., None]
    kept = jnp.broadcast_to(jnp.arange(logs.shape[-1]), logs.shape) >= start
    return jnp.where(kept, logs - jnp.take_along_axis(logs, start, axis=-1), 0), kept


@jit
def kept_mean(
    values: Float[Array, "*batch d"], kept: Bool[Array, "*batch d"]
) -> Float[Array, "*batch 1"]:
    """Means over those that are kept, on an axis of length one."""
    number = kept.sum(axis=-1, keepdims=True).astype(values.dtype)
    return jnp.where(kept, values, 0).sum(axis=-1, keepdims=True) / number


@jit
def against_power_law(
    y: Float[Array, "*batch d"],
    kept: Bool[Array, "*batch d"],
    other: Float[Array, "*batch d"],
    nested: Bool[Array, "*batch 1"],
) -> LikelihoodRatio:
    """Vuong's test against a law of log-likelihoods `other`; where `nested` it is the power law.

    As densities of y, since the change of variables is the same for all laws.
    """
    mean, N = partial(kept_mean, kept=kept), kept.sum(axis=-1).astype(y.dtype)
    difference = -y / mean(y) - jnp.log(mean(y)) - other
    center = mean(difference)
    spread = jnp.sqrt(mean((difference - center) ** 2))
    ratio = jnp.where(nested, 0, center / jnp.where(nested, 1, spread))[..., 0] * jnp.sqrt(N)
    return LikelihoodRatio(ratio, erfc(jnp.abs(ratio) / 2**0.5))


@jit(static_argnames="alternative")
def _likelihood_ratio(logs, tail, alternative):
    y, kept = above_cut(logs, tail)
    mean = partial(kept_mean, kept=kept)
    if alternative == "exponential":
        # Of what lies too far above the cut for e^y, in units of a power of e.
        far = jnp.maximum(y.max(axis=-1, keepdims=True) - np.log(jnp.finfo(y.dtype).max) / 2, 0)
        over = jnp.where(far > 0, jnp.exp(y - far) - jnp.exp(-far), jnp.expm1(y))
        other = y - over / mean(over) - jnp.log(mean(over)) - far
        nested = jnp.zeros_like(mean(y), bool)
    else:
        other, nested = _log_normal(y, mean(y), mean(y**2))
    return against_power_law(y, kept, other, nested)


def _log_normal(y, first, second):
    """Log-likelihoods of y ≥ 0, normal with mean −a σ and deviation σ; whether a is infinite.

    With I_k(a) = ∫_0^∞ s^k exp(−a s − s²/2) ds the density is exp(−a y/σ − y²/(2σ²))/(σ I_0), an
    exponential family: it is most likely where it has the mean and the mean square of the data,
    first = σ I_1/I_0 and second = σ² I_2/I_0. The ratio second/first² rises from 1 to 2 with a.
    """
    wanted = second / first**2

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        _, mean, square = _moments(jnp.sinh(middle))
        beyond = square / mean**2 >= wanted
        return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

    ends = (jnp.full_like(wanted, np.arcsinh(end)) for end in (LOWEST, HIGHEST))
    a = jnp.sinh(sum(jax.lax.fori_loop(0, BISECTIONS, halve, tuple(ends))) / 2)
    log_normaliser, mean, _ = _moments(a)
    scaled = y * mean / first
    return -scaled * (a + scaled / 2) - jnp.log(first / mean) - log_normaliser, wanted >= 2


def _moments(a):
    """The logarithm of I_0, and I_1/I_0 and I_2/I_0."""
    small = jnp.minimum(a, LAGUERRE)
    log_normaliser = small**2 / 2 + math.log(2 * math.pi) / 2 + log_ndtr(-small)
    mean = jnp.exp(-log_normaliser) - small
    by_parts = log_normaliser, mean, 1 - small * mean
    # There the terms cancel: I_k = a^(−k−1) ∫_0^∞ t^k exp(−t − t²/(2a²)) dt instead.
    large = jnp.maximum(a, LAGUERRE)
    t, weights = (jnp.asarray(x, a.dtype) for x in scipy.special.roots_laguerre(NODES))
    weighted = weights * jnp.exp(-((t / large[..., None]) ** 2) / 2)
    total, once, twice = ((weighted * t**k).sum(axis=-1) for k in range(3))
    quadrature = (
        jnp.log(total / large),
        once / total / large,
        twice / total / large**2,
    )
    return tuple(jnp.where(a < LAGUERRE, *pair) for pair in zip(by_parts, quadrature, strict=True))
