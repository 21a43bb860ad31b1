"""Laws of width and depth at the start, for Kaiming weights W_ij ~ N(0, 1/fan-in).

d inputs, k outputs and L layers with hidden widths m; the data are whitened, Σ = I, which enters
the condition number of other data as a factor κ(Σ) at most. Arrays broadcast; sizes whose law no
float holds are refused.
"""

from functools import reduce

from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known, ratio
from lazyrich.spectra.marchenko_pastur import TRACY_WIDOM_MEAN, edges
from lazyrich.validation import ArrayLike


def two_layer_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike
) -> Float[Array, "*shape"]:
    """κ of two layers from the edges of the Marchenko-Pastur law.

        κ = [(1 + √(k/m))² + (1 + √(m/d))²]/[(1 − √(k/m))² 1{m ≥ k} + (√(m/d) − 1)² 1{m ≥ d}],

    since Ĝ = W Wᵀ ⊗ I + I ⊗ Vᵀ V. As m → ∞, κ − 1 ≈ 4 √(d/m). Edges of finite matrices lie inside,
    so κ is smaller. It is ``inf`` for m < min(k, d): Ĝ is then singular, and the law says nothing
    of its non-zero part, whose κ is finite
    (:func:`~lazyrich.conditioning.linear.linear_condition_number`).

    Args:
        inputs: d.
        width: m.
        outputs: k.
    """
    return _two_layer_law(*_sizes(inputs=inputs, width=width, outputs=outputs).values())


@numpy_if_known
def _two_layer_law(xp, d, m, k):
    (w_min, w_max), (v_min, v_max) = _edges(xp, d, m, k)
    return ratio(w_max + v_max, w_min + v_min, xp)


def two_layer_loose_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike
) -> Float[Array, "*shape"]:
    """The maximum over layers of κ_l for two layers, from the same edges.

        max{[(1 + √(k/m))/(1 − √(k/m))]², [(√(m/d) + 1)/(√(m/d) − 1)]²}, for m > max(d, k)

    and ``inf`` for m ≤ max(d, k). Arguments as for :func:`two_layer_law`.
    """
    return _two_layer_loose_law(*_sizes(inputs=inputs, width=width, outputs=outputs).values())


@numpy_if_known
def _two_layer_loose_law(xp, d, m, k):
    return xp.maximum(*(ratio(high, low, xp) for low, high in _edges(xp, d, m, k)))


def depth_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike, depth: int
) -> Float[Array, "*shape"]:
    """κ of L layers of a common width m ≫ d, to first order in √(d/m) and √(k/m), exponentiated.

        log κ ≈ 2 (ρ_d + ρ_k),   ρ_d = 2 √(d/m) √(L (2L − 1)/(6 (L − 1))),
                                 ρ_k = 2 √(k/m) √((L − 2)(2L − 3)/(6 (L − 1))).

    For m ≫ d the first layer's term of Ĝ is negligible and the other L − 1 are alike. The matrix
    W^lᵀ W^l is a multiple of I + √(d/m) S_l with S_l a semicircular matrix of radius 2, and layer l
    stands in L − l of the L − 1 terms B_2, …, B_L: so their mean fluctuates by √(d/m) times
    √Σ_(i<L) i²/(L − 1) semicircular matrices, the root in ρ_d. Likewise for the A_l, from L − 2 on.

    Args:
        inputs: d.
        width: m.
        outputs: k.
        depth: the number L ≥ 2 of weight matrices.
    """
    L = validation.whole("depth", depth, least=2)
    sizes = _sizes(inputs=inputs, width=width, outputs=outputs)
    return _in_range(sizes, _depth_law(*sizes.values(), L))


@numpy_if_known
def _depth_law(xp, d, m, k, L):
    rho_d = 2 * xp.sqrt(d / m * (L * (2 * L - 1) / (6 * (L - 1))))
    rho_k = 2 * xp.sqrt(k / m * ((L - 2) * (2 * L - 3) / (6 * (L - 1))))
    return xp.exp(2 * (rho_d + rho_k))


def ratio_of_sums_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike, depth: int
) -> Float[Array, "*shape"]:
    """The bound by the ratio of sums for L layers of a common width m ≫ d, to the same order.

        log Σ_l M_l/Σ_l μ_l ≈ 4 (√(d/m) mean_i √i + √(k/m) mean_j √j),

    with i from 1 to L − 1 and j from 0 to L − 2. The bound lets the extremes of all B_l stand in
    one direction, so it has the mean of the fluctuations √((l − 1) d/m) of the L − 1 terms where
    :func:`depth_law` has the fluctuation of their mean. For large L it is κ to the power 2/√3.

    Arguments as for :func:`depth_law`.
    """
    L = validation.whole("depth", depth, least=2)
    sizes = _sizes(inputs=inputs, width=width, outputs=outputs)
    return _in_range(sizes, _ratio_of_sums_law(*sizes.values(), L=L))


@numpy_if_known
def _ratio_of_sums_law(xp, d, m, k, *, L):
    roots = xp.sqrt(xp.arange(L, dtype=d.dtype))
    return xp.exp(4 * (xp.sqrt(d / m) * roots[1:].mean() + xp.sqrt(k / m) * roots[:-1].mean()))


def separated_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike
) -> Float[Array, "*shape"]:
    """κ/κ(Σ) of two layers, m ≫ d, on data whose variances lie far apart.

        κ/κ(Σ) ≈ [m/d + (1 + √(k/m))²]/[(m − d + 1)/d + (1 − √(k/m))²]

    With variances of different orders the largest eigenvalue of Σ^½ (ω I + VᵀV) Σ^½ is the largest
    variance times a diagonal entry of ω I + VᵀV, and the smallest is the smallest variance over a
    diagonal entry of its inverse. d VᵀV is a Wishart matrix, with χ² numbers of m degrees of
    freedom on its diagonal, and reciprocals of χ² numbers of m − d + 1 on that of its inverse. So
    κ/κ(Σ) − 1 falls like d/m, where κ − 1 on whitened data falls like 4 √(d/m). It is ``inf`` for
    m < d, where this does not apply.

    Arguments as for :func:`two_layer_law`.
    """
    return _separated_law(*_sizes(inputs=inputs, width=width, outputs=outputs).values())


@numpy_if_known
def _separated_law(xp, d, m, k):
    low, high = edges(xp, k / m)
    return ratio(m / d + high, xp.where(m >= d, (m - d + 1) / d + low, 0), xp)


def proportional_law(
    inputs: ArrayLike, outputs: ArrayLike, width_per_layer: ArrayLike
) -> Float[Array, "*shape"]:
    """The limit of :func:`depth_law` for widths m = c L as L → ∞, exp(4 (√d + √k)/√(3c)).

    Args:
        inputs: d.
        outputs: k.
        width_per_layer: c.
    """
    sizes = _sizes(inputs=inputs, width_per_layer=width_per_layer, outputs=outputs)
    return _in_range(sizes, _proportional_law(*sizes.values()))


@numpy_if_known
def _proportional_law(xp, d, c, k):
    return xp.exp(4 * (xp.sqrt(d) + xp.sqrt(k)) / xp.sqrt(3 * c))


def product_law(size: ArrayLike, width: ArrayLike, matrices: ArrayLike) -> Float[Array, "*shape"]:
    """κ of a product of j wide random matrices, exp(4 √(j n/m)), to first order in √(n/m).

    B_l is the Gram matrix of j = l − 1 matrices at n = d, A_l that of j = L − l at n = k.

    Args:
        size: n, the number of inputs (of B_l) or outputs (of A_l).
        width: m.
        matrices: j ≥ 0.
    """
    sizes = _sizes(size=size, width=width)
    j = validation.nonnegative("matrices", matrices)
    validation.broadcasting(**sizes, matrices=j)
    return _in_range(sizes | {"matrices": j}, _product_law(*sizes.values(), j))


@numpy_if_known
def _product_law(xp, n, m, j):
    return xp.exp(4 * xp.sqrt(j * n / m))


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
    The smallest is 0 for m < n, and where this would put it below zero.

    Args:
        size: n; less than 1 counts as 1, and so does the width.
        width: m.
        matrices: j ≥ 0; without any all eigenvalues are 1.

    >>> product_ends(60, 300, 2).round(2).tolist()
    [0.2, 2.68]
    """
    sizes = _sizes(size=size, width=width)
    j = validation.nonnegative("matrices", matrices)
    validation.broadcasting(**sizes, matrices=j)
    return _in_range(sizes | {"matrices": j}, _product_ends(*sizes.values(), j))


def finite_two_layer_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike
) -> Float[Array, "*shape"]:
    """:func:`two_layer_law` with the ends of matrices of these sizes in place of limiting edges.

    With those of :func:`product_ends` for one matrix; where m < d, those of V Vᵀ and a zero.

    Args:
        inputs: d.
        width: m; the law is ``inf`` for m < min(k, d), as the other is.
        outputs: k.
    """
    return _finite_two_layer_law(*_sizes(inputs=inputs, width=width, outputs=outputs).values())


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
        *_sizes(inputs=inputs, width=width, outputs=outputs).values(), L=L
    )


def finite_depth_law(
    inputs: ArrayLike, width: ArrayLike, outputs: ArrayLike, depth: int
) -> Float[Array, "*shape"]:
    """:func:`depth_law` with the first layer's term, and for matrices of finite size.

        log κ ≈ 4 [√(d/m) √(Σ_(i<L) i²) f_d + √(k/m) √(Σ_(l=2..L) (l − 2 + d/m)²) f_k]/(L − 1 + d/m)

    The term of l = 1 has the weight d/m beside the L − 1 others, and layer l stands in those A_i
    with i < l. The largest eigenvalue of a semicircular matrix of n rows is not 2 but 2 f_n,
    f_n = 1 − 0.603 n^−⅔ (Tracy and Widom). Two layers are known exactly for n → ∞, and there the
    next order is a share d/(3m).

    Arguments as for :func:`depth_law`.
    """
    L = validation.whole("depth", depth, least=2)
    sizes = _sizes(inputs=inputs, width=width, outputs=outputs)
    return _in_range(sizes, _finite_depth_law(*sizes.values(), L=L))


@numpy_if_known
def _product_ends(xp, n, m, j):
    return xp.stack(_ends(xp, n, m, j), axis=-1)


def _ends(xp, n, m, j):
    wide, n, m = m >= n, xp.maximum(n, 1) - 0.5, xp.maximum(m, 1) - 0.5
    c, some = n / m, xp.maximum(j, 1)
    middle, root = (some - 1) * c, xp.sqrt(((some - 1) * c) ** 2 + 4 * some * c)
    ends = []
    for z in ((-middle - root) / (2 * some * c), (-middle + root) / (2 * some * c)):
        x = (1 + z) * (1 + c * z) ** some / z
        bend = 1 / z**2 - 1 / (1 + z) ** 2 - some * (c / (1 + c * z)) ** 2
        x = x + TRACY_WIDOM_MEAN * xp.cbrt(x**3 * bend / 2) * n ** (-2 / 3)
        ends.append(xp.where(j > 0, xp.maximum(x, 0), xp.ones_like(x)))
    return xp.where(wide | (j < 1), ends[0], xp.zeros_like(ends[0])), ends[1]


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


@numpy_if_known
def _finite_ratio_of_sums_law(xp, d, m, k, *, L):
    tops, bottoms = [], []
    for before in range(L):
        (a_min, a_max), (b_min, b_max) = _ends(xp, k, m, L - 1 - before), _ends(xp, d, m, before)
        unit = m / d if before else 1
        tops.append(unit * a_max * b_max)
        bottoms.append(unit * a_min * b_min)
    return ratio(sum(tops), sum(bottoms), xp)


@numpy_if_known
def _finite_depth_law(xp, d, m, k, *, L):
    d_share, k_share = d / m, k / m
    below = [1 + TRACY_WIDOM_MEAN / 2 * n ** (-2 / 3) for n in (d, k)]
    i = xp.arange(1, L, dtype=d.dtype)
    of_d = xp.sqrt(d_share * (i**2).sum()) * below[0]
    of_k = xp.sqrt(k_share * sum((step - 1 + d_share) ** 2 for step in i)) * below[1]
    return xp.exp(4 * (of_d + of_k) / (L - 1 + d_share))


def _edges(xp, d, m, k):
    """The edges of W Wᵀ and of Vᵀ V, the lower one 0 where the width is too small."""
    w_min, w_max = edges(xp, k / m)
    v_min, v_max = edges(xp, d / m, m / d)
    return (xp.where(m >= k, w_min, 0), w_max), (xp.where(m >= d, v_min, 0), v_max)


def _sizes(**sizes):
    """Positive sizes that broadcast, each a float for each of the others."""
    sizes = {name: validation.positive(name, size) for name, size in sizes.items()}
    validation.broadcasting(**sizes)
    _in_range(sizes, _spread(*sizes.values()))
    return sizes


@numpy_if_known
def _spread(xp, *sizes):
    return reduce(xp.maximum, sizes) / reduce(xp.minimum, sizes)


def _in_range(sizes, law):
    return validation.in_range(", ".join(sizes), list(sizes.values()), law)
