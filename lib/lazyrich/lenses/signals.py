"""What each instrument reads of a network of richness R: the laws of one direction.

Where the accumulated residual X̃ᵀα lies along one direction β, the equivalent linear network with
infinitely many neurons is solved by p = v + Wβ and q = v − Wβ, which grow by e^s and e^(−s) while
v·Wβ = n sinh 2s. So sinh 2s = R, and

    cos(v, Wβ) = R/√(1 + R²),   |v|²/n = |Wβ|²/n = √(1 + R²) =: ℓ,

the laws of a linear network (:func:`~lazyrich.mechanisms.solution.cosine_law` and
:func:`~lazyrich.mechanisms.solution.kernel_law`) at y*/N⊥ = R. All else follows from ℓ: the tangent
kernel is linear in both layers' moments, and W is a random matrix one of whose columns grew to
|Wβ|² = n ℓ, a spike of θ² = ℓ − 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.heavy_tails import Sizes
from lazyrich.heavy_tails import outlier as spike
from lazyrich.lenses.constants import GaussianMoments
from lazyrich.mechanisms import cosine_law
from lazyrich.validation import ArrayLike

CLOCK_PEAK = 1.97268383  # τ at which the deviation on equal clocks is largest
FUNCTION_PILOT = ((0.43, 0.86, 1.72, 3.44), (0.0060, 0.0200, 0.0524, 0.104))
"""R and D of networks of infinite width in a pilot at d = 16, N = 64 and ε = 0.1."""


class KernelShares(NamedTuple):
    """By which share of ℓ − 1 a reading of the tangent kernel K grows."""

    target: float
    """Of yᵀKy."""
    trace: float
    """Of tr K."""
    largest: float
    """Of λ_max."""
    smallest: float
    """Of λ_min."""


class SeedLaw(NamedTuple):
    """What becomes of a network that does not start at right angles."""

    cosine: Float[Array, "..."]
    """cos(v, Wβ)."""
    growth: Float[Array, "..."]
    """|v|²/|v_0|² − 1, by which the kernel along β grows."""


class WeightOutlier(NamedTuple):
    """The largest singular value of W and its vector."""

    height: np.ndarray
    """σ₁ over the edge √n + √d, 1 where there is no outlier."""
    overlap: np.ndarray
    """(v₁·β)², 0 where there is none."""


def alignment_signal(richness: ArrayLike) -> Float[Array, "..."]:
    """cos(v, Wβ) = R/√(1 + R²), from a start at right angles.

    R is the part along β, :func:`~lazyrich.lenses.richness.teacher_richness`.

    >>> round(float(alignment_signal(1.0)), 4)
    0.7071
    """
    return cosine_law(validation.nonnegative("richness", richness), 1.0)


def seed_law(richness: ArrayLike, cosine: ArrayLike) -> SeedLaw:
    """Cosine and growth of a network whose cosine at the start is c₀, not zero.

        cos = (R + c₀)/√((R + c₀)² + 1 − c₀²),   |v|²/|v_0|² = √((R + c₀)² + 1 − c₀²),

    since v·Wβ = n (R + c₀) and what is conserved is N⊥² = n² (1 − c₀²). The growth is R c₀ + R²/2
    for small R: of networks alike but for the seed, the kernel of those grows more whose outputs
    at the start already have the sign of the target.

    Args:
        richness: R ≥ 0, the part along β.
        cosine: c₀, from −1 to 1; broadcasts. The cosine is nan where the layers end at zero.

    >>> [round(float(x), 4) for x in seed_law(0.6, 0.2)]
    [0.6325, 0.2649]
    """
    richness = validation.between("richness", richness, 0, 1e9)
    cosine = validation.between("cosine", cosine, -1, 1)
    validation.broadcasting(richness=richness, cosine=cosine)
    return SeedLaw(*_seed_law(richness, cosine))


@numpy_if_known
def _seed_law(xp, R, cosine):
    along = R + cosine
    size = xp.hypot(along, xp.sqrt(1 - cosine**2))
    return along / size, R * (R + 2 * cosine) / (1 + size)


def layer_growth(richness: ArrayLike) -> Float[Array, "..."]:
    """ℓ − 1 = √(1 + R²) − 1, by which |v|² and |Wβ|² grow; R²/2 for small R.

    It keeps its digits however small R is.

    >>> round(float(layer_growth(0.75)), 6)
    0.25
    """
    return _layer_growth(validation.nonnegative("richness", richness))


@numpy_if_known
def _layer_growth(xp, R):
    return R * (R / (1 + xp.hypot(xp.ones_like(R), R)))


def kernel_shares(
    moments: GaussianMoments, ratio: float, correlation: float, overlap: float
) -> KernelShares:
    """The shares of ℓ − 1 by which the readings of a tangent kernel grow.

    With κ = κ_v + κ_w and S = 2 μ₁² (ψ b² + 1) + κ, which is yᵀKy/|y|² for large N and d, they are

        [2 μ₁² (ψ b² + 1) + κ_w]/S,   E φ'²/(E φ² + E φ'²),   (1 + o²)/2,   κ_w/κ.

    The first takes all of X̃ᵀy along β; both layers' moments carry it. The trace is carried by |v|²
    alone, since one column of W is a d-th of it. The last holds for N > d, where λ_min is the
    nugget, and the third leaves out the nugget's part of λ_max.

    Args:
        moments: of the activation.
        ratio: ψ = N/d.
        correlation: b = E z y.
        overlap: o, the cosine between the first principal direction of the inputs and β.

    Raises:
        ValueError: if a ratio is not positive, or a cosine not from −1 to 1.

    >>> import jax
    >>> from lazyrich.lenses.constants import gaussian_moments
    >>> shares = kernel_shares(gaussian_moments(jax.scipy.special.erf), 4.0, 0.9224, 0.0)
    >>> [round(share, 2) for share in shares]
    [0.99, 0.55, 0.5, 0.78]
    """
    validation.instance("moments", moments, GaussianMoments)
    ratio, correlation = checked_task(ratio, correlation)
    overlap = float(validation.scalar("overlap", validation.between("overlap", overlap, -1, 1)))
    linear, hidden = parts_of_target(moments, ratio, correlation)
    nugget = moments.output_nugget + moments.hidden_nugget
    if not nugget > 0:
        raise ValueError(f"moments must be of an activation that is not linear, got {moments}")
    return KernelShares(
        linear + hidden,
        moments.slope_power / (moments.power + moments.slope_power),
        (1 + overlap**2) / 2,
        moments.hidden_nugget / nugget,
    )


def checked_task(ratio: ArrayLike, correlation: ArrayLike) -> tuple[float, float]:
    """ψ and b as numbers in their range."""
    ratio = validation.scalar("ratio", validation.between("ratio", ratio, 1e-9, 1e9))
    correlation = validation.between("correlation", correlation, -1, 1)
    return float(ratio), float(validation.scalar("correlation", correlation))


def parts_of_target(moments, ratio, correlation):
    """The shares of yᵀKy that are linear in the inputs, and the hidden layer's nugget."""
    linear = 2 * moments.slope**2 * (ratio * correlation**2 + 1)
    whole = linear + moments.output_nugget + moments.hidden_nugget
    return linear / whole, moments.hidden_nugget / whole


def kernel_signal(richness: ArrayLike, share: ArrayLike) -> Float[Array, "..."]:
    """The relative growth of a reading of the kernel, share · (ℓ − 1).

    The logarithm of the condition number changes by that of the difference between two shares,
    which is negative: κ falls.

    >>> round(float(kernel_signal(0.75, 0.5)), 6)
    0.125
    """
    richness = validation.nonnegative("richness", richness)
    share = validation.between("share", share, -1, 1)
    validation.broadcasting(richness=richness, share=share)
    return layer_growth(richness) * share


def depth_signal(richness: ArrayLike, depth: int) -> Float[Array, "..."]:
    """The growth of the kernel of a linear network of L layers at small R, (L² − 1) R²/6.

    On one sample, and with hidden layers of equal widths. Along the flow dθ/da = ∇f, and
    d²K/da² = 4 |H∇f|² up to a term of the size of f², with H the Hessian of f. In the part of H∇f
    that belongs to layer l each layer below adds P Pᵀu to one vector u, where P is the product of
    the k = 0, …, l − 2 weights between, and E |P Pᵀu|² = (k + 1) |u|²; layers above likewise. So

        |H∇f|² = Σ_l (S_(l−1) + S_(L−l))/n = (L − 1) L² (L + 1)/(6n),   S_p = 1² + … + p²,

    and a² = n R²/(2L) where the kernel L has grown by a²/2 of that. Would each layer grow by R²/2
    as ‖W_l‖² does, it were (L − 1) R²/2: what a layer learns lies where the others are large. Of
    two layers it is R²/2, whose full law is :func:`layer_growth`. The nuggets of an activation
    make it smaller.

    Args:
        richness: R, at most 1e9.
        depth: L, the number of layers of weights, at least 2.

    >>> round(float(depth_signal(0.5, 3)), 4)
    0.3333
    """
    richness = validation.between("richness", richness, 0, 1e9)
    return (validation.whole("depth", depth, least=2) ** 2 - 1) / 6 * richness**2


def outlier_signal(richness: ArrayLike, inputs: int, width: int) -> WeightOutlier:
    """The outlier of W, by the formula of a spike of θ² = ℓ − 1.

    With c = d/n it is there if and only if θ² > √c, and then

        σ₁² = n (1 + θ²)(c + θ²)/θ²,   (v₁·β)² = (1 − c/θ⁴)/(1 + c/θ²).

    That of :func:`~lazyrich.heavy_tails.spike.outlier` at ‖p‖² = d + n θ²: there p is the image of
    a vector of output units, here Wβ is that of one of inputs, which is why the overlap is smaller
    by θ²/(c + θ²).

    Args:
        richness: R, at most 1e9.
        inputs: d, at least 2.
        width: n.

    >>> [round(float(x), 3) for x in outlier_signal(2.0, 16, 1024)]
    [1.338, 0.977]
    """
    richness = validation.between("richness", richness, 0, 1e9)
    inputs = validation.whole("inputs", inputs, least=2)
    width = validation.whole("width", width, least=1)
    theta2 = np.asarray(layer_growth(richness), float)
    found = spike(inputs + width * theta2, 1.0, Sizes(inputs, width, 1))
    seen = width * theta2 / (inputs + width * theta2)
    return WeightOutlier(found.sigma / (width**0.5 + inputs**0.5), found.right * seen)


def outlier_onset(ratio: ArrayLike) -> Float[Array, "..."]:
    """The richness from which on W has an outlier, R = √(2√c + c), that is ℓ = 1 + √c.

    It is below 1 if and only if c < (√2 − 1)² = 0.172.

    Args:
        ratio: c = d/n, positive.

    >>> round(float(outlier_onset(0.0625)), 4)
    0.75
    """
    return _outlier_onset(validation.positive("ratio", ratio))


@numpy_if_known
def _outlier_onset(xp, ratio):
    root = xp.sqrt(ratio)
    return xp.sqrt(root) * xp.sqrt(2 + root)


def update_stable_rank(residual: ArrayLike, x: ArrayLike, moments: GaussianMoments) -> float:
    """The stable rank of the update of W at small R, 1 + (κ_w/μ₁²) |α|²/|X̃ᵀα|².

    The update of neuron i is v_i Σ_μ α_μ φ'(z_iμ) x_μ/√d: a matrix of rank one with the mean of φ',
    and a noise in all directions. Richness is no part of it.

    Args:
        residual: α of :func:`~lazyrich.lenses.richness.linear_displacement`.
        x: inputs.
        moments: of the activation.

    Raises:
        ValueError: if shapes do not fit, or X̃ᵀα vanishes or overflows.

    >>> import jax
    >>> from lazyrich.lenses.constants import gaussian_moments
    >>> erf = gaussian_moments(jax.scipy.special.erf)
    >>> round(update_stable_rank([1.0, 1.0], [[1.0], [1.0]], erf), 2)
    1.17
    """
    validation.instance("moments", moments, GaussianMoments)
    x, residual = map(np.asarray, validation.fitting(x=(x, "n d"), residual=(residual, "n")))
    with np.errstate(all="ignore"):
        residual = residual / np.abs(residual).max()
        along = np.linalg.norm(x.T / x.shape[1] ** 0.5 @ residual)
        share = float((np.linalg.norm(residual) / along) ** 2)
    if not np.isfinite(share) or not np.isfinite(along):
        raise ValueError("x and residual must have a product Xᵀα that floats hold and not zero")
    return 1 + moments.hidden_nugget / moments.slope**2 * share


def clock_deviation(richness: ArrayLike, time: ArrayLike) -> Float[Array, "..."]:
    """F − F_lin after equal times, of one mode and a target of size 1, to leading order in R.

        δ(τ) = ½ R² e^(−τ) (τ − 3/2 + 2 e^(−τ) − ½ e^(−2τ)),

    which solves δ' = −δ + ½ R² (1 − F) F² with F = 1 − e^(−τ): the kernel has grown by R² F²/2
    when the output is F.

    Args:
        richness: R, at most 1e9.
        time: τ ≥ 0 in units of the mode's rate; broadcasts.

    >>> float(clock_deviation(1.0, 0.0))
    0.0
    """
    richness = validation.between("richness", richness, 0, 1e9)
    time = validation.between("time", time, 0, 1e9)
    validation.broadcasting(richness=richness, time=time)
    return _clock_deviation(richness, time)


@numpy_if_known
def _clock_deviation(xp, richness, time):
    decay = xp.exp(-time)
    return richness**2 / 2 * decay * (time - 1.5 + 2 * decay - decay**2 / 2)


def clock_signal(richness: ArrayLike) -> Float[Array, "..."]:
    """The largest :func:`clock_deviation` over time, 0.0515 R²; for R up to 1e9.

    >>> round(float(clock_signal(1.0)), 4)
    0.0515
    """
    return clock_deviation(richness, CLOCK_PEAK)


def function_signal(richness: ArrayLike) -> Float[Array, "..."]:
    """D = ‖F − F_lin‖/‖F_lin‖ on test inputs at equal loss, at d = 16, N = 64, ε = 0.1 and n = ∞.

    No derivation: the power laws between the points of :data:`FUNCTION_PILOT`, and beyond them.

    Args:
        richness: R, from 1e-9 to 1e9.

    >>> round(float(function_signal(0.86)), 6)
    0.02
    """
    richness = validation.between("richness", richness, 1e-9, 1e9)
    R, D = map(np.log, FUNCTION_PILOT)
    return _between_powers(richness, R, D)


@numpy_if_known
def _between_powers(xp, richness, log_R, log_D):
    at = xp.log(richness)
    part = xp.clip(xp.searchsorted(log_R, at) - 1, 0, len(log_R) - 2)
    steps, rises = xp.diff(log_R), xp.diff(log_D)
    return xp.exp(log_D[part] + rises[part] / steps[part] * (at - log_R[part]))
