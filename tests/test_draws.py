import jax
import numpy as np
import pytest
from scipy.stats import kstest

from lazyrich import draws

KEY = jax.random.key(7)


def test_draws_are_normal_with_their_standard_deviation():
    x = np.asarray(draws.normal(KEY, (500, 300), std=0.7))
    assert x.shape == (500, 300)
    assert kstest(x.ravel() / 0.7, "norm").pvalue > 0.01


def test_blocks_are_drawn_apart():
    x = np.asarray(draws.normal(KEY, (2 * draws.BLOCK + 1,)))
    assert len(np.unique(x)) == x.size
    assert abs(np.corrcoef(x[: draws.BLOCK], x[draws.BLOCK : -1])[0, 1]) < 4 * draws.BLOCK**-0.5


def test_draws_depend_on_their_key_alone():
    x = draws.normal(KEY, (3, 4))
    np.testing.assert_array_equal(x, draws.normal(KEY, (3, 4)))
    np.testing.assert_array_equal(x.ravel(), draws.normal(KEY, (20,))[:12])
    assert not np.isclose(x, draws.normal(jax.random.key(8), (3, 4))).any()
    np.testing.assert_allclose(draws.normal(KEY, (3, 4), std=2.0), 2 * x, rtol=1e-15)


@pytest.mark.parametrize("shape", [(), (1,), (draws.BLOCK,), (draws.BLOCK + 1, 1)])
def test_any_shape_is_filled(shape):
    assert draws.normal(KEY, shape).shape == shape


def test_another_shape_compiles_no_other_draw():
    draws.normal(KEY, (5,))
    compiled = draws._block._cache_size()
    draws.normal(KEY, (7, 3))
    assert draws._block._cache_size() == compiled
