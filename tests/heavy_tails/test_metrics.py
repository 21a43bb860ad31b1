import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.linear_model import Ridge

from lazyrich.heavy_tails import (
    ACTIVATIONS,
    SCALINGS,
    Problem,
    Samples,
    kernel_alignment,
    overlaps,
    ridge_losses,
    weight_metrics,
)
from lazyrich.heavy_tails.metrics import gram_eigenvalues, weight_eigenvalues, weight_gram

PLAIN = {
    "tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0),
    "shifted tanh": lambda z: np.tanh(z + 1),
}
HIDDEN, INPUTS = 7, 5
fit = jax.jit(ridge_losses, static_argnums=(3, 4))  # one program for all weights and ridges


def close(measured, expected, rtol=1e-10, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def problem_of(samples, hidden=HIDDEN, inputs=INPUTS, size=1.0, seed=0):
    """A problem with as many samples to probe, and 11 tests."""
    rng = np.random.default_rng(seed)
    beta = rng.normal(size=inputs)
    beta /= np.linalg.norm(beta)

    def labelled(n):
        x = rng.normal(size=(n, inputs))
        y = np.logaddexp(0, x @ beta) + 0.3 * rng.normal(size=n)
        return Samples(jnp.asarray(x), jnp.asarray(y))

    W, a = size * rng.normal(size=(hidden, inputs)), rng.normal(size=hidden)
    return Problem(*map(jnp.asarray, (beta, W, a)), *map(labelled, (3, samples, 11)))


def features_of(problem, x, scaling, activation="tanh"):
    h, d = problem.W.shape
    z = np.asarray(x) @ np.asarray(problem.W).T / (d if scaling == "as coded" else d**0.5)
    return PLAIN[activation](z) / h**0.5


# Losses


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("samples", [HIDDEN - 2, HIDDEN, HIDDEN + 6])
def test_the_fit_is_that_of_linear_algebra(samples, scaling):
    problem = problem_of(samples)
    for activation in ACTIVATIONS if samples == HIDDEN else ["tanh"]:
        Z, T = (
            features_of(problem, each.x, scaling, activation)
            for each in (problem.probe, problem.test)
        )
        y, tests = map(np.asarray, (problem.probe.y, problem.test.y))
        strength = 0.2 / HIDDEN * samples
        a = np.linalg.solve(Z.T @ Z + strength * np.eye(HIDDEN), Z.T @ y)
        K = Z @ Z.T
        losses = fit(problem.W, problem, 0.2, scaling, activation)
        close(losses.train, ((Z @ a - y) ** 2).mean())
        close(losses.test, ((T @ a - tests) ** 2).mean())
        close(losses.alignment, (K * np.outer(y, y)).sum() / (np.linalg.norm(K) * (y @ y)))
        close(losses.alignment, kernel_alignment(problem.W, problem, scaling, activation))
        known = Ridge(strength, fit_intercept=False).fit(Z, y)
        close(losses.test, ((known.predict(T) - tests) ** 2).mean(), rtol=1e-8)


def test_the_defaults_are_the_model_of_the_paper():
    problem = problem_of(9)
    explicit = ridge_losses(problem.W, problem, 0.01, "as written", "tanh")
    assert ridge_losses(problem.W, problem) == explicit
    assert kernel_alignment(problem.W, problem) == explicit.alignment


@pytest.mark.parametrize("samples", [5, 12])
def test_at_small_weights_coded_is_written_with_a_ridge_d_times_as_large(samples):
    gaps = []
    for size in (0.1, 0.01):
        problem = problem_of(samples, size=size)
        # The features shrink with the weights, and the ridge with their squares.
        ridge = 0.2 * size**2
        coded = fit(problem.W, problem, ridge, "as coded")
        written = fit(problem.W, problem, INPUTS * ridge, "as written")
        gaps.append([abs(a / b - 1) for a, b in zip(coded, written, strict=True)])
    assert np.max(gaps[0]) < 0.05
    assert (np.array(gaps[1]) < 0.02 * np.array(gaps[0])).all()  # to the next order, W²
    # The same ridge in both is another fit.
    other = fit(problem.W, problem, ridge, "as written")
    assert abs(coded.test / other.test - 1) > 0.01


def test_a_larger_ridge_fits_less():
    problem = problem_of(12)
    losses = [fit(problem.W, problem, ridge).train for ridge in (1e-6, 0.1, 1.0, 1e6)]
    assert (np.diff(losses) > 0).all()
    close(losses[-1], (problem.probe.y**2).mean(), rtol=1e-5)


@pytest.mark.parametrize("samples", [5, 12])
def test_many_ridges_are_one_after_the_other(samples):
    problem, ridges = problem_of(samples), np.array([[0.01, 0.1], [1.0, 10.0]])
    many = fit(problem.W, problem, ridges)
    for i, ridge in np.ndenumerate(ridges):
        for mine, its in zip(many, fit(problem.W, problem, float(ridge)), strict=True):
            assert mine.shape == (2, 2) and its.shape == ()
            close(mine[i], its)


def test_a_tiny_ridge_interpolates_where_there_are_few_samples():
    problem = problem_of(5)
    assert ridge_losses(problem.W, problem, 1e-9).train < 1e-12


@given(st.integers(0, 2**32 - 1))
def test_the_alignment_is_a_cosine_that_no_order_changes(seed):
    problem, rng = problem_of(12, seed=seed), np.random.default_rng(seed)
    alignment = float(kernel_alignment(problem.W, problem))
    assert 0 < alignment <= 1
    turned = problem.W * rng.choice([-1, 1], (HIDDEN, 1))
    close(kernel_alignment(turned[rng.permutation(HIDDEN)], problem), alignment)
    y = problem.probe.y
    louder = problem._replace(probe=Samples(problem.probe.x, -3 * y))
    close(kernel_alignment(problem.W, louder), alignment)


def test_a_kernel_of_the_labels_alone_is_aligned():
    problem = problem_of(12, hidden=1, size=1e-4)
    f = features_of(problem, problem.probe.x, "as written")[:, 0]
    aligned = problem._replace(probe=Samples(problem.probe.x, jnp.asarray(f)))
    close(kernel_alignment(problem.W, aligned), 1)


@pytest.mark.parametrize("samples", [5, 12])
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_alignment_has_no_size(samples, scale):
    problem = problem_of(samples)
    (x, y), W = problem.probe, problem.W
    expected = kernel_alignment(W, problem)
    close(kernel_alignment(W, problem._replace(probe=Samples(x, scale * y))), expected)
    assert np.isnan(kernel_alignment(W, problem._replace(probe=Samples(x, 0 * y))))
    expected = kernel_alignment(W, problem, activation="ReLU")
    close(kernel_alignment(scale**0.5 * W, problem, activation="ReLU"), expected)
    if scale > 1:
        assert np.isnan(kernel_alignment(scale * W, problem, activation="ReLU"))


@pytest.mark.parametrize("samples", [5, 12])
def test_weights_that_are_not_finite_have_losses_nan(samples):
    problem = problem_of(samples)
    W = problem.W.at[2, 1].set(jnp.nan)
    assert np.isnan(ridge_losses(W, problem)).all()
    assert np.isnan(kernel_alignment(W, problem))
    assert np.isnan(weight_metrics(W, problem.teacher).eigenvalues).all()
    assert np.isnan(weight_metrics(W, problem.teacher).teacher)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"ridge": 0.0}, "ridge must be positive, got 0.0"),
        ({"ridge": -1.0}, "ridge must be positive, got -1.0"),
        ({"ridge": np.nan}, "ridge must be finite, got nan"),
        ({"ridge": np.array(1)}, "ridge must be an array of floats, got dtype int64"),
        ({"ridge": np.array([0.1, -0.1])}, "ridge must be positive, got -0.1"),
        ({"scaling": "coded"}, "scaling must be one of 'as coded', 'as written', got 'coded'"),
        ({"activation": "erf"}, "activation must be one of 'tanh', .*, got 'erf'"),
    ],
)
def test_what_makes_no_loss_is_named(bad, message):
    problem = problem_of(12)
    with pytest.raises(ValueError, match="^" + message):
        ridge_losses(problem.W, problem, **bad)


# Weights


def test_the_weights_are_measured_as_by_their_singular_values():
    rng = np.random.default_rng(0)
    for shape in ((7, 5), (5, 5), (3, 5)):
        W, beta = rng.normal(size=shape), np.array([0.6, 0, 0, -0.8, 0])
        values, teacher = weight_metrics(jnp.asarray(W), jnp.asarray(beta))
        _, sigma, Vt = np.linalg.svd(W)
        close(values[-len(sigma) :], sigma[::-1] ** 2)
        assert (values[: -len(sigma)] >= 0).all() and (values[: -len(sigma)] < 1e-13).all()
        close(teacher, abs(Vt[0] @ beta))


def test_single_precision_is_decomposed_in_double():
    rng = np.random.default_rng(0)
    W = (rng.normal(size=(7, 5)) * [1, 1, 1, 1, 1e-6]).astype("float32")
    beta = np.full(5, 5**-0.5, "float32")
    values, teacher = weight_metrics(jnp.asarray(W), jnp.asarray(beta))
    assert values.dtype == teacher.dtype == jnp.float64
    close(values, np.linalg.svd(W.astype(float), compute_uv=False)[::-1] ** 2, rtol=1e-4)


def test_weights_of_low_rank_have_as_many_eigenvalues():
    values, teacher = weight_metrics(jnp.ones((5, 3)), jnp.full(3, 3**-0.5))
    assert (values[:2] == 0).all()
    close([values[2], teacher], [15, 1])
    rng = np.random.default_rng(0)
    rank_two = jnp.asarray(rng.normal(size=(7, 2)) @ rng.normal(size=(2, 5)))
    for values in (weight_eigenvalues(rank_two), gram_eigenvalues(weight_gram(rank_two))):
        assert (values > 0).tolist() == [False] * 3 + [True] * 2


@pytest.mark.parametrize("scale", [1e-20, 1e18, 1e20])
def test_small_and_large_weights_are_measured_as_others(scale):
    rng = np.random.default_rng(0)
    W, beta = rng.normal(size=(7, 5)).astype("float32"), np.array([0.6, 0, 0, -0.8, 0])
    expected = weight_metrics(W, beta)
    values, teacher = weight_metrics(W * np.float32(scale), beta)
    close(values, scale**2 * expected.eigenvalues, rtol=1e-5)
    close(teacher, expected.teacher, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_weights_whose_eigenvalues_are_no_floats_are_named(scale):
    message = "W must be of a size whose result is in the range of float64"
    with pytest.raises(ValueError, match=message):
        weight_metrics(scale * np.eye(3), np.array([1.0, 0, 0]))


def test_many_spectra_are_taken_at_once_and_those_not_finite_are_nan():
    W = jnp.asarray(np.random.default_rng(0).normal(size=(3, 7, 5)))
    grams = jax.vmap(weight_gram)(W.at[1, 0, 0].set(jnp.inf))
    values = gram_eigenvalues(grams)
    assert np.isnan(values[1]).all()
    for i in (0, 2):
        close(values[i], np.linalg.svd(W[i], compute_uv=False)[::-1] ** 2)
    assert (gram_eigenvalues(0 * grams[:1]) == 0).all()


# Overlaps


def test_overlaps_are_squares_of_products_of_singular_vectors():
    rng = np.random.default_rng(0)
    W, M = rng.normal(size=(2, 7, 5))
    (U, _, Vt), (P, _, Qt) = (np.linalg.svd(each, full_matrices=False) for each in (W, M))
    left, right = overlaps(jnp.asarray(W), jnp.asarray(M))
    for i in range(5):
        for j in range(5):
            close(left[i, j], (U[:, i] @ P[:, j]) ** 2, atol=1e-14)
            close(right[i, j], (Vt[i] @ Qt[j]) ** 2, atol=1e-14)


@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_doubly_stochastic_where_a_basis_is_complete(seed):
    rng = np.random.default_rng(seed)
    W, M = map(jnp.asarray, rng.normal(size=(2, 7, 5)))
    left, right = overlaps(W, M)
    close(right.sum(0), 1)
    close(right.sum(1), 1)
    assert (left.sum(0) < 1).all() and (left.sum(1) < 1).all()
    back = overlaps(M, W)
    close(back.left, left.T, atol=1e-13)
    close(back.right, right.T, atol=1e-13)
    square = overlaps(W[:5], M[:5])
    close(square.left.sum(0), 1)
    close(square.left.sum(1), 1)


def test_overlaps_do_not_depend_on_signs_and_axes():
    rng = np.random.default_rng(0)
    W, M = rng.normal(size=(2, 7, 5))
    O, Q = (ortho_group.rvs(n, random_state=n) for n in (7, 5))  # noqa: E741
    turned = overlaps(jnp.asarray(O @ W @ Q), jnp.asarray(-2 * O @ M @ Q))
    for mine, others in zip(overlaps(jnp.asarray(W), jnp.asarray(M)), turned, strict=True):
        close(mine, others, atol=1e-12)
    own = overlaps(jnp.asarray(W), jnp.asarray(3 * W))
    close(own.left, np.eye(5), atol=1e-12)
    close(own.right, np.eye(5), atol=1e-12)


def test_overlaps_of_what_is_not_finite_are_nan():
    W = jnp.asarray(np.random.default_rng(0).normal(size=(7, 5)))
    for pair in ((W, W.at[0, 0].set(jnp.nan)), (W * jnp.nan, W)):
        assert all(np.isnan(each).all() for each in jax.jit(overlaps)(*pair))
