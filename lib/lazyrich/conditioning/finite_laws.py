"""The laws of width and depth for matrices of finite size.

They are those of :mod:`~lazyrich.conditioning.laws`, with what the outermost of n eigenvalues is on
average over draws (Tracy and Widom) in place of the edge, which it does not reach.
"""

from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known, ratio
from lazyrich.conditioning.laws import in_range, sizes_of
from lazyrich.spectra.marchenko_pastur import TRACY_WIDOM_MEAN
from lazyrich.validation import ArrayLike


def product_ends(
    size: ArrayLike, width: ArrayLike, matrices: ArrayLike
) -> Float[Array, "*shape 2"]:
    """The smallest and largest eigenvalue, of mean 1, of a product of j finite random matrices.

    For the Gram matrix of j matrices of n columns and widths m ≥ n, in units of its mean. With
    c = n/m its S-transform is (1 + c z)^−j (free convolution of Marchenko-Pastur laws), so the
    spectrum lies where

        x(z) = (1 + z)(1 + c z)^j / z

    has no inverse, between its stationary values x±, at j c z² + (j − 1) c z = 1. The density
    vanishes there like √(2|x − x±|/|x''|)/(π x±), so the outermost of n eigenvalues lies on average
    inside by

        1.2065 · (x±³ |(ln x)''|/2)^⅓ n^−⅔   (Tracy and Widom, real matrices).

    The sizes are n − ½ and m − ½, the centring at which j = 1 is right to second order (Ma 2012).
    The smallest is 0 for m ≤ n, and where this would put it below zero. As n → ∞ the logarithm of
    the ratio of the two is 4 √(j c) (1 + c (j + 6 + 1/j)/24 + …).

    Args:
        size: n; less than 1 counts as 1, and so does the width.
        width: m.
        matrices: j ≥ 0; without any all eigenvalues are 1.

    >>> product_ends(60, 300, 2).round(2).tolist()
    [0.2, 2.68]
    """
    sizes = sizes_of(size=size, width=width)
    j = validation.nonnegative("matrices", matrices)
    validation.broadcasting(**sizes, matrices=j)
    return in_range(sizes | {"matrices": j}, _product_ends(*sizes.values(), j))


@numpy_if_known
def _product_ends(xp, n, m, j):
    return xp.stack(_ends(xp, n, m, j), axis=-1)


def finite_two_layer_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike
) -> Float[Array, "*shape"]:
    """κ of two layers from the ends of matrices of these sizes.

    As :func:`~lazyrich.conditioning.laws.two_layer_law`, with the ends of :func:`product_ends` for
    one matrix in place of limiting edges; where m < d, those of V Vᵀ and a zero.

    Args:
        inputs: d.
        width: m; the law is ``inf`` for m < min(k, d), as the other is.
        outputs: k.
    """
    return _finite_two_layer_law(*sizes_of(inputs=inputs, width=width, outputs=outputs).values())


@numpy_if_known
def _finite_two_layer_law(xp, d, m, k):
    (w_min, w_max), (v_min, v_max) = (
        [xp.maximum(one / other, 1) * end for end in _ends(xp, *pair, 1)]
        for one, other, pair in (
            (k, m, (xp.minimum(k, m), xp.maximum(k, m))),
            (m, d, (xp.minimum(d, m), xp.maximum(d, m))),
        )
    )
    return ratio(w_max + v_max, xp.where(m >= k, w_min, 0) + xp.where(m >= d, v_min, 0), xp)


def finite_ratio_of_sums_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike, depth: int
) -> Float[Array, "*shape"]:
    """The bound by the ratio of sums with the ends of products of finite matrices.

    Σ_l a_l⁺ b_l⁺ / Σ_l a_l⁻ b_l⁻, with a_l± of L − l matrices at n = k and b_l± of l − 1 at n = d
    from :func:`product_ends`, and b_l of mean m/d but for b_1 = 1.

    Args:
        inputs: d.
        width: m, of at least d and k.
        outputs: k.
        depth: the number L ≥ 2 of weight matrices.
    """
    L = validation.whole("depth", depth, least=2)
    return _finite_ratio_of_sums_law(
        *sizes_of(inputs=inputs, width=width, outputs=outputs).values(), L=L
    )


@numpy_if_known
def _finite_ratio_of_sums_law(xp, d, m, k, *, L):
    tops, bottoms = [], []
    for before in range(L):
        (a_min, a_max), (b_min, b_max) = _ends(xp, k, m, L - 1 - before), _ends(xp, d, m, before)
        unit = m / d if before else 1
        tops.append(unit * a_max * b_max)
        bottoms.append(unit * a_min * b_min)
    return ratio(sum(tops), sum(bottoms), xp)


def finite_depth_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike, depth: int
) -> Float[Array, "*shape"]:
    """κ of L layers of a common width m ≫ d, for matrices of finite size.

        log κ ≈ 4 [√(d/m) √(Σ_(i<L) i²) f_d + √(k/m) √(Σ_(l=2..L) (l − 2 + d/m)²) f_k]/(L − 1 + d/m)

    This is :func:`~lazyrich.conditioning.laws.depth_law` with what that leaves out: the term of
    l = 1 has the weight d/m beside the L − 1 others, and layer l stands in those A_i with i < l.
    The largest eigenvalue of a semicircular matrix of n rows is not 2 but 2 f_n,
    f_n = 1 − 0.603 n^−⅔ (Tracy and Widom). Two layers are known exactly for n → ∞, and there the
    next order is a share d/(3m).

    Arguments as for :func:`~lazyrich.conditioning.laws.depth_law`.
    """
    L = validation.whole("depth", depth, least=2)
    sizes = sizes_of(inputs=inputs, width=width, outputs=outputs)
    return in_range(sizes, _finite_depth_law(*sizes.values(), L=L))


@numpy_if_known
def _finite_depth_law(xp, d, m, k, *, L):
    d_share, k_share = d / m, k / m
    below = [1 + TRACY_WIDOM_MEAN / 2 * n ** (-2 / 3) for n in (d, k)]
    i = xp.arange(1, L, dtype=d.dtype)
    of_d = xp.sqrt(d_share * (i**2).sum()) * below[0]
    of_k = xp.sqrt(k_share * sum((step - 1 + d_share) ** 2 for step in i)) * below[1]
    return xp.exp(4 * (of_d + of_k) / (L - 1 + d_share))


def _ends(xp, n, m, j):
    wide, n, m = m > n, xp.maximum(n, 1) - 0.5, xp.maximum(m, 1) - 0.5
    c, some = n / m, xp.maximum(j, 1)
    middle, root = (some - 1) * c, xp.sqrt(((some - 1) * c) ** 2 + 4 * some * c)
    ends = []
    for z in ((-middle - root) / (2 * some * c), (-middle + root) / (2 * some * c)):
        x = (1 + z) * (1 + c * z) ** some / z
        bend = 1 / z**2 - 1 / (1 + z) ** 2 - some * (c / (1 + c * z)) ** 2
        x = x + TRACY_WIDOM_MEAN * xp.cbrt(x**3 * bend / 2) * n ** (-2 / 3)
        ends.append(xp.where(j > 0, xp.maximum(x, 0), xp.ones_like(x)))
    return xp.where(wide | (j < 1), ends[0], xp.zeros_like(ends[0])), ends[1]
