"""Descent to a level of the loss."""

import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.lenses.levels import descend_to


def quadratic(curvatures, rate):
    def step(x, share):
        return x - share * rate * curvatures * x

    def loss(x):
        return (curvatures * x**2).sum() / 2

    return step, loss


def test_the_level_is_reached_exactly_and_before_the_last_whole_step():
    curvatures = jnp.array([1.0, 0.3])
    step, loss = quadratic(curvatures, 0.5)
    found, steps = descend_to(step, loss, jnp.ones(2), 0.05)
    np.testing.assert_allclose(float(loss(found)), 0.05, rtol=1e-12)
    x = np.ones(2)
    for _ in range(int(steps) - 1):
        x = np.asarray(step(x, 1.0))
    assert loss(x) > 0.05 >= loss(step(x, 1.0))
    moved = (x - np.asarray(found)) / (x - np.asarray(step(x, 1.0)))
    np.testing.assert_allclose(moved, moved[0], rtol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 2.5])
def test_what_does_not_get_there_is_nan(rate):
    step, loss = quadratic(jnp.array([1.0]), rate)
    found, steps = descend_to(step, loss, jnp.ones(1), 0.1, most=50)
    assert np.isnan(found).all() and int(steps) == 50


def test_from_one_level_it_goes_on_to_the_next():
    step, loss = quadratic(jnp.array([1.0, 0.3]), 0.1)
    one, _ = descend_to(step, loss, jnp.ones(2), 0.3)
    two, _ = descend_to(step, loss, one, 0.1)
    straight, _ = descend_to(step, loss, jnp.ones(2), 0.1)
    np.testing.assert_allclose(two, straight, rtol=1e-2)
