import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.conditioning import normalisation, on_range, second_moment

SAMPLES = 60
WIDTHS = [(8, 10, 3), (5, 3, 6), (4, 6, 1), (6, 2, 4)]


def drawn(widths, seed=0):
    d, m, k = widths
    rng = np.random.default_rng(seed)
    weights = [jnp.asarray(rng.normal(size=(m, d))), jnp.asarray(rng.normal(size=(k, m)))]
    return weights, rng.normal(0.4, np.linspace(0.3, 2, d), (SAMPLES, d))


def dense(weights, x):
    """The spectrum of the Gauss-Newton matrix by automatic differentiation through the batch."""
    V, W = weights
    return np.linalg.eigvalsh(matrix((V, jnp.ones(len(V)), jnp.zeros(len(V)), W), x))


@jax.jit
def matrix(params, x):
    def outputs(params):
        V, scale, shift, W = params
        z = x @ V.T
        z = (z - z.mean(0)) / z.std(0)
        return ((scale * z + shift) @ W.T).ravel()

    rows = [block.reshape(len(block), -1) for block in jax.jacrev(outputs)(params)]
    return sum(block @ block.T for block in rows) / len(x)


def centred(x):
    return on_range(second_moment(x - x.mean(0)))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
def test_the_spectrum_is_exact_through_the_batch(widths, lower):
    weights, x = drawn(widths)
    if lower:
        x[:, -1] = x[:, 0]
    expected, measured = dense(weights, x), normalisation.normalised_spectrum(weights, centred(x))
    s, k = widths[0] - lower, widths[2]
    assert measured.shape == (k * s + k,) and (np.diff(measured) >= 0).all()
    np.testing.assert_allclose(measured, expected[-len(measured) :], 0, 1e-12 * expected[-1])
    np.testing.assert_allclose(expected[: -len(measured)], 0, atol=1e-12 * expected[-1])


@pytest.mark.parametrize(("widths", "rank"), list(zip(WIDTHS, (27, 27, 5, 18), strict=True)))
def test_the_condition_number_is_over_what_is_not_zero(widths, rank):
    weights, x = drawn(widths)
    values = dense(weights, x)
    assert values[-rank] > 1e-6 * values[-1] and abs(values[-rank - 1]) < 1e-13 * values[-1]
    measured = normalisation.normalised_condition_number(weights, centred(x))
    np.testing.assert_allclose(measured, values[-1] / values[-rank], rtol=1e-8)


def test_the_length_of_an_inner_row_counts_for_nothing_but_itself():
    (V, W), x = drawn(WIDTHS[0])
    scaled = jnp.linspace(0.5, 2, 10)[:, None] * V
    outputs = [
        normalisation.normalised_outputs(
            normalisation.normalised_parameters([U, W]), jnp.asarray(x)
        )
        for U in (V, scaled)
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-10, atol=1e-12)
    unequal = normalisation.normalised_spectrum([scaled, W], centred(x))
    np.testing.assert_allclose(unequal, dense([scaled, W], x)[-27:], rtol=1e-10)


def test_the_outputs_are_of_normalised_hidden_units():
    (V, W), x = drawn(WIDTHS[0])
    params = normalisation.normalised_parameters([V, W])
    assert (params.scale == np.ones(10)).all() and (params.shift == np.zeros(10)).all()
    assert (params.inner == V).all() and (params.outer == W).all()
    params = params._replace(scale=jnp.linspace(1, 2, 10), shift=jnp.linspace(-1, 1, 10))
    z = x @ np.asarray(V).T
    hidden = (z - z.mean(0)) / z.std(0) * np.linspace(1, 2, 10) + np.linspace(-1, 1, 10)
    np.testing.assert_allclose(
        normalisation.normalised_outputs(params, jnp.asarray(x)), hidden @ W.T, atol=1e-12
    )


def test_the_spectrum_is_mapped_over_draws():
    pairs = [drawn(WIDTHS[0], seed) for seed in (0, 1)]
    inputs = centred(pairs[0][1])
    many = [jnp.stack(same) for same in zip(*(weights for weights, _ in pairs), strict=True)]
    values = jax.vmap(lambda weights: normalisation.normalised_spectrum(weights, inputs))(many)
    for value, (weights, _) in zip(values, pairs, strict=True):
        np.testing.assert_allclose(
            value, normalisation.normalised_spectrum(weights, inputs), rtol=1e-9
        )


def test_there_is_one_hidden_layer():
    for function in (normalisation.normalised_spectrum, normalisation.normalised_condition_number):
        with pytest.raises(ValueError, match="weights must hold 2 matrices, got 3"):
            function([np.eye(2)] * 3, on_range(np.eye(2)))
    with pytest.raises(ValueError, match="weights must hold 2 matrices, got 1"):
        normalisation.normalised_parameters([np.eye(2)])


def test_a_hidden_unit_that_sees_nothing_is_named():
    weights, inputs = [np.diag([1.0, 0.0]), np.eye(2)], on_range(np.eye(2))
    message = r"the largest entry of each row of weights\[0\] must be positive, got 0.0"
    for function in (normalisation.normalised_spectrum, normalisation.normalised_condition_number):
        with pytest.raises(ValueError, match=message):
            function(weights, inputs)
    with pytest.raises(ValueError, match=message):
        normalisation.normalised_parameters(weights)


def test_no_scale_of_the_data_changes_the_spectrum():
    weights, x = drawn(WIDTHS[0])
    inputs = centred(x)
    expected = normalisation.normalised_spectrum(weights, inputs)
    for power in (-960, -300, 300, 960):
        scaled = inputs._replace(variances=jnp.ldexp(inputs.variances, power))
        np.testing.assert_array_equal(normalisation.normalised_spectrum(weights, scaled), expected)


def test_long_rows_keep_their_scales_and_short_ones_leave_the_floats():
    (V, W), x = drawn(WIDTHS[0])
    long = [normalisation.normalised_spectrum([c * V, W], centred(x)) for c in (1e10, 1e250)]
    np.testing.assert_allclose(*long, rtol=1e-10)
    with pytest.raises(ValueError, match="^weights must be of a size whose result is in the range"):
        normalisation.normalised_spectrum([1e-250 * V, W], centred(x))


def test_outputs_are_free_of_the_scale_of_the_batch():
    weights, x = drawn(WIDTHS[0])
    params = normalisation.normalised_parameters(weights)
    expected = normalisation.normalised_outputs(params, x)
    for power in (-900, 900):
        scaled = np.ldexp(x, power)
        np.testing.assert_array_equal(normalisation.normalised_outputs(params, scaled), expected)
    images = np.random.default_rng(0).integers(0, 256, x.shape).astype(np.uint8)
    np.testing.assert_array_equal(
        normalisation.normalised_outputs(params, images),
        normalisation.normalised_outputs(params, 1.0 * images),
    )


def test_a_batch_that_does_not_vary_is_named():
    weights, x = drawn(WIDTHS[0])
    params = normalisation.normalised_parameters(weights)
    message = "^the largest deviation of x along each row of params.inner must be positive, got 0.0"
    with pytest.raises(ValueError, match=message):
        normalisation.normalised_outputs(params, x[:1])
    with pytest.raises(ValueError, match=r"^x must have shape \(n, 8\), got \(60, 7\)"):
        normalisation.normalised_outputs(params, x[:, 1:])
