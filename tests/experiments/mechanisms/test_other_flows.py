import jax
import numpy as np
from scipy.integrate import solve_ivp

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import other_flows
from lazyrich.mechanisms import Setting


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def test_networks_under_the_logistic_loss_keep_to_the_laws():
    run = other_flows.flow_logistic(jax.random.key(1), 0.6, 3, 20.0, 12)
    assert run.output.shape == run.cosine.shape == (3, 13)
    close(run.times[[0, 1, -1]], [0, 0.01, 20])
    close(run.output[:, 0], 0, atol=1e-15)
    assert (np.diff(run.output) > 0).all()
    close(run.kernel, run.kernel_law, rtol=1e-9)
    close(run.cosine, run.cosine_law, atol=1e-9)
    close(run.clock, 20, rtol=1e-8)
    u, v = 0.6 * jax.random.normal(jax.random.key(1), (2, 3, 10))[..., :5]
    close(run.kernel[:, 0], 2 * (u**2 + v**2).sum(-1))


def test_the_clock_is_that_of_the_one_equation_left():
    path = solve_ivp(
        lambda _, F: 2 * np.hypot(1.5, F) / (1 + np.exp(F)), (0, 7), [0.0], rtol=1e-10, atol=1e-12
    )
    close(other_flows._clock(path.y[0, -1], 1.5), 7, rtol=1e-8)


def test_decay_fades_what_is_conserved():
    run = other_flows.flow_with_decay(jax.random.key(1), 1.0, 0.1, 10.0, 21)
    u, v = np.asarray(jax.random.normal(jax.random.key(1), (2, 1, 10)))
    setting = Setting(eta_u=0.7, eta_w=1.3)
    (N,), (N_perp,) = mechanisms.invariants(setting, u, v)
    close(run.times, np.linspace(0, 10, 21))
    close(run.N_law, np.exp(-0.2 * run.times))
    close(run.N, run.N_law, rtol=1e-9)
    close(run.cosine[0], mechanisms.state(setting, u, v).cosine[0])
    close(run.cosine, run.cosine_law, atol=1e-9)
    close(N * np.exp(-0.2 * run.exit_time), 1)
    close(run.exit_cosine, 1 / np.hypot(1, N_perp / N))


def test_neurons_with_a_monomial_activation_keep_their_constants():
    for power in (2, 3):
        run = other_flows.flow_monomial(jax.random.key(2), power, 0.5, 0.5, 401)
        close(run.C, run.u**2 / 0.7 - run.v**2 / (power * 1.3))
        close(run.C, np.broadcast_to(run.C[0], run.C.shape), atol=1e-10)
        # du_i/dS = −η_u v_i^β
        slope = np.diff(run.u, axis=0) / np.diff(run.S)[:, None]
        middle = ((run.v[1:] + run.v[:-1]) / 2) ** power
        close(slope, -0.7 * middle, rtol=1e-3, atol=1e-4)


def test_quadratic_neurons_keep_to_their_laws():
    run = other_flows.flow_monomial(jax.random.key(2), 2)
    laws = other_flows.quadratic_laws(run)
    close(laws.u, run.u, atol=1e-8)
    close(laws.v, run.v, atol=1e-6)
    close(laws.S, run.S, atol=1e-8)
