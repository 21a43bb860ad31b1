import jax
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import finite_steps
from lazyrich.mechanisms import Setting


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def noisy():
    sizes = {"d": 100, "steps": 60, "rate": 0.03, "noise": 0.5, "interval": 20}
    return jax.tree.map(np.asarray, finite_steps.descend_on_noise(jax.random.key(0), 40, **sizes))


def test_stochastic_descent_takes_one_sample_a_step_of_those_it_says(noisy):
    draws = np.asarray(jax.random.normal(jax.random.key(0), (40, 320)))
    u, v, a, error = np.split(draws, [100, 200, 260], axis=1)
    u, v, y, setting = 0.15 * u, 0.15 * v, a + 0.5 * error, Setting(eta_u=0.03, eta_w=0.03)
    N, product = [mechanisms.invariants(setting, u, v).N], np.ones(40)
    assert noisy.step.tolist() == [0, 20, 40, 60]
    assert noisy.N.shape == noisy.N_law.shape == noisy.cosine.shape == (40, 4)
    for t in range(60):
        h = a[:, t] * (a[:, t] * (u * v).sum(1) - y[:, t])
        u, v = u - 0.03 * h[:, None] * v, v - 0.03 * h[:, None] * u
        product = product * np.abs(1 - (0.03 * h) ** 2)
        if t % 20 == 19:
            N.append(mechanisms.invariants(setting, u, v).N)
            seen = (t + 1) // 20
            close(noisy.N[:, seen], N[-1] / N[0], rtol=1e-10)
            close(noisy.N_law[:, seen], product, rtol=1e-10)
            cosine = mechanisms.state(setting, u, v).cosine
            close(noisy.cosine[:, seen], np.abs(cosine), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("top", [0.5, 2.5])
def test_the_catapult_is_gradient_descent_in_ntk_scaling(top):
    run = finite_steps.catapult(jax.random.key(3), top, networks=2, d=50, steps=30)
    u, v = np.asarray(jax.random.normal(jax.random.key(3), (2, 2, 50)))
    gamma, F = 50**-0.5, lambda u, v: 50**-0.5 * (u * v).sum(-1)  # noqa: E731
    kernel = lambda u, v: gamma**2 * ((u**2).sum(-1) + (v**2).sum(-1))  # noqa: E731
    N_perp = lambda u, v: gamma * np.sqrt((u**2).sum(-1) * (v**2).sum(-1) - (u * v).sum(-1) ** 2)  # noqa: E731
    start, lengths, residual = kernel(u, v), N_perp(u, v), F(u, v) - 1
    M = start / (2 * gamma)
    close(run.erosion, 1 - top * residual**2 / (4 * M**2 * (2 - top)))
    flow = mechanisms.kernel_change(Setting(gamma=gamma), u, v)
    for _ in range(30):
        h = (top / start * gamma * (F(u, v) - 1))[:, None]
        u, v = u - h * v, v - h * u
    assert (run.converged == (np.abs(F(u, v) - 1) < 1e-6)).all()
    close(run.kernel, kernel(u, v) / start, rtol=1e-10)
    unexplained = kernel(u, v) / start - run.erosion - flow
    close(run.unexplained, unexplained, rtol=1e-9, atol=1e-12)
    close(run.curvature, kernel(u, v) / start * top, rtol=1e-10)
    close(run.across, N_perp(u, v) / lengths, rtol=1e-9)


def test_runs_that_settle_have_converged_and_those_that_diverge_have_not():
    runs = [finite_steps.catapult(jax.random.key(3), top, 4, 50, 300) for top in (0.5, 6.0)]
    assert runs[0].converged.all() and not runs[1].converged.any()


def test_erosion_is_what_a_small_step_leaves():
    run = finite_steps.catapult(jax.random.key(3), 0.5, networks=20, d=400, steps=300)
    close(1 - run.across, 1 - run.erosion, rtol=0.05)


def test_the_map_is_gradient_descent_by_autodiff():
    errors = finite_steps.errors_of_the_map(jax.random.key(4), 2.5, 7, 30)
    assert list(errors) == ["output", "kernel", "N⊥"] and errors["N⊥"].shape == (8,)
    assert max(np.abs(error).max() for error in errors.values()) < 1e-12


def test_an_error_of_the_map_is_seen(monkeypatch):
    exact = mechanisms.descend

    def wrong(setting, u, v, steps):
        right = exact(setting, u, v, steps)
        return right._replace(
            output=1.01 * right.output,
            kernel=1.02 * right.kernel,
            log_erosion=0.03 + right.log_erosion,
        )

    monkeypatch.setattr(mechanisms, "descend", wrong)
    errors = finite_steps.errors_of_the_map(jax.random.key(4), 2.5, 5, 20)
    close([errors["output"], errors["kernel"]], [0.01, 0.02], rtol=1e-9)
    close(errors["N⊥"], np.exp(0.03) - 1, rtol=1e-9)


def test_the_erosion_of_the_map_is_that_of_the_trained_networks():
    key = jax.random.key(5)
    sizes = {"d": 20, "steps": 60, "rate": 0.04}
    run = finite_steps.descend_on_noise(key, 3, interval=60, **sizes)
    logs = finite_steps.erosion_of_the_map(key, 3, **sizes)
    close(logs, np.log(run.N[:, -1]), rtol=1e-9)


def test_the_expected_erosion_is_that_of_many_normal_residuals():
    # One step from a residual at rest: E ln |1 − x²| with x = η(a²δ − aε), over normal a, ε and δ.
    rate, N = 0.02, 0.5
    M = np.hypot(1, N)
    variance = rate * M / (1 - 3 * rate * M)
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    a, error, delta = np.meshgrid(nodes, nodes, nodes * variance**0.5, indexing="ij")
    of = np.einsum("i,j,k->ijk", weights, weights, weights) / weights.sum() ** 3
    x = rate * (a * a * delta - a * error)
    inside = np.abs(x) < 0.5
    mean = (of * np.where(inside, np.log1p(-(np.where(inside, x, 0) ** 2)), 0)).sum()
    close(finite_steps.expected_erosion(N, rate, 1), mean, rtol=1e-4)


def test_the_expected_erosion_of_steps_adds_up():
    first = finite_steps.expected_erosion(2.0, 0.05, 30)
    rest = finite_steps.expected_erosion(2.0 * np.exp(first), 0.05, 12)
    close(finite_steps.expected_erosion(2.0, 0.05, 42), first + rest)
