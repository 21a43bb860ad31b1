"""What does not fit is named, and matrices with nothing or little in them have their answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import spectra

TWO, THREE = np.ones(2), np.ones(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: spectra.numerical_rank(np.zeros(0)),
            r"eigenvalues must hold at least one number, got shape \(0,\)",
        ),
        (
            lambda: spectra.rounding_floor(jnp.zeros(0)),
            r"sizes must hold at least one number, got shape \(0,\)",
        ),
        (lambda: spectra.rounding_floor(jnp.array([-1.0])), "sizes must be not negative, got -1.0"),
        (
            lambda: spectra.marchenko_pastur_distance(np.zeros(0), 0.5),
            r"eigenvalues must hold at least one number, got shape \(0,\)",
        ),
        (
            lambda: spectra.marchenko_pastur_distance(np.ones((2, 4)), THREE),
            r"ratio and spectra must broadcast .*, got shapes \(3,\) and \(2,\)",
        ),
        (
            lambda: spectra.marchenko_pastur_density(TWO, THREE),
            r"x and ratio must broadcast .*, got shapes \(2,\) and \(3,\)",
        ),
        (
            lambda: spectra.marchenko_pastur_distribution(TWO, THREE),
            r"x and ratio must broadcast .*, got shapes \(2,\) and \(3,\)",
        ),
        (
            lambda: spectra.marchenko_pastur_quantile(TWO, THREE),
            r"probability and ratio must broadcast .*, got shapes \(2,\) and \(3,\)",
        ),
        (
            lambda: spectra.marchenko_pastur_edges(TWO, THREE),
            r"ratio and variance must broadcast .*, got shapes \(2,\) and \(3,\)",
        ),
        (
            lambda: spectra.likelihood_ratio(
                np.arange(1.0, 9.0).reshape(2, 4), np.array([3, 3, 3]), "exponential"
            ),
            r"tail and spectra must broadcast .*, got shapes \(3,\) and \(2,\)",
        ),
    ],
)
def test_what_is_no_spectrum_is_named(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()


def test_many_tails_of_one_spectrum_are_compared_one_by_one():
    values = 1 + np.random.default_rng(0).pareto(2, size=30)
    many = spectra.likelihood_ratio(values, np.array([10, 20, 30]), "exponential")
    for i, tail in enumerate((10, 20, 30)):
        one = spectra.likelihood_ratio(values, tail, "exponential")
        np.testing.assert_allclose([each[i] for each in many], one)


def test_a_shape_has_its_name_outside_of_compiled_code():
    values = jnp.linspace(1.0, 2.0, 20)
    assert jax.jit(lambda x: spectra.shape(x, 30))(values).name == spectra.shape(values, 30).name
    with pytest.raises(ValueError, match="^name must be taken outside of jit and vmap"):
        jax.jit(lambda x: spectra.shape(x, 30).name)(values)


ZEROS, CONSTANT, RANK_ONE = np.zeros(6), np.full(6, 2.0), np.array([0.0, 0, 0, 0, 0, 3.0])


def test_zeros_have_no_tail_and_no_shape():
    for function in (
        spectra.hill,
        spectra.stable_rank,
        spectra.power_law_fit,
        lambda values: spectra.shape(values, 9),
    ):
        with pytest.raises(ValueError, match="^eigenvalues must hold at least [12] positive"):
            function(ZEROS)
    assert spectra.numerical_rank(ZEROS) == 0
    assert spectra.pseudo_condition_number(ZEROS, 1) == np.inf
    assert (spectra.weight_spectrum(np.zeros((4, 3))) == 0).all()


def test_a_constant_spectrum_has_no_power_law():
    assert spectra.hill(CONSTANT) == spectra.power_law_fit(CONSTANT).exponent == np.inf
    assert spectra.stable_rank(CONSTANT) == spectra.numerical_rank(CONSTANT) == 6
    assert spectra.pseudo_condition_number(CONSTANT, 6) == 1
    shape = spectra.shape(CONSTANT, 9)
    assert shape.hill == np.inf and shape.above == shape.outliers == 0
    with pytest.raises(ValueError, match="^eigenvalues of a tail must be positive and differ"):
        spectra.likelihood_ratio(CONSTANT, 3, "log-normal")
    # There is no such law to draw replicas from.
    goodness = spectra.power_law_goodness(jax.random.key(0), CONSTANT, replicas=5)
    assert np.isnan(goodness.p_value) and goodness.fit.exponent == np.inf


def test_rank_one_has_the_limits_of_all():
    assert spectra.hill(RANK_ONE) == spectra.stable_rank(RANK_ONE) == 1
    assert spectra.numerical_rank(RANK_ONE) == spectra.pseudo_condition_number(RANK_ONE, 1) == 1
    assert spectra.pseudo_condition_number(RANK_ONE, 2) == np.inf
    assert spectra.shape(RANK_ONE, 9).name == "Rank-collapse"
    with pytest.raises(ValueError, match="^eigenvalues must hold at least 2 positive"):
        spectra.power_law_fit(RANK_ONE)
    found = spectra.weight_spectrum(np.outer([1.0, 2.0], [2.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, [0, 0, 25], atol=1e-14)
