import numpy as np
import pytest

from lazyrich.linearization import train_quadratic
from linearization.small import close, stepped

ETA = 0.3


def unit(n):
    A = np.random.default_rng(n).normal(size=n)
    return A / np.linalg.norm(A)


def test_a_run_is_that_of_its_matrix():
    A, H = unit(16), np.random.default_rng(0).normal(size=16)
    run = train_quadratic(A, H, steps=20)
    close(run.deviation, stepped(A, H, 20, ETA), rtol=1e-11)
    close(run.C02, ETA**2 / 2 * A @ np.diag(H) @ A, rtol=1e-12)
    close(run.C11, ETA**1.5 * np.linalg.norm(np.diag(H) @ A), rtol=1e-12)
    close(run.hessian_norm, np.abs(H).max(), rtol=1e-15)


def test_by_default_a_run_takes_sixty_steps_of_three_tenths_to_the_target_one():
    A, H = unit(8), np.resize([1.0, -1.0], 8)
    close(train_quadratic(A, H).deviation, stepped(A, H, 60, ETA), rtol=1e-11)


def test_what_is_out_of_range_is_refused():
    A = np.array([0.6, 0.8])
    with pytest.raises(ValueError, match="A must be a unit vector, got one of length 2"):
        train_quadratic(2 * A, A)
    with pytest.raises(ValueError, match="H must have an entry for each of 2 axes, got 3"):
        train_quadratic(A, np.ones(3))
    with pytest.raises(ValueError, match="rate must be positive"):
        train_quadratic(A, A, rate=-1.0)
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        train_quadratic(A, A, steps=0)
