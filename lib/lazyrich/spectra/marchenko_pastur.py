"""The Marchenko-Pastur law: the spectrum of large matrices of independent entries.

For a d × m matrix X of independent entries with variance 1 it is the limit of the spectrum of
X Xᵀ/m as d and m grow with r = d/m:

    ρ(x) = √((b − x)(x − a))/(2π r x) on [a, b],  a, b = (1 ∓ √r)²,

and for r > 1 also a mass 1 − 1/r at zero. So for an h × d matrix W of such entries it is the
spectrum of WᵀW/h at r = d/h. All functions but :func:`marchenko_pastur_edges` have σ² = 1; the law
of variance σ² is that of σ² x.

With x = 1 + r − 2 √r cos θ the interval becomes 0 ≤ θ ≤ π, and the law for r ≤ 1

    ρ dx = (2/π) sin²θ/(1 + r − 2 √r cos θ) dθ,

without the roots at the edges. Larger ratios are led back to 1/r: X Xᵀ/m and XᵀX/d differ by the
factor r = d/m and by zeros, so that F_r(x) = 1 − 1/r + F_(1/r)(x/r)/r.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.validation import ArrayLike

NODES = 64  # of the quadrature, whose error is then rounding for all r
BISECTIONS = 60
TRACY_WIDOM_MEAN = -1.2065335745820  # of real matrices


def marchenko_pastur_edges(
    ratio: ArrayLike, variance: ArrayLike = 1.0
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """The lower and upper edge σ² (1 ∓ √r)² of the Marchenko-Pastur law.

    It is the spectrum of X Xᵀ/m for a d × m matrix X of independent entries with variance σ², as
    d and m grow with r = d/m. For r > 1 the edges are those of its non-zero part; the rest of the
    eigenvalues, a share 1 − 1/r, is zero.

    Args:
        ratio: r > 0.
        variance: σ² > 0.
    """
    ratio = validation.positive("ratio", ratio)
    variance = validation.positive("variance", variance)
    validation.broadcasting(ratio=ratio, variance=variance)
    return validation.in_range("variance", variance, _edges(ratio, variance))


def edges(xp, ratio, variance=1.0):
    """:func:`marchenko_pastur_edges` of checked numbers, in the operations of ``xp``."""
    root = xp.sqrt(ratio)
    return variance * (1 - root) ** 2, variance * (1 + root) ** 2


_edges = numpy_if_known(edges)


def largest_eigenvalue_mean(rows: int, columns: int) -> float:
    """E λ_max of WᵀW for a matrix of independent normal entries of variance 1.

    Of finite size it lies within the edge (√h + √d)², by the Tracy-Widom law (Johnstone 2001):

        μ + σ · E TW_1,   μ = (√(h−1) + √d)²,   σ = √μ · (1/√(h−1) + 1/√d)^⅓,

    with E TW_1 = −1.2065.

    Args:
        rows: h, at least 2.
        columns: d.

    >>> round(largest_eigenvalue_mean(450, 300))
    1461
    """
    rows = validation.whole("rows", rows, least=2)
    columns = validation.whole("columns", columns, least=1)
    one, other = (rows - 1) ** 0.5, columns**0.5
    spread = (one + other) * (1 / one + 1 / other) ** (1 / 3)
    return (one + other) ** 2 + spread * TRACY_WIDOM_MEAN


def marchenko_pastur_density(x: ArrayLike, ratio: ArrayLike) -> Float[Array, "*shape"]:
    """ρ(x), zero outside the edges and on them; without the mass at zero of r > 1.

    Args:
        x: any numbers.
        ratio: r > 0; broadcasts against `x`.
    """
    x, ratio = validation.floating("x", x), validation.positive("ratio", ratio)
    validation.broadcasting(x=x, ratio=ratio)
    return _density(x, ratio)


@numpy_if_known
def _density(xp, x, ratio):
    low, high = (1 - xp.sqrt(ratio)) ** 2, (1 + xp.sqrt(ratio)) ** 2
    inside = (low < x) & (x < high)
    root = xp.sqrt(xp.where(inside, (high - x) * (x - low), 0))
    return root / (2 * np.pi * ratio * xp.where(inside, x, 1))


def marchenko_pastur_distribution(x: ArrayLike, ratio: ArrayLike) -> Float[Array, "*shape"]:
    """The share F(x) of eigenvalues up to x, in closed form.

        F = [θ + sin θ/√r − (1/r − 1) arctan(√r sin θ/(1 − √r cos θ))]/π  for r ≤ 1.

    Division of 4 r sin²θ = −(1 − r)² + 2 (1 + r) D − D² by D = 1 + r − 2 √r cos θ makes the law a
    constant, a cosine and a multiple of 1/D, whose integral is (θ + 2 arctan(…))/(1 − r).

    Args:
        x: any numbers.
        ratio: r > 0; broadcasts against `x`.

    >>> [round(float(marchenko_pastur_distribution(x, 1.0)), 4) for x in (0.0, 1.0, 4.0)]
    [0.0, 0.609, 1.0]
    """
    x, ratio = validation.floating("x", x), validation.positive("ratio", ratio)
    validation.broadcasting(x=x, ratio=ratio)
    return _distribution(x, ratio)


def marchenko_pastur_quantile(probability: ArrayLike, ratio: ArrayLike) -> Float[Array, "*shape"]:
    """The smallest x ≥ 0 with F(x) ≥ p, by bisection in θ.

    It is 0 up to the mass at zero, p ≤ 1 − 1/r.

    Args:
        probability: p, from 0 to 1.
        ratio: r > 0; broadcasts against `probability`.
    """
    p = validation.between("probability", probability, 0, 1)
    ratio = validation.positive("ratio", ratio)
    validation.broadcasting(probability=p, ratio=ratio)
    return _quantile(p, ratio)


def marchenko_pastur_median(ratio: ArrayLike) -> Float[Array, "*shape"]:
    """The quantile of p = ½, zero for r ≥ 2.

    >>> round(float(marchenko_pastur_median(2 / 3)), 4)
    0.7724
    """
    ratio = validation.positive("ratio", ratio)
    return _median(ratio)


def marchenko_pastur_hill(ratio: ArrayLike) -> Float[Array, "*shape"]:
    """What :func:`~lazyrich.spectra.power_law.hill` tends to for large random matrices.

        α = 1 + 1/(2 ∫_{x ≥ median} log(x/median) ρ(x) dx),

    by Gauss-Legendre quadrature in θ. For r ≥ 2, where the median is zero, it is 1. For small r
    the law is narrow, and terms cancel up to a relative error of the order ε/√r.

    Args:
        ratio: r ≥ ε, where half the digits are left (ε = 2e-16 in float64, 1e-7 in float32).

    >>> round(float(marchenko_pastur_hill(2 / 3)), 4)
    2.4492
    """
    ratio = validation.positive("ratio", ratio)
    least = float(jnp.finfo(ratio.dtype).eps)
    return _hill_of_law(validation.between("ratio", ratio, least, np.inf))


def marchenko_pastur_distance(eigenvalues: ArrayLike, ratio: ArrayLike) -> Float[Array, "*batch"]:
    """The Kolmogorov-Smirnov distance sup_x |F_n(x) − F(x)| of a sample from the law.

    Args:
        eigenvalues: on the scale of the law, in any order, shape (…, n).
        ratio: r > 0; broadcasts against the leading axes.

    Raises:
        ValueError: if there are none, or one is not finite.
    """
    values = validation.floating("eigenvalues", eigenvalues, ndim=1)
    validation.filled("eigenvalues", values)
    ratio = validation.in_precision("ratio", validation.positive("ratio", ratio), values.dtype)
    validation.broadcasting(ratio=ratio, spectra=values[..., 0])
    return _distance(values, ratio)


@numpy_if_known
def _distance(xp, values, ratio):
    return lower_distance(xp, xp.sort(values, axis=-1), ratio, values.shape[-1])


def lower_distance(xp, ascending, ratio, count):
    """:func:`marchenko_pastur_distance` of the `count` smallest of sorted eigenvalues."""
    x, r = ascending, ratio[..., None]
    count, index = xp.asarray(count)[..., None], xp.arange(x.shape[-1])
    law = distribution(xp, x, r)
    # The law's jump is at zero.
    off = xp.maximum((index + 1) / count - law, xp.where(x > 0, law, 0) - index / count)
    return xp.where(index < count, off.astype(x.dtype), 0).max(axis=-1)


def _reduced(xp, ratio):
    """1/r for r > 1, the factor of the eigenvalues, and the share that is not zero."""
    large = ratio > 1
    return xp.where(large, 1 / ratio, ratio), xp.where(large, ratio, 1), xp.minimum(1, 1 / ratio)


def distribution(xp, x, ratio):
    """:func:`marchenko_pastur_distribution` of what fits, in the operations of ``xp``."""
    r, factor, share = _reduced(xp, ratio)
    s = xp.sqrt(r)
    # sin²(θ/2) = (x − a)/(4 √r): so θ is exact at both edges, and 0 or π beyond them.
    left, right = x / factor - (1 - s) ** 2, (1 + s) ** 2 - x / factor
    theta = 2 * xp.arctan2(xp.sqrt(xp.maximum(left, 0)), xp.sqrt(xp.maximum(right, 0)))
    return xp.where(x < 0, 0, 1 - share + share * _up_to(xp, theta, r))


_distribution = numpy_if_known(distribution)


def _up_to(xp, theta, r):
    s, sine = xp.sqrt(r), xp.sin(theta)
    angle = xp.arctan2(s * sine, 1 - s * xp.cos(theta))
    share = (theta + sine / s - (1 / r - 1) * angle) / xp.pi
    return xp.clip(share, 0, 1)  # where small terms cancel


def _angle(xp, probability, r):
    """θ of a quantile, for r ≤ 1."""
    probability, r = xp.broadcast_arrays(probability, r)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        beyond = _up_to(xp, middle, r) >= probability
        return xp.where(beyond, low, middle), xp.where(beyond, middle, high)

    ends = xp.zeros_like(r), xp.full_like(r, xp.pi)
    if xp is jnp:
        return jax.lax.fori_loop(0, BISECTIONS, halve, ends)[1]
    for step in range(BISECTIONS):
        ends = halve(step, ends)
    return ends[1]


def quantile(xp, probability, ratio):
    """:func:`marchenko_pastur_quantile` of what fits, in the operations of ``xp``."""
    r, factor, share = _reduced(xp, ratio)
    lying = (probability - (1 - share)) / share
    s = xp.sqrt(r)
    x = factor * ((1 - s) ** 2 + 4 * s * xp.sin(_angle(xp, lying, r) / 2) ** 2)
    return xp.where((ratio > 1) & (lying <= 0), 0, x)


_quantile = numpy_if_known(quantile)


@numpy_if_known
def _median(xp, ratio):
    return quantile(xp, 0.5, ratio)


def hill_of_law(xp, ratio):
    """:func:`marchenko_pastur_hill` of what fits, in the operations of ``xp``."""
    r, _, share = _reduced(xp, ratio)
    lying = (0.5 - (1 - share)) / share
    start = _angle(xp, lying, r)[..., None]
    nodes, weights = (xp.asarray(a, r.dtype) for a in np.polynomial.legendre.leggauss(NODES))
    theta = start + (xp.pi - start) * (nodes + 1) / 2
    r = r[..., None]
    s = xp.sqrt(r)

    def place(theta):
        return (1 - s) ** 2 + 4 * s * xp.sin(theta / 2) ** 2

    law = 2 / xp.pi * xp.sin(theta) ** 2 / place(theta)
    excess = xp.log(place(theta) / place(start))
    integral = share * ((xp.pi - start) / 2 * weights * law * excess).sum(axis=-1)
    return xp.where(lying > 0, 1 + 1 / (2 * integral), 1)


_hill_of_law = numpy_if_known(hill_of_law)
