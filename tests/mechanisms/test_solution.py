import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads
from scipy.integrate import solve_ivp

from closeness import close_rows
from lazyrich import mechanisms
from lazyrich.mechanisms import Setting

# One shape for all, since each one compiles: 24 random networks, and the hard corners.
RANDOM, WIDTH = 24, 3
Z, X, Y = np.zeros(3), np.array([1.0, -0.5, 0.25]), np.array([0.25, 1.5, -0.5])
CORNERS = {
    "tiny": (1e-12 * X, 1e-12 * Y, 1.5),
    "tiny, target below zero": (1e-12 * X, 1e-12 * Y, -1.5),
    "small": (1e-3 * X, 1e-3 * Y, 1.5),
    "large": (1e4 * X, 1e4 * Y, 1.5),
    "q = 0": (2.0 * X, 0.5 * X, 2.0),
    "p = 0": (2.0 * X, -0.5 * X, -2.0),
    "almost q = 0": (2.0 * X, 0.5 * (1 + 2**-14) * X, 2.0),
    "almost p = 0": (2.0 * X, -0.5 * (1 + 2**-14) * X, 2.0),
    "q = 0, saddle": (2.0 * X, 0.5 * X, -2.0),
    "p = 0, saddle": (2.0 * X, -0.5 * X, 2.0),
    "parallel": (X, 3 * X, 1.5),
    "antiparallel": (X, -3 * X, 1.5),
    "no target": (X, Y, 0.0),
    "no target, q = 0": (2.0 * X, 0.5 * X, 0.0),
    "no target, p = 0": (2.0 * X, -0.5 * X, 0.0),
    "one neuron": (np.array([1.0, 0, 0]), np.array([0.5, 0, 0]), -1.5),
    "no output layer": (Z, Y, -1.5),
    "no input layer": (X, Z, 1.5),
    "no weights": (Z, Z, 1.5),
    "no weights, no target": (Z, Z, 0.0),
}
NAMES = [*[f"random {i}" for i in range(RANDOM)], *CORNERS]
NETWORKS = len(NAMES)


def where(part):
    return np.array([part in name for name in NAMES])


RESTS = where("saddle") | where("no weights")  # u = v = 0 is the end
ALGEBRAIC = where("no target, ")  # the speed λ is zero
TIMES = np.array([0.0, 0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 80.0])  # times are in natural units
POSITIVE = st.floats(0.2, 5)
# Quarters, so that zeros, parallel layers and vanishing amplitudes are drawn as well.
QUARTERS = st.integers(-12, 12).map(lambda number: number / 4)
SETTINGS = st.builds(Setting, POSITIVE, POSITIVE, POSITIVE, POSITIVE, QUARTERS, POSITIVE)
WEIGHTS = st.builds(
    lambda weights, power: 10.0**power * weights,
    arrays(float, (2, WIDTH), elements=QUARTERS),
    st.integers(-4, 2),
)


def natural_time(s, u, v):
    """A time in which a network changes: one over the rate of the kernel and of the target."""
    kernel = s.gamma**2 * (s.eta_u * (v**2).sum(-1) + s.eta_w * (u**2).sum(-1))
    return 1 / (
        s.c * s.A * (kernel + s.gamma * np.sqrt(s.eta_u * s.eta_w) * np.abs(s.y_star)) + 1e-9
    )


def integrated(s, u, v, times):
    """One network's weights by SciPy, from the equations of motion."""

    def field(_, weights):
        u, v = weights[:WIDTH], weights[WIDTH:]
        h = s.c * s.gamma * s.A * (s.gamma * np.dot(u, v) - s.y_star)
        return np.concatenate([-s.eta_u * h * v, -s.eta_w * h * u])

    start = np.concatenate([u, v])
    accuracy = {"rtol": 1e-13, "atol": 1e-16 * np.abs(start).max() + 1e-300}
    weights = solve_ivp(field, (0, times[-1]), start, "DOP853", times, **accuracy).y.T
    return weights[:, :WIDTH], weights[:, WIDTH:]


@pytest.fixture(scope="module")
def drawn():
    """The networks, and when they are looked at."""
    rng = np.random.default_rng(3)
    gamma, eta_u, eta_w, A, c = np.exp(rng.normal(size=(5, RANDOM)))
    corner = [np.full(len(CORNERS), value) for value in (0.7, 4.0, 0.25, 1.2, 2.0)]
    gamma, eta_u, eta_w, A, c = map(np.append, (gamma, eta_u, eta_w, A, c), corner)
    y_star = np.append(2 * rng.normal(size=RANDOM), [y_star for _, _, y_star in CORNERS.values()])
    u, v = np.concatenate(
        [
            rng.normal(size=(2, RANDOM, WIDTH)) * np.exp(rng.normal(size=(RANDOM, 1))),
            np.stack([(u, v) for u, v, _ in CORNERS.values()], axis=1),
        ],
        axis=1,
    )
    s = Setting(gamma, eta_u, eta_w, A, y_star, c)
    return s, u, v, natural_time(s, u, v)[:, None] * TIMES


@pytest.fixture(scope="module")
def solved(drawn):
    return mechanisms.solve(*drawn)


@pytest.fixture(scope="module")
def evolved(drawn):
    return mechanisms.evolve(*drawn)


def one(s, i):
    return Setting(*(float(value[i]) for value in s))


def in_time(s):
    return Setting(*(value[:, None] for value in s))


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# The trajectory


def test_the_solution_is_what_an_integrator_finds(drawn, solved):
    s, u, v, times = drawn
    # A saddle cannot be integrated for long: rounding leaves it.
    last = np.where(where("saddle"), 6, len(TIMES))
    for i in range(NETWORKS):
        expected = integrated(one(s, i), u[i], v[i], times[i, : last[i]])
        for weights, reference in zip(solved, expected, strict=True):
            size = np.abs(reference).max()
            close(weights[i, : last[i]], reference, rtol=0, atol=1e-9 * size)


@settings(max_examples=100)
@given(SETTINGS, WEIGHTS)
def test_the_solution_satisfies_the_equations_of_motion(s, weights):
    times = natural_time(s, *weights) * TIMES
    (u, v), (du, dv) = jax.jvp(
        lambda t: mechanisms.solve(s, *weights, t), (times,), (1 + 0 * times,)
    )
    h = s.c * s.gamma * s.A * (s.gamma * (u * v).sum(1, keepdims=True) - s.y_star)
    rounding = 1e-11 * max(np.abs(u).max(), np.abs(v).max()) / times[3]
    close(du, -s.eta_u * h * v, rtol=0, atol=rounding)
    close(dv, -s.eta_w * h * u, rtol=0, atol=rounding)


def test_the_solution_starts_at_the_weights(drawn, solved):
    _, u, v, _ = drawn
    close_rows(solved.u[:, 0], u, 1e-14)
    close_rows(solved.v[:, 0], v, 1e-14)


def test_what_is_seen_later_continues_what_was_seen_before(drawn, solved):
    s, _, _, times = drawn
    half = mechanisms.solve(s, *drawn[1:3], times / 2)
    for k in (3, 5):
        again = mechanisms.solve(s, half.u[:, k], half.v[:, k], times / 2)
        close_rows(again.u[:, k], solved.u[:, k], 1e-9)
        close_rows(again.v[:, k], solved.v[:, k], 1e-9)


def test_evolving_sees_the_state_of_the_solution(drawn, solved, evolved):
    expected = mechanisms.state(in_time(drawn[0]), *solved)
    for name in expected._fields:
        close_rows(getattr(evolved, name), getattr(expected, name), 1e-12)


def test_a_small_start_keeps_its_digits(drawn, evolved):
    s, u, v, times = drawn
    for i in np.where(where("tiny"))[0]:
        by_u, by_v = integrated(one(s, i), u[i], v[i], times[i])
        output = s.gamma[i] * (by_u * by_v).sum(1)
        kernel = s.gamma[i] ** 2 * (s.eta_u[i] * (by_v**2).sum(1) + s.eta_w[i] * (by_u**2).sum(1))
        assert output.min() < 1e-24 or output.max() > -1e-24
        close(evolved.output[i], output, rtol=1e-9)
        close(evolved.kernel[i], kernel, rtol=1e-9)


def test_the_residual_keeps_its_digits_however_late(drawn):
    s, u, v, _ = drawn
    moves = ~RESTS & ~ALGEBRAIC
    speed = np.asarray(mechanisms.learning_speed(s, u, v))
    times = np.linspace(300, 600, len(TIMES)) / np.where(moves, speed, 1)[:, None]
    residual = np.asarray(mechanisms.evolve(s, u, v, times).residual)[moves]
    assert (np.abs(residual[:, 0]) < 1e-90).all()
    slopes = np.diff(np.log(np.abs(residual)), axis=1) / np.diff(times[moves], axis=1)
    close(-slopes / speed[moves, None], np.ones_like(slopes), rtol=1e-10)


# What is conserved, and what follows from the output alone


def test_the_solution_keeps_what_is_conserved_to_ten_digits(drawn, solved):
    s = in_time(drawn[0])
    p, q = mechanisms.amplitudes(s, *solved)
    N, N_perp = mechanisms.invariants(s, *solved)
    balance, areas = mechanisms.balance(s, *solved), mechanisms.areas(s, *solved)
    for along in (N, N_perp, balance, areas, np.einsum("nti,ntj->ntij", p, q)):
        along = np.asarray(along)[:RANDOM].reshape(RANDOM, len(TIMES), -1)
        size = np.abs(along[:, :1]).max(2, keepdims=True)
        assert (np.abs(along - along[:, :1]) <= 1e-10 * size).all()


@settings(max_examples=100)
@given(SETTINGS, WEIGHTS)
def test_any_solution_keeps_what_is_conserved_to_rounding(s, weights):
    along = mechanisms.solve(s, *weights, natural_time(s, *weights) * TIMES)
    g, kernel = np.sqrt(s.eta_u * s.eta_w), mechanisms.state(s, *along).kernel.max()
    for conserved, unit in (
        (mechanisms.balance, kernel / (s.gamma * g) ** 2),
        (mechanisms.areas, kernel / (s.gamma**2 * g)),
        (mechanisms.invariants, kernel / (s.gamma * g)),
    ):
        for value in jax.tree.leaves(conserved(s, *along)):
            close(value, np.broadcast_to(value[:1], value.shape), rtol=0, atol=1e-13 * unit)


def test_all_neurons_share_one_exponential(drawn, solved):
    s, u, v, _ = drawn
    before = mechanisms.amplitudes(s, u, v)
    after = mechanisms.amplitudes(in_time(s), *solved)
    growth, decay = (
        np.asarray(now / then[:, None])[:RANDOM] for now, then in zip(after, before, strict=True)
    )
    close(growth * decay, np.ones_like(growth), rtol=1e-10)
    for factor in (growth, decay):
        close(factor, np.broadcast_to(factor[..., :1], factor.shape), rtol=1e-10)


def test_kernel_and_angle_are_functions_of_the_output(drawn, evolved):
    s, u, v, _ = drawn
    N, N_perp = mechanisms.invariants(s, u, v)
    kernel = mechanisms.kernel_law(in_time(s), evolved.output, N[:, None])
    close_rows(kernel, evolved.kernel, 1e-12)
    close_rows(mechanisms.cosine_law(evolved.output, N_perp[:, None]), evolved.cosine, 1e-12)
    assert mechanisms.cosine_law(0.0, 0.0) == 0
    close(mechanisms.cosine_law(-3.0, 4.0), -0.6)
    close(mechanisms.kernel_law(Setting(0.5, 9.0, 4.0), -3.0, 4.0), 2 * 0.5 * 6 * 5)


def test_the_kernel_is_least_where_the_output_passes_zero(drawn, evolved):
    s, u, v, _ = drawn
    crosses = (np.asarray(evolved.output[:, 0]) * s.y_star < 0) & ~RESTS
    times = mechanisms.time_to_reach(s, u, v, np.zeros(NETWORKS))
    assert (np.isfinite(times) & (times > 0) == crosses).all() and crosses[:RANDOM].sum() > 5
    around = np.where(crosses, times, 0)[:, None] * [0, 0.4, 0.8, 1, 1.2, 1.6, 2, 3]
    kernel = np.asarray(mechanisms.evolve(s, u, v, around).kernel)[crosses]
    N = mechanisms.invariants(s, u, v).N
    close(kernel[:, 3], (2 * s.gamma * np.sqrt(s.eta_u * s.eta_w) * N)[crosses], rtol=1e-10)
    assert (kernel >= (1 - 1e-12) * kernel[:, 3:4]).all() and (kernel[:, 0] > kernel[:, 3]).all()


def test_the_output_runs_monotonically_towards_the_target(drawn, evolved):
    towards = np.sign(drawn[0].y_star - evolved.output[:, 0])[:RANDOM]
    steps = np.diff(evolved.output[:RANDOM], axis=1)
    assert (steps * towards[:, None] >= -1e-15).all() and (np.abs(towards) == 1).all()


# The end


def test_the_output_settles_at_the_target(drawn):
    s, u, v, _ = drawn
    end = mechanisms.state(s, *mechanisms.fixed_point(s, u, v))
    error = np.abs(end.output - np.where(RESTS, 0, s.y_star))
    assert (error <= 1e-14 * (np.abs(s.y_star) + end.scale)).all()
    assert (end.kernel[RESTS] == 0).all()
    N = np.asarray(mechanisms.invariants(s, u, v).N)
    kernel = 2 * s.gamma * np.sqrt(s.eta_u * s.eta_w) * np.hypot(N, s.y_star)
    close_rows(end.kernel, np.where(RESTS, 0, kernel), 1e-12)


@pytest.mark.parametrize(("dtype", "late"), [(np.float64, 1e200), (np.float32, 1e20)])
def test_huge_times_end_at_the_fixed_point(drawn, dtype, late):
    s, u, v, times = jax.tree.map(dtype, drawn)
    end, tolerance = mechanisms.fixed_point(s, u, v), 100 * np.finfo(dtype).eps
    huge = np.full_like(times, late)
    for at_last, expected in zip(mechanisms.solve(s, u, v, huge), end, strict=True):
        size = np.maximum(np.abs(expected).max(1), tolerance)[:, None]
        assert (np.abs(at_last[:, -1] - expected) <= tolerance * size).all()
    last = mechanisms.evolve(s, u, v, huge)
    expected = np.where(RESTS, 0, s.y_star)
    assert (
        np.abs(last.output[:, -1] - expected)
        <= 1e-12 * (dtype == np.float64) + 1e-6 * (dtype == np.float32)
    ).all()


def test_the_residual_decays_in_the_end_at_the_learning_speed(drawn):
    s, u, v, _ = drawn
    speed = mechanisms.learning_speed(s, u, v)
    g, N = np.sqrt(s.eta_u * s.eta_w), mechanisms.invariants(s, u, v).N
    close_rows(speed**2, (2 * s.c * s.A * s.gamma * g) ** 2 * (s.y_star**2 + N**2), 1e-13)
    end = mechanisms.state(s, *mechanisms.fixed_point(s, u, v))
    close_rows(speed, np.where(RESTS, speed, s.c * s.A * end.kernel), 1e-12)


def test_the_kernel_changes_from_its_start_to_its_end(drawn):
    s, u, v, _ = drawn
    start = mechanisms.state(s, u, v)
    end = mechanisms.state(s, *mechanisms.fixed_point(s, u, v))
    change = np.asarray(mechanisms.kernel_change(s, u, v))
    empty = where("no weights")
    assert (change[empty] == np.inf).all()
    expected = end.kernel / np.where(empty, 1, start.kernel) - 1
    stays = empty | RESTS  # at a saddle the law is about the target, which is not reached
    close(change[~stays], expected[~stays], rtol=1e-11, atol=1e-14)


def test_the_change_of_a_large_kernel_keeps_its_digits():
    x, y, s = np.array([0.3, -1.1]), np.array([0.8, 0.4]), Setting(0.7, 1.3, 0.6, y_star=-1.7)
    for size in (1e2, 1e4, 1e6):
        u, v = size * np.concatenate([x, -x]), size * np.concatenate([y, y])
        M = np.asarray(mechanisms.state(s, u, v).kernel) / (2 * 0.7 * np.sqrt(1.3 * 0.6))
        square = (1.7 / M) ** 2  # √(1 + square) − 1
        close(mechanisms.kernel_change(s, u, v), square / 2 - square**2 / 8, rtol=1e-11)


# The time


SHARES = np.array([0.0, 1e-3, 0.3, 0.9, 0.9999, 1.0, 1.2, -0.2])


def reached(s, u, v, shares=SHARES):
    """Outputs at shares of the way from the start to the end, and the times they take."""
    start = np.asarray(mechanisms.state(s, u, v).output)[:, None]
    end = np.where(RESTS, 0, s.y_star)[:, None]
    outputs = np.where(shares == 1, end, start + shares * (end - start))
    return outputs, np.asarray(
        mechanisms.time_to_reach(in_time(s), u[:, None], v[:, None], outputs)
    )


def test_an_output_is_reached_at_its_time(drawn):
    which = ~where("no weights")
    s, u, v, _ = drawn
    outputs, times = reached(s, u, v)
    assert (times[which, 0] == 0).all() and (times[which, 5:] == np.inf).all()
    assert np.isfinite(times[which, :5]).all() and (np.diff(times[which, :5]) > 0).all()
    again = mechanisms.evolve(s, u, v, np.where(np.isfinite(times), times, 0)).output
    size = np.abs(outputs[:, 0] - outputs[:, 5])[:, None]
    assert (np.abs(again - outputs) <= 1e-10 * size)[which, :5].all()


def test_a_small_target_costs_no_digits():
    s = Setting(0.7, 1.3, 1.3, 1.1, 1e-10, 2.0)
    u = np.array([1.2, -0.4])  # parallel and balanced, so that N = 0
    times = np.array([0.3, 3.0, 30.0])
    outputs = mechanisms.evolve(s, u, u, times).output
    close(mechanisms.time_to_reach(s, u, u, outputs), times, rtol=1e-10)


def test_a_short_time_keeps_its_digits():
    F = np.array([1e-9, 1e-7, 6e-6])  # from F = 0 with N = y* = 1, in powers of F
    start = np.eye(2)
    times = mechanisms.time_to_reach(Setting(), start[0], start[1], F)
    close(times, (F + F**2 / 2 + F**3 / 6) / 2, rtol=1e-13)


def test_a_small_start_takes_a_logarithmic_time(drawn):
    small = where("tiny") | where("small")
    s, u, v = jax.tree.map(lambda value: value[small], drawn[:3])
    start, speed = mechanisms.state(s, u, v), mechanisms.learning_speed(s, u, v)
    y, M = np.abs(s.y_star), start.kernel / (2 * s.gamma * np.sqrt(s.eta_u * s.eta_w))
    ahead = M + np.sign(s.y_star) * start.output
    half = speed * mechanisms.time_to_reach(s, u, v, s.y_star / 2)
    assert (np.abs(half - np.log(2 * y / ahead) + M / y) <= 4 * (M / y) ** 2 + 1e-12).all()


# Off the line


def test_the_orthogonal_error_is_a_mean_over_the_input_weights():
    s, u, std, x = Setting(0.7, 1.3, 0.4), np.array([0.5, -1.5, 0.3]), 0.6, np.array([0.8, -0.2])
    # Weights of both signs with the same probability have the variance σ_w², and are few.
    signs = np.array(list(itertools.product((-1, 1), repeat=6))).reshape(-1, 3, 2)
    outputs = 0.7 * np.einsum("i,sij,j->s", u, std * signs, x)
    close(mechanisms.orthogonal_error(s, u, std, x @ x), (outputs**2).mean())
    many = mechanisms.orthogonal_error(s, np.stack([u, 2 * u]), std, x @ x)
    close(many, [(outputs**2).mean(), 4 * (outputs**2).mean()])


# As functions: of arrays of either dtype, vectorised, transformed


def halfway(s, u, v, times):
    state = mechanisms.state(s, u, v)
    return mechanisms.time_to_reach(s, u, v, (state.output + s.y_star) / 2)


FUNCTIONS = {
    "solve": mechanisms.solve,
    "evolve": mechanisms.evolve,
    "fixed_point": lambda s, u, v, times: mechanisms.fixed_point(s, u, v),
    "learning_speed": lambda s, u, v, times: mechanisms.learning_speed(s, u, v),
    "kernel_change": lambda s, u, v, times: mechanisms.kernel_change(s, u, v),
    "time_to_reach": halfway,
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@each_function
def test_single_precision_is_kept_and_accurate(drawn, function):
    double, single = function(*drawn), function(*jax.tree.map(np.float32, drawn))
    for wide, narrow in zip(*map(jax.tree.leaves, (double, single)), strict=True):
        assert wide.dtype == np.float64 and narrow.dtype == np.float32
        finite = np.isfinite(wide)
        assert (np.isfinite(narrow) == finite).all()
        close_rows(np.where(finite, narrow, 0), np.where(finite, wide, 0), 2e-5)


@each_function
def test_many_networks_are_as_one_at_a_time(drawn, function):
    s, *arrays = drawn
    singles = [function(one(s, i), *(array[i] for array in arrays)) for i in range(NETWORKS)]
    singles = jax.tree.map(lambda *values: np.stack(values), *singles)
    for many, single in zip(*map(jax.tree.leaves, (function(*drawn), singles)), strict=True):
        finite = np.isfinite(many)
        close_rows(np.where(finite, many, 0), np.where(finite, single, 0), 1e-11)


@each_function
def test_compiled_and_mapped_functions_are_the_same(drawn, function):
    expected = jax.tree.leaves(function(*drawn))
    for transformed in (jax.jit(function), jax.vmap(function)):
        for value, same in zip(jax.tree.leaves(transformed(*drawn)), expected, strict=True):
            np.testing.assert_allclose(value, same, rtol=1e-11, atol=1e-15)


@each_function
def test_gradients_are_finite_at_every_corner(drawn, function):
    drawn = jax.tree.map(jnp.asarray, drawn)
    values, pull = jax.vjp(function, *drawn)
    ones = jax.tree.map(lambda value: jnp.where(jnp.isfinite(value), 1.0, 0.0), values)
    for gradient in jax.tree.leaves(pull(ones)):
        close_rows(gradient, gradient, 0)


@each_function
def test_gradients_are_finite_in_single_precision(drawn, function):
    # JAX takes the slope of a quotient from the square of what it divides by, here 1e-24
    normal = ~(where("tiny") | RESTS)
    drawn = jax.tree.map(lambda value: jnp.asarray(value[normal], jnp.float32), drawn)
    values, pull = jax.vjp(function, *drawn)
    ones = jax.tree.map(lambda value: jnp.where(jnp.isfinite(value), 1, 0).astype("f4"), values)
    for gradient in jax.tree.leaves(pull(ones)):
        assert np.isfinite(gradient).all()


@each_function
def test_gradients_are_derivatives(function):
    network = Setting(0.7, 1.3, 0.4, 1.1, -1.5, 2.0), X, Y, np.linspace(0.1, 1.5, len(TIMES))
    check_grads(function, network, order=1, modes=("rev",), rtol=1e-6)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (1.0, r"times must have at least 1 axes, got shape \(\)"),
        (np.array([1.0, -2.0]), "times must be not negative, got -2.0"),
        (np.array([1.0, np.nan]), "times must be finite, got nan"),
        (np.array([1, 2]), "times must be an array of floats, got dtype int64"),
    ],
)
@pytest.mark.parametrize("function", [mechanisms.solve, mechanisms.evolve])
def test_times_that_do_not_fit_are_named(function, times, message):
    with pytest.raises(ValueError, match=message):
        function(Setting(), np.ones(2), np.ones(2), times)


def test_other_values_that_do_not_fit_are_named():
    u, s = np.ones(2), Setting()
    for value, message in ((np.nan, "finite, got nan"), (np.array(1), "floats, got dtype int64")):
        with pytest.raises(ValueError, match=f"output must be .*{message}"):
            mechanisms.time_to_reach(s, u, u, value)
        with pytest.raises(ValueError, match=f"output must be .*{message}"):
            mechanisms.kernel_law(s, value, 1.0)
        with pytest.raises(ValueError, match=f"output must be .*{message}"):
            mechanisms.cosine_law(value, 1.0)
    with pytest.raises(ValueError, match="N must be not negative, got -1.0"):
        mechanisms.kernel_law(s, 1.0, -1.0)
    with pytest.raises(ValueError, match="N_perp must be not negative, got -1.0"):
        mechanisms.cosine_law(1.0, -1.0)
    with pytest.raises(ValueError, match="u must be finite, got nan"):
        mechanisms.orthogonal_error(s, np.array([np.nan]), 1.0, 1.0)
    with pytest.raises(ValueError, match="setting.gamma must be positive, got -1.0"):
        mechanisms.orthogonal_error(Setting(gamma=-1.0), u, 1.0, 1.0)
    with pytest.raises(ValueError, match="std_w must be finite, got nan"):
        mechanisms.orthogonal_error(s, u, np.nan, 1.0)
    with pytest.raises(ValueError, match="squared_length must be not negative, got -3.0"):
        mechanisms.orthogonal_error(s, u, 1.0, -3.0)
    with pytest.raises(ValueError, match="setting, output, u and v must broadcast over networks"):
        mechanisms.time_to_reach(s, np.ones((2, 4)), np.ones((2, 4)), np.ones(3))


def test_what_is_no_number_is_never_a_number():
    u = jnp.array([1.0, jnp.nan])
    for function in FUNCTIONS.values():
        values = jax.jit(function)(Setting(), u, u, jnp.array([0.0, 1.0]))
        assert not any(np.isfinite(value).all() for value in jax.tree.leaves(values))


def test_large_weights_do_not_overflow():
    u, v, times = 1e90 * X, 1e90 * Y, np.array([0.0, 1.0])
    solved = mechanisms.solve(Setting(), u, v, times)
    close(solved.u[0], u)
    close(solved.v[0], v)
    speed = mechanisms.learning_speed(Setting(), u, v)
    close(speed, np.linalg.norm(X + Y) * np.linalg.norm(X - Y) * 1e180)


# The plateau


def test_the_plateau_time_is_exact_up_to_the_next_order_of_a_small_start():
    u, v = np.random.default_rng(3).normal(size=(2, 20, 6))
    for y_star in (0.7, -0.7):
        s = Setting(0.8, 1.3, 0.4, 1.2, y_star, 2.0)
        for size, within in ((0.03, 0.05), (0.01, 0.006)):
            state = mechanisms.state(s, size * u, size * v)
            N = mechanisms.invariants(s, size * u, size * v).N
            M, F = np.sqrt(N**2 + state.output**2), np.sign(y_star) * state.output
            exact = mechanisms.time_to_reach(s, size * u, size * v, y_star / 2)
            short = mechanisms.plateau_time(s, size * u, size * v)
            order = (9 / 4 * N**2 - M * F / 2) / y_star**2
            speed = mechanisms.learning_speed(s, size * u, size * v)
            left_out = speed * (exact - short) / order
            assert np.abs(np.median(left_out) - 1) < within
