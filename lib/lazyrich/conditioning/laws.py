"""Laws of width and depth at the start, for Kaiming weights W_ij ~ N(0, 1/fan-in).

d inputs, k outputs and L layers with hidden widths m; the data are whitened, Σ = I, which enters
the condition number of other data as a factor κ(Σ) at most. These are the limits of large matrices,
and first orders in d/m and k/m; :mod:`~lazyrich.conditioning.finite_laws` has matrices of finite
size. Arrays broadcast; sizes whose law no float holds are refused.
"""

from functools import reduce

from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known, ratio
from lazyrich.spectra.marchenko_pastur import edges
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
    return _two_layer_law(*sizes_of(inputs=inputs, width=width, outputs=outputs).values())


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
    return _two_layer_loose_law(*sizes_of(inputs=inputs, width=width, outputs=outputs).values())


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
    sizes = sizes_of(inputs=inputs, width=width, outputs=outputs)
    return in_range(sizes, _depth_law(*sizes.values(), L))


@numpy_if_known
def _depth_law(xp, d, m, k, L):
    rho_d = 2 * xp.sqrt(d / m * (L * (2 * L - 1) / (6 * (L - 1))))
    rho_k = 2 * xp.sqrt(k / m * ((L - 2) * (2 * L - 3) / (6 * (L - 1))))
    return xp.exp(2 * (rho_d + rho_k))


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
    return _separated_law(*sizes_of(inputs=inputs, width=width, outputs=outputs).values())


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
    sizes = sizes_of(inputs=inputs, width_per_layer=width_per_layer, outputs=outputs)
    return in_range(sizes, _proportional_law(*sizes.values()))


@numpy_if_known
def _proportional_law(xp, d, c, k):
    return xp.exp(4 * (xp.sqrt(d) + xp.sqrt(k)) / xp.sqrt(3 * c))


def _edges(xp, d, m, k):
    """The edges of W Wᵀ and of Vᵀ V, the lower one 0 where the width is too small."""
    w_min, w_max = edges(xp, k / m)
    v_min, v_max = edges(xp, d / m, m / d)
    return (xp.where(m >= k, w_min, 0), w_max), (xp.where(m >= d, v_min, 0), v_max)


# What the finite laws share


def sizes_of(**sizes):
    """Positive sizes that broadcast, each a float for each of the others."""
    sizes = {name: validation.positive(name, size) for name, size in sizes.items()}
    validation.broadcasting(**sizes)
    in_range(sizes, _spread(*sizes.values()))
    return sizes


@numpy_if_known
def _spread(xp, *sizes):
    return reduce(xp.maximum, sizes) / reduce(xp.minimum, sizes)


def in_range(sizes, law):
    """A law, if floats hold it at all of these sizes."""
    return validation.in_range(", ".join(sizes), list(sizes.values()), law)
