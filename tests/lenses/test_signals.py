import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from lazyrich import mechanisms
from lazyrich.lenses import (
    alignment_signal,
    clock_deviation,
    clock_signal,
    depth_signal,
    equivalent_kernel,
    equivalent_readings,
    function_signal,
    gaussian_moments,
    infinite_start,
    kernel_shares,
    kernel_signal,
    layer_growth,
    linear_displacement,
    outlier_onset,
    outlier_signal,
    seed_law,
    train_equivalent,
    update_stable_rank,
)
from lazyrich.lenses.signals import FUNCTION_PILOT

ERF = gaussian_moments(jax.scipy.special.erf)
RICHNESS = np.array([0.1, 1.0, 5.0])


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# Layers


def test_layers_grow_by_the_kernel_s_law():
    setting = mechanisms.Setting(y_star=1.0)
    kernel = mechanisms.kernel_law(setting, RICHNESS, 1.0) / mechanisms.kernel_law(setting, 0, 1.0)
    close(layer_growth(RICHNESS), kernel - 1)
    close(alignment_signal(RICHNESS), RICHNESS / np.sqrt(1 + RICHNESS**2))


@given(st.floats(-12, -2))
def test_small_richness_is_squared(exponent):
    R = 10.0**exponent
    close(layer_growth(R), R**2 / 2 - R**4 / 8, rtol=1e-8)
    close(kernel_signal(R, -0.5), -(R**2) / 4 + R**4 / 16, rtol=1e-8)


@pytest.mark.parametrize("cosine", [-0.3, 0.0, 0.4])
def test_a_seed_s_law_is_that_of_the_exact_solution(cosine):
    u, v = np.array([1.0, 0.0]), np.array([cosine, np.sqrt(1 - cosine**2)])
    for R in RICHNESS:
        end = mechanisms.fixed_point(mechanisms.Setting(y_star=R + cosine), u, v)
        found = seed_law(R, cosine)
        length = (end.u**2).sum()
        close(found.growth, length - 1, atol=1e-9)
        close(found.cosine, (end.u * end.v).sum() / length)


# Kernel


def run(gamma, d=48, N=192, n=10**6, noise=None):
    """A task and the equivalent network of infinite width that has learned it."""
    x, beta = np.random.default_rng(0).normal(size=(N, d)), np.eye(d)[0]
    y = 1.0 * x[:, 0]
    start = infinite_start(d)
    found = train_equivalent(x, y, ERF, gamma * n**0.5, n, 0.5, 0.1, start)
    before, after = (equivalent_readings(m, x, y, beta, ERF) for m in (start, found.moments))
    return x, found, before, after


@pytest.mark.parametrize("gamma", [0.02, 0.06])
def test_shares_are_those_of_the_equivalent_network(gamma):
    _, found, before, after = run(gamma)
    growth = found.moments.output - 1
    shares = kernel_shares(ERF, 4.0, 1.0, 0.0)
    close(after.ends[0] / before.ends[0] - 1, shares.smallest * growth, rtol=1e-7)
    # The column of W along β adds the μ₁²/d that the law leaves out.
    trace = shares.trace + ERF.slope**2 / (ERF.power + ERF.slope_power) / 48
    close(after.trace / before.trace - 1, trace * growth, rtol=0.03)
    close(after.target / before.target - 1, shares.target * growth, rtol=0.06)


def test_what_does_not_grow_of_the_target_kernel_is_the_nugget_of_the_output():
    rng, correlation = np.random.default_rng(0), 0.6
    x = rng.normal(size=(1600, 400))
    y = correlation * x[:, 0] + (1 - correlation**2) ** 0.5 * rng.normal(size=1600)
    target = y @ np.asarray(equivalent_kernel(infinite_start(400), x, ERF)) @ y / (y @ y)
    shares = kernel_shares(ERF, 4.0, correlation, 0.0)
    close(1 - shares.target, ERF.output_nugget / target, rtol=0.05)


def test_the_condition_number_falls_where_the_teacher_is_no_principal_direction():
    growth = 0.1
    low, high = (kernel_shares(ERF, 4.0, 0.92, o) for o in (0.0, 1.0))
    R = (growth * (2 + growth)) ** 0.5
    close(kernel_signal(R, low.largest - low.smallest), -0.283 * growth, rtol=1e-2)
    close(kernel_signal(R, high.largest - high.smallest), 0.217 * growth, rtol=1e-2)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_deep_linear_networks_grow_by_the_law_of_depth(depth):
    n, R = 200, 0.2

    def output(weights):
        signal = weights[0]
        for W in weights[1:-1]:
            signal = W @ signal / n**0.5
        return weights[-1] @ signal / n**0.5

    def kernel(weights):
        return sum((g**2).sum() for g in jax.grad(output)(weights))

    @jax.jit
    def growth(weights):
        # R² = 2 γ² α² K/n with K α = y: the output changes by γ y = R √(n K/2).
        start = kernel(weights)
        wanted = output(weights) + R * (start * n / 2) ** 0.5

        def step(weights, _):
            gap = wanted - output(weights)
            slopes = jax.grad(output)(weights)
            return [w + 0.05 * gap / start * g for w, g in zip(weights, slopes, strict=True)], None

        return kernel(jax.lax.scan(step, weights, length=150)[0]) / start - 1

    found = []
    for seed in range(4):
        keys = jax.random.split(jax.random.key(seed), depth)
        shapes = [(n,), *[(n, n)] * (depth - 2), (n,)]
        weights = [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]
        # Both signs, whose mean has no first order.
        found += [growth(weights), growth([*weights[:-1], -weights[-1]])]
    close(np.mean(found), depth_signal(R, depth), rtol=0.12)


def test_the_output_layer_of_a_network_of_erf_grows_by_half_the_square_of_richness():
    """Without Gaussian equivalence, which no more than the size of second order needs."""
    n, d, N, R = 200, 6, 12, 0.25
    x = np.random.default_rng(0).normal(size=(N, d)) / d**0.5
    y = x[:, 0] - x[:, 1] * x[:, 2]

    def outputs(params):
        return jax.scipy.special.erf(x @ params[0].T) @ params[1] / n**0.5

    @jax.jit
    def growth(params):
        first, J = outputs(params), jax.jacobian(outputs)(params)
        J = jnp.concatenate([part.reshape(N, -1) for part in J], 1)
        found = linear_displacement(J @ J.T, y, 0.2)
        gamma = R * jnp.sqrt(n / (2 * found.dimension))
        rate = 0.04 / jnp.linalg.eigvalsh(J @ J.T)[-1]

        def gap(params):
            return y - (outputs(params) - first) / gamma

        def step(params):
            [slope] = jax.vjp(outputs, params)[1](gap(params))
            return jax.tree.map(lambda a, b: a + rate * gamma * b, params, slope)

        learning = lambda params: (gap(params) ** 2).sum() > 0.2 * (y**2).sum()  # noqa: E731
        last = jax.lax.while_loop(learning, step, params)
        return ((last[1] ** 2).sum() - (params[1] ** 2).sum()) / n

    found = []
    for key in jax.random.split(jax.random.key(0), 4):
        weights = jax.random.normal(key, (n, d + 1))
        found += [growth((weights[:, :d], sign * weights[:, d])) for sign in (1, -1)]
    close(np.mean(found), R**2 / 2, rtol=0.06)


# Tail


@pytest.mark.parametrize("shape", [(40, 640), (100, 200)])
def test_outliers_are_those_of_a_random_matrix_with_one_long_column(shape):
    (d, n), rng = shape, np.random.default_rng(0)
    for R in (2.0, 3.0, 6.0):
        found = []
        for _ in range(6):
            W = rng.normal(size=(n, d))
            W[:, 0] *= (n * np.hypot(1, R)) ** 0.5 / np.linalg.norm(W[:, 0])
            _, sigma, Vt = np.linalg.svd(W, full_matrices=False)
            found.append([sigma[0] / (n**0.5 + d**0.5), Vt[0, 0] ** 2])
        law = outlier_signal(R, d, n)
        assert (np.abs(np.mean(found, 0) - law) < [0.02 * law.height, 0.04]).all()


@given(st.floats(1e-4, 3))
def test_an_outlier_begins_at_the_onset(ratio):
    R = float(outlier_onset(ratio))
    close(layer_growth(R), ratio**0.5, rtol=1e-8)
    width = 10**6
    inputs = max(2, round(ratio * width))
    R = float(outlier_onset(inputs / width))
    below, above = (outlier_signal(R * f, inputs, width) for f in (0.999, 1.01))
    assert below.overlap == 0 and above.overlap > 0
    close(below.height, 1)
    assert above.height > 1


def test_the_tail_rings_before_richness_below_one_ratio():
    close(brentq(lambda c: float(outlier_onset(c)) - 1, 0.01, 1), (2**0.5 - 1) ** 2)


def test_the_rank_of_the_update_is_that_of_a_wide_network():
    rng, n = np.random.default_rng(0), 4000
    x = rng.normal(size=(64, 16))
    alpha = rng.normal(size=64) + 2 * x[:, 0]
    W, v = rng.normal(size=(n, 16)), rng.normal(size=n)
    update = (v[:, None] * 2 / np.pi**0.5 * np.exp(-((W @ x.T) ** 2) / 16) * alpha) @ x
    sigma = np.linalg.svd(update)[1]
    close(update_stable_rank(alpha, x, ERF), (sigma**2).sum() / sigma[0] ** 2, rtol=0.05)


def test_the_rank_of_the_update_falls_with_the_number_of_equal_samples():
    nugget = ERF.hidden_nugget / ERF.slope**2
    for number in (1, 9):
        found = update_stable_rank(np.ones(number), np.ones((number, 1)), ERF)
        close(found, 1 + nugget / number)


def test_the_rank_of_the_update_falls_to_one_with_many_samples():
    x = np.random.default_rng(0).normal(size=(1000, 3))
    alpha = linear_displacement(x @ x.T / 3 + np.eye(1000), x[:, 0], 0.5).residual
    assert 1 < update_stable_rank(alpha, x, ERF) < 1.02


# Function


def test_the_clock_solves_its_equation_and_the_flow_to_second_order():
    R, times = 0.02, np.linspace(0, 12, 25)

    def field(_, state):
        F, linear = state
        return [np.hypot(1, R * F) * (1 - F), 1 - linear]

    F, linear = solve_ivp(field, (0, 12), [0, 0], "DOP853", times, rtol=1e-12, atol=1e-14).y
    found = clock_deviation(R, times)
    close(found, F - linear, rtol=2e-3, atol=1e-10)


def test_the_clock_s_signal_is_its_largest_deviation():
    times = jnp.linspace(0, 10, 100_001)
    close(clock_signal(3.0), clock_deviation(3.0, times).max(), rtol=1e-8)
    close(clock_signal(1.0), 0.051543, rtol=1e-5)


def test_the_function_s_signal_goes_through_the_pilot():
    R, D = map(np.array, FUNCTION_PILOT)
    close(function_signal(R), D)
    close(function_signal((R[1:] * R[:-1]) ** 0.5), (D[1:] * D[:-1]) ** 0.5)
    # Beyond, by the powers of the last points.
    close(function_signal(2 * R[-1]) * function_signal(R[-1] / 2), D[-1] ** 2)


def test_what_is_no_richness_is_refused():
    for function in (alignment_signal, layer_growth, clock_signal, function_signal):
        with pytest.raises(ValueError, match="richness must be"):
            function(-1.0)
    with pytest.raises(ValueError, match="overlap must be from -1"):
        kernel_shares(ERF, 4.0, 0.9, 1.5)
    with pytest.raises(ValueError, match="x and residual must have a product"):
        update_stable_rank(np.ones(2), np.zeros((2, 2)), ERF)
