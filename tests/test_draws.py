import jax
import numpy as np
from scipy.stats import kstest

from lazyrich import draws
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


def test_draws_follow_the_normal_law(key):
    assert kstest(np.asarray(normal(key(), (300, 400))).ravel(), "norm").pvalue > 0.01


def test_another_shape_compiles_no_other_draw(key):
    normal(key(), (5,))
    compiled = draws._block._cache_size()
    normal(key(), (7, 3))
    assert draws._block._cache_size() == compiled


def test_arrays_of_several_shapes_are_cut_from_one_draw(key):
    key = key()
    for axes in ((), (5,)):
        found = draws.standard_normals(key, [(2, 3), (), (4,)], axes)
        assert [part.shape for part in found] == [(*axes, 2, 3), axes, (*axes, 4)]
        whole = np.concatenate([part.reshape(*axes, -1) for part in found], axis=-1)
        np.testing.assert_array_equal(whole, draws.standard_normal(key, (*axes, 11)))
    drawn = jax.jit(lambda key: draws.standard_normals(key, [(2, 3), ()]))(key)
    np.testing.assert_array_equal(drawn[0].ravel(), draws.standard_normal(key, (7,))[:6])


def test_standard_normal_numbers_are_those_of_jax_at_any_size(key):
    key = key()
    for shape in ((), (7,), (2, 20, 50), (BLOCK,), (BLOCK + 1,)):
        np.testing.assert_array_equal(
            draws.standard_normal(key, shape), jax.random.normal(key, shape)
        )
