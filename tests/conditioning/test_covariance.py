import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import conditioning
from lazyrich.conditioning import covariance

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
    for bad in (x[:0], x[None]):
        with pytest.raises(ValueError, match=r"x must have shape \(samples, entries\), one sample"):
            conditioning.second_moment(bad)


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
        (np.zeros((2, 2)), None, "Sigma must not be zero"),
        (np.zeros((2, 2)), 1, "Sigma must not be zero"),
        (np.ones((0, 0)), None, r"Sigma must be one matrix .*, got \(0, 0\)"),
        (np.ones((3, 2, 2)), None, r"Sigma must be one matrix .*, got \(3, 2, 2\)"),
    ],
)
def test_what_is_no_covariance_is_named(Sigma, rank, message):
    with pytest.raises(ValueError, match=message):
        conditioning.on_range(Sigma, rank)


def test_samples_are_whitened_by_a_moment_of_their_size(x):
    inputs = conditioning.on_range(conditioning.second_moment(x))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6\), got \(9, 5\)"):
        conditioning.whiten(x[:, 1:], inputs)


ONES, EYE = np.ones(2), np.eye(2)
IMPOSSIBLE = {
    "negative": (conditioning.Covariance(-ONES, EYE), "inputs.variances must be not negative"),
    "nan": (
        conditioning.Covariance(np.nan * ONES, EYE),
        "inputs.variances must be finite, got nan",
    ),
    "directions nan": (
        conditioning.Covariance(ONES, np.nan * EYE),
        "inputs.directions must be finite, got nan",
    ),
    "many": (
        conditioning.Covariance(EYE, EYE),
        r"inputs.variances must have shape \(s,\), got \(2, 2\)",
    ),
    "many directions": (
        conditioning.Covariance(ONES, EYE[None]),
        r"inputs.directions .*, got \(1, 2, 2\)",
    ),
    "one direction": (
        conditioning.Covariance(ONES, ONES),
        r"inputs.directions must have shape \(.*, 2\), got \(2,\)",
    ),
    "too few": (conditioning.Covariance(ONES[:1], EYE), r"inputs.directions .*, 1\), got \(2, 2\)"),
    "none": (conditioning.Covariance(ONES[:0], EYE[:, :0]), r"inputs.variances .*, got \(0,\)"),
    "two precisions": (
        conditioning.Covariance(np.float32(ONES), EYE),
        "inputs.* must have the dtype of .*, got float",
    ),
}
TAKERS = {
    "linear_spectrum": lambda inputs: conditioning.linear_spectrum([EYE], inputs),
    "linear_bounds": lambda inputs: conditioning.linear_bounds([EYE], inputs),
    "linear_data_bounds": lambda inputs: conditioning.linear_data_bounds([EYE], inputs),
    "normalised_spectrum": lambda inputs: conditioning.normalised_spectrum([EYE, EYE], inputs),
    "filter_spectrum": lambda inputs: conditioning.filter_spectrum([EYE[:1, None]], 2, inputs),
    "data_condition_number": conditioning.data_condition_number,
    "whitened": conditioning.whitened,
    "whiten": lambda inputs: conditioning.whiten(jnp.asarray(EYE), inputs),
}


@pytest.mark.parametrize("function", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize(("inputs", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_second_moment_that_cannot_be_is_named(function, inputs, message):
    with pytest.raises(ValueError, match=message):
        function(inputs)


def test_a_second_moment_is_one_on_its_range_for_these_weights():
    with pytest.raises(ValueError, match="inputs must be a Covariance, got a ndarray"):
        covariance.axes_of(EYE)
    single = conditioning.Covariance(np.float32(ONES), np.float32(EYE))
    message = r"inputs.variances must have the dtype of weights\[0\], float64, got float32"
    with pytest.raises(ValueError, match=message):
        conditioning.linear_spectrum([EYE], single)
    with pytest.raises(ValueError, match=r"inputs.directions must have shape \(3, 2\), got \(2, 2"):
        conditioning.linear_spectrum([np.eye(3)], conditioning.Covariance(ONES, EYE))


def test_a_variance_may_be_zero():
    inputs = conditioning.Covariance(np.array([0.0, 1.0]), EYE)
    assert conditioning.linear_spectrum([EYE], inputs).tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="inputs.variances must be positive, got 0.0"):
        conditioning.whiten(EYE, inputs)  # what does not vary cannot be whitened


def test_a_second_moment_that_no_float_holds_is_one_sentence(x):
    for scale in (1e-170, 1e170):
        with pytest.raises(ValueError, match="^x must be of a size whose result is in the range"):
            conditioning.second_moment(scale * x)


def test_bytes_are_whitened_as_floats():
    x = np.random.default_rng(0).integers(0, 256, (9, 3)).astype(np.uint8)
    inputs = conditioning.on_range(conditioning.second_moment(1.0 * x))
    white = conditioning.whiten(x, inputs)
    np.testing.assert_allclose(white.T @ white / 9, np.eye(3), atol=1e-12)
    swapped = conditioning.Covariance(*(np.asarray(part).astype(">f8") for part in inputs))
    np.testing.assert_array_equal(conditioning.whiten(x, swapped), white)
    assert conditioning.whitened(swapped).directions.dtype == float
