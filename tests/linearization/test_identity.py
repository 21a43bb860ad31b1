import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.linearization import one_step, update_direction
from linearization.small import PARAMS, UNRAVEL, X_TEST, C, X, apply, close, derivative, flat

V = update_direction(apply, PARAMS, X, C)


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_the_deviation_of_a_step_is_that_from_the_linear_model(alpha):
    eta = 0.2
    step = one_step(apply, PARAMS, X_TEST, V, 3, eta, alpha)
    J = alpha * derivative(1, X_TEST)
    v = alpha * flat(V)  # of α F
    moved = UNRAVEL(flat(PARAMS) - eta / alpha**2 * v)
    linear = alpha * apply(PARAMS, X_TEST) - eta / alpha**2 * J @ v
    close(step.deviation, alpha * apply(moved, X_TEST) - linear, atol=1e-14)


def test_the_remainders_of_a_small_step_vanish_with_the_order():
    step = one_step(apply, PARAMS, X_TEST, V, 8, 0.1)
    assert step.terms.shape == step.remainders.shape == (7, 2)
    close(step.remainders, step.deviation - np.cumsum(step.terms, axis=0), atol=1e-15)
    sizes = np.abs(step.remainders).max(1)
    assert (sizes[1:] < sizes[:-1] / 4).all() and sizes[-1] < 1e-7 * np.abs(step.deviation).max()


def test_derivatives_of_the_network_change_by_an_alternating_sum_too():
    eta = 0.02
    moved = UNRAVEL(flat(PARAMS) - eta * flat(V))
    changed = np.asarray(jax.jacrev(apply)(moved, X_TEST)["v"])
    gradient = lambda params, x: jax.jacrev(apply)(params, x)["v"]  # noqa: E731
    step = one_step(gradient, PARAMS, X_TEST, V, 6, eta)
    first = jax.jvp(lambda params: gradient(params, X_TEST), (PARAMS,), (V,))[1]
    close(gradient(PARAMS, X_TEST) - eta * first + step.terms.sum(0), changed, atol=1e-10)


def test_a_kink_within_the_step_is_not_seen():
    relu = lambda params, x: jax.nn.relu(x @ params)  # noqa: E731
    step = one_step(relu, jnp.array([1.0]), jnp.ones((1, 1)), jnp.array([3.0]), 4, 1.0)
    assert (step.terms == 0).all() and step.deviation == 2.0


def test_the_sum_begins_at_order_two():
    with pytest.raises(ValueError, match="order must be an integer of at least 2, got 1"):
        one_step(apply, PARAMS, X_TEST, V, 1)
