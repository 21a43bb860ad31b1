from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.conditioning import (
    Covariance,
    bounds,
    laws,
    linear,
    on_range,
    second_moment,
    whitened,
)

WIDTHS = [(8, 20, 20, 4), (5, 16, 3), (6, 5, 9, 4)]
INPUTS = {}


def drawn(widths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, m**-0.5, (n, m)) for m, n in pairwise(widths)]


def data(d):
    """Coloured data on a subspace one dimension below the whole."""
    if d not in INPUTS:
        x = np.random.default_rng(0).normal(0, np.linspace(0.3, 2, d), (50, d))
        x[:, -1] = x[:, 0]
        INPUTS[d] = on_range(second_moment(x))
    return INPUTS[d]


def close(measured, expected, rtol=1e-10, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.mark.parametrize("widths", WIDTHS[::2])
def test_extremes_are_those_of_the_products_before_and_after_each_layer(widths):
    weights = drawn(widths)
    after, before = (list(map(np.asarray, part)) for part in linear.partial_products(weights))
    Q = np.asarray(data(widths[0]).directions)
    for inputs, basis in ((None, np.eye(widths[0])), (data(widths[0]), Q)):
        ends = bounds.layer_extremes(weights, inputs)
        for i in range(len(weights)):
            A = np.linalg.eigvalsh(after[i] @ after[i].T)
            B = np.linalg.eigvalsh(basis.T @ before[i].T @ before[i] @ basis)
            close([ends.A_largest[i], ends.B_largest[i]], [A[-1], B[-1]])
            close([ends.A_smallest[i], ends.B_smallest[i]], [A[0], B[0]], atol=1e-14)


def test_what_may_be_rounding_is_zero():
    ends = bounds.layer_extremes(drawn((4, 3, 6, 2)))  # narrower than the input
    assert (ends.B_smallest == 0).tolist() == [False, True, True]
    assert (ends.A_smallest == 0).tolist() == [False, False, False]
    ends = bounds.layer_extremes(drawn((4, 6, 4, 5)))  # and than the output
    assert (ends.A_smallest == 0).tolist() == [True, True, False]
    assert (ends.B_smallest == 0).tolist() == [False, False, False]
    assert (np.asarray(ends.A_largest) > 0).all() and (np.asarray(ends.B_largest) > 0).all()


@pytest.mark.parametrize("widths", WIDTHS[:2])
def test_the_bounds_are_made_of_the_condition_of_layers_and_data(widths):
    weights, inputs = drawn(widths), data(widths[0])
    ends = bounds.layer_extremes(weights, inputs)
    M = ends.A_largest * ends.B_largest
    mu = ends.A_smallest * ends.B_smallest
    kappa_data = inputs.variances[-1] / inputs.variances[0]
    close(bounds.data_condition_number(inputs), kappa_data)
    upper = bounds.linear_bounds(weights, inputs)
    close(upper.layers, M / mu)
    close(upper.shares, mu / mu.sum())
    close(upper.ratio_of_sums, kappa_data * M.sum() / mu.sum())
    close(upper.ratio_of_sums, kappa_data * (upper.shares * upper.layers).sum())
    close(upper.loose, kappa_data * max(M / mu))
    white = bounds.linear_bounds(weights, whitened(inputs))
    close(upper.ratio_of_sums, kappa_data * white.ratio_of_sums)
    upper = bounds.linear_bounds(weights)
    close([upper.loose, upper.ratio_of_sums], [max(upper.layers), upper.shares @ upper.layers])


def test_narrow_layers_leave_a_ratio_of_sums_only():
    # the first layer's term alone is not singular: 3 < 4 inputs, 6 ≥ 3 outputs
    upper = bounds.linear_bounds(drawn((4, 3, 6, 3)))
    assert np.isfinite(upper.ratio_of_sums) and np.isinf(upper.loose)
    assert np.isinf(upper.layers).tolist() == [False, True, True]
    assert upper.shares.tolist() == [1, 0, 0]
    # neither the first layer's nor the last's
    upper = bounds.linear_bounds(drawn((4, 3, 5)))
    assert np.isinf(upper.ratio_of_sums) and np.isinf(upper.loose)
    assert upper.shares.tolist() == [0, 0]


def test_the_bound_is_an_equality_for_two_layers_on_white_data():
    for seed in range(3):
        weights = drawn((5, 16, 3), seed)
        upper = bounds.linear_bounds(weights)
        close(upper.ratio_of_sums, linear.linear_condition_number(weights), rtol=1e-12)
        inputs = whitened(data(5))
        upper = bounds.linear_bounds(weights, inputs)
        close(upper.ratio_of_sums, linear.linear_condition_number(weights, inputs), rtol=1e-12)


@pytest.mark.parametrize("widths", WIDTHS)
def test_every_bound_is_on_its_side(widths):
    @settings(max_examples=12)
    @given(st.integers(0, 1000), st.booleans())
    def check(seed, coloured):
        weights = drawn(widths, seed)
        inputs = data(widths[0]) if coloured else None
        kappa = float(linear.linear_condition_number(weights, inputs))
        factors = linear.linear_factors(weights, inputs)
        upper = bounds.linear_bounds(weights, inputs)
        assert kappa <= upper.ratio_of_sums * (1 + 1e-10) <= upper.loose * (1 + 1e-9)
        values = linear.linear_spectrum(weights, inputs)
        for bound in (bounds.partial_trace_bound(factors), bounds.product_vector_bound(factors)):
            assert bound.ratio <= kappa * (1 + 1e-10)
            assert bound.largest <= values[-1] * (1 + 1e-12)
            assert bound.smallest >= values[0] * (1 - 1e-10)
        if coloured:
            low, high = bounds.linear_data_bounds(weights, inputs)
            assert low <= kappa * (1 + 1e-10) and kappa <= high * (1 + 1e-10)
            assert high <= upper.ratio_of_sums * (1 + 1e-10)

    check()


def test_the_data_bounds_are_a_ratio_and_a_product():
    weights, inputs = drawn((8, 20, 20, 4)), data(8)
    white = linear.linear_condition_number(weights, whitened(inputs))
    data_alone = inputs.variances[-1] / inputs.variances[0]
    close(bounds.linear_data_bounds(weights, inputs), [data_alone / white, data_alone * white])


@pytest.mark.parametrize("widths", [(8, 3, 5), (8, 9, 3, 4), (6, 2, 9)])
def test_data_bounds_need_layers_that_are_wide_enough(widths):
    inputs = data(widths[0])
    least = min(widths[0] - 1, widths[-1])
    message = rf"weights must have widths of at least {least}, so .*, got \({widths[0]}, "
    with pytest.raises(ValueError, match=message):
        bounds.linear_data_bounds(drawn(widths), inputs)
    low, high = bounds.linear_data_bounds(drawn((widths[0], least, widths[-1])), inputs)
    assert np.isfinite([low, high]).all()


def test_partial_traces_are_means_over_the_other_side():
    A, C = linear.linear_factors(drawn((8, 20, 20, 4)), data(8))
    G = np.asarray(linear.reduced_matrix(linear.Factors(A, C))).reshape(4, 7, 4, 7)
    P_k, P_d = np.einsum("asbs->ab", G) / 7, np.einsum("asat->st", G) / 4
    bound = bounds.partial_trace_bound(linear.Factors(A, C))
    spectra = [np.linalg.eigvalsh(P) for P in (P_k, P_d)]
    close(bound.largest, max(values[-1] for values in spectra))
    close(bound.smallest, min(values[0] for values in spectra))
    close(bound.ratio, bound.largest / bound.smallest)


@pytest.mark.parametrize("side", ["k", "d"])
def test_partial_traces_look_at_either_side(side):
    # All of the spread on one side, so that only that partial trace can see it.
    wide, even = np.diag([1.0, 2.0, 8.0])[None], np.eye(3)[None]
    factors = (wide, even) if side == "k" else (even, wide)
    bound = bounds.partial_trace_bound(linear.Factors(*map(jnp.asarray, factors)))
    assert bound == (8, 8, 1)


def test_product_vectors_are_exact_for_two_layers():
    for inputs in (None, data(5)):
        for seed in range(3):
            weights = drawn((5, 16, 3), seed)
            bound = bounds.product_vector_bound(linear.linear_factors(weights, inputs))
            values = linear.linear_spectrum(weights, inputs)
            close([bound.largest, bound.smallest], [values[-1], values[0]])
            close(bound.ratio, values[-1] / values[0])


def test_product_vectors_come_close_for_more_layers():
    for seed in range(5):
        weights = drawn((8, 20, 20, 4), seed)
        bound = bounds.product_vector_bound(linear.linear_factors(weights, data(8)))
        assert bound.ratio > 0.95 * linear.linear_condition_number(weights, data(8))


def test_the_lowest_product_is_the_best_of_three_starts():
    # A start at the second of three directions stays there, and so at the third.
    A = jnp.stack([jnp.diag(row) for row in jnp.eye(3)])
    C = jnp.stack([jnp.diag(row) for row in jnp.array([[9, 5, 4.0], [5, 9, 6.0], [8, 7, 1.0]])])
    bound = bounds.product_vector_bound(linear.Factors(A, C))
    assert bound.smallest == 1 and bound.largest == 9 and bound.ratio == 9


def test_a_singular_matrix_has_no_finite_rayleigh_bound():
    A, C = jnp.diag(jnp.array([1.0, 0.0]))[None], jnp.eye(2)[None]
    for function in (bounds.partial_trace_bound, bounds.product_vector_bound):
        bound = function(linear.Factors(A, C))
        assert np.isinf(bound.ratio) and bound.largest == 1 and bound.smallest == 0


def test_rayleigh_bounds_are_mapped_over_draws():
    many = [jnp.stack(pair) for pair in zip(*(drawn((5, 16, 3), s) for s in (0, 1)), strict=True)]
    ratios = jax.lax.map(
        lambda weights: bounds.product_vector_bound(linear.linear_factors(weights)).ratio, many
    )
    for seed, ratio in enumerate(ratios):
        close(ratio, linear.linear_condition_number(drawn((5, 16, 3), seed)))


def test_the_bounds_of_many_networks_come_at_once():
    # Some of the first ones' layers are too narrow.
    for sizes, inputs in (((6, 5, 9, 4), data(6)), ((5, 16, 3), None)):
        each = [drawn(sizes, seed) for seed in range(4)]
        white = None if inputs is None else whitened(inputs)
        pairs = zip(*(linear.linear_factors(weights, white) for weights in each), strict=True)
        A, B = (jnp.stack(part) for part in pairs)
        kappa = 1.0 if inputs is None else bounds.data_condition_number(inputs)
        for shape in ((4,), (2, 2)):
            ends = bounds.extremes(A.reshape(*shape, *A.shape[1:]), B.reshape(*shape, *B.shape[1:]))
            upper = bounds.bounds_of(ends, kappa)
            assert ends.A_largest.shape == upper.layers.shape == (*shape, len(sizes) - 1)
            assert upper.ratio_of_sums.shape == upper.loose.shape == shape
            for i, weights in enumerate(each):
                at = np.unravel_index(i, shape)
                for many, one in ((ends, bounds.layer_extremes), (upper, bounds.linear_bounds)):
                    for part, expected in zip(many, one(weights, inputs), strict=True):
                        close(part[at], expected)


def test_the_condition_of_the_layers_does_not_know_their_scale():
    # Growing one layer by a factor and shrinking another leaves every κ_l.
    weights = drawn((8, 20, 20, 4))
    scaled = [2 * weights[0], weights[1], weights[2] / 2]
    close(bounds.linear_bounds(scaled).layers, bounds.linear_bounds(weights).layers)


def test_skips_lower_the_loose_bound_where_layers_share_their_vectors():
    rng = np.random.default_rng(0)
    U, s = np.linalg.qr(rng.normal(size=(4, 4)))[0], 0.2 + rng.random((3, 4))
    loose = []
    for beta in (0.0, 0.3, 1.0, 4.0):
        weights = [U @ np.diag(row + beta) @ U.T for row in s]
        loose.append(float(bounds.linear_bounds(weights).loose))
    assert (np.diff(loose) < 0).all()


def test_below_both_other_widths_the_bounds_are_infinite_and_the_condition_number_is_not():
    # The eigenvalues ω_i + ν_j of Ĝ but the zeros, with ω = 1, 1, 1, 0, 0 and ν = 1, 4, 9, 0, 0, 0.
    weights = [np.eye(3, 6) * [[1], [2], [3]], np.eye(5, 3)]
    assert linear.linear_condition_number(weights) == 10
    assert linear.linear_two_layer_condition_number(weights) == 10
    upper = bounds.linear_bounds(weights)
    assert np.isinf([upper.ratio_of_sums, upper.loose]).all()
    assert np.isinf(laws.two_layer_law(6, 3, 5))


@pytest.mark.parametrize("widths", [(6, 5, 5), (6, 6, 5), (6, 9, 5), (5, 5, 6)])
def test_from_the_smaller_of_both_other_widths_on_the_ratio_of_sums_is_the_condition_number(widths):
    weights = drawn(widths)
    kappa = linear.linear_condition_number(weights)
    close(bounds.linear_bounds(weights).ratio_of_sums, kappa)


@pytest.mark.parametrize("bound", [bounds.partial_trace_bound, bounds.product_vector_bound])
def test_bounds_from_below_are_free_of_the_scale_of_their_factors(bound):
    factors = linear.linear_factors(drawn((4, 6, 3)))
    ordinary = bound(factors)
    for a, c in ((2.0**500, 2.0**400), (2.0**-900, 1.0), (2.0**600, 2.0**-600)):
        scaled = bound(linear.Factors(a * factors.A, c * factors.C))
        assert scaled.ratio == ordinary.ratio and scaled.largest == a * (c * ordinary.largest)
    with pytest.raises(ValueError, match="^factors must be of a size whose result is in the range"):
        bound(linear.Factors(1e200 * factors.A, 1e200 * factors.C))


@pytest.mark.parametrize(("outputs", "spread", "order", "end"), [(5, 1e-3, 1, 1), (1, 1e-6, -1, 0)])
def test_data_along_the_singular_vectors_of_the_first_layer_attain_both_limits(
    outputs, spread, order, end
):
    # the upper one with large variances where V is large, the lower one where it is small
    weights = drawn((12, 40, outputs))
    directions = np.linalg.eigh(weights[0].T @ weights[0])[1][:, ::order]
    inputs = Covariance(np.geomspace(spread, 1, 12), directions)
    kappa = linear.linear_condition_number(weights, inputs)
    close(kappa, bounds.linear_data_bounds(weights, inputs)[end], rtol=1e-9)
