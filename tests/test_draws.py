import jax
import numpy as np

from lazyrich.draws import BLOCK, normal


def test_normal_numbers_come_in_blocks_that_differ(key):
    key = key()
    one, two = normal(key, (BLOCK,)), normal(key, (2, BLOCK))
    np.testing.assert_array_equal(two[0], one)
    assert abs(np.corrcoef(two)[0, 1]) < 5 / BLOCK**0.5
    np.testing.assert_allclose([two.mean(), two.std()], [0, 1], atol=5 / BLOCK**0.5)


def test_a_shape_takes_the_first_numbers_and_the_deviation_scales_them(key):
    key = key()
    np.testing.assert_array_equal(normal(key, (2, 3)).ravel(), normal(key, (BLOCK,))[:6])
    np.testing.assert_allclose(normal(key, (4,), 0.5), 0.5 * normal(key, (4,)), rtol=1e-15)
    assert normal(key, ()).shape == () and normal(key, (0, 2)).shape == (0, 2)


def test_draws_of_two_keys_differ():
    a, b = (normal(jax.random.key(seed), (1000,)) for seed in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2
