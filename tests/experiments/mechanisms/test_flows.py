import jax
import jax.numpy as jnp
import numpy as np
import pytest

from closeness import close_rows
from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import flows
from lazyrich.experiments.mechanisms.cases import random_cases
from lazyrich.mechanisms import Setting

CASES, OBSERVATIONS = 5, 9


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def in_time(s):
    return Setting(*(value[:, None] for value in s))


@pytest.fixture(scope="module", params=["random", "aligned", "targets"])
def flowed(request):
    return flows.flow_cases(jax.random.key(4), CASES, request.param, OBSERVATIONS)


# Gradient flow


def test_flow_of_the_network_is_the_closed_form(flowed):
    cases, run = flowed
    u, v = mechanisms.solve(cases.setting, cases.u, cases.v, run.times)
    state = mechanisms.evolve(cases.setting, cases.u, cases.v, run.times)
    close_rows(run.u, u, 1e-8)
    close_rows(run.v, v, 1e-8)
    close_rows(run.output, state.output, 1e-8)
    close_rows(run.kernel, state.kernel, 1e-8)


def test_flow_moves_no_weight_across_the_line(flowed):
    cases, run = flowed
    start = cases.W - cases.v[..., None] * cases.line.direction[:, None]
    close_rows(run.across, start[:, None], 1e-12)


def test_flow_ends_where_the_residual_fell_to_the_share_asked(flowed):
    cases, run = flowed
    residual = run.output - cases.setting.y_star[:, None]
    moves = np.abs(residual[:, 0]) > 1e-6
    close((residual[:, -1] / residual[:, 0])[moves], 1e-7, rtol=0.02)
    for times, output in zip(np.asarray(run.times), np.asarray(run.output), strict=True):
        grid = times[-1] * np.linspace(0, 1, OBSERVATIONS - 1)
        [extra] = [i for i, t in enumerate(times) if np.abs(t - grid).min() > 1e-9 * times[-1]]
        if output[0] * output[-1] < 0:
            assert abs(output[extra]) < 1e-8 * np.abs(output).max()
        else:
            assert extra == 1


def test_the_loss_is_that_of_the_output_and_a_floor(flowed):
    cases, run = flowed
    s = in_time(cases.setting)
    floor = (cases.line.y**2).mean(1)[:, None] - s.A * s.y_star**2
    close_rows(run.loss, s.c / 2 * (s.A * (run.output - s.y_star) ** 2 + floor), 1e-11)


def test_a_network_is_a_product_of_its_layers():
    rng = np.random.default_rng(0)
    u, W, x = (jnp.asarray(rng.normal(size=shape)) for shape in ((3,), (3, 2), (4, 2)))
    expected = [0.7 * sum(u[i] * W[i] @ one for i in range(3)) for one in x]
    close(flows.predict(0.7, u, W, x), expected)


def test_the_final_rate_is_that_of_the_last_quarter():
    times = jnp.array([[0.5], [2.0]]) * jnp.arange(16.0)
    residual = -3 * jnp.exp(-0.7 * times)
    residual = residual.at[:, :11].mul(jnp.exp(times[:, :11]))
    close(flows.final_rate(times, residual), [0.7, 0.7])


# Gradient descent


def test_descent_approaches_the_flow_to_first_order():
    apart = [flows.descent_from_flow(jax.random.key(4), CASES, steps, 0.15) for steps in (400, 800)]
    close(apart[0] / apart[1], 2, rtol=0.05)
    assert np.max(apart[1]) < 0.05


def test_one_step_is_one_of_gradient_descent():
    share = 0.01
    [cases] = [random_cases(jax.random.key(4), CASES)]
    time = share * np.asarray(flows._duration(cases))[:, None]
    v, s = cases.v, cases.setting
    h = (s.c * s.gamma * s.A * (s.gamma * (cases.u * v).sum(1) - s.y_star))[:, None]
    u_end = cases.u - time * s.eta_u[:, None] * h * v
    v_end = v - time * s.eta_w[:, None] * h * cases.u
    exact = mechanisms.solve(s, cases.u, v, time)
    expected = np.sqrt(((u_end - exact.u[:, 0]) ** 2 + (v_end - exact.v[:, 0]) ** 2).sum(1))
    close(flows.descent_from_flow(jax.random.key(4), CASES, 1, share), expected, rtol=1e-7)


# What the figures show


def test_neurons_grow_by_what_they_share(flowed):
    cases, run = flowed
    neurons = flows.neurons(cases, run, networks=2)
    chosen = neurons.network.ravel()
    present = np.asarray(run.u[:, 0] != 0)
    assert (present[chosen].sum(1) >= 3).all() and len(chosen) <= 2
    s = in_time(cases.setting)
    p = run.u / np.sqrt(s.eta_u)[..., None] + run.v / np.sqrt(s.eta_w)[..., None]
    for i, one in enumerate(chosen):
        there = present[one]
        growth = (p[one] / p[one, 0])[:, there]
        close(neurons.growth[i][:, there], growth)
        close(growth, np.broadcast_to(neurons.shared[i], growth.shape), rtol=1e-7)
        assert np.isnan(neurons.growth[i][:, ~there]).all()
        close(neurons.U[i], run.u[one] / np.sqrt(cases.setting.eta_u[one]))
        close(neurons.V[i], run.v[one] / np.sqrt(cases.setting.eta_w[one]))
        close(neurons.exact_U[i], neurons.U[i], rtol=1e-6, atol=1e-8)
        close(neurons.exact_V[i], neurons.V[i], rtol=1e-6, atol=1e-8)
        close(
            neurons.time[i, :, 0],
            run.times[one]
            * mechanisms.learning_speed(
                Setting(*(x[one] for x in cases.setting)), run.u[one, 0], run.v[one, 0]
            ),
        )


def test_speeds_are_those_of_the_law_and_of_the_target_zero():
    cases, run = flows.flow_cases(jax.random.key(4), CASES, "targets", 60)
    speeds = flows.speeds(cases, run)
    close(speeds.measured, speeds.law, rtol=1e-3)
    s = cases.setting
    N = mechanisms.invariants(s, run.u[:, 0], run.v[:, 0]).N
    close(speeds.without_target, 2 * s.c * s.A * s.gamma * np.sqrt(s.eta_u * s.eta_w) * N)
    close(speeds.law / speeds.without_target, np.hypot(1, np.linspace(0, 4, CASES)))


def test_the_largest_of_one_sign_keeps_its_sign_and_ends_largest(flowed):
    cases, run = flowed
    along = flows.largest_of_one_sign(cases, run)
    kept = np.asarray(run.output[:, 0] * run.output[:, -1] > 0)
    if kept.any():
        largest = np.abs(np.asarray(run.output[:, -1]))[kept].max()
        close(np.abs(along.output[-1]), largest)
        close(along.output, along.scale * along.cosine, rtol=1e-9, atol=1e-13)
