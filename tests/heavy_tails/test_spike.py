import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from lazyrich.heavy_tails import (
    OPTIMIZERS,
    Sizes,
    Update,
    alignment_law,
    first_step_law,
    linear_alignment,
    outlier,
    sizes,
    spike_law,
    teacher_alignment,
    threshold,
    update,
)

TABLE = sizes(400)
shapes = st.builds(Sizes, st.integers(2, 1000), st.integers(2, 1000), st.integers(2, 4000))


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# The tables


@pytest.mark.parametrize(
    ("samples", "own", "gd", "adam"),
    [
        (1000, 0.2491, 0.9355, 1.4916),
        (2000, 0.3142, 1.2598, 1.5367),
        (8000, 0.4209, 1.8354, 1.5454),
    ],
)
def test_thresholds_and_cross_terms_have_the_numbers_of_the_table(samples, own, gd, adam):
    sizes = Sizes(1000, 1500, samples)
    close(threshold("GD", sizes) / 1000, gd, atol=5e-5)
    close(threshold("Adam", sizes) * 1000**0.5, adam, atol=5e-5)
    dropped = update("Adam", 0.3, sizes, naive=True).p_norm2 - update("Adam", 0.3, sizes).p_norm2
    close(dropped / (2 * 0.3 * 1500**0.5 * 1000), own, atol=5e-5)


def test_thresholds_at_the_paper_s_shape():
    close(threshold("GD", sizes(1000)), 1260, atol=0.5)
    close(threshold("Adam", sizes(1000)), 0.0486, atol=5e-5)


@pytest.mark.parametrize(
    ("optimizer", "factors", "sigma", "left", "right", "teacher"),
    [
        (
            "Adam",
            (1.2, 1.5, 2, 4, 20),
            (46.00, 51.26, 63.22, 120.7, 614.4),
            (0.369, 0.627, 0.804, 0.955, 0.997),
            (0.640, 0.886, 0.971, 0.999, 1.000),
            (0.336, 0.401, 0.419, 0.414, 0.399),
        ),
        (
            "GD",
            (1.2, 1.5, 2, 4, 20),
            (46.42, 52.93, 67.14, 133.1, 691.4),
            (0.412, 0.670, 0.834, 0.965, 0.999),
            (0.692, 0.913, 0.980, 0.999, 1.000),
            (0.425, 0.482, 0.488, 0.466, 0.442),
        ),
    ],
)
def test_spikes_have_the_numbers_of_the_table(optimizer, factors, sigma, left, right, teacher):
    rates = threshold(optimizer, TABLE) * np.array(factors)
    law = spike_law(optimizer, rates, TABLE)
    assert (np.abs(law.sigma - sigma) <= [0.005] * 3 + [0.05] * 2).all()
    close(law.left, left, atol=5e-4)
    close(law.right, right, atol=5e-4)
    close(teacher_alignment(optimizer, rates, TABLE), teacher, atol=5e-4)


@pytest.mark.parametrize(("optimizer", "errors"), [("GD", (17, 15, 8)), ("Adam", (12, 11, 6))])
def test_the_naive_law_is_too_high(optimizer, errors):
    rates = threshold(optimizer, TABLE) * np.array([1.5, 2, 4])
    naive = spike_law(optimizer, rates, TABLE, naive=True).sigma
    close(100 * (naive / spike_law(optimizer, rates, TABLE).sigma - 1), errors, atol=0.5)


def test_the_alignment_at_the_start_and_its_maximum():
    start = [float(alignment_law("Adam", 0.0, sizes(d))) for d in (1000, 300)]
    close(start, [0.0161, 0.0293], atol=5e-5)
    rates = np.linspace(0.05, 3, 296)
    for where, ratio, at in ((sizes(300), 1.74, 0.45), (Sizes(200, 300, 1600), 3.4, 0.6)):
        gain = alignment_law("Adam", rates, where) / alignment_law("Adam", 0.0, where)
        close(gain.max(), ratio, atol=0.005 if ratio < 3 else 0.05)
        close(rates[gain.argmax()], at, atol=0.05)
        assert 1 < gain[-1] < gain.max()


# The update


@given(shapes, st.floats(0.01, 100), st.floats(0, 1), st.sampled_from(OPTIMIZERS))
def test_the_update_is_the_sum_of_its_parts(sizes, rate, noise, optimizer):
    d, h, _ = sizes
    law, after = first_step_law(sizes, noise), update(optimizer, rate, sizes, noise)
    if optimizer == "GD":
        # p = W_0ᵀâ + η s₀ q̂, and q is μ₁ b₀ − c₁ β on average
        grown, own, teacher = rate * law.gradient_norm, 0.60570551 / law.q_norm, 0.5 / law.q_norm
        variance = 1.0
    else:
        # the mean sign of an entry against q, and the direction of W_0ᵀsign(a) in that of b₀
        along = np.sqrt(2 / np.pi * law.signal / (1 + law.signal))
        grown = rate * law.sign_norm * (h * d) ** 0.5
        own = along / law.sign_norm * (2 / np.pi) ** 0.5 * 0.60570551 / law.q_norm
        teacher = along / law.sign_norm * 0.5 / law.q_norm
        variance = 1 + rate**2 * (1 - law.sign_norm**2)
    close(after.variance, variance)
    close(after.teacher, grown * teacher)
    close(after.p_norm2, d * variance - 2 * grown * d**0.5 * own + grown**2, rtol=1e-6)
    naive = update(optimizer, rate, sizes, noise, naive=True)
    close(naive.p_norm2, d * variance + grown**2)
    close(naive.variance, after.variance)
    close(naive.teacher, after.teacher)


def test_at_rate_zero_nothing_is_moved():
    for optimizer in OPTIMIZERS:
        assert update(optimizer, 0.0, TABLE) == (1, 400, 0)
        law = spike_law(optimizer, 0.0, TABLE)
        close(law.sigma, 600**0.5 + 20)
        assert law.left == law.right == teacher_alignment(optimizer, 0.0, TABLE) == 0


# The outlier


@given(shapes, st.floats(0, 1), st.sampled_from(OPTIMIZERS))
def test_the_threshold_is_where_the_outlier_begins(sizes, noise, optimizer):
    c, h = sizes.inputs / sizes.hidden, sizes.hidden

    def beyond(rate):
        after = update(optimizer, rate, sizes, noise)
        theta2 = (after.p_norm2 - sizes.inputs * after.variance) / (h * after.variance)
        return float(theta2 - c**0.5)

    at = threshold(optimizer, sizes, noise)
    # Adam's bulk grows with the rate, so that its θ² stays bounded.
    if beyond(1.001 * at) > 0:
        close(brentq(beyond, 0.7 * at, 1.001 * at, xtol=1e-14), at, rtol=1e-3)
    if optimizer == "GD":
        close(beyond(at), 0, atol=1e-9 * (1 + c))
        assert spike_law(optimizer, 0.999 * at, sizes, noise).right == 0
        assert spike_law(optimizer, 1.001 * at, sizes, noise).right > 0


@pytest.mark.parametrize("sizes", [(200, 300), (250, 100), (150, 900)])
def test_an_outlier_is_that_of_a_matrix_with_a_known_spike(sizes):
    (d, h), tau = sizes, 1.7
    c, rng = d / h, np.random.default_rng(0)
    for theta2 in np.array([0.5, 1.7, 2.5, 6.0]) * c**0.5:
        p_norm2 = tau**2 * (d + h * theta2)
        found = []
        for _ in range(6):
            W = tau * rng.normal(size=(h, d))
            W[0] *= p_norm2**0.5 / np.linalg.norm(W[0])  # w is the first axis
            U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
            found.append([sigma[0], U[0, 0] ** 2, (Vt[0] @ W[0]) ** 2 / p_norm2])
        mean, error = np.mean(found, 0), np.std(found, 0) / 6**0.5
        law = outlier(p_norm2, tau**2, Sizes(d, h, 1))
        allowed = [0.02 * law.sigma, 0.04, 0.04]
        assert (np.abs(mean - np.array(law)) <= allowed + 2 * error).all(), (theta2, mean, law)


@given(shapes, st.floats(1.001, 1e4), st.floats(0.01, 100))
def test_an_outlier_scales_with_its_matrix(sizes, share, tau):
    d, h, _ = sizes
    p_norm2 = d + h * share * (d / h) ** 0.5
    one, scaled = outlier(p_norm2, 1.0, sizes), outlier(tau**2 * p_norm2, tau**2, sizes)
    close(scaled.sigma, tau * one.sigma, rtol=1e-9)
    close(scaled.left, one.left, rtol=1e-6)
    close(scaled.right, one.right, rtol=1e-6)
    # Its square is the sum over p, and the bulk that it meets.
    assert one.sigma > h**0.5 + d**0.5 and one.sigma > p_norm2**0.5
    assert 0 < one.left < 1 and 0 < one.right < 1


def test_an_outlier_begins_at_the_edge():
    rise = np.array([-0.1, -1e-9, 1e-9, 1e-5, 1e-3])
    c = 2 / 3
    law = outlier(400 + 600 * c**0.5 * (1 + rise), 1.0, TABLE)
    edge = 600**0.5 + 20
    close(law.sigma[:4], edge, rtol=1e-8)
    assert law.sigma[4] > edge * (1 + 1e-8)
    assert (law.left[:2] == 0).all() and (law.right[:2] == 0).all()
    close(law.right[2:], 2 * rise[2:], rtol=2e-3)
    close(law.left[2:], 2 * rise[2:] * c**0.5 / (1 + c**0.5), rtol=2e-3)


def test_the_law_is_the_outlier_of_the_update():
    after = update("Adam", np.array([0.1, 1.0]), TABLE, 0.5)
    for mine, its in zip(
        spike_law("Adam", np.array([0.1, 1.0]), TABLE, 0.5),
        outlier(after.p_norm2, after.variance, TABLE),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, its)


# The alignment


@pytest.mark.parametrize(
    ("optimizer", "rate", "sizes"),
    [
        ("GD", 0.0, (150, 225, 300)),
        ("GD", 500.0, (150, 225, 300)),
        ("Adam", 0.4, (150, 225, 300)),
        ("Adam", 0.7, (120, 60, 500)),
        ("Adam", 3.0, (120, 240, 90)),
    ],
)
def test_the_alignment_is_that_of_linear_features(optimizer, rate, sizes):
    (d, h, n), rng = sizes, np.random.default_rng(1)
    after, found = update(optimizer, rate, Sizes(*sizes)), []
    for _ in range(40):
        beta, p = rng.normal(size=(2, d))
        beta /= np.linalg.norm(beta)
        p -= (p @ beta) * beta
        across = max(after.p_norm2 - after.teacher**2, 0)
        p *= across**0.5 / np.linalg.norm(p)
        W = after.variance**0.5 * rng.normal(size=(h, d))
        W[0] = p + after.teacher * beta
        x = rng.normal(size=(n, d))
        y = np.log1p(np.exp(x @ beta)) + 0.3 * rng.normal(size=n)
        K = x @ W.T @ W @ x.T
        found.append(y @ K @ y / (np.linalg.norm(K) * (y @ y)))
    error = np.std(found) / len(found) ** 0.5
    close(np.mean(found), alignment_law(optimizer, rate, Sizes(*sizes)), rtol=0.04, atol=2 * error)


@given(shapes, st.floats(-300, 300), st.floats(-320, 300))
def test_an_outlier_far_from_all_scales_is_that_of_its_quotient(sizes, power, other):
    p_norm2, variance = 10.0**power, 10.0**other
    spike = outlier(p_norm2, variance, sizes)
    d, h, _ = sizes
    edge = np.sqrt(variance) * (h**0.5 + d**0.5)
    if power > other + 20:
        close(spike.sigma, p_norm2**0.5, rtol=1e-6)
        close([spike.left, spike.right], 1, rtol=1e-6)
    elif power < other:
        close(spike.sigma, edge, rtol=0)
        assert spike.left == spike.right == 0
    assert np.isfinite(spike).all() and spike.sigma >= edge * (1 - 1e-12)


@given(shapes, st.floats(0.01, 100), st.floats(0, 1), st.sampled_from([-300, -9, 9, 200, 300]))
def test_an_alignment_is_free_of_scale(sizes, p_norm2, share, power):
    after = Update(*map(np.asarray, (1.0, p_norm2, share * p_norm2**0.5)))
    scaled = Update(
        after.variance * 10.0**power, p_norm2 * 10.0**power, after.teacher * 10.0 ** (power / 2)
    )
    close(linear_alignment(scaled, sizes), linear_alignment(after, sizes), rtol=1e-10)


# What does not fit


def test_a_teacher_is_seen_in_no_more_than_all_of_p():
    assert linear_alignment(Update(1.0, 4.0, 2.0001), TABLE) < 1  # as float32 rounds
    for bad in (Update(1.0, 1.0, 1e9), Update(1.0, np.array([9.0, 1.0]), np.full(2, 1.5))):
        with pytest.raises(ValueError, match="^after.teacher must be at most ‖p‖, 1.00035, got 1"):
            linear_alignment(bad, TABLE)


@pytest.mark.parametrize("law", [update, spike_law, teacher_alignment, alignment_law])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"optimizer": "SGD"}, "optimizer must be one of 'GD', 'Adam', got 'SGD'"),
        ({"rate": -0.1}, "rate must be not negative, got -0.1"),
        ({"rate": np.array([0.1, np.nan])}, "rate must be finite, got nan"),
        ({"rate": np.arange(3)}, "rate must be an array of floats, got dtype int64"),
        ({"rate": 1e300}, "rate must be from 0 to 1e.50, got 1e.300"),
        ({"rate": 10**400}, "rate must be finite as a float, got a larger number"),
        ({"noise": -0.1}, "noise must be not negative, got -0.1"),
        ({"noise": 1e300}, "noise must be from 0 to 1e.50, got 1e.300"),
        ({"sizes": Sizes(4, 0, 3)}, "hidden must be an integer of at least 1, got 0"),
    ],
)
def test_what_makes_no_step_is_named(law, bad, message, unchecked):
    given = {"optimizer": "GD", "rate": 0.1, "sizes": TABLE}
    with pytest.raises(ValueError, match="^" + message):
        unchecked(law)(**given | bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"p_norm2": -1.0}, "p_norm2 must be not negative, got -1.0"),
        ({"p_norm2": np.nan}, "p_norm2 must be finite, got nan"),
        ({"variance": 0.0}, "variance must be positive, got 0.0"),
        ({"variance": np.arange(3)}, "variance must be an array of floats, got dtype int64"),
        ({"sizes": Sizes(0, 4, 3)}, "inputs must be an integer of at least 2, got 0"),
    ],
)
def test_what_makes_no_outlier_is_named(bad, message, unchecked):
    with pytest.raises(ValueError, match="^" + message):
        unchecked(outlier)(**{"p_norm2": 1.0, "variance": 1.0, "sizes": TABLE} | bad)


def test_a_threshold_is_of_a_known_optimizer(unchecked):
    with pytest.raises(ValueError, match="^optimizer must be one of 'GD', 'Adam', got 'adam'"):
        threshold("adam", TABLE)
    with pytest.raises(ValueError, match="^naive must be True or False, got 1"):
        unchecked(update)("GD", 0.1, TABLE, naive=1)
