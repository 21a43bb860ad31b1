import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import curvature
from lazyrich.conditioning import (
    bounds,
    kaiming,
    linear,
    linear_network,
    on_range,
    second_moment,
    whiten,
    whitened,
    with_skips,
)
from lazyrich.draws import normal
from lazyrich.experiments.conditioning.data_sets import inputs_of
from lazyrich.experiments.conditioning.starts import (
    certificate,
    linear_start,
    released_start,
    separated_start,
    two_layer_start,
)

KEY = jax.random.key(3)
WIDTHS = 5, 7, 7, 3


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# Linear networks

CASES = {
    "white": {},
    "raw": {"whiten": False},
    "white, with skips": {"skip": 0.7},
    "raw, with skips": {"whiten": False, "skip": 0.7},
    "without data": {"data": 5},
}


@pytest.fixture(scope="module")
def many():
    """Two draws in each case, from one key."""
    few = {"data": "few", "outputs": 3}
    return {name: linear_start(KEY, 7, 3, 2, **few | changes) for name, changes in CASES.items()}


@pytest.fixture(scope="module")
def networks():
    """The weights of these draws, the same in each case."""
    return [kaiming(jax.random.fold_in(KEY, i), WIDTHS) for i in range(2)]


@pytest.fixture(scope="module")
def x(few):
    """The samples without the pixel that is always 0."""
    return jnp.asarray(np.delete(few.x, 2, axis=1))


GAUSS_NEWTON = jax.jit(lambda weights, x: curvature.gauss_newton(linear_network, weights, x))


@pytest.mark.parametrize("case", CASES)
def test_linear_starts_have_the_condition_of_their_gauss_newton_matrix(case, many, networks, x):
    inputs = on_range(second_moment(x))
    if "whiten" not in CASES[case]:
        x, inputs = whiten(x, inputs), whitened(inputs)
    start = many[case]
    values = np.linalg.eigvalsh(second_moment(x))
    close(start.data, values[-1] / values[0])
    for i, weights in enumerate(networks):
        if "skip" in CASES[case]:
            weights = with_skips(weights, 0.7)
        values = np.linalg.eigvalsh(GAUSS_NEWTON(weights, x))
        close(start.condition_number[i], values[-1] / values[-15], rtol=1e-8)
        upper = bounds.linear_bounds(weights, inputs)
        close(start.ratio_of_sums[i], upper.ratio_of_sums)
        close(start.loose[i], upper.loose)
        ends = bounds.layer_extremes(weights, inputs)
        for measured, expected in zip(start.layers, ends, strict=True):
            close(measured[i], expected)


def test_raw_and_whitened_data_meet_the_same_weights(many):
    for skips in ("", ", with skips"):
        white, raw = many["white" + skips], many["raw" + skips]
        for one, other in zip(white.layers, raw.layers, strict=True):
            np.testing.assert_array_equal(one, other)
        close(raw.ratio_of_sums / white.ratio_of_sums, raw.data)
        inside = raw.condition_number / raw.data
        assert (inside <= white.condition_number).all() and (
            inside >= 1 / white.condition_number
        ).all()


def test_one_layer_has_the_condition_of_the_data():
    start = linear_start(KEY, 7, 1, 2, "few", whiten=False, outputs=3)
    close(start.condition_number, start.data)
    close(start.ratio_of_sums, start.data)


def test_narrow_layers_are_conditioned_over_the_rank():
    start = linear_start(KEY, 2, 3, 1, data=5, outputs=3)
    weights = kaiming(jax.random.fold_in(KEY, 0), (5, 2, 2, 3))
    close(start.condition_number[0], linear.linear_condition_number(weights))
    assert np.isfinite(start.condition_number).all() and np.isinf(start.loose).all()


def test_more_draws_begin_with_the_same_ones(many):
    one = linear_start(KEY, 7, 3, 1, "few", outputs=3)
    close(one.condition_number[0], many["white"].condition_number[0])
    assert len(set(many["white"].condition_number.tolist())) == 2
    few, more = (two_layer_start(KEY, 7, draws, 5, 3) for draws in (2, 3))
    close(few, more[:2])
    few, more = (certificate(KEY, (4, 5, 3), draws, True) for draws in (1, 2))
    close([part[0] for part in few], [part[0] for part in more])


def test_two_layers_add_their_squared_singular_values():
    measured = two_layer_start(KEY, 7, 2, 5, 3)
    close(measured, linear_start(KEY, 7, 2, 2, data=5, outputs=3).condition_number)
    for i in range(2):
        V, W = kaiming(jax.random.fold_in(KEY, i), (5, 7, 3))
        v, w = (np.linalg.svd(matrix, compute_uv=False) ** 2 for matrix in (V, W))
        close(measured[i], (w[0] + v[0]) / (w[-1] + v[-1]))


# Certificates


@pytest.fixture(scope="module")
def certificates():
    """Three draws on white and on coloured data."""
    return [certificate(KEY, (4, 6, 6, 3), 3, coloured) for coloured in (False, True)]


def test_a_certificate_is_in_order(certificates):
    for one in certificates:
        kappa = one.condition_number * (1 + 1e-10)
        for low in (one.partial_traces, one.product_vectors):
            assert (low >= 1).all() and (low <= kappa).all()
        assert (one.condition_number <= one.data * (1 + 1e-10)).all()
        assert (one.data <= one.ratio_of_sums * (1 + 1e-10)).all()
        assert (one.ratio_of_sums <= one.loose * (1 + 1e-10)).all()
    white, coloured = certificates
    close(white.data, white.condition_number)
    assert (coloured.data > 1.01 * coloured.condition_number).all()


def test_a_certificate_is_made_of_the_bounds_on_the_same_weights(certificates):
    on_data, on_weights = jax.random.split(KEY)
    x = normal(on_data, (50, 4)) * np.linspace(0.3, 2, 4)
    for one, inputs in zip(certificates, (inputs_of(4), on_range(second_moment(x))), strict=True):
        for i, weights in enumerate(zip(*kaiming(on_weights, (4, 6, 6, 3), 3), strict=True)):
            factors, upper = (
                linear.linear_factors(weights, inputs),
                bounds.linear_bounds(weights, inputs),
            )
            close([part[i] for part in one], [
                linear.linear_condition_number(weights, inputs),
                bounds.partial_trace_bound(factors).ratio,
                bounds.product_vector_bound(factors).ratio,
                bounds.linear_data_bounds(weights, inputs)[1],
                upper.ratio_of_sums,
                upper.loose,
            ])  # fmt: skip


def test_layers_need_only_be_as_wide_as_the_data_have_dimensions():
    # On two samples Σ has rank two, and a width of two is enough.
    assert (certificate(KEY, (4, 2, 6, 3), 2, True, samples=2).condition_number >= 1).all()


# Other starts


def test_separated_data_have_variances_a_tenth_of_the_one_before():
    measured = separated_start(KEY, 9, 2, inputs=4, outputs=3)
    variances = 10.0 ** -np.arange(4)
    for i, (V, W) in enumerate(zip(*map(np.asarray, kaiming(KEY, (4, 9, 3), 2)), strict=True)):
        G = np.kron(W @ W.T, np.diag(variances)) + np.kron(
            np.eye(3), np.outer(variances, variances) ** 0.5 * (V.T @ V)
        )
        values = np.linalg.eigvalsh(G)
        close(measured[i], values[-1] / values[0] / 1e3)


def test_released_starts_are_those_of_xavier():
    measured = released_start(KEY, 2, (5, 7, 6, 3))
    for i in range(2):
        weights = kaiming(jax.random.fold_in(KEY, i), (5, 7, 6, 3))
        scaled = [W * (2 * W.shape[1] / sum(W.shape)) ** 0.5 for W in map(np.asarray, weights)]
        close(measured.condition_number[i], linear.linear_condition_number(scaled))
        close(measured.ratio_of_sums[i], bounds.linear_bounds(scaled).ratio_of_sums)
    many = [np.asarray(W) for W in kaiming(KEY, (50, 400, 10), 20)]
    assert np.allclose([W.std() ** 2 * W.shape[2] for W in many], 1, rtol=0.05)  # what is scaled
