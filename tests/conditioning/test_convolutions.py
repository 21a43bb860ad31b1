import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import spectra
from lazyrich.conditioning import convolutions, linear, on_range, second_moment

LENGTH = 9
CASES = [(2, 3, 2), (1, 2, 2), (3, 2, 3), (2, 1, 2), (2, 4, 1)]  # channels, kernel, layers


def drawn(channels, kernel, layers, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(channels, 1, kernel)] + [(channels, channels, kernel)] * (layers - 1)
    return [rng.normal(size=shape) for shape in shapes]


def convolved(filters, x):
    """The outputs by loops over channels and places, flattened."""
    y = [x]
    for w in filters:
        places = len(y[0]) - w.shape[2] + 1
        y = [
            sum(w[o, c, t] * y[c][t : t + places] for c in range(len(y)) for t in range(w.shape[2]))
            for o in range(len(w))
        ]
    return jnp.concatenate(y)


def data(rank=LENGTH):
    rng = np.random.default_rng(0)
    return rng.normal(0.3, 1, (20, rank)) @ rng.normal(size=(rank, LENGTH))


def dense(filters, x):
    """The spectrum of the filters' Gauss-Newton matrix by automatic differentiation."""
    return np.linalg.eigvalsh(matrix(filters, x))


@jax.jit
def matrix(filters, x):
    outputs = lambda filters: jax.vmap(lambda x: convolved(filters, x))(x).ravel()  # noqa: E731
    blocks = [block.reshape(len(block), -1) for block in jax.jacfwd(outputs)(filters)]
    rows = jnp.concatenate(blocks, axis=1)
    return rows.T @ rows / len(x)


@pytest.mark.parametrize("case", CASES)
def test_toeplitz_matrices_are_the_convolutions(case):
    filters, x = drawn(*case), data()[0]
    matrices = convolutions.toeplitz(filters, LENGTH)
    outputs = x
    for i, matrix in enumerate(matrices):
        outputs = matrix @ outputs
        np.testing.assert_allclose(outputs, convolved(filters[: i + 1], x), rtol=1e-12, atol=1e-13)


def test_a_small_toeplitz_matrix_by_hand():
    w = np.arange(1.0, 9.0).reshape(2, 2, 2)
    _, measured = convolutions.toeplitz([np.ones((2, 1, 1)), w], 3)
    expected = [
        [1, 2, 0, 3, 4, 0],
        [0, 1, 2, 0, 3, 4],
        [5, 6, 0, 7, 8, 0],
        [0, 5, 6, 0, 7, 8],
    ]
    np.testing.assert_array_equal(measured, expected)


@pytest.mark.parametrize("case", CASES)
def test_the_composite_filter_is_the_whole_network(case):
    filters, x = drawn(*case), data()[0]
    composite = convolutions.composite_filters(filters)
    channels, kernel, layers = case
    assert composite.shape == (channels, layers * (kernel - 1) + 1)
    np.testing.assert_allclose(
        convolved([np.asarray(composite)[:, None]], x),
        convolved(filters, x),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_spectrum_of_the_filters_is_exact(case):
    filters, x = drawn(*case), jnp.asarray(data())
    expected = dense(filters, x)
    measured = convolutions.filter_spectrum(filters, LENGTH, on_range(second_moment(x)))
    n = len(measured)
    assert n == convolutions.filter_rank(*case) <= len(expected)
    np.testing.assert_allclose(measured, expected[-n:], rtol=0, atol=1e-13 * expected[-1])
    np.testing.assert_allclose(expected[:-n], 0, atol=1e-13 * expected[-1])
    assert spectra.numerical_rank(expected, 1e-12) == n


def test_filters_see_data_of_lower_rank():
    filters, x = drawn(2, 3, 2), jnp.asarray(np.outer(data()[:, 0], np.ones(LENGTH)))
    expected = dense(filters, x)
    measured = convolutions.filter_spectrum(filters, LENGTH, on_range(second_moment(x)))
    assert len(measured) == 2  # constant data have one window
    np.testing.assert_allclose(measured, expected[-2:], rtol=1e-12)
    np.testing.assert_allclose(expected[:-2], 0, atol=1e-12 * expected[-1])


def test_without_a_covariance_the_data_are_white():
    filters = drawn(2, 3, 2)
    given = convolutions.filter_spectrum(filters, LENGTH, on_range(np.eye(LENGTH)))
    np.testing.assert_allclose(convolutions.filter_spectrum(filters, LENGTH), given, rtol=1e-12)
    shortest = convolutions.filter_spectrum(filters, 5)
    np.testing.assert_allclose(shortest, given / (LENGTH - 4), rtol=1e-12)


def test_as_a_dense_network_the_layers_are_any_others():
    matrices = convolutions.toeplitz(drawn(2, 3, 2), LENGTH)
    inputs = on_range(second_moment(data()))
    T1, T2 = map(np.asarray, matrices)
    R = np.asarray(inputs.directions * np.sqrt(inputs.variances))
    G = np.kron(T2 @ T2.T, R.T @ R) + np.kron(np.eye(len(T2)), R.T @ T1.T @ T1 @ R)
    values = np.linalg.eigvalsh(G)
    kappa = linear.linear_two_layer_condition_number(matrices, inputs)
    np.testing.assert_allclose(kappa, values[-1] / values[0], rtol=1e-9)


def test_kaiming_filters_have_variance_one_over_fan_in_and_kernel(key):
    filters = convolutions.kaiming_filters(key(), 30, 5, layers=3)
    assert [w.shape for w in filters] == [(30, 1, 5), (30, 30, 5), (30, 30, 5)]
    for w, fan_in in zip(filters, (1, 30, 30), strict=True):
        scaled = np.asarray(w) * (fan_in * 5) ** 0.5
        assert abs(scaled.std() - 1) < (0.15 if fan_in == 1 else 0.05)
        assert abs((scaled**4).mean() - 3) < (1.5 if fan_in == 1 else 0.5)
    flat = [np.asarray(w).ravel()[:150] for w in filters]
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.3
    assert [w.shape for w in convolutions.kaiming_filters(key(), 2, 3)] == [(2, 1, 3), (2, 2, 3)]
    assert [w.shape for w in convolutions.kaiming_filters(key(), 2, 3, 1)] == [(2, 1, 3)]


def test_many_draws_of_filters_begin_with_the_same_ones(key):
    key = key()
    one, first, many = (convolutions.kaiming_filters(key, 2, 3, 3, draws) for draws in (None, 1, 4))
    assert [w.shape for w in many] == [(4, 2, 1, 3), (4, 2, 2, 3), (4, 2, 2, 3)]
    for alone, single, w in zip(one, first, many, strict=True):
        np.testing.assert_array_equal(alone, single[0])
        np.testing.assert_array_equal(alone, w[0])
    flat = np.concatenate([w.reshape(4, -1) for w in many], axis=1)
    assert len(np.unique(flat)) == flat.size
    with pytest.raises(ValueError, match="draws must be an integer of at least 1, got 0"):
        convolutions.kaiming_filters(key, 2, 3, draws=0)


def test_filters_without_a_rank_are_named():
    for arguments, name in (((0, 3), "channels"), ((2, 0), "kernel"), ((2, 3, 0), "layers")):
        message = f"{name} must be an integer of at least 1, got 0"
        with pytest.raises(ValueError, match=message):
            convolutions.filter_rank(*arguments)
        with pytest.raises(ValueError, match=message):
            convolutions.kaiming_filters(jax.random.key(0), *arguments)


@pytest.mark.parametrize(
    ("filters", "length", "message"),
    [
        ([], 9, "filters must hold an array for each layer, got none"),
        ([np.ones((2, 2, 3))], 9, r"filters\[0\] must have shape \(m.*, 1, s1\), got \(2, 2, 3\)"),
        ([np.ones((2, 0, 3))], 9, r"filters\[0\] must have shape .*, got \(2, 0, 3\)"),
        ([np.ones((2, 1, 3)), np.ones((2, 3, 3))], 9, r"filters\[1\] must .* 2, s2\), got \(2, 3"),
        ([np.ones((2, 1, 3, 1))], 9, r"filters\[0\] must have shape .*, got \(2, 1, 3, 1\)"),
        ([np.ones((2, 1))], 9, r"filters\[0\] must have shape \(m.*, 1, s1\), got \(2, 1\)"),
        ([np.full((2, 1, 3), np.nan)], 9, r"filters\[0\] must be finite"),
        (drawn(2, 3, 2), 4, "length must be at least 5 for these filters, got 4"),
        (drawn(2, 3, 2), 0, "length must be an integer of at least 1, got 0"),
    ],
)
def test_filters_that_do_not_fit_are_named(filters, length, message):
    for function in (convolutions.toeplitz, convolutions.filter_spectrum):
        with pytest.raises(ValueError, match=message):
            function(filters, length)


def test_what_has_no_spectrum_of_filters_is_named():
    with pytest.raises(ValueError, match=r"filters\[1\] must have shape \(1, 1, s2\), got \(2, 1"):
        convolutions.filter_spectrum([np.ones((1, 1, 3)), np.ones((2, 1, 3))], 9)
    with pytest.raises(ValueError, match=r"inputs.directions must have shape \(9, 8\), got \(8"):
        convolutions.filter_spectrum(drawn(2, 3, 2), 9, on_range(np.eye(8)))
    nothing = on_range(np.eye(9))._replace(variances=np.zeros(9))
    with pytest.raises(ValueError, match="the largest of inputs.variances must be positive, got 0"):
        convolutions.filter_spectrum(drawn(2, 3, 2), 9, nothing)
    assert len(convolutions.toeplitz(drawn(2, 3, 2), 5)) == 2
