import jax
import numpy as np

from lazyrich.experiments.linearization.first_steps import correlations_at_start
from lazyrich.experiments.linearization.neuron_sums import (
    NEURONS,
    correlations_of_neurons,
    drawn_correlations,
    expected_correlations,
)
from linearization.small import close

KEY = jax.random.key(0)


def test_sums_over_neurons_are_the_derivatives_along_the_step():
    sums = correlations_of_neurons(KEY, 5, 3, order=5, free_order=3)
    derivatives = correlations_at_start(KEY, 5, 3, order=5, free_order=3)
    close(sums.C0, derivatives.C0, rtol=1e-9, atol=1e-16)
    close(sums.C1, derivatives.C1, rtol=1e-10)


def test_expectations_are_those_of_many_draws():
    for width in (2, 16):
        many = drawn_correlations(KEY, width, 100_000, order=3)
        expected = expected_correlations(KEY, [width], order=3)
        for drawn, known in zip(many, expected, strict=True):
            squares = drawn**2
            error = squares.std(0) / len(squares) ** 0.5
            assert (np.abs(squares.mean(0) - known[0] ** 2) < 4 * error).all()


def test_expectations_fall_as_the_exponents_say():
    wide = expected_correlations(KEY, [2**30, 2**31], order=5, free_order=3)
    close(np.log2(wide.C0[1] / wide.C0[0]), [0, -1, -1, -2, -2], atol=1e-3)
    close(np.log2(wide.C1[1] / wide.C1[0]), [-0.5, -1, -1.5], rtol=1e-9)


def test_draws_are_as_many_as_asked_and_their_own_at_each_width():
    few = drawn_correlations(KEY, NEURONS // 2, 3, order=1, free_order=1)
    assert few.C0.shape == few.C1.shape == (3, 1) and len(np.unique(few.C0)) == 3
    other = drawn_correlations(KEY, NEURONS // 2 + 1, 2, order=1, free_order=1)
    assert not np.isclose(few.C0[:2], other.C0, rtol=1e-4).any()
