import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from lazyrich.heavy_tails import (
    Sizes,
    least_squares_loss,
    linear_features_loss,
    parity_floor,
    random_features_loss,
    ridge_loss,
)


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.mark.parametrize(
    ("samples", "noise", "floor", "ridge", "least_squares"),
    [
        (2000, 0.3, 0.7612, 0.9234, 1.5225),
        (4000, 0.3, 0.7612, 0.8781, 1.0150),
        (8000, 0.3, 0.7612, 0.8349, 0.8700),
        (8000, 0.1, 0.6812, 0.7494, 0.7786),
        (8000, 0.5, 0.9212, 1.0048, 1.0529),
        (8000, 0.7, 1.1612, 1.2578, 1.3271),
    ],
)
def test_the_references_have_the_numbers_of_the_table(samples, noise, floor, ridge, least_squares):
    sizes = Sizes(1000, 1500, samples)
    close(parity_floor(noise), floor, atol=5e-5)
    close(ridge_loss(sizes, noise), ridge, atol=5e-5)
    close(least_squares_loss(sizes, noise), least_squares, atol=5e-5)


# The floor


def even_part(z):
    """Of the teacher: softplus(z) = z/2 + log(2 cosh(z/2))."""
    return (np.log1p(np.exp(z)) + np.log1p(np.exp(-z))) / 2


def test_the_floor_is_the_even_part_of_the_teacher():
    value = quad(lambda z: even_part(z) ** 2 * norm.pdf(z), -20, 20, epsabs=1e-13)[0]
    close(parity_floor(0.0), value)
    close(parity_floor(0.3) - parity_floor(0.0), 0.09)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_no_odd_function_is_below_the_floor(seed, size):
    # At x and −x an odd function takes opposite values: it misses the even part in their mean.
    rng = np.random.default_rng(seed)
    W, a, x, beta = (rng.normal(size=shape) for shape in ((5, 3), (5,), (50, 3), (3,)))
    z, f = x @ beta, np.tanh(size * x @ W.T) @ a
    both = (np.log1p(np.exp(z)) - f) ** 2, (np.log1p(np.exp(-z)) + f) ** 2
    assert (sum(both) / 2 >= even_part(z) ** 2 * (1 - 1e-12)).all()


def test_the_odd_part_of_the_teacher_reaches_the_floor():
    value = quad(lambda z: (np.log1p(np.exp(z)) - z / 2) ** 2 * norm.pdf(z), -20, 20)[0]
    close(parity_floor(0.0), value, rtol=1e-8)


# Regression on the inputs


@pytest.mark.parametrize(("d", "n"), [(60, 120), (40, 160), (60, 90)])
def test_regression_on_the_inputs_errs_as_the_references_say(d, n):
    sizes, rng, found = Sizes(d, 1, n), np.random.default_rng(2), []
    ridge = 4 * d / n * parity_floor(0.3)
    for _ in range(400):
        beta = rng.normal(size=d)
        beta /= np.linalg.norm(beta)
        x = rng.normal(size=(n, d))
        y = np.log1p(np.exp(x @ beta)) + 0.3 * rng.normal(size=n)
        gram, unit = x.T @ x / n, np.eye(d)
        fits = [np.linalg.solve(gram + each * unit, x.T @ y / n) for each in ridge * STRENGTHS]
        found.append([((fit - beta / 2) ** 2).sum() for fit in fits])
    excess, error = np.mean(found, 0), np.std(found, 0) / 20
    floor = parity_floor(0.3)
    expected = np.array([least_squares_loss(sizes) - floor, ridge_loss(sizes) - floor])
    finite = 4 * expected / d  # to the next order in 1/d
    assert (np.abs(excess[:2] - expected) <= 3 * error[:2] + finite).all(), (excess, expected)
    others = np.array(found)[:, 2:] - np.array(found)[:, 1:2]
    assert (others.mean(0) > 2 * others.std(0) / 20).all()  # the best strength


STRENGTHS = np.array([0.0, 1.0, 0.4, 2.5])


@given(st.integers(2, 500), st.integers(2, 5000), st.floats(0, 2))
def test_the_references_are_in_order(d, n, noise):
    sizes = Sizes(d, 1, n)
    floor, ridge = parity_floor(noise), ridge_loss(sizes, noise)
    assert floor < ridge < least_squares_loss(sizes, noise)
    assert ridge < floor + 0.25  # what one has without learning
    more = ridge_loss(Sizes(d, 1, n + 1), noise)
    assert more < ridge * (1 + 1e-12)


def test_least_squares_needs_more_samples_than_inputs():
    assert least_squares_loss(Sizes(10, 1, 10)) == least_squares_loss(Sizes(10, 1, 5)) == np.inf
    close(least_squares_loss(Sizes(10, 1, 11)), 11 * parity_floor())


@pytest.mark.parametrize("reference", [least_squares_loss, ridge_loss])
def test_what_makes_no_reference_is_named(reference):
    for function in (parity_floor, lambda noise: reference(Sizes(4, 4, 9), noise)):
        with pytest.raises(ValueError, match="^noise must be not negative, got -0.1"):
            function(-0.1)
        with pytest.raises(ValueError, match="^noise must be finite, got nan"):
            function(np.nan)
        for large in (1.01e50, 1e100, 1e300):
            with pytest.raises(ValueError, match="^noise must be from 0 to 1e.50, got"):
                function(large)
        assert 1e99 < function(1e50) < 1e101
    with pytest.raises(ValueError, match="^inputs must be an integer of at least 2, got 0"):
        reference(Sizes(0, 4, 9))
    with pytest.raises(ValueError, match="^samples must be an integer of at least 1, got 0"):
        reference(Sizes(4, 4, 0))


def test_the_floor_is_of_one_noise(unchecked):
    for one in (1, np.int64(1), np.uint8(1), np.float32(1)):
        assert unchecked(parity_floor)(one) == parity_floor(1.0)
    with pytest.raises(ValueError, match=r"^noise must be one number, got shape \(2,\)"):
        unchecked(parity_floor)(np.ones(2))


# The last layer, from the spectrum of the weights


def last_layer(rng, W, features, beta, n, ridge):
    """The test error of the last layer, fitted on n samples."""
    (h, d), found = W.shape, []
    x = rng.normal(size=(n + 1500, d))
    y = np.log1p(np.exp(x @ beta)) + 0.3 * rng.normal(size=len(x))
    Z = features(x)
    for each in ridge:
        a = np.linalg.solve(Z[:n].T @ Z[:n] + each / h * n * np.eye(h), Z[:n].T @ y[:n])
        found.append(((Z[n:] @ a - y[n:]) ** 2).mean())
    return found


def test_the_last_layer_errs_as_the_spectrum_of_its_weights_says():
    rng, (d, h, n), ridge, over = np.random.default_rng(4), (60, 90, 150), [0.01, 1.0], []
    for _ in range(80):
        beta = rng.normal(size=d)
        beta /= np.linalg.norm(beta)
        W = rng.normal(size=(h, d))
        W = W + 2.0 * np.outer(rng.normal(size=h), beta)  # it knows of the teacher
        values, vectors = np.linalg.eigh(W.T @ W)
        law = linear_features_loss(values, (vectors.T @ beta) ** 2, Sizes(d, h, n), ridge)
        measured = last_layer(rng, W, lambda x, W=W: x @ W.T / (d * h**0.5), beta, n, ridge)
        over.append(np.array(measured) / law)
    error = np.std(over, 0) / 80**0.5
    assert (np.abs(np.mean(over, 0) - 1) <= 0.015 + 2.5 * error).all(), (np.mean(over, 0), error)


def test_features_as_written_err_as_their_gaussian_equivalent():
    rng, (d, h, n), ridge, over = np.random.default_rng(5), (60, 90, 240), [0.01, 1.0], []
    for _ in range(60):
        beta = rng.normal(size=d)
        beta /= np.linalg.norm(beta)
        W = rng.normal(size=(h, d))
        law = random_features_loss(np.linalg.eigvalsh(W.T @ W), Sizes(d, h, n), ridge)
        measured = last_layer(
            rng, W, lambda x, W=W: np.tanh(x @ W.T / d**0.5) / h**0.5, beta, n, ridge
        )
        over.append(np.array(measured) / law)
    error = np.std(over, 0) / 60**0.5
    assert (np.abs(np.mean(over, 0) - 1) <= 0.03 + 2.5 * error).all(), (np.mean(over, 0), error)


def test_flat_weights_have_the_loss_of_ridge_on_the_inputs():
    # With WᵀW = s I it is ridge regression of strength λ d²/s.
    sizes, s = Sizes(1000, 1500, 2000), 700.0
    best = 4 * 0.5 * parity_floor() * s / 1000**2
    values, overlaps = np.full(1000, s), np.full(1000, 1 / 1000)
    losses = linear_features_loss(values, overlaps, sizes, [best / 1.3, best, best * 1.3])
    close(losses[1], ridge_loss(sizes), rtol=1e-9)
    assert (losses[[0, 2]] > losses[1]).all()


def test_the_losses_of_many_weights_are_those_of_each():
    rng, sizes = np.random.default_rng(6), Sizes(4, 6, 9)
    values, overlaps = rng.uniform(1, 9, (2, 3, 4)), rng.uniform(0, 1, (2, 3, 4))
    both = linear_features_loss(values, overlaps, sizes, np.array([[0.1], [2.0]]))
    assert both.shape == (2, 3, 2, 1)
    close(both[1, 2, 1, 0], linear_features_loss(values[1, 2], overlaps[1, 2], sizes, 2.0))
    written = random_features_loss(values, sizes)
    assert written.shape == (2, 3)
    close(written[0, 1], random_features_loss(values[0, 1], sizes))


def test_what_has_no_last_layer_is_named():
    with pytest.raises(ValueError, match="^ridge must be positive, got 0.0"):
        linear_features_loss(np.ones(4), np.ones(4), Sizes(4, 6, 9), 0.0)
    with pytest.raises(ValueError, match="^eigenvalues must be not negative, got -1.0"):
        random_features_loss(-np.ones(4), Sizes(4, 6, 9))
    with pytest.raises(ValueError, match="^overlaps must be not negative, got -1.0"):
        linear_features_loss(np.ones(4), -np.ones(4), Sizes(4, 6, 9))
    with pytest.raises(ValueError, match="^eigenvalues and overlaps must broadcast"):
        linear_features_loss(np.ones(4), np.ones(3), Sizes(4, 6, 9))
    with pytest.raises(ValueError, match="^sizes must have h ≥ d, got d = 4, h = 3"):
        random_features_loss(np.ones(4), Sizes(4, 3, 9))
