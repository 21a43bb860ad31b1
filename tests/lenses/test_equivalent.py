import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import empirical_ntk, linearization, mechanisms
from lazyrich.lenses import (
    GaussianMoments,
    LayerMoments,
    equivalent_kernel,
    equivalent_readings,
    gaussian_moments,
    infinite_start,
    layer_moments,
    sine_teacher,
    train_equivalent,
    wishart_start,
)

SLOPE = 0.65
LINEAR = GaussianMoments(SLOPE, SLOPE**2, SLOPE**2, 0.0)
ERF = gaussian_moments(jax.scipy.special.erf)
N, D, WIDTH = 12, 4, 9


def close(measured, expected, rtol=1e-10, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def task():
    """Inputs, labels and the weights of a small network."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D))
    return x, x[:, 0] + 0.5 * x[:, 1] ** 2, rng.normal(size=(WIDTH, D)), rng.normal(size=WIDTH)


def outputs(W, v, x, gamma):
    return SLOPE * x @ W.T @ v / (gamma * (D * WIDTH) ** 0.5)


def descended(x, y, W, v, gamma, rate, level):
    """An explicit linear network by gradient descent, its last step shortened by bisection."""

    def error(W, v):
        return ((y - outputs(W, v, x, gamma) + first) ** 2).sum()

    def moved(W, v, rate):
        c = (y - outputs(W, v, x, gamma) + first) / N
        g = SLOPE * x.T @ c * rate * gamma / (D * WIDTH) ** 0.5
        return W + np.outer(v, g), v + W @ g

    first = outputs(W, v, x, gamma)
    steps, wanted = 1, level * (y**2).sum()
    while error(*moved(W, v, rate)) > wanted:
        W, v, steps = *moved(W, v, rate), steps + 1
    low, high = 0.0, rate
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if error(*moved(W, v, middle)) > wanted else (low, middle)
    W, v = moved(W, v, high)
    return W, v, outputs(W, v, x, gamma) - first, steps


@pytest.mark.parametrize("gamma", [0.1, 1.0, 8.0])
def test_an_explicit_linear_network_agrees(task, gamma):
    x, y, W, v = task
    # The linear part of the labels is all that it can learn.
    y = x @ np.linalg.lstsq(x, y)[0]
    start = layer_moments(W, v)
    run = train_equivalent(x, y, LINEAR, gamma, WIDTH, 0.3, 0.1, start)
    W, v, f, steps = descended(x, y, W, v, gamma, 0.3, 0.1)
    close(run.outputs, f, atol=1e-10)
    for found, expected in zip(run.moments, layer_moments(W, v), strict=True):
        close(found, expected, atol=1e-10)
    assert run.steps == steps > 5


def test_the_loss_is_the_one_that_was_asked_for(task):
    x, y, W, v = task
    for level in (0.9, 0.5, 0.1):
        run = train_equivalent(x, y, ERF, 2.0, WIDTH, 0.3, level, layer_moments(W, v))
        close(((y - run.outputs) ** 2).sum(), level * (y**2).sum())


def test_without_the_knob_it_is_the_linear_model(task):
    x, y, W, v = task
    start, rate = layer_moments(W, v), 0.4
    run = train_equivalent(x, y, ERF, 0.0, WIDTH, rate, 0.2, start)
    kernel = equivalent_kernel(start, x, ERF)
    steps = int(run.steps)
    path = linearization.descend_linear(jnp.zeros(N), kernel, lambda f: (f - y) / N, rate, steps)
    close(kernel @ run.residual, run.outputs, rtol=1e-9)
    before, after = path[-2], path[-1]
    # On the way from the last step but one to the last.
    share = (run.outputs - before) / (after - before)
    close(share, float(share[0]), rtol=1e-7)
    assert 0 < share[0] <= 1
    for found, expected in zip(run.moments, start, strict=True):
        close(found, expected)


def test_small_steps_end_where_the_exact_solution_does():
    """One direction: both layers are vectors, whose flow the mechanisms chapter solves."""
    rng, n = np.random.default_rng(1), 30
    w, v = rng.normal(size=(2, n))
    x, y, gamma = np.array([[1.0]]), np.array([1.0]), 12.0
    run = train_equivalent(x, y, LINEAR, gamma, n, 1e-3, 0.2, layer_moments(w[:, None], v))
    learned = n**0.5 * gamma / SLOPE * run.outputs[0]
    target = n**0.5 * gamma / SLOPE + w @ v
    setting = mechanisms.Setting(y_star=float(target))
    output = float(w @ v + learned)
    time = mechanisms.time_to_reach(setting, v, w, output)
    weights = mechanisms.solve(setting, v, w, time[None])
    expected = layer_moments(weights.v[0][:, None], weights.u[0])
    for found, exact in zip(run.moments, expected, strict=True):
        close(found, exact, rtol=2e-3)
    N_perp = mechanisms.invariants(setting, v, w).N_perp
    read = equivalent_readings(run.moments, x, y, np.ones(1), LINEAR)
    close(read.cosine, mechanisms.cosine_law(output, N_perp), rtol=2e-3)


def test_one_direction_of_infinitely_many_neurons_has_the_law_of_richness():
    x, y = np.array([[2.0]]), np.array([1.0])
    for gamma in (0.1, 1.0, 10.0):
        run = train_equivalent(x, y, LINEAR, gamma, 4, 1e-3, 0.1, infinite_start(1))
        R = gamma / 2 * float(run.outputs[0]) / (2 * SLOPE)
        close(run.moments.cross, R)
        close(run.moments.output, np.hypot(1, R), rtol=1e-3)
        close(run.moments.hidden, np.hypot(1, R), rtol=1e-3)


def test_the_kernel_is_that_of_an_explicit_network(task):
    x, _, W, v = task
    apply = lambda params, x: SLOPE * (x @ params[0].T) @ params[1] / (D * WIDTH) ** 0.5  # noqa: E731
    expected = empirical_ntk(apply, (W, v), x)
    close(equivalent_kernel(layer_moments(W, v), x, LINEAR), expected, rtol=1e-9, atol=1e-12)


def test_the_kernel_is_that_of_a_wide_network_of_erf():
    """To the order of t³ of two samples' overlap, and of n^(−½)."""
    rng, n, d = np.random.default_rng(0), 20_000, 60
    x = rng.normal(size=(20, d))
    x *= d**0.5 / np.linalg.norm(x, axis=1, keepdims=True)
    W, v = rng.normal(size=(n, d)), rng.normal(size=n)
    z = x @ W.T / d**0.5
    phi, slope = jax.scipy.special.erf(z), 2 / np.pi**0.5 * np.exp(-(z**2)) * v
    expected = (phi @ phi.T + slope @ slope.T * (x @ x.T) / d) / n
    close(equivalent_kernel(layer_moments(W, v), x, ERF), expected, atol=0.025)


@pytest.mark.parametrize("samples", [N, D - 1])  # more than inputs, and fewer
def test_readings_are_those_of_dense_matrices(task, samples):
    x, y, W, v = task
    x, y = x[:samples], y[:samples]
    beta = np.eye(D)[1]
    state = layer_moments(W, v)
    found = equivalent_readings(state, x, y, beta, ERF)
    K = np.asarray(equivalent_kernel(state, x, ERF))
    u = W @ beta
    close(found.cosine, u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    close(found.trace, np.trace(K) / samples)
    close(found.target, y @ K @ y / (y @ y))
    close(found.ends, np.linalg.eigvalsh(K)[[0, -1]])
    close(found.spectrum, np.linalg.svd(W)[1][::-1] ** 2 / WIDTH)


def test_labels_of_zero_leave_all_readings_but_their_own(task):
    x, _, W, v = task
    found = equivalent_readings(layer_moments(W, v), x, np.zeros(N), np.eye(D)[0], ERF)
    assert np.isnan(found.target) and all(np.isfinite(part).all() for part in found[3:])


@pytest.mark.parametrize("width", [2, 3, 4, 50])
def test_starts_have_the_moments_of_drawn_weights(width):
    keys = jax.random.split(jax.random.key(width), 4000)
    A, h, s = jax.vmap(lambda key: wishart_start(key, 3, width))(keys)
    error = 5 / 4000**0.5
    close(A.mean(0), np.eye(3), atol=error * (2 / width) ** 0.5)
    close(h.mean(0), 0, atol=error * width**-0.5)
    close(s.mean(), 1, atol=error * (2 / width) ** 0.5)
    kurtosis = 1 + 6 / width
    first, last, off = A[:, 0, 0], A[:, 2, 2], A[:, 0, 1]
    for values, variance in ((first, 2), (last, 2), (off, 1), (h[:, 2], 1), (s, 2)):
        close(values.var() * width, variance, rtol=2 * error * kurtosis)
    assert int(jnp.linalg.matrix_rank(A[0])) == min(width, 3)


def test_infinite_width_is_the_limit_of_wishart_starts():
    found, limit = wishart_start(jax.random.key(0), 3, 10**9), infinite_start(3)
    for one, other in zip(found, limit, strict=True):
        close(one, other, atol=3e-4)


def test_steps_that_diverge_give_nan(task):
    x, y, W, v = task
    run = train_equivalent(x, y, ERF, 1.0, WIDTH, 1e3, 0.1, layer_moments(W, v))
    assert np.isnan(run.outputs).all() and np.isnan(run.moments.hidden).all()


def test_many_runs_are_one_program(task):
    x, y, W, v = task
    start = layer_moments(W, v)
    gammas = jnp.array([0.0, 0.5, 3.0])
    many = jax.vmap(lambda g: train_equivalent(x, y, ERF, g, WIDTH, 0.3, 0.1, start))(gammas)
    for i, gamma in enumerate(gammas):
        one = train_equivalent(x, y, ERF, gamma, WIDTH, 0.3, 0.1, start)
        close(many.outputs[i], one.outputs, rtol=1e-9)


def test_what_does_not_fit_is_refused(task):
    x, y, W, v = task
    start = layer_moments(W, v)
    with pytest.raises(ValueError, match="y must have shape"):
        train_equivalent(x, y[1:], ERF, 1.0, WIDTH, 0.3, 0.1, start)
    with pytest.raises(ValueError, match="start.cross must have shape"):
        wrong = LayerMoments(start.hidden, start.cross[1:], start.output)
        train_equivalent(x, y, ERF, 1.0, WIDTH, 0.3, 0.1, wrong)
    with pytest.raises(ValueError, match="scale must be not negative"):
        train_equivalent(x, y, ERF, -1.0, WIDTH, 0.3, 0.1, start)
    with pytest.raises(ValueError, match="width must be an integer of at least 1"):
        wishart_start(jax.random.key(0), 2, 0)
    with pytest.raises(ValueError, match="inputs must be an integer of at least 1"):
        wishart_start(jax.random.key(0), 0, 2)


def test_a_network_of_erf_does_what_its_equivalent_does():
    """From its own weights. Single kernels scatter by some 6 %, cosines by less than one."""
    n, d, samples, gamma = 300, 24, 72, 3.0
    x, beta = jax.random.normal(jax.random.key(5), (samples, d)), jnp.eye(d)[0]
    y, unit = sine_teacher(x, beta), x / d**0.5

    def outputs(params):
        return jax.scipy.special.erf(unit @ params[0].T) @ params[1] / n**0.5

    @jax.jit
    def kernel(params):
        J = jax.jacobian(outputs)(params)
        J = jnp.concatenate([part.reshape(samples, -1) for part in J], 1)
        return J @ J.T

    shares = []
    for seed in range(4):
        weights = jax.random.normal(jax.random.key(seed), (n, d + 1))
        params = start = weights[:, :d], weights[:, d]
        before, first = kernel(params), outputs(params)
        rate = 0.05 * samples / float(jnp.linalg.eigvalsh(before)[-1])

        @jax.jit
        def step(params, first=first, rate=rate):
            gap = y - (outputs(params) - first) / gamma
            [slope] = jax.vjp(outputs, params)[1](gap / samples)
            moved = jax.tree.map(lambda a, b: a + rate * gamma * b, params, slope)
            return moved, (gap**2).sum()

        moved, error = step(params)
        while error > 0.1 * (y**2).sum():  # the loss of params, not of moved
            params = moved
            moved, error = step(params)
        run = train_equivalent(x, y, ERF, gamma, n, rate, 0.1, layer_moments(*start))
        own, found = (
            equivalent_readings(m, x, y, beta, ERF) for m in (layer_moments(*start), run.moments)
        )
        after, (W, v) = kernel(params), params
        cosine = v @ W[:, 0] / jnp.linalg.norm(v) / jnp.linalg.norm(W[:, 0])
        close(found.cosine - own.cosine, cosine - own.cosine, rtol=0.05)
        trace = jnp.trace(after) / jnp.trace(before) - 1
        target = y @ after @ y / (y @ before @ y) - 1
        shares.append([(found.trace / own.trace - 1) / trace])
        shares[-1].append((found.target / own.target - 1) / target)
        assert cosine - own.cosine > 0.3 and target > 0.1
    close(np.mean(shares, 0), 1, atol=0.1)
