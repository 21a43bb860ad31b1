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


def overshoot(sizes: Sizes, rate: float, noise: float = 0.3) -> float:
    """E f² after one Adam step, (2/π) h E_z φ(η κ_s z)² with φ(u) = E tanh(τ g + u).

    The hidden units move by ±η κ_s z together, z ~ N(0, 1) over inputs, and stay spread by
    τ² = 1 + η² (1 − κ_s²). To leading order in h: what the start had, of order one, is left out,
    and so is its correlation with the step. That makes it too high: at η = 1 by 8, 3 and 3 % at
    d = 100, 300 and 1000, and as a law of the test loss by 11, 12 and 4 %, with standard errors of
    1 to 2 %.

    Args:
        sizes: d, h, n.
        rate: η > 0, at most 1e50.
        noise: ρ.
    """
    validation.scalar("rate", validation.positive("rate", validation.known("rate", rate)))
    rate = float(checked_rate(rate))
    sizes = checked_sizes(sizes)
    kappa_s = law_of(sizes, checked_noise(noise)).sign_norm
    tau = (1 + rate**2 * (1 - kappa_s**2)) ** 0.5

    def squared_mean(z):
        return normal_mean(lambda g: np.tanh(tau * g + rate * kappa_s * z[..., None])) ** 2

    return 2 / np.pi * sizes.hidden * float(normal_mean(squared_mean))


def checked_rate(rate: object) -> np.ndarray:
    """The rates η, known numbers that are not negative, nor so large that η⁴ is lost."""
    rate = validation.known("rate", rate)
    validation.nonnegative("rate", rate)
    validation.between("rate", rate, 0, LARGEST)
    return rate
