import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import conditioning

EPSILON = np.finfo(float).eps


@pytest.fixture
def x():
    """Samples with six entries, on a subspace of four."""
    rng = np.random.default_rng(0)
    return 1 + rng.normal(size=(9, 4)) @ rng.normal(size=(4, 6))


def test_the_second_moment_is_a_mean_that_is_not_centred(x):
    expected = sum(np.outer(row, row) for row in x) / 9
    np.testing.assert_allclose(conditioning.second_moment(x), expected, rtol=1e-13)
    with pytest.raises(ValueError, match=r"x must have at least 2 axes, got shape \(6,\)"):
        conditioning.second_moment(x[0])


@pytest.mark.parametrize("rank", [None, 5])
def test_a_covariance_on_its_range_is_whole(x, rank):
    Sigma = np.asarray(conditioning.second_moment(x))
    inputs = conditioning.on_range(Sigma, rank)
    assert inputs.variances.shape == (5,)  # the mean is one more direction
    assert inputs.directions.shape == (6, 5)
    assert (np.diff(inputs.variances) > 0).all()
    Q = np.asarray(inputs.directions)
    np.testing.assert_allclose(Q @ np.diag(inputs.variances) @ Q.T, Sigma, atol=1e-13)
    np.testing.assert_allclose(Q.T @ Q, np.eye(5), atol=1e-14)


def test_a_smaller_rank_keeps_the_largest_directions(x):
    Sigma = conditioning.second_moment(x)
    whole, part = conditioning.on_range(Sigma), conditioning.on_range(Sigma, 2)
    np.testing.assert_array_equal(part.variances, whole.variances[-2:])
    np.testing.assert_array_equal(part.directions, whole.directions[:, -2:])


def test_the_range_ends_at_the_rounding_floor():
    values = np.array([0.9 * 4 * EPSILON, 1.1 * 4 * EPSILON, 0.5, 1.0])
    assert conditioning.on_range(np.diag(values)).variances.shape == (3,)
    below = np.diag([-0.9 * 2 * EPSILON, 1.0])
    assert conditioning.on_range(below).variances.tolist() == [1]
    with pytest.raises(ValueError, match="Sigma must have no negative eigenvalue, got -4.88e-16"):
        conditioning.on_range(np.diag([-1.1 * 2 * EPSILON, 1.0]))


def test_whitening_keeps_the_directions(x):
    inputs = conditioning.on_range(conditioning.second_moment(x))
    white = conditioning.whitened(inputs)
    assert (white.variances == np.ones(5)).all()
    np.testing.assert_array_equal(white.directions, inputs.directions)


def test_white_samples_have_the_projector_onto_their_range_as_second_moment(x):
    inputs = conditioning.on_range(conditioning.second_moment(x))
    white = conditioning.whiten(jnp.asarray(x), inputs)
    Q = inputs.directions
    np.testing.assert_allclose(conditioning.second_moment(white), Q @ Q.T, atol=1e-11)
    # symmetric: no direction is turned into another
    whole = jnp.asarray(np.random.default_rng(1).normal(size=(9, 3)))
    Sigma = conditioning.second_moment(whole)
    root = np.linalg.lstsq(whole, conditioning.whiten(whole, conditioning.on_range(Sigma)))[0]
    np.testing.assert_allclose(root, root.T, atol=1e-13)
    np.testing.assert_allclose(root @ Sigma @ root, np.eye(3), atol=1e-13)


def test_the_range_is_found_in_compiled_code_if_its_rank_is_given(x):
    Sigma = conditioning.second_moment(x)
    many = jax.jit(jax.vmap(lambda S: conditioning.on_range(S, 5)))(jnp.stack([Sigma, 2 * Sigma]))
    single = conditioning.on_range(Sigma)
    np.testing.assert_allclose(many.variances[0], single.variances, rtol=1e-12)
    np.testing.assert_allclose(many.variances[1], 2 * single.variances, rtol=1e-12)
    with pytest.raises(ValueError, match="rank inside compiled code must be an integer .* None"):
        jax.jit(conditioning.on_range)(Sigma)
    with pytest.raises(ValueError, match="rank must be from 1 to that of Sigma, 6, got 7"):
        jax.jit(lambda S: conditioning.on_range(S, 7))(Sigma)


@pytest.mark.parametrize(
    ("Sigma", "rank", "message"),
    [
        (np.diag([1.0, -1.0]), None, "Sigma must have no negative eigenvalue, got -1"),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), None, "Sigma must be symmetric, got 1 between"),
        (np.ones((2, 3)), None, "Sigma must be a square matrix"),
        (np.diag([1.0, np.nan]), None, "Sigma must be finite, got nan"),
        (np.eye(2, dtype=int), None, "Sigma must be an array of floats, got dtype int64"),
        (np.diag([1.0, 0.0]), 2, "rank must be from 1 to that of Sigma, 1, got 2"),
        (np.eye(2), 0, "rank must be an integer of at least 1, got 0"),
        (np.zeros((2, 2)), None, "rank must be from 1 to that of Sigma, 0, got 0"),
    ],
)
def test_what_is_no_covariance_is_named(Sigma, rank, message):
    with pytest.raises(ValueError, match=message):
        conditioning.on_range(Sigma, rank)
