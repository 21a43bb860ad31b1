from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.conditioning import least_squares, loss_above_floor, on_range, second_moment


@pytest.fixture
def samples():
    """Coloured samples on a subspace, and targets that they do not determine."""
    rng = np.random.default_rng(0)
    x = 1 + rng.normal(size=(30, 4)) @ rng.normal(size=(4, 6))
    return x, rng.normal(size=(30, 3))


def test_the_optimum_is_that_of_least_squares(samples):
    x, y = samples
    inputs = on_range(second_moment(x))
    problem = least_squares(x, y, inputs)
    assert all(one is other for one, other in zip(problem.inputs, inputs, strict=True))
    white = x @ np.asarray(inputs.directions / np.sqrt(inputs.variances))
    expected = np.linalg.lstsq(white, y)[0].T
    np.testing.assert_allclose(problem.optimum, expected, atol=1e-12)


def test_the_loss_is_above_its_least_value(samples):
    x, y = samples
    problem, rng = least_squares(x, y, on_range(second_moment(x))), np.random.default_rng(1)
    floor = ((x @ np.linalg.lstsq(x, y)[0] - y) ** 2).sum()
    for widths in ((6, 3), (6, 4, 3), (6, 5, 2, 3)):
        weights = [jnp.asarray(rng.normal(size=(n, m))) for m, n in pairwise(widths)]
        F = x.T
        for W in weights:
            F = W @ F
        expected = (((F.T - y) ** 2).sum() - floor) / 60
        np.testing.assert_allclose(loss_above_floor(weights, problem), expected, rtol=1e-9)
        slope = jax.grad(lambda W, rest=weights: loss_above_floor([W, *rest[1:]], problem))
        assert slope(weights[0]).shape == weights[0].shape


def test_what_does_not_fit_is_named(samples):
    x, y = samples
    inputs = on_range(second_moment(x))
    with pytest.raises(ValueError, match=r"y must have shape \(30, k\), got \(29, 3\)"):
        least_squares(x, y[1:], inputs)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6\), got \(30, 5\)"):
        least_squares(x[:, 1:], y, inputs)
