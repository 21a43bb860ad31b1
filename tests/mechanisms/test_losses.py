from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from closeness import close_rows
from lazyrich import mechanisms
from lazyrich.mechanisms import Setting

S = Setting(0.7, 1.3, 0.4, 1.2, -0.8, 2.0)
U, V = jnp.array([0.3, -1.0, 0.5]), jnp.array([0.8, 0.4, -0.6])


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def slopes(loss):
    """The derivatives of a loss by both layers."""
    return jax.grad(loss, (1, 2))(S, U, V)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_gradient_of_the_squared_loss_is_that_of_the_definition(power):
    by_u, by_v = slopes(partial(mechanisms.squared_loss, power=power))
    h = S.c * S.gamma * S.A * (S.gamma * (U * V**power).sum() - S.y_star)
    close(by_u, h * V**power)
    close(by_v, h * power * U * V ** (power - 1))
    assert mechanisms.squared_loss(S, U, V) == S.c / 2 * S.A * (S.gamma * U @ V - S.y_star) ** 2


def test_the_gradient_of_the_logistic_loss_is_that_of_the_definition():
    F = S.gamma * U @ V
    close(mechanisms.logistic_loss(S, U, V), np.log(1 + np.exp(-F)))
    h = -S.gamma / (1 + np.exp(F))
    by_u, by_v = slopes(mechanisms.logistic_loss)
    close(by_u, h * V)
    close(by_v, h * U)


def test_decay_is_the_same_relative_decay_of_both_layers():
    by_u, by_v = slopes(partial(mechanisms.weight_decay, mu=0.3))
    close(S.eta_u * by_u, 0.3 * U)
    close(S.eta_w * by_v, 0.3 * V)


def test_flow_of_a_loss_has_the_rates_of_the_layers():
    u, v = np.random.default_rng(0).normal(size=(2, 4, 4))
    times, s = np.array([[0.0, 0.1], [0.0, 0.3], [0.1, 0.5], [0.2, 2.0]]), Setting(1.0, 1.3, 0.4)
    flow = mechanisms.flow(mechanisms.squared_loss, s, u, v, times)
    for weights, expected in zip(flow, mechanisms.solve(s, u, v, times), strict=True):
        assert weights.shape == (4, 2, 4)
        close_rows(weights, expected, 1e-9)


def test_networks_descend_the_loss_that_is_given():
    u, v = np.random.default_rng(1).normal(size=(2, 2, 4))
    times = np.array([[0.0, 1e-4, 2e-4]] * 2)

    def loss(*network):
        return mechanisms.logistic_loss(*network) + mechanisms.weight_decay(*network, 0.3)

    flow = mechanisms.flow(loss, S, u, v, times)
    F = S.gamma * (flow.u * flow.v).sum(-1)[:, 1, None]
    h, u, v = -S.gamma / (1 + np.exp(F)), flow.u[:, 1], flow.v[:, 1]
    close((flow.u[:, 2] - flow.u[:, 0]) / 2e-4, -S.eta_u * h * v - 0.3 * u, rtol=1e-5)
    close((flow.v[:, 2] - flow.v[:, 0]) / 2e-4, -S.eta_w * h * u - 0.3 * v, rtol=1e-5)


def test_what_does_not_fit_a_flow_is_named():
    u = np.ones((2, 3))
    flow = partial(mechanisms.flow, mechanisms.squared_loss, Setting())
    with pytest.raises(ValueError, match="times must be increasing, got a step of -1.0"):
        flow(u, u, np.array([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="times must be not negative, got -1.0"):
        flow(u, u, np.array([[-1.0, 0.0]]))
    with pytest.raises(ValueError, match="times must have at least 2 axes"):
        flow(u, u, np.ones(2))
    with pytest.raises(ValueError, match="setting, times, u and v must broadcast over networks"):
        flow(u, u, np.ones((3, 2)))


def test_a_start_far_from_its_end_is_followed_to_it():
    """In the step that the integrator would choose by itself, this one overflows."""
    with jax.enable_x64():
        u = np.array([[1.54736518, 6.64636356, 12.88758698, 10.27405457]])
        v = np.array([[-1.33073591, 16.88908892, 24.4496714, 11.29404471]])
        times = (
            40
            / np.asarray(mechanisms.learning_speed(mechanisms.Setting(), u, v))[:, None]
            * [0.0, 1.0]
        )
        end = mechanisms.flow(mechanisms.squared_loss, mechanisms.Setting(), u, v, times)
        exact = mechanisms.fixed_point(mechanisms.Setting(), u, v)
        for found, expected in zip(end, exact, strict=True):
            np.testing.assert_allclose(found[:, -1], expected, rtol=1e-9)
