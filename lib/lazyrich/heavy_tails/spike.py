"""The spike that one step makes: where it begins, how high it is, and where it points.

Let w be the update's direction over hidden units, a/‖a‖ for gradient descent and sign(a)/√h for
Adam, and p = W_1ᵀw. Exactly W_1ᵀW_1 = p pᵀ + W_1ᵀ(I − w wᵀ)W_1, and to leading order the second
part is a Wishart matrix of h − 1 degrees of freedom and entry variance τ², independent of p. With

    θ² = (‖p‖² − d τ²)/(h τ²)

an outlier exists if and only if θ² > √c, c = d/h, and then

    σ₁² = h τ² (1 + θ²)(c + θ²)/θ²,   (v₁·p̂)² = 1 − c/θ⁴,   (u₁·w)² = (θ⁴ − c)/(θ² (1 + θ²)).

θ² is negative after a small step of gradient descent, which makes p shorter than it was.

The update is correlated with W_0, since a step lowers the output: ‖p‖² has a negative cross term.
A spiked-matrix formula without it (here *naive*) puts the spike too high.
"""

from typing import NamedTuple

import numpy as np

from lazyrich import validation
from lazyrich.heavy_tails.first_step import checked_rate, law_of
from lazyrich.heavy_tails.normal_means import SLOPE, TEACHER_POWER, TEACHER_SLOPE
from lazyrich.heavy_tails.single_index import Sizes, checked_noise, checked_sizes
from lazyrich.validation import ArrayLike

OPTIMIZERS = ("GD", "Adam")
"""The optimisers of the chapter by name."""


class Update(NamedTuple):
    """What one step of a rate η makes of p and of the bulk."""

    variance: np.ndarray
    """τ², of the entries of the bulk."""
    p_norm2: np.ndarray
    """‖p‖²."""
    teacher: np.ndarray
    """|p·β|."""


class Spike(NamedTuple):
    """The largest singular value of W_1 and its vectors."""

    sigma: np.ndarray
    """σ₁, or the edge τ(√h + √d) where there is no outlier."""
    left: np.ndarray
    """(u₁·w)², 0 where there is none."""
    right: np.ndarray
    """(v₁·p̂)², 0 where there is none."""


def update(
    optimizer: str, rate: ArrayLike, sizes: Sizes, noise: float = 0.3, naive: bool = False
) -> Update:
    """τ², ‖p‖² and |p·β| after one step.

    For gradient descent, with s₀ = 2μ₁‖q‖/√d,

        τ² = 1,  ‖p‖² = d − 2 η s₀ √d μ₁/‖q‖ + (η s₀)²,  p·β = η s₀ c₁/‖q‖,

    and for Adam, with k' = (2/π)(μ₁/‖q‖) R/√(1 + R²),

        τ² = 1 + η² (1 − κ_s²),  ‖p‖² = d τ² − 2 η √h d k' + η² h d κ_s²,
        p·β = η √(hd) √(2/π) (c₁/‖q‖) R/√(1 + R²).

    Args:
        optimizer: ``"GD"`` or ``"Adam"``.
        rate: η, from 0 to 1e50, any shape.
        sizes: d, h, n.
        noise: ρ.
        naive: whether the cross term is dropped.
    """
    return _update(*_checked(optimizer, rate, sizes, noise), validation.flag("naive", naive))


def _update(optimizer, rate, sizes, noise, naive=False):
    law, (d, h, _) = law_of(sizes, noise), sizes
    own = 0.0 if naive else SLOPE / law.q_norm
    if optimizer == "GD":
        size, variance = rate * law.gradient_norm, np.ones_like(rate)
        p_norm2 = d - 2 * size * d**0.5 * own + size**2
        teacher = size * law.teacher_overlap
    else:
        seen = (law.signal / (1 + law.signal)) ** 0.5
        variance = 1 + rate**2 * (1 - law.sign_norm**2)
        cross = 2 * rate * h**0.5 * d * (2 / np.pi * own * seen)
        p_norm2 = d * variance - cross + rate**2 * h * d * law.sign_norm**2
        teacher = rate * (h * d * 2 / np.pi) ** 0.5 * law.teacher_overlap * seen
    return Update(*map(np.asarray, (variance, p_norm2, teacher)))


def outlier(p_norm2: ArrayLike, variance: ArrayLike, sizes: Sizes) -> Spike:
    """The outlier that belongs to ‖p‖² and τ², predicted or measured.

    Args:
        p_norm2: ‖p‖².
        variance: τ².
        sizes: d, h, n.
    """
    p_norm2, variance = validation.known("p_norm2", p_norm2), validation.known("variance", variance)
    validation.nonnegative("p_norm2", p_norm2)
    validation.positive("variance", variance)
    validation.broadcasting(p_norm2=p_norm2, variance=variance)
    return _outlier(p_norm2, variance, checked_sizes(sizes))


def _outlier(p_norm2, variance, sizes):
    d, h, _ = sizes
    c = d / h
    with np.errstate(over="ignore"):
        ratio = p_norm2 / variance  # or inf, which is no obstacle
    out = (ratio - d) / h > c**0.5
    ratio = np.where(out, ratio, d + h)
    inverse = h / (ratio - d)  # 1/θ², whose square does not overflow
    sigma = np.sqrt(p_norm2) * np.sqrt((1 + (h - d) / ratio) * (1 + c * inverse))
    right = 1 - c * inverse**2
    return Spike(
        np.where(out, sigma, np.sqrt(variance) * (h**0.5 + d**0.5)),
        np.where(out, right / (1 + inverse), 0.0),
        np.where(out, right, 0.0),
    )


def spike_law(
    optimizer: str, rate: ArrayLike, sizes: Sizes, noise: float = 0.3, naive: bool = False
) -> Spike:
    """:func:`outlier` at the ‖p‖² and τ² that :func:`update` predicts. Arguments as there."""
    arguments = _checked(optimizer, rate, sizes, noise)
    after = _update(*arguments, validation.flag("naive", naive))
    return _outlier(after.p_norm2, after.variance, sizes)


def teacher_alignment(
    optimizer: str, rate: ArrayLike, sizes: Sizes, noise: float = 0.3
) -> np.ndarray:
    """|v₁·β| after one step, |v₁·p̂| |p·β|/‖p‖; 0 where there is no outlier.

    Arguments as for :func:`update`.
    """
    after = _update(*_checked(optimizer, rate, sizes, noise))
    right = _outlier(after.p_norm2, after.variance, sizes).right
    return np.asarray(np.sqrt(right / after.p_norm2) * after.teacher)


def threshold(optimizer: str, sizes: Sizes, noise: float = 0.3) -> float:
    """The rate η* above which one step makes an outlier.

    Where θ² = √c: η* = d [1 + √(1 + ‖q‖²/(μ₁² √c))]/(2‖q‖²) for gradient descent, and
    η* = [k' √c + √(k'² c + κ_s² √c)]/(κ_s² √d) for Adam.

    >>> round(threshold("Adam", Sizes(1000, 1500, 2000)), 4)
    0.0486
    """
    optimizer, _, sizes, noise = _checked(optimizer, 0.0, sizes, noise)
    law, d, c = law_of(sizes, noise), sizes.inputs, sizes.inputs / sizes.hidden
    if optimizer == "GD":
        room = 1 + law.q_norm**2 / (SLOPE**2 * c**0.5)
        return d * (1 + room**0.5) / (2 * law.q_norm**2)
    own = 2 / np.pi * SLOPE / law.q_norm * (law.signal / (1 + law.signal)) ** 0.5
    room = own**2 * c + law.sign_norm**2 * c**0.5
    return float((own * c**0.5 + room**0.5) / (law.sign_norm**2 * d**0.5))


def alignment_law(optimizer: str, rate: ArrayLike, sizes: Sizes, noise: float = 0.3) -> np.ndarray:
    """The kernel-target alignment of linear features after at most one step.

    :func:`linear_alignment` of what :func:`update` predicts. Arguments as there.
    """
    arguments = _checked(optimizer, rate, sizes, noise)
    return _linear_alignment(_update(*arguments), *arguments[2:])


def linear_alignment(after: Update, sizes: Sizes, noise: float = 0.3) -> np.ndarray:
    """The kernel-target alignment of features that are linear in W x.

        [c₁² (p·β)² + ‖p‖² E y²/n + h τ² (c₁² + δ E y²)]
            / (E y² √(‖p‖⁴ + 2 ‖p‖² h τ² (1 + δ) + (h τ²)² d (1 + c + δ))),

    the features' Gram matrix being that of X(p pᵀ + S)Xᵀ with S a Wishart matrix.

    Args:
        after: τ², ‖p‖² and |p·β|, predicted or measured, the last at most ‖p‖ up to the rounding of
            float32.
        sizes: d, h, n.
        noise: ρ.
    """
    validation.instance("after", after, Update)
    names = [f"after.{name}" for name in after._fields]
    variance, p2, teacher = known = list(map(validation.known, names, after))
    validation.positive(names[0], variance)
    for name, part in zip(names[1:], known[1:], strict=True):
        validation.nonnegative(name, part)
    validation.broadcasting(**dict(zip(names, known, strict=True)))
    longest = np.sqrt(p2) * (1 + np.finfo(np.float32).eps ** 0.5)
    if (teacher > longest).any():
        first, limit = (
            part[teacher > longest][0] for part in np.broadcast_arrays(teacher, longest)
        )
        raise ValueError(f"after.teacher must be at most ‖p‖, {limit:.6g}, got {first:.6g}")
    return _linear_alignment(Update(*known), checked_sizes(sizes), checked_noise(noise))


def _linear_alignment(after, sizes, noise):
    (variance, p2, teacher), (d, h, n) = after, sizes
    # Of one size together, on which the quotient does not depend and whose square may overflow.
    size = np.maximum(p2, variance)
    variance, p2, teacher = variance / size, p2 / size, teacher / np.sqrt(size)
    power, delta, c = TEACHER_POWER + noise**2, d / n, d / h
    bulk = h * variance
    top = TEACHER_SLOPE**2 * teacher**2 + p2 * power / n
    top = top + bulk * (TEACHER_SLOPE**2 + delta * power)
    size = p2**2 + 2 * p2 * bulk * (1 + delta) + bulk**2 * d * (1 + c + delta)
    return np.asarray(top / (power * np.sqrt(size)))


def _checked(optimizer, rate, sizes, noise):
    """An optimiser by name, rates, sizes and a noise that fit."""
    validation.one_of("optimizer", optimizer, OPTIMIZERS)
    return optimizer, checked_rate(rate), checked_sizes(sizes), checked_noise(noise)
