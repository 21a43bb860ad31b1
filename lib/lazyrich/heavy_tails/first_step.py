"""What the first update looks like: rank one for gradient descent, a sign matrix for Adam.

With r = f − y at the start and q = Xᵀr/n the gradient is

    G = 2/(n √(hd)) [(a rᵀ) ∘ tanh'(W Xᵀ/√d)] X ≈ A = (2 μ₁/√(hd)) a qᵀ,

where μ₁ = E tanh'(g). On average q is μ₁ b₀ − c₁ β, with b₀ = Wᵀa/√(hd) the student's own linear
part, a unit vector. The first step of Adam is −η sign(G), whatever the size of G. All formulas are
to leading order in large d, h and n in proportion, with c = d/h and δ = d/n.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit, matmul
from lazyrich.heavy_tails.normal_means import (
    FEATURE_POWER,
    SLOPE,
    SLOPE_CURVATURE,
    SLOPE_VARIANCE,
    TEACHER_POWER,
    TEACHER_SLOPE,
    normal_mean,
)
from lazyrich.heavy_tails.single_index import (
    LARGEST,
    Problem,
    Sizes,
    checked_noise,
    checked_problem,
    checked_sizes,
    mean_square,
    student,
)


class FirstStep(NamedTuple):
    """The law of the first update."""

    residual_power: float
    """E r², the loss at the start."""
    q_norm: float
    """‖q‖, with ‖q‖² = μ₁² + c₁² + δ E r²."""
    teacher_overlap: float
    """|q̂·β| = c₁/‖q‖."""
    remainder: float
    """‖G − A‖_F/‖A‖_F = √(v₁ δ E r²)/(μ₁ ‖q‖)."""
    stable_rank: float
    """Of G, 1 plus the square of that."""
    gradient_norm: float
    """‖G‖₂ = 2 μ₁ ‖q‖/√d."""
    signal: float
    """R² = μ₁² ‖q‖²/(v₁ δ E r²), the signal to noise of an entry of G."""
    sign_norm: float
    """κ_s = ‖sign G‖₂/√(hd), κ_s² = (2/π) arcsin(R²/(1 + R²))."""


class StepLoss(NamedTuple):
    """What one step makes of the student."""

    power: float
    """E f², of the output."""
    test: float
    """E (f − y)², on fresh samples."""


class OverlapLosses(NamedTuple):
    """How far the top singular vectors of G are from those of A, d times one minus the overlap."""

    output: float
    """d (1 − |u₁·â|)."""
    inputs: float
    """d (1 − |v₁·q̂|)."""


class Directions(NamedTuple):
    """What the gradient at the start is made of."""

    gradient: Float[Array, "h d"]
    """G, by automatic differentiation."""
    rank_one: Float[Array, "h d"]
    """A."""
    q: Float[Array, "d"]
    """q = Xᵀr/n."""


def residual_power(noise: float) -> float:
    """E r² at the start, E tanh²(g) + E softplus²(g) + ρ²."""
    return _power(checked_noise(noise))


def _power(noise):
    return FEATURE_POWER + TEACHER_POWER + noise**2


def first_step_law(sizes: Sizes, noise: float = 0.3) -> FirstStep:
    """The law of the first update.

    Args:
        sizes: d, h, n.
        noise: ρ.

    >>> round(first_step_law(Sizes(1000, 1500, 2000)).sign_norm, 4)
    0.8244
    """
    return law_of(checked_sizes(sizes), checked_noise(noise))


def law_of(sizes, noise):
    """:func:`first_step_law` of sizes and a noise that fit."""
    d, _, n = sizes
    power = _power(noise)
    q2 = SLOPE**2 + TEACHER_SLOPE**2 + d / n * power
    signal = SLOPE**2 * q2 / (SLOPE_VARIANCE * d / n * power)
    return FirstStep(
        power,
        q2**0.5,
        TEACHER_SLOPE / q2**0.5,
        signal**-0.5,
        1 + 1 / signal,
        2 * SLOPE * (q2 / d) ** 0.5,
        signal,
        float(np.sqrt(2 / np.pi * np.arcsin(signal / (1 + signal)))),
    )


def equal_norm_rates(sizes: Sizes, noise: float = 0.3) -> dict[tuple[str, str], float]:
    """The rates η at which the first update is as large as W_0, by optimiser and norm.

    ‖W_0‖₂ = √h + √d and ‖W_0‖_F = √(hd). So η grows like d and d^1.5 for gradient descent, and
    like d^−½ and 1 for Adam, whose sign matrix has exactly the Frobenius norm of W_0.
    """
    d, h, _ = sizes = checked_sizes(sizes)
    law = law_of(sizes, checked_noise(noise))
    spectral, frobenius = h**0.5 + d**0.5, (h * d) ** 0.5
    return {
        ("GD", "spectral"): spectral / law.gradient_norm,
        ("GD", "Frobenius"): frobenius / (law.gradient_norm * law.stable_rank**0.5),
        ("Adam", "spectral"): spectral / (law.sign_norm * frobenius),
        ("Adam", "Frobenius"): 1.0,
    }


def directions(problem: Problem) -> Directions:
    """The gradient of the training loss at the start, and its rank-one part.

    Both are inf or nan where the problem is, or where a product overflows.
    """
    problem = checked_problem(problem)
    return directions_of(problem.W, problem.a, problem.train)


@jit
def directions_of(W, a, samples):
    """:func:`directions` of weights and training samples that fit."""
    x, y = samples
    q = matmul(student(W, a, x) - y, x) / len(y)
    A = 2 * SLOPE / W.size**0.5 * jnp.outer(a, q)
    return Directions(jax.grad(mean_square)(W, a, samples), A, q)


def first_step_loss(sizes: Sizes, rate: float, noise: float = 0.3) -> StepLoss:
    """What one Adam step of a rate η makes of the output and of the test loss, up to order one.

    The hidden units move by ±u = ±η κ_s z together, z ~ N(0, 1) over inputs, and stay spread by
    τ² = 1 + η² (1 − κ_s²). With φ(u) = E tanh(τ g + u), φ' its derivative, ψ(u) = E tanh²(τ g + u),
    and ω_b = √(2/π) (μ₁/‖q‖) R/√(1 + R²)/κ_s the correlation of the step with the student's own
    linear part, ω_β = c₁ ω_b/μ₁ that with the teacher,

        E f² = (2/π) h E φ² − 2 √(2h/π) ω_b E φ φ' z + E[ψ − (2/π) φ² + ω_b² φ'² (z² − 1)],
        E f y = c₁ {√(2h/π) ω_β E φ z + ω_b ω_β E φ' (1 − z²)}.

    The first term of E f² is the overshoot, in the second the step takes back what the start had,
    the third is the spread over units, less what z explains. What is left out is of order h^−½.

    Args:
        sizes: d, h, n.
        rate: η, from 0 to 1e50; at zero this is the start.
        noise: ρ.

    >>> round(first_step_loss(Sizes(1000, 1500, 2000), 0.0).test, 4)
    1.4055
    """
    known = checked_rate(rate)
    validation.scalar("rate", validation.nonnegative("rate", known))
    rate = float(known)
    sizes, noise = checked_sizes(sizes), checked_noise(noise)
    law, h = law_of(sizes, noise), sizes.hidden
    tau = (1 + rate**2 * (1 - law.sign_norm**2)) ** 0.5
    step = (2 * law.signal / (np.pi * (1 + law.signal))) ** 0.5 / (law.q_norm * law.sign_norm)
    own, teacher, unit = SLOPE * step, TEACHER_SLOPE * step, (2 * h / np.pi) ** 0.5

    def parts(z):
        def moved(g):
            return np.tanh(tau * g + rate * law.sign_norm * z[..., None])

        phi, spread = normal_mean(moved), normal_mean(lambda g: moved(g) ** 2)
        slope = normal_mean(lambda g: g * moved(g)) / tau  # by parts
        power = (unit * phi) ** 2 - 2 * unit * own * phi * slope * z
        power = power + spread - 2 / np.pi * phi**2 + (own * slope) ** 2 * (z**2 - 1)
        return np.stack([power, teacher * (unit * phi * z + own * slope * (1 - z**2))])

    power, shared = normal_mean(parts)
    test = power - 2 * TEACHER_SLOPE * shared + TEACHER_POWER + noise**2
    return StepLoss(float(power), float(test))


def overlap_losses(sizes: Sizes, noise: float = 0.3) -> OverlapLosses:
    """How far the top vectors of G are from a and from q, to first order in G − A.

    With x·q the correlation of a sample with q, which holds the sample itself, and c₂ that of
    tanh' between inputs which are not orthogonal,

        d (1 − |u₁·â|) → [v₁ δ E r² (x·q)² + ½ c₂² ‖q‖⁴]/(2 μ₁² ‖q‖⁴),
        d (1 − |v₁·q̂|) → δ c E r² [3 v₁ + c₂²/(2c)]/(2 μ₁² ‖q‖²),

    where 3 = E a⁴ and, with L = μ₁ b₀·x − c₁ β·x,

        E r² (x·q)² = E r² (L² + δ E r²) + 2 δ E r³ L + δ² E r⁴.

    Args:
        sizes: d, h, n.
        noise: ρ.

    >>> round(overlap_losses(Sizes(1000, 1500, 2000)).output, 4)
    0.3592
    """
    sizes, noise = checked_sizes(sizes), checked_noise(noise)
    (d, h, n), law = sizes, law_of(sizes, noise)
    delta, power, q2 = d / n, law.residual_power, law.q_norm**2
    rest = FEATURE_POWER - SLOPE**2 + noise**2  # of r, beside its part in b₀·x and β·x

    def crossed(t):
        def given(b):
            r = SLOPE * b - np.logaddexp(0, t[..., None])
            linear = SLOPE * b - TEACHER_SLOPE * t[..., None]
            moments = r**2 + rest, r**3 + 3 * r * rest, r**4 + 6 * r**2 * rest + 3 * rest**2
            weights = linear**2 + delta * power, 2 * delta * linear, delta**2
            return sum(weight * moment for weight, moment in zip(weights, moments, strict=True))

        return normal_mean(given)

    seen = SLOPE_VARIANCE * delta * float(normal_mean(crossed)) + SLOPE_CURVATURE**2 * q2**2 / 2
    units = 3 * SLOPE_VARIANCE + SLOPE_CURVATURE**2 * h / (2 * d)
    return OverlapLosses(
        seen / (2 * SLOPE**2 * q2**2), delta * d / h * power * units / (2 * SLOPE**2 * q2)
    )


def largest_stable_rate(sizes: Sizes) -> float:
    """The largest rate η at which gradient descent is stable at the start, n/λ_max.

    λ_max is the largest eigenvalue of the tangent kernel μ₁² X Xᵀ/d + v₁ I on the samples, so that

        η = d/(μ₁² (1 + √δ)² + δ v₁).

    >>> round(largest_stable_rate(Sizes(1000, 1500, 2000)))
    895
    """
    d, _, n = checked_sizes(sizes)
    return d / (SLOPE**2 * (1 + (d / n) ** 0.5) ** 2 + d / n * SLOPE_VARIANCE)


def checked_rate(rate: object) -> np.ndarray:
    """The rates η, known numbers that are not negative, nor so large that η⁴ is lost."""
    rate = validation.known("rate", rate)
    validation.nonnegative("rate", rate)
    validation.between("rate", rate, 0, LARGEST)
    return rate
