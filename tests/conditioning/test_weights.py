import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import conditioning
from lazyrich.conditioning import bounds, linear, normalisation, on_range, weights

WEIGHTS = np.ones((4, 3)), np.ones((2, 4))
FUNCTIONS = {
    "with_skips": lambda weights: conditioning.with_skips(weights, 0.5),
    "partial_products": linear.partial_products,
    "linear_factors": linear.linear_factors,
    "linear_spectrum": linear.linear_spectrum,
    "linear_condition_number": linear.linear_condition_number,
    "linear_two_layer_condition_number": linear.linear_two_layer_condition_number,
    "layer_extremes": bounds.layer_extremes,
    "linear_bounds": bounds.linear_bounds,
    "normalised_parameters": normalisation.normalised_parameters,
}


def test_kaiming_weights_are_normal_with_variance_one_over_the_fan_in(key):
    weights = conditioning.kaiming(key(), (50, 80, 60, 40))
    assert [W.shape for W in weights] == [(80, 50), (60, 80), (40, 60)]
    for W, fan_in in zip(weights, (50, 80, 60), strict=True):
        scaled = np.asarray(W) * fan_in**0.5
        assert abs(scaled.mean()) < 5 / W.size**0.5 and abs(scaled.std() - 1) < 0.05
        assert abs((scaled**4).mean() - 3) < 0.5
    flat = [np.asarray(W).ravel()[:2400] for W in weights]
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.1


def test_kaiming_draws_are_mapped_over_keys():
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(lambda key: conditioning.kaiming(key, (3, 4, 2)))(keys)
    for i, key in enumerate(keys):
        for W, single in zip(many, conditioning.kaiming(key, (3, 4, 2)), strict=True):
            np.testing.assert_allclose(W[i], single, rtol=1e-14)


def test_many_kaiming_draws_begin_with_the_same_ones(key):
    key = key()
    one, first, many = (conditioning.kaiming(key, (3, 4, 2), draws) for draws in (None, 1, 5))
    assert [W.shape for W in many] == [(5, 4, 3), (5, 2, 4)]
    for alone, single, W in zip(one, first, many, strict=True):
        np.testing.assert_array_equal(alone, single[0])
        np.testing.assert_array_equal(alone, W[0])
    flat = np.concatenate([W.reshape(5, -1) for W in many], axis=1)
    assert len(np.unique(flat)) == flat.size
    with pytest.raises(ValueError, match="draws must be an integer of at least 1, got 0"):
        conditioning.kaiming(key, (3, 4, 2), 0)


def test_each_of_many_draws_has_variance_one_over_the_fan_in(key):
    V, W = map(np.asarray, conditioning.kaiming(key(), (50, 80, 40), 3))
    np.testing.assert_allclose(V.std((1, 2)), 50**-0.5, rtol=0.05)
    np.testing.assert_allclose(W.std((1, 2)), 80**-0.5, rtol=0.05)


def test_skips_add_a_rectangular_identity():
    tall, wide = conditioning.with_skips((np.zeros((4, 3)), np.ones((2, 4))), 0.5)
    np.testing.assert_array_equal(tall, [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0, 0, 0]])
    np.testing.assert_array_equal(wide, [[1.5, 1, 1, 1], [1, 1.5, 1, 1]])
    assert conditioning.with_skips([np.ones((2, 2), "float32")], 0.5)[0].dtype == np.float32
    with pytest.raises(ValueError, match="strength must be finite, got nan"):
        conditioning.with_skips(WEIGHTS, np.nan)
    with pytest.raises(ValueError, match=r"strength must be one number, got shape \(2,\)"):
        conditioning.with_skips(WEIGHTS, np.ones(2))


def test_outputs_are_the_product_of_the_layers(key):
    weights = conditioning.kaiming(key(), (3, 5, 4, 2))
    x = jax.random.normal(key(), (6, 3))
    expected = np.stack([weights[2] @ (weights[1] @ (weights[0] @ row)) for row in x])
    np.testing.assert_allclose(conditioning.linear_network(weights, x), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((6, 4)), r"x must have shape \(n, 3\), got \(6, 4\)"),
        (np.ones((0, 3)), r"x must have shape \(n, 3\), got \(0, 3\)"),
        (np.ones(3), r"x must have shape \(n, 3\), got \(3,\)"),
        (
            np.ones((6, 3), "float32"),
            r"x must have the dtype of weights\[0\], float64, got float32",
        ),
    ],
)
def test_samples_that_do_not_fit_are_named(x, message):
    y = np.ones((len(x), 2))
    for function in (
        conditioning.linear_network,
        lambda W, x: conditioning.linear_residual_correlation(W, x, y),
    ):
        with pytest.raises(ValueError, match=message):
            function(WEIGHTS, x)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "weights must hold .* matrices, got 0"),
        (
            [np.ones((2, 3, 4))],
            r"weights(\[0\] must have shape \(k, d\), got \(2, 3, 4\)| must hold 2 matr.*, got 1)",
        ),
        ((WEIGHTS[0], np.ones((2, 3))), r"weights\[1\] must have shape \(k, 4\), got \(2, 3\)"),
        ((WEIGHTS[1], WEIGHTS[0]), r"weights\[1\] must have shape \(k, 2\), got \(4, 3\)"),
        ((WEIGHTS[0], np.ones((2, 4), "float32")), r"weights\[1\] must have the dtype .* float32"),
        ((np.ones((4, 3), int), WEIGHTS[1]), r"weights\[0\] must be an array of floats, .* int64"),
        ((np.full((4, 3), np.nan), WEIGHTS[1]), r"weights\[0\] must be finite, got nan"),
        (
            (np.ones(3),),
            r"weights(\[0\] must have shape \(k, d\), got \(3,\)| must hold 2 mat.*, got 1)",
        ),
    ],
)
def test_weights_that_make_no_network_are_named(function, weights, message):
    with pytest.raises(ValueError, match=message):
        function(weights)


def test_data_of_another_width_are_named():
    inputs = on_range(np.diag([0.0, 0.0, 1.0, 1.0, 1.0]))  # of rank 3, but with 5 entries
    message = r"inputs.directions must have shape \(3, 3\), got \(5, 3\)"
    for name in (
        "partial_products",
        "linear_factors",
        "linear_spectrum",
        "linear_condition_number",
    ):
        with pytest.raises(ValueError, match=message):
            getattr(linear, name)(WEIGHTS, inputs)
    for function in (bounds.layer_extremes, bounds.linear_bounds, bounds.linear_data_bounds):
        with pytest.raises(ValueError, match=message):
            function(WEIGHTS, inputs)
    for function in (normalisation.normalised_spectrum, normalisation.normalised_condition_number):
        with pytest.raises(ValueError, match=message):
            function(WEIGHTS, inputs)


@pytest.mark.parametrize("function", [lambda w: conditioning.kaiming(jax.random.key(0), w)])
def test_widths_that_make_no_network_are_named(function):
    with pytest.raises(ValueError, match="widths must be an integer of at least 1, got 0"):
        function((3, 0, 2))
    with pytest.raises(ValueError, match=r"a sequence of at least 2 integers, got \(3,\)"):
        function((3,))
    assert [W.shape for W in function((3, 1))] == [(1, 3)]


def test_a_network_in_compiled_code_is_checked_for_shape():
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(k, 4\), got \(2, 3\)"):
        jax.jit(linear.linear_factors)([jnp.ones((4, 3)), jnp.ones((2, 3))])


def test_the_sizes_are_those_of_the_layers_and_of_the_data():
    inputs = on_range(np.diag([0.0, 1.0, 2.0]))
    fitting, inputs = weights.fitting(WEIGHTS, inputs)
    assert weights.sizes(fitting, None) == ((3, 4, 2), 3)
    assert weights.sizes(fitting, inputs) == ((3, 4, 2), 2)


def test_bytes_are_taken_as_floats():
    assert conditioning.linear_network([[[1.0]], [[1.0]]], np.array([[200]], np.uint8)) == 200
    x, y = np.array([[200, 255]], np.uint8), np.array([[True]])
    Omega = conditioning.linear_residual_correlation([np.ones((1, 2))], x, y)
    np.testing.assert_array_equal(Omega, [[454 * 200, 454 * 255]])
    single = conditioning.linear_network([np.ones((1, 2), "float32")], x)
    assert single.dtype == np.float32 and single == 455


def test_what_no_float_holds_is_one_sentence():
    large = [1e200 * W for W in WEIGHTS]
    for function in (
        lambda: conditioning.linear_network(large, np.ones((2, 3))),
        lambda: conditioning.with_skips([np.ones((2, 2), "float32")], 1e300),
        lambda: conditioning.linear_functional_hessian(
            [*large, *[1e200 * np.eye(2)] * 2], np.ones((2, 3))
        ),
    ):
        with pytest.raises(
            ValueError, match="^weights and .* must be of a size whose result is in"
        ):
            function()
