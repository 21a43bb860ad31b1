"""The Marchenko-Pastur law of a population with inverse-gamma variances: one with a heavy tail.

It is the spectrum of T^(1/2) X Xᵀ T^(1/2)/m for a d × m matrix X of independent entries with
variance 1, as d and m grow with r = d/m. The eigenvalues of the population T are τ = κ/g, with g
of the gamma law of shape κ; so E[1/τ] = 1. As κ → ∞ the law is that of Marchenko and Pastur, and
else its density falls as x^(−κ−1). With v the Stieltjes transform of the spectrum of XᵀTX/m,

    x = −1/v + r E[1/(g/κ + v)],  ρ(x) = Im v/(π r)  with Im v > 0,

and integration of v dx by parts gives the distribution

    r (1 − F(x)) = 1 − Im(x v + log v − r E log(1 + κ v/g))/π.

For an h × d matrix W it is the spectrum of WᵀW/h at r = d/h if the rows are independent, normal,
with the covariance T. If instead each row has a variance τ of its own, so that it is a sample of
Student's law, then the non-zero eigenvalues are d/h times those of the law at r = h/d.

Sources: Marchenko & Pastur, *Distribution of eigenvalues for some sets of random matrices*
(Math. USSR Sbornik 1, 1967) for the equation; for the rows of Student's law Biroli, Bouchaud &
Potters, *The Student ensemble of correlation matrices* (Acta Phys. Polon. B 38, 2007).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit, numpy_if_known
from lazyrich.spectra.goodness import (
    LikelihoodRatio,
    above_cut,
    against_power_law,
    kept_mean,
    valid_tail,
)
from lazyrich.spectra.power_law import ascending
from lazyrich.validation import ArrayLike

LIMITS = (0.5, 1e4)  # of κ; towards ½ the quadrature has fewer digits
NODES, DEPTH = 192, 24.0  # of the quadrature, and the logarithm of what it leaves out
HALVINGS, POLISHING = 24, 6  # Newton steps on the way to the real axis, and on it

# Where a fit looks: shapes, logarithms of x, the share of a law that must be above a cut.
KAPPAS, LOGARITHMS, SHARE = np.geomspace(0.5, 200, 24), np.arange(-8, 14, 1 / 32), 1e-6
STRIDE, FINER = 4, 9  # of the first look at logarithms, and places in the second
SMALLEST = 1e-13  # of densities, which have rounding errors


class InverseGammaFit(NamedTuple):
    """The law of an inverse-gamma population that is fitted to eigenvalues."""

    shape: Float[Array, "*batch"]
    """κ, from ½ to 200."""
    scale: Float[Array, "*batch"]
    """σ², the factor of the eigenvalues."""
    distance: Float[Array, "*batch"]
    """The Kolmogorov-Smirnov distance of the eigenvalues that the fit is to."""


def inverse_gamma_density(
    x: ArrayLike, ratio: ArrayLike, shape: ArrayLike
) -> Float[Array, "*shape"]:
    """ρ(x), zero for x ≤ 0; without the mass at zero of r > 1.

    Args:
        x: any numbers.
        ratio: r > 0; broadcasts against `x`.
        shape: κ, from ½ to 10⁴; broadcasts likewise.
    """
    x, ratio, shape = _border(x, ratio, shape)
    return _law(x, ratio, shape)[0]


def inverse_gamma_distribution(
    x: ArrayLike, ratio: ArrayLike, shape: ArrayLike
) -> Float[Array, "*shape"]:
    """The share F(x) of eigenvalues up to x, with the mass 1 − 1/r at zero of r > 1.

    Arguments as for :func:`inverse_gamma_density`.

    >>> [round(float(inverse_gamma_distribution(x, 0.5, 2.0)), 4) for x in (0.5, 1.0, 10.0)]
    [0.3078, 0.5046, 0.9782]
    """
    x, ratio, shape = _border(x, ratio, shape)
    return jnp.where(x < 0, 0, 1 - _law(x, ratio, shape)[1])


def inverse_gamma_fit(eigenvalues: ArrayLike, ratio: ArrayLike) -> InverseGammaFit:
    """The most likely κ and σ² of a whole spectrum, as if its eigenvalues were independent.

    On a grid of shapes from ½ to 200 and of scales, refined twice around the best.

    Args:
        eigenvalues: in any order, all positive, shape (…, d).
        ratio: r > 0, one number. For r > 1 the law is that of the non-zero eigenvalues.

    Raises:
        ValueError: if an eigenvalue is not positive or not finite. Where this is not known yet,
            under ``jit``, the answer then is nan.
    """
    values = validation.nonnegative("eigenvalues", eigenvalues, ndim=1)
    values = ascending(values, max(2, values.shape[-1]))
    ratio = validation.scalar("ratio", validation.positive("ratio", ratio)).astype(values.dtype)
    tail = jnp.full(values.shape[:-1], values.shape[-1], dtype=int)
    shape, scale = _fit(jnp.log(values), tail, ratio, False)
    _, above = _law(_over(values, scale), ratio, shape[..., None])
    return InverseGammaFit(*_with_distance(shape, scale, above, ratio))


def inverse_gamma_likelihood_ratio(
    eigenvalues: ArrayLike, tail: ArrayLike, ratio: ArrayLike
) -> LikelihoodRatio:
    """Vuong's test of a power law in the tail against that of an inverse-gamma population.

    As :func:`~lazyrich.spectra.goodness.likelihood_ratio`, with κ and σ² those of maximum
    likelihood in the tail: the density over the share of the law above the cut, which is 10⁻⁶ at
    least. As σ² → 0 that is a power law of exponent κ + 1. So, as with the log-normal law, a power
    law never wins; where it is the most likely of all, R = 0 and p = 1.

    Args:
        eigenvalues: in any order, none negative, shape (…, d).
        tail: the number N of the largest that are the tail, from 2 to d; broadcasts against the
            leading axes.
        ratio: r > 0, one number.

    Raises:
        ValueError: if an eigenvalue is negative or not finite, or those of a tail are equal or not
            all positive. Where this is not known yet, under ``jit``, the answer then is nan.
    """
    values = ascending(eigenvalues)
    tail, values = valid_tail(tail, values)
    ratio = validation.scalar("ratio", validation.positive("ratio", ratio)).astype(values.dtype)
    logs = jnp.log(values)
    shape, scale = _fit(logs, tail.astype(int), ratio, True)
    y, kept = above_cut(logs, tail)
    cut = jnp.take_along_axis(values, values.shape[-1] - tail[..., None], axis=-1)
    x = cut / scale[..., None] * jnp.exp(y)
    density, above = _law(x, ratio, shape[..., None])
    other = jnp.log(jnp.maximum(density * x, SMALLEST)) - jnp.log(above[..., :1])
    nested = kept_mean(other, kept) <= -1 - jnp.log(kept_mean(y, kept))
    return against_power_law(y, kept, other, nested)


@numpy_if_known
def _over(xp, values, scale):
    return values / scale[..., None]


@numpy_if_known
def _with_distance(xp, shape, scale, above, ratio):
    """A fit, and the distance of the share above each eigenvalue from the steps of the sample."""
    below = 1 - above / xp.minimum(1, 1 / ratio)
    steps = xp.arange(below.shape[-1] + 1) / below.shape[-1]
    distance = xp.maximum(steps[1:] - below, below - steps[:-1]).max(axis=-1).astype(scale.dtype)
    known = xp.isfinite(scale)
    return xp.where(known, shape, xp.nan), scale, xp.where(known, distance, xp.nan)


def _border(x, ratio, shape):
    x, ratio = validation.floating("x", x), validation.positive("ratio", ratio)
    shape = validation.between("shape", shape, *LIMITS)
    validation.broadcasting(x=x, ratio=ratio, shape=shape)
    return x, validation.in_precision("ratio", ratio, x.dtype), shape.astype(x.dtype)


@jit
def _law(x, ratio, shape):
    """Density and the share above x, which for x ≤ 0 is that of the eigenvalues above zero."""
    positive = x > 0
    x, ratio, shape = jnp.broadcast_arrays(jnp.where(positive, x, 1), ratio, shape)
    g, weights = _gamma_rule(shape)
    v = _stieltjes(x, ratio, g, weights)
    logarithm = (weights * jnp.log1p(v[..., None] / g)).sum(axis=-1)
    area = (x * v + jnp.log(v) - ratio * logarithm).imag / jnp.pi
    density = jnp.where(positive, v.imag / (jnp.pi * ratio), 0)
    share = jnp.where(positive, (1 - area) / ratio, jnp.minimum(1, 1 / ratio))
    return density, jnp.clip(share, 0, jnp.minimum(1, 1 / ratio))


def _gamma_rule(shape):
    """Nodes g/κ and weights for means over g, by the trapezoidal rule in log g.

    Turned into the upper half-plane, since means of 1/(g/κ + v) have their pole just below the
    positive axis. The angle is such that the weights oscillate little.
    """
    k = shape[..., None]
    angle = jnp.minimum(0.8, k**-0.5)
    left = DEPTH / k + jnp.sqrt(2 * DEPTH / k)
    right = jnp.log1p(left)
    logs = -left + (left + right) * jnp.linspace(0, 1, NODES, dtype=k.dtype) + 1j * angle
    g = jnp.exp(logs)
    density = jnp.exp(k * (logs - g + jnp.log(k)) - gammaln(k))
    return g, density * (left + right) / (NODES - 1)


def _stieltjes(x, ratio, g, weights):
    """The transform v at x + i0, by Newton's method in log v while x + iη comes down to the axis.

    Where the density is zero there is no solution above the axis, and v is 1.
    """

    def step(v, z):
        once = 1 / (g + v[..., None])
        first, second = ((weights * once**p).sum(axis=-1) for p in (1, 2))
        return v * jnp.exp((z + 1 / v - ratio * first) / (1 / v - ratio * second * v))

    top = 8 * jnp.maximum(x, 1)
    v = -1 / (x + 1j * top)
    v = jax.lax.fori_loop(0, HALVINGS, lambda i, v: step(v, x + 1j * top * 0.5**i), v)
    v = jax.lax.fori_loop(0, POLISHING, lambda _, v: step(v, x + 0j), v)
    near = jnp.abs(step(v, x + 0j) / v - 1) < jnp.finfo(x.dtype).eps ** 0.5
    return jnp.where(near, v.real + 1j * jnp.maximum(v.imag, 0), 1)


@jit
def _fit(logs, tail, ratio, conditional):
    """The most likely κ and σ² of the `tail` largest, with or without the cut below them."""
    y, kept = above_cut(logs, tail)
    y = jnp.where(conditional, y, logs - logs.mean(axis=-1, keepdims=True))
    shapes = jnp.log(jnp.asarray(KAPPAS, logs.dtype))
    u = jnp.asarray(LOGARITHMS, logs.dtype)

    def table(shape):
        """Log-densities of log x, and with the log-share that is to be taken off."""
        x = jnp.exp(u)
        density, above = _law(x, ratio, jnp.exp(shape))
        given = jnp.where(
            conditional, jnp.where(above < SHARE, 0, above), jnp.minimum(1, 1 / ratio)
        )
        return jnp.log(jnp.maximum(density * x, SMALLEST)), jnp.log(given)

    def likelihoods(table, y, kept, starts):
        """With the zero of y at such places among the logarithms of x."""
        log_density, log_given = table
        places = y / (u[1] - u[0]) + starts[:, None]
        inside = ((places >= 0) & (places <= len(u) - 1) | ~kept).all(axis=-1)
        total = jnp.where(kept, _cubic(log_density, places), 0).sum(axis=-1)
        total = total - kept.sum(axis=-1) * _cubic(log_given, starts)
        return jnp.where(inside & jnp.isfinite(total), total, -jnp.inf)

    def highest(table, y, kept):
        """Where one spectrum is most likely, and its likelihood there."""
        coarse = jnp.arange(0, len(u), STRIDE).astype(u.dtype)
        best = coarse[jnp.argmax(likelihoods(table, y, kept, coarse))]
        starts = best + STRIDE * jnp.linspace(-1, 1, FINER, dtype=u.dtype)
        place, height = _top(likelihoods(table, y, kept, starts))
        return jnp.interp(place, jnp.arange(FINER), starts), height

    tables = jax.vmap(table)(shapes)

    def most_likely(spectrum):
        best = jnp.argmax(jax.lax.map(lambda one: highest(one, *spectrum)[1], tables))
        near = best + jnp.linspace(-1, 1, FINER, dtype=u.dtype)
        finer = jnp.interp(near, jnp.arange(len(shapes)), shapes)
        heights = jax.lax.map(lambda shape: highest(table(shape), *spectrum)[1], finer)
        shape = jnp.interp(_top(heights)[0], jnp.arange(FINER), finer)
        start, _ = highest(table(shape), *spectrum)
        return jnp.exp(shape), jnp.interp(start, jnp.arange(len(u)), u)

    flat = (a.reshape(-1, logs.shape[-1]) for a in (y, kept))
    shape, start = (a.reshape(tail.shape) for a in jax.lax.map(most_likely, tuple(flat)))
    return shape, jnp.exp((logs - y)[..., -1] - start)


def _cubic(values, places):
    """Values between those at 0, 1, …, by the cubic through the four nearest."""
    low = jnp.clip(jnp.floor(places).astype(int), 1, len(values) - 3)
    t = places - low
    weights = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    return sum(weight * values[low + k - 1] for k, weight in enumerate(weights))


def _top(values):
    """Place and height of the top of the parabola through the largest and its neighbours."""
    best = jnp.argmax(values)
    middle = jnp.clip(best, 1, len(values) - 2)
    left, center, right = (values[middle + k] for k in (-1, 0, 1))
    slope, bend = (right - left) / 2, left - 2 * center + right
    inside = (best == middle) & jnp.isfinite(bend) & (bend < 0)
    shift = jnp.where(inside, -slope / bend, 0)
    return (
        jnp.where(inside, middle + shift, best),
        jnp.where(inside, center + slope * shift / 2, values[best]),
    )
