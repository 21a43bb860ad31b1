"""The alarms, and what the chapter predicts before any of its runs.

The table is that of d = 16 inputs, N = 64 samples (those of NumPy's generator 0) and ε = 0.1, of
128 Wishart starts, both signs of v, and 1024 for the floors, so that R* is known to about 3 %;
``B3`` is that of the theory, of 24 starts. Both are of the equivalent linear network but for clock
and function, whose constants a pilot gave at n ≤ 2048. In γ multiply by 0.71 √(n/d)/0.92.

What would refute it, at any n from 64 on and with the floors of 256 starts:

* the order alignment < target kernel < tail < function;
* alignment, trace, target and tail away from the network of the drawn data by more than 20 %, and
  at n = 65,536, which is judged last, by more than 15 %; the function there by more than 0.15;
* exponents of R* in n from 256 to 4096 away from those below by more than 0.06;
* an outlier of W below R = √(2√c + c);
* a tail that rings before R = 1 at c ≥ ¼, or after it at c ≤ 1/64;
* a condition number that rises for R ≤ 1, where the first principal direction of the inputs has an
  o² below 0.2 of the teacher; how far it falls, the drawn inputs decide;
* a deviation of the function at R = 1 above 6 %;
* a kernel of three layers that grows by less than twice, or more than 8/3 times, that of two.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from lazyrich.lenses import (
    alarm_table,
    alignment_alarm,
    alignment_signal,
    clock_alarm,
    clock_signal,
    edge_floor,
    frontier,
    function_alarm,
    function_signal,
    gaussian_moments,
    growth_alarm,
    kernel_signal,
    outlier_signal,
    predicted_alarms,
    sine_teacher,
    tail_alarm,
)

ERF = gaussian_moments(jax.scipy.special.erf)
WIDTHS = (64, 256, 1024, 4096, 65536)
PREDICTED = {
    "alignment": (0.291, 0.136, 0.065, 0.034, 0.0085),
    "target": (0.890, 0.563, 0.397, 0.278, 0.137),
    "trace": (1.042, 0.667, 0.471, 0.321, 0.161),
    "largest": (1.279, 0.820, 0.557, 0.384, 0.193),
    "condition": (1.818, 1.099, 0.718, 0.477, 0.227),
    "tail": (1.890, 1.117, 0.729, 0.503, 0.233),
    "hill": (6.16, 2.234, 1.357, 0.799, 0.370),
    "clock": (2.004, 1.417, 1.002, 0.708, 0.354),
    "function": (9.060, 4.495, 2.230, 1.257, 0.524),
}
B3 = {
    "alignment": (0.26, 0.126, 0.062, 0.031, 0.0077),
    "target": (0.83, 0.55, 0.38, 0.266, 0.131),
    "trace": (0.97, 0.65, 0.45, 0.313, 0.155),
    "largest": (1.18, 0.84, 0.57, 0.396, 0.194),
    "condition": (1.48, 0.91, 0.61, 0.418, 0.202),
    "tail": (1.95, 1.13, 0.72, 0.486, 0.233),
    "hill": (5.1, 2.1, 1.19, 0.77, 0.35),
    "clock": (2.0, 1.4, 1.0, 0.70, 0.35),
    "function": (np.inf, 4.6, 2.25, 1.24, 0.53),
}
EXPONENTS = {
    "alignment": -0.504,
    "target": -0.255,
    "trace": -0.264,
    "largest": -0.274,
    "condition": -0.301,
    "tail": -0.288,
    "hill": -0.371,
    "clock": -0.25,
    "function": -0.46,
}


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def task(d=16, N=64):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(N, d)))
    beta = jnp.eye(d)[0]
    return x, sine_teacher(x, beta), beta, ERF


@pytest.fixture(scope="module")
def alarms():
    return predicted_alarms(jax.random.key(1), *task(), WIDTHS)


# The predictions


@pytest.mark.parametrize("name", PREDICTED)
def test_the_table_is_predicted(alarms, name):
    found, expected = np.array(getattr(alarms, name)), np.array(PREDICTED[name])
    if name == "hill":  # which for 64 neurons rings at the end of the grid, or not at all
        assert found[0] > 5
        found, expected = found[1:], expected[1:]
    close(found, expected, rtol=0.1)


@pytest.mark.parametrize("name", B3)
def test_the_table_is_that_of_the_theory(name):
    """Within its error of 24 starts, 15 % for a floor, of which R* has half but for alignment.

    Those of condition and Hill have the first order of R in their signal besides, with a sign
    for each start, and so are too early by up to a fifth.
    """
    predicted = np.array(PREDICTED[name])
    within = 0.25 if name in ("condition", "hill") else 0.15
    finite = np.isfinite(B3[name])
    close(predicted[finite], np.array(B3[name])[finite], rtol=within)
    assert (predicted[~finite] > 8).all()


def test_alarms_ring_in_the_predicted_order(alarms):
    order = ("alignment", "target", "trace", "largest", "tail", "clock", "hill", "function")
    table = np.array([getattr(alarms, name) for name in order])
    # For 64 neurons tail and clock are alike, and Hill and function ring late if at all.
    assert (table[1:, 1:] > table[:-1, 1:]).all()
    assert (table[1:5, 0] > table[:4, 0]).all() and (table[6:, 0] > table[:6, 0].max()).all()
    assert (alarms.condition > alarms.largest).all()


@pytest.mark.parametrize("name", EXPONENTS)
def test_alarms_move_with_the_width_by_their_exponents(alarms, name):
    at = getattr(alarms, name)
    close(np.log(at[3] / at[1]) / np.log(16), EXPONENTS[name], atol=0.04)


def test_early_warning_grows_with_the_width(alarms):
    """γ at R = 1 over γ at which alignment rings, which is 1/R*."""
    close(np.log(alarms.alignment[1] / alarms.alignment[4]) / np.log(256), 0.5, atol=0.04)


def test_the_tail_rings_before_richness_where_the_inputs_are_few(alarms):
    assert (alarms.tail > 1).tolist() == [True, True, False, False, False]
    assert tail_alarm(16, 1024) < 1 < tail_alarm(64, 256)


@pytest.mark.parametrize(("draw", "overlap"), [(0, 0.0), (20, 0.17)])
def test_the_condition_number_s_alarm_is_later_the_nearer_the_inputs_point_to_the_teacher(
    draw, overlap
):
    if not draw:
        x, y, beta, moments = task()
    else:
        x, beta, moments = jax.random.normal(jax.random.key(draw), (64, 16)), jnp.eye(16)[0], ERF
        y = sine_teacher(x, beta)
    first = np.linalg.eigh(np.asarray(x.T @ x))[1][:, -1]
    close(first[0] ** 2, overlap, atol=0.01)
    found = predicted_alarms(jax.random.key(1), x, y, beta, moments, (256,), starts=6)
    assert (found.condition < 1.4) == (draw == 0)
    close(found.trace, PREDICTED["trace"][1], rtol=0.15)


def test_more_inputs_delay_the_tail_alone():
    few, many = (
        predicted_alarms(jax.random.key(1), *task(d, 4 * d), (512,), starts=3) for d in (8, 32)
    )
    ratio = np.log(many.tail / few.tail) - np.log(many.trace / few.trace)
    close(ratio / np.log(4), 0.25, atol=0.12)


def test_fewer_neurons_than_inputs_ring_later():
    few = predicted_alarms(jax.random.key(1), *task(), (8, 64), function_floor=1.0, starts=16)
    assert few.alignment[1] < few.alignment[0] < 2


def test_what_does_not_scatter_never_rings():
    x, y = np.array([[1.0], [-2.0], [0.5]]), np.array([1.0, -1.0, 0.5])
    with np.errstate(invalid="ignore"):  # Hill's exponent of one eigenvalue is not finite
        one = predicted_alarms(
            jax.random.key(1), x, y, np.ones(1), ERF, (32,), function_floor=1.0, starts=4
        )
    assert one.hill == np.inf and np.isfinite(one.alignment)


def test_a_table_is_lines_of_text(alarms):
    lines = alarm_table(alarms, WIDTHS).splitlines()
    assert len(lines) == 6 and lines[0].split() == ["n", *alarms._fields]
    assert [line.split()[0] for line in lines[1:]] == [str(n) for n in WIDTHS]


# Closed forms


@pytest.mark.parametrize("n", [16, 256, 65536])
def test_alarms_are_where_signals_are_two_deviations(n):
    def crossing(signal, floor):
        return brentq(lambda R: float(signal(R)) - 2 * floor, 1e-4, 50)

    close(alignment_alarm(n * 1.0), crossing(alignment_signal, n**-0.5), rtol=1e-8)
    kernel = crossing(lambda R: kernel_signal(R, 0.55), 0.78 * n**-0.5)
    close(growth_alarm(-0.55, 0.78, n * 1.0), kernel, rtol=1e-8)
    close(clock_alarm(n * 1.0), crossing(clock_signal, 0.82 * n**-0.5), rtol=1e-8)
    close(function_alarm(n * 1.0, 1.1), crossing(function_signal, 1.1 * n**-0.5), rtol=1e-8)


@pytest.mark.parametrize("shape", [(16, 256), (16, 4096), (64, 65536)])
def test_the_tail_rings_two_deviations_above_random_weights(shape):
    d, n = shape
    floor = edge_floor(d, n)
    height = outlier_signal(tail_alarm(d, n), d, n).height * (n**0.5 + d**0.5)
    close(height, floor.mean + 2 * floor.sd)


def test_closed_alarms_are_near_those_of_the_network():
    for i, n in enumerate(WIDTHS[1:], 1):
        close(tail_alarm(16, n), PREDICTED["tail"][i], rtol=0.12)
        close(alignment_alarm(float(n)), PREDICTED["alignment"][i], rtol=0.12)


def test_networks_of_few_neurons_have_no_alarm_of_alignment():
    assert np.isinf(alignment_alarm(4.0))


# The measured frontier


def test_a_power_law_is_crossed_where_it_says():
    grid = np.geomspace(0.1, 10, 7)
    floors = np.array([0.03, 0.3])
    signals = np.stack([-(grid**2), grid**0.5])
    close(frontier(grid, signals, floors), [0.06**0.5, 0.36])


def test_what_is_silent_or_always_loud_is_not_on_the_grid():
    grid = np.array([1.0, 2.0, 4.0])
    signals = np.array([[0.1, 0.2, 0.3], [3.0, 4.0, 5.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    found = frontier(grid, signals, 1.0)
    assert np.isinf(found[[0, 3]]).all() and np.isnan(found[1]) and found[2] == 4


def test_the_first_crossing_counts():
    close(frontier([1.0, 2.0, 4.0, 8.0], [1.0, 4.0, 1.0, 4.0], 1.0), 2**0.5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="grid must be increasing"):
        frontier([2.0, 1.0], [1.0, 1.0], 1.0)
    with pytest.raises(ValueError, match="signals must have shape"):
        frontier([1.0, 2.0], [1.0], 1.0)
    with pytest.raises(ValueError, match="floor must be positive"):
        frontier([1.0, 2.0], [1.0, 2.0], 0.0)
    with pytest.raises(ValueError, match="the size of share must be"):
        growth_alarm(0.0, 1.0, 64.0)
    with pytest.raises(ValueError, match="widths must be a sequence"):
        predicted_alarms(jax.random.key(1), *task(), ())
