"""What this student can learn at all, and what ridge regression on the inputs learns of it.

softplus(z) = z/2 + log(2 cosh(z/2)). The student is odd in x, and the odd part of the teacher is
linear. So whatever W and a are, the test error is at least σ² = E log²(2 cosh(g/2)) + ρ², and the
part that can be learnt is a linear regression with signal ‖β/2‖² = ¼ and noise σ².
"""

import numpy as np

from lazyrich.heavy_tails.normal_means import EVEN_POWER, TEACHER_SLOPE
from lazyrich.heavy_tails.single_index import Sizes, checked_noise, checked_sizes


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
