import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import conditioning
from lazyrich.conditioning import kaiming, on_range, relu, second_moment
from lazyrich.draws import normal
from lazyrich.experiments.conditioning.relu_starts import (
    attained_bounds,
    leaky_relu_start,
    leaky_relu_violations,
)

KEY = jax.random.key(3)
SMALL = {"data": 4, "width": 5, "outputs": 2, "samples": 3}


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def kernel(V, W, x, slope):
    """J Jᵀ/n of a leaky-ReLU network, from the derivatives of each output."""
    rows = []
    for sample in x:
        z = V @ sample
        bent, slopes = np.where(z >= 0, z, slope * z), np.where(z >= 0, 1, slope)
        for output, w in enumerate(W):
            by_W = np.zeros_like(W)
            by_W[output] = bent
            rows.append(np.concatenate([np.outer(w * slopes, sample).ravel(), by_W.ravel()]))
    return np.array(rows) @ np.array(rows).T / len(x)


def leaky_parts(draws, widths):
    """The weights of each draw, and the samples if they are normal."""
    on_weights, on_data = jax.random.split(KEY)
    weights = zip(*map(np.asarray, kaiming(on_weights, widths, draws)), strict=True)
    return list(weights), np.asarray(normal(on_data, (draws, 3, widths[0])))


@pytest.mark.parametrize("slope", [0.1, 0.5])
def test_leaky_relu_starts_have_the_same_weights_and_samples_at_every_slope(slope):
    start = leaky_relu_start(KEY, slope, 2, **SMALL)
    for i, ((V, W), x) in enumerate(zip(*leaky_parts(2, (4, 5, 2)), strict=True)):
        values = np.linalg.eigvalsh(kernel(V, W, x, slope))
        close(start.condition_number[i], values[-1] / values[0])
        bounds = relu.leaky_relu_bounds([V, W], x, slope)
        for measured, expected in zip(start.bounds, bounds, strict=True):
            close(measured[i], expected)
    assert start.error.shape == (2,) and (start.error < 1e-13).all()


def test_leaky_relu_starts_on_images_take_the_first_ones_whitened(few):
    start = leaky_relu_start(KEY, 0.5, 2, **SMALL | {"data": "few"})
    x = np.delete(few.x, 2, axis=1)
    inputs = on_range(second_moment(x))
    x = conditioning.whiten(jnp.asarray(x), inputs)
    close(second_moment(x), np.eye(5), atol=1e-12)
    for i, (V, W) in enumerate(leaky_parts(2, (5, 5, 2))[0]):
        values = np.linalg.eigvalsh(kernel(V, W, np.asarray(x[:3]), 0.5))
        close(start.condition_number[i], values[-1] / values[0])
    assert (start.error < 1e-13).all()


def test_simplified_bounds_are_violated_as_often_as_a_count_says():
    draws, slope = 500, 0.3
    violations = leaky_relu_violations(KEY, draws)
    z = np.asarray(normal(KEY, (draws, 6, 4)))
    bent = np.where(z >= 0, z, slope * z)
    linear, hidden = (np.linalg.svd(part, compute_uv=False) ** 2 for part in (z, bent))
    np.testing.assert_array_equal(violations.top, hidden[:, 0] > linear[:, 0])
    np.testing.assert_array_equal(violations.bottom, hidden[:, 3] < slope**2 * linear[:, 3])
    assert all(0.005 < np.mean(part) < 0.2 for part in violations)


@pytest.mark.parametrize(
    "experiment",
    [
        lambda draws: leaky_relu_start(KEY, 0.5, draws, **SMALL),
        lambda draws: leaky_relu_violations(KEY, draws),
    ],
)
def test_more_draws_begin_with_the_same_ones(experiment):
    some, more = (jax.tree.leaves(experiment(draws)) for draws in (2, 3))
    for few, many in zip(some, more, strict=True):
        assert len(few) == 2 and len(many) == 3
        close(few, many[:2], atol=1e-12)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_proven_bound_is_attained(seed):
    close(attained_bounds(jax.random.key(seed)), 1, rtol=1e-10)


def test_a_bound_that_is_a_tenth_off_is_not_attained(monkeypatch):
    bounds = relu.leaky_relu_bounds
    larger = lambda *given: bounds(*given)._replace(proven=1.1 * bounds(*given).proven)  # noqa: E731
    monkeypatch.setattr(conditioning, "leaky_relu_bounds", larger)
    close(attained_bounds(KEY), 1.1)
