"""What this student can learn at all, and what ridge regression on the inputs learns of it.

softplus(z) = z/2 + log(2 cosh(z/2)). The student is odd in x, and the odd part of the teacher is
linear. So whatever W and a are, the test error is at least σ² = E log²(2 cosh(g/2)) + ρ², and the
part that can be learnt is a linear regression with signal ‖β/2‖² = ¼ and noise σ².
"""

from collections.abc import Callable

import numpy as np

from lazyrich import validation
from lazyrich.heavy_tails.normal_means import (
    EVEN_POWER,
    FEATURE_POWER,
    SLOPE,
    TEACHER_POWER,
    TEACHER_SLOPE,
)
from lazyrich.heavy_tails.single_index import Sizes, checked_noise, checked_sizes
from lazyrich.validation import ArrayLike


def parity_floor(noise: float = 0.3) -> float:
    """σ² = E log²(2 cosh(g/2)) + ρ², below which no odd student's test error can be.

    >>> round(parity_floor(0.3), 4)
    0.7612
    """
    return _floor(checked_noise(noise))


def _floor(noise):
    return EVEN_POWER + noise**2


def least_squares_loss(sizes: Sizes, noise: float = 0.3) -> float:
    """Test error σ²/(1 − δ) of least squares on the inputs, δ = d/n; ``inf`` for n ≤ d."""
    d, _, n = checked_sizes(sizes)
    return _floor(checked_noise(noise)) / (1 - d / n) if n > d else np.inf


def ridge_loss(sizes: Sizes, noise: float = 0.3) -> float:
    """Test error of ridge regression on the inputs at its best strength.

        σ² (1 + δ m),   m = [−(1 − δ + l) + √((1 − δ + l)² + 4 δ l)]/(2 δ l),   l = 4 δ σ².

    >>> round(ridge_loss(Sizes(1000, 1500, 2000)), 4)
    0.9234
    """
    d, _, n = checked_sizes(sizes)
    floor, delta = _floor(checked_noise(noise)), d / n
    ridge = delta * floor / TEACHER_SLOPE**2
    b = 1 - delta + ridge
    m = (-b + np.sqrt(b**2 + 4 * delta * ridge)) / (2 * delta * ridge)
    return float(floor * (1 + delta * m))


def linear_features_loss(
    eigenvalues: ArrayLike,
    overlaps: ArrayLike,
    sizes: Sizes,
    ridge: ArrayLike = 0.01,
    noise: float = 0.3,
) -> np.ndarray:
    """Test error of the last layer on linear features W x/(d √h), from the spectrum of W alone.

    Features as coded are these while tanh does not bend. With s_i = ℓ_i/(d² h), t_i = (v_i·β)²/4
    for the eigenvectors v_i of WᵀW, and ζ the solution of ζ = λ/h + ζ Σ s_i/(s_i + ζ)/n,

        (ζ² Σ t_i/(s_i + ζ)² + σ²)/(1 − γ),   γ = Σ s_i²/(s_i + ζ)²/n.

    Args:
        eigenvalues: ℓ_i of WᵀW, shape (…, d).
        overlaps: (v_i·β)², of that shape; 1/d each where W knows nothing of the teacher.
        sizes: d, h, n.
        ridge: λ > 0, one or more, whose axes come last.
        noise: ρ.
    """
    d, h, n = sizes = checked_sizes(sizes)
    spectrum, along = _spectra(eigenvalues, overlaps)
    spectrum, floor = spectrum / (d**2 * h), _floor(checked_noise(noise))

    def loss(ridge):
        seen = _seen_ridge(spectrum, ridge / h, n)
        missed = (seen / (spectrum + seen)) ** 2 * along / 4
        return (missed.sum(-1) + floor) / (1 - _shrunk(spectrum, seen, n))

    return _at_ridges(loss, ridge)


def random_features_loss(
    eigenvalues: ArrayLike, sizes: Sizes, ridge: ArrayLike = 0.01, noise: float = 0.3
) -> np.ndarray:
    """Test error of the last layer on features as written of weights that know no teacher.

    The features tanh(W x/√d)/√h are as μ₁ W x/√(d h) beside a noise of variance E tanh² − μ₁² each
    (the Gaussian equivalent). With Ω_i = (μ₁² ℓ_i/d + E tanh² − μ₁²)/h, ℓ_i = 0 for h − d of them,
    t_i = c₁² μ₁² ℓ_i/(d² h), and ζ and γ as of :func:`linear_features_loss` with Ω in place of s,

        (ζ² Σ t_i/(Ω_i (Ω_i + ζ)²) + E y² − Σ t_i/Ω_i)/(1 − γ).

    Arguments as there; h must be at least d.
    """
    d, h, n = sizes = checked_sizes(sizes)
    if h < d:
        raise ValueError(f"sizes must have h ≥ d, got d = {d}, h = {h}")
    noise, spectrum = checked_noise(noise), _spectra(eigenvalues, np.ones(d))[0]
    spectrum = np.concatenate([np.zeros((*spectrum.shape[:-1], h - d)), spectrum], -1)
    along = (TEACHER_SLOPE * SLOPE) ** 2 * spectrum / (d**2 * h)
    power = (SLOPE**2 * spectrum / d + FEATURE_POWER - SLOPE**2) / h
    rest = TEACHER_POWER + noise**2 - (along / power).sum(-1)

    def loss(ridge):
        seen = _seen_ridge(power, ridge / h, n)
        missed = (seen / (power + seen)) ** 2 * along / power
        return (missed.sum(-1) + rest) / (1 - _shrunk(power, seen, n))

    return _at_ridges(loss, ridge)


def _spectra(eigenvalues, overlaps):
    """Eigenvalues and overlaps that fit each other."""
    eigenvalues = validation.known("eigenvalues", eigenvalues)
    overlaps = validation.known("overlaps", overlaps)
    validation.nonnegative("eigenvalues", eigenvalues)
    validation.nonnegative("overlaps", overlaps)
    validation.broadcasting(eigenvalues=eigenvalues, overlaps=overlaps)
    return eigenvalues, overlaps


def _at_ridges(loss: Callable, ridge):
    """A loss at each of the ridges, whose axes come last."""
    ridge = validation.known("ridge", ridge)
    validation.positive("ridge", ridge)
    losses = np.stack([loss(each) for each in ridge.ravel()], -1)
    return losses.reshape((*losses.shape[:-1], *ridge.shape))


def _seen_ridge(spectrum, least, n):
    """The solution of ζ = least + ζ Σ s/(s + ζ)/n, by halving in the logarithm."""
    low = np.full((*spectrum.shape[:-1], 1), float(least))
    high = low + spectrum.sum(-1, keepdims=True) / n
    for _ in range(60):
        middle = np.sqrt(low * high)
        less = middle < least + middle * (spectrum / (spectrum + middle)).sum(-1, keepdims=True) / n
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return high


def _shrunk(spectrum, seen, n):
    """γ."""
    return ((spectrum / (spectrum + seen)) ** 2).sum(-1) / n
