import jax
import jax.numpy as jnp
import numpy as np
import pytest

from closeness import close_rows
from lazyrich import mechanisms
from lazyrich.mechanisms import Setting, Weights

S = Setting(0.7, 1.3, 0.4, 1.2, -0.8, 2.0)
U, V = np.array([0.3, -1.0, 0.5]), np.array([0.8, 0.4, -0.6])


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# Gradient flow


@pytest.mark.parametrize("symmetric", [False, True])
def test_scaled_networks_flow_to_the_fixed_point(symmetric):
    key = jax.random.key(2)
    small, _ = mechanisms.flow_scaled(key, 0.5, 4, 4, symmetric)
    start, end = mechanisms.flow_scaled(key, 1.5, 4, 4, symmetric)
    close(start.scale, 9 * small.scale)
    close(start.cosine, small.cosine, atol=1e-15)
    close(end.output, 1, rtol=1e-9)
    N = np.sqrt((start.kernel / 2) ** 2 - start.output**2)
    close(end.kernel, 2 * np.hypot(N, 1), rtol=1e-8)
    assert symmetric == (np.abs(start.output) < 1e-14).all()


def test_flow_of_a_loss_has_the_rates_of_the_layers():
    u, v = np.random.default_rng(0).normal(size=(2, 4, 4))
    times, s = np.array([[0.0, 0.1], [0.0, 0.3], [0.1, 0.5], [0.2, 2.0]]), Setting(1.0, 1.3, 0.4)
    flow = mechanisms.flow_loss(mechanisms.squared_loss(s), *map(jnp.asarray, (u, v, times)), s)
    for weights, expected in zip(flow, mechanisms.solve(s, u, v, times), strict=True):
        assert weights.shape == (4, 2, 4)
        close_rows(weights, expected, 1e-9)


def test_the_plateau_is_watched_until_twice_the_time_of_half_fit():
    times, flow = mechanisms.flow_plateau(jax.random.key(2), 0.1, 3, 4, 5)
    u, v = 0.1 * jax.random.normal(jax.random.key(2), (2, 3, 4))
    close(flow.u[:, 0], u)
    close(flow.v[:, 0], v)
    assert (times[:, 0] == 0).all()
    for weights, expected in zip(flow, mechanisms.solve(Setting(), u, v, times), strict=True):
        close_rows(weights, expected, 1e-9)
    close((flow.u * flow.v).sum(-1)[:, 2], 0.5, rtol=1e-9)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_normal_networks_descend_the_loss_of_their_name(loss):
    constants = {"gamma": 0.7, "eta_u": 1.3, "eta_w": 0.4, "A": 1.2, "y_star": -0.8, "c": 2.0}
    times, scale, decay = (0.0, 1e-4, 2e-4), 0.8, 0.3
    flow = mechanisms.flow_normal(
        jax.random.key(1), times, scale, 2, 4, True, loss, decay=decay, **constants
    )
    u, v = scale * jax.random.normal(jax.random.key(1), (2, 2, 4))[..., :2]
    close(flow.u[:, 0], np.concatenate([u, -u], axis=1))
    close(flow.v[:, 0], np.concatenate([v, v], axis=1))
    F = S.gamma * (flow.u * flow.v).sum(-1)[:, 1, None]
    h = {
        "squared": S.c * S.gamma * S.A * (F - S.y_star),
        "logistic": -S.gamma / (1 + np.exp(F)),
    }[loss]
    u, v = flow.u[:, 1], flow.v[:, 1]
    close((flow.u[:, 2] - flow.u[:, 0]) / 2e-4, -S.eta_u * h * v - decay * u, rtol=1e-5)
    close((flow.v[:, 2] - flow.v[:, 0]) / 2e-4, -S.eta_w * h * u - decay * v, rtol=1e-5)


def test_what_does_not_fit_normal_networks_is_named():
    key, times = jax.random.key(0), (0.0, 1.0)
    with pytest.raises(ValueError, match="loss must be one of 'squared', 'logistic', got 'hinge'"):
        mechanisms.flow_normal(key, times, loss="hinge")
    with pytest.raises(ValueError, match="d must be even for symmetric weights, got 3"):
        mechanisms.flow_normal(key, times, d=3, symmetric=True)
    with pytest.raises(ValueError, match="d must be an integer of at least 1, got 0"):
        mechanisms.flow_normal(key, times, d=0)


# Losses


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_gradient_of_the_squared_loss_is_that_of_the_definition(power):
    u, v = U, V
    gradient = jax.grad(mechanisms.squared_loss(S, power))(Weights(jnp.array(u), jnp.array(v)))
    h = S.c * S.gamma * S.A * (S.gamma * (u * v**power).sum() - S.y_star)
    close(gradient.u, h * v**power)
    close(gradient.v, h * power * u * v ** (power - 1))
    assert (
        mechanisms.squared_loss(S)(Weights(u, v))
        == S.c / 2 * S.A * (S.gamma * u @ v - S.y_star) ** 2
    )


def test_the_gradient_of_the_logistic_loss_is_that_of_the_definition():
    u, v = U, V
    loss = mechanisms.logistic_loss(S)
    weights = Weights(jnp.array(u), jnp.array(v))
    F = S.gamma * u @ v
    close(loss(weights), np.log(1 + np.exp(-F)))
    h = -S.gamma / (1 + np.exp(F))
    close(jax.grad(loss)(weights).u, h * v)
    close(jax.grad(loss)(weights).v, h * u)


def test_decay_adds_the_same_relative_decay_to_both_layers():
    weights = Weights(jnp.array(U), jnp.array(V))
    loss = mechanisms.squared_loss(S)
    decayed = jax.grad(mechanisms.with_decay(loss, S, 0.3))(weights)
    plain = jax.grad(loss)(weights)
    close(S.eta_u * (decayed.u - plain.u), 0.3 * U)
    close(S.eta_w * (decayed.v - plain.v), 0.3 * V)


# Gradient descent


@pytest.fixture(scope="module")
def stochastic():
    draw = dict(d=100, steps=60, rate=0.03, noise=0.5, interval=20)
    return jax.tree.map(np.asarray, mechanisms.descend_stochastic(jax.random.key(0), 40, **draw))


def test_stochastic_descent_takes_one_sample_a_step(stochastic):
    weights, a, y = stochastic
    u, v = weights.u[:, 0], weights.v[:, 0]
    assert weights.u.shape == weights.v.shape == (40, 4, 100) and a.shape == y.shape == (40, 60)
    for t in range(60):
        h = 0.03 * (a[:, t] * (a[:, t] * (u * v).sum(1) - y[:, t]))[:, None]
        u, v = u - h * v, v - h * u
        if t % 20 == 19:
            close_rows(weights.u[:, (t + 1) // 20], u, 1e-11)
            close_rows(weights.v[:, (t + 1) // 20], v, 1e-11)


def test_stochastic_descent_starts_and_samples_as_it_says(stochastic):
    weights, a, y = stochastic
    for layer in weights:
        close(layer[:, 0].std(), 0.15, rtol=0.04)
    close(a.std(), 1, rtol=0.05)
    close((y - a).std(), 0.5, rtol=0.05)
    assert abs((a * (y - a)).mean()) < 0.05


@pytest.mark.parametrize("top", [0.5, 2.5])
def test_the_catapult_is_gradient_descent_in_ntk_scaling(top):
    run = mechanisms.catapult(jax.random.key(3), top, networks=2, d=50, steps=30)
    u, v = np.asarray(jax.random.normal(jax.random.key(3), (2, 2, 50)))
    gamma, F = 50**-0.5, lambda u, v: 50**-0.5 * (u * v).sum(-1)  # noqa: E731
    kernel = lambda u, v: gamma**2 * ((u**2).sum(-1) + (v**2).sum(-1))  # noqa: E731
    N_perp = lambda u, v: gamma * np.sqrt((u**2).sum(-1) * (v**2).sum(-1) - (u * v).sum(-1) ** 2)  # noqa: E731
    start, lengths, residual = kernel(u, v), N_perp(u, v), F(u, v) - 1
    close(run.pull, (residual / (start / gamma)) ** 2)
    close(run.flow, mechanisms.kernel_change(Setting(gamma=gamma), u, v))
    for _ in range(30):
        h = (top / start * gamma * (F(u, v) - 1))[:, None]
        u, v = u - h * v, v - h * u
    close(run.output, F(u, v), rtol=1e-10)
    close(run.kernel, kernel(u, v) / start, rtol=1e-10)
    close(run.erosion, N_perp(u, v) / lengths, rtol=1e-9)


def test_a_catapult_without_a_step_is_refused():
    with pytest.raises(ValueError, match="top must be positive, got 0.0"):
        mechanisms.catapult(jax.random.key(0), 0.0, networks=2)


# Off the line


def test_networks_err_off_the_line_by_what_their_noise_is_amplified():
    means = []
    for scale in (0.5, 2.0):
        error, formula = mechanisms.off_the_line(jax.random.key(0), scale, 400, d=8, inputs=5)
        assert error.shape == formula.shape == (400,)
        close(error.mean(), formula.mean(), rtol=0.15)
        means.append(formula.mean())
    assert means[1] > 4 * means[0]
