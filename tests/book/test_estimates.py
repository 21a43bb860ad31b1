import numpy as np
import pytest

from lazyrich.book import estimates

RNG = np.random.default_rng(0)


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def test_the_error_of_a_mean_falls_with_the_root_of_the_seeds():
    samples = np.array([[1.0, -2.0], [3.0, -2.0], [5.0, 4.0], [7.0, 0.0]])
    estimate = estimates.mean(samples)
    close(estimate.value, [4.0, 0.0])
    close(estimate.error, np.sqrt([20 / 3, 24 / 3]) / 2)


def test_a_geometric_mean_is_the_mean_of_logarithms():
    samples = np.array([[1.0, 2.0], [2.0, 2.0], [16.0, 54.0]])
    estimate = estimates.geometric_mean(samples)
    close(estimate.value, [32 ** (1 / 3), 6.0])
    logs = estimates.mean(np.log(samples))
    close(estimate.error, estimate.value * logs.error)
    scaled = estimates.geometric_mean(1e3 * samples)
    close(scaled.value, 1e3 * estimate.value)
    close(scaled.error, 1e3 * estimate.error)


def test_a_geometric_mean_is_of_positive_numbers():
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError, match="samples must be positive to have a geometric mean"):
            estimates.geometric_mean(np.array([1.0, bad]))
    with pytest.raises(ValueError, match="samples must be finite, got nan or inf"):
        estimates.geometric_mean(np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match="samples must hold at least two seeds"):
        estimates.geometric_mean(np.array([1.0]))


def test_the_bootstrap_error_of_a_mean_is_the_standard_error():
    samples = RNG.normal(size=(100, 2)) * [1.0, 3.0]
    estimate = estimates.over_seeds(lambda chosen: chosen.mean(0), samples, draws=2000)
    close(estimate.value, samples.mean(0))
    close(estimate.error, samples.std(0) / 10, rtol=0.05)


def test_what_belongs_to_one_seed_stays_together():
    shift = RNG.normal(size=(50, 1))
    samples = shift + np.array([0.0, 2.0])
    estimate = estimates.over_seeds(lambda chosen: np.diff(chosen.mean(0))[0], samples)
    close(estimate.value, 2)
    assert estimate.error < 1e-12 < estimates.mean(samples).error.min()


def test_an_estimate_is_the_same_each_time():
    samples = RNG.normal(size=20)
    first, again = (estimates.over_seeds(np.max, samples) for _ in range(2))
    assert first == again and first.value == samples.max()


def test_the_median_is_over_seeds():
    samples = np.array([[1.0, 5.0], [2.0, 1.0], [30.0, 2.0]])
    close(estimates.median(samples).value, [2.0, 2.0])
    # the asymptotic error of the median of normal numbers
    error = estimates.median(RNG.normal(size=400)).error
    close(error, np.sqrt(np.pi / 2) / 20, rtol=0.3)


def test_a_power_law_has_its_exponent():
    x = np.array([16, 64, 256])
    samples = RNG.lognormal(size=(9, 1)) * x**-1.5
    estimate = estimates.power_law(x, samples)
    close(estimate.value, -1.5)
    assert estimate.error < 1e-12


def test_a_power_law_is_fitted_to_the_medians_by_least_squares():
    x, samples = np.array([1.0, 2.0, 8.0]), RNG.lognormal(size=(30, 3))
    design = np.stack([np.log(x), np.ones(3)], axis=1)
    slope, _ = np.linalg.lstsq(design, np.log(np.median(samples, axis=0)))[0]
    estimate = estimates.power_law(x, samples)
    close(estimate.value, slope)
    assert 0.03 < estimate.error < 1


def test_a_power_law_is_fitted_to_another_statistic_if_asked():
    x = np.array([1.0, 2.0, 4.0])
    samples = np.abs(np.random.default_rng(0).normal(size=(40, 3))) / x
    rms = lambda chosen: estimates.root_mean_square(chosen).value  # noqa: E731
    estimate = estimates.power_law(x, samples, rms)
    expected = np.polyfit(np.log(x), np.log((samples**2).mean(0)) / 2, 1)[0]
    np.testing.assert_allclose(estimate.value, expected, rtol=1e-12)
    assert 0 < estimate.error < 0.3 and estimate.value != estimates.power_law(x, samples).value


def test_the_error_of_a_root_mean_square_is_that_of_many_repetitions():
    samples = np.random.default_rng(0).normal(size=(50, 4000))
    value, error = estimates.root_mean_square(samples)
    np.testing.assert_allclose(value, np.sqrt((samples**2).mean(0)))
    np.testing.assert_allclose(np.median(error), value.std(), rtol=0.05)
    assert estimates.root_mean_square(np.zeros(3)) == (0.0, 0.0)


def test_local_slopes_are_those_between_neighbours():
    x = np.array([1.0, 2.0, 8.0])
    y = np.array([[3.0, 12.0, 12.0], [1.0, 0.5, 8.0]])
    close(estimates.local_slopes(x, y), [[2.0, 0.0], [-1.0, 2.0]])


def test_a_relative_error_is_in_units_of_the_largest_entry_of_its_case():
    reference = np.array([[1.0, -4.0], [0.0, 0.0], [0.0, 0.0]])
    measured = np.array([[1.5, -3.0], [0.0, 0.0], [0.0, 1e-9]])
    close(estimates.relative_error(measured, reference), [0.25, 0.0, np.inf])
    close(estimates.relative_error(measured[:1], np.array([2.0])), [2.5])


def test_a_relative_error_is_never_zero_where_something_is_not_a_number():
    nan, one, zero = np.full((1, 2), np.nan), np.ones((1, 2)), np.zeros((1, 2))
    for measured, reference in ((one, nan), (nan, one), (nan, zero), (zero, nan), (nan, nan)):
        assert not estimates.relative_error(measured, reference) <= 1e300


def test_samples_that_do_not_fit_are_named():
    for few in (np.array(1.0), np.ones((1, 3)), np.ones((0, 3))):
        with pytest.raises(ValueError, match="samples must hold at least two seeds, got shape"):
            estimates.mean(few)
    for bad in (np.nan, np.inf):
        for estimate in (estimates.mean, estimates.median):
            with pytest.raises(ValueError, match="samples must be finite, got nan or inf"):
                estimate(np.array([1.0, bad]))
    x, samples = np.array([1.0, 2.0]), np.ones((4, 2))
    with pytest.raises(ValueError, match=r"shape \(seeds, 2\), got \(4, 3\)"):
        estimates.power_law(x, np.ones((4, 3)))
    with pytest.raises(ValueError, match="samples must have shape"):
        estimates.power_law(x[:1], samples[:, :1])
    for bad in ((0 * x, samples), (x, samples - 1)):
        with pytest.raises(ValueError, match="x and samples must be positive"):
            estimates.power_law(*bad)
    with pytest.raises(ValueError, match=r"x must hold sizes that differ, got \[2.0, 2.0\]"):
        estimates.power_law(np.array([2.0, 2.0]), samples)
    with pytest.raises(ValueError, match="y must have as many points as x"):
        estimates.local_slopes(x, np.ones(3))


def test_an_estimate_of_many_is_named_entry_by_entry():
    named = estimates.mean(np.array([[1.0, 2.0], [3.0, 6.0]])).by(["a", "b"])
    assert named == {"a": (2.0, 1.0), "b": (4.0, 2.0)}
    with pytest.raises(ValueError, match="zip"):
        estimates.mean(np.ones((2, 2))).by(["a"])
