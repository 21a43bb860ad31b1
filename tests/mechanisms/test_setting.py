import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lazyrich import mechanisms
from lazyrich.mechanisms import Setting, setting

NETWORKS, WIDTH = 32, 3
POSITIVE = st.floats(0.2, 5)
SETTINGS = st.tuples(POSITIVE, POSITIVE, POSITIVE).map(lambda values: Setting(*values))
# Quarters, so that zeros, parallel layers and vanishing amplitudes are drawn as well.
QUARTERS = st.integers(-12, 12).map(lambda number: number / 4)
WEIGHTS = arrays(float, (2, WIDTH), elements=QUARTERS)
SAMPLES = np.ones(1)
FUNCTIONS = {
    "state": mechanisms.state,
    "amplitudes": mechanisms.amplitudes,
    "invariants": mechanisms.invariants,
    "balance": mechanisms.balance,
    "areas": mechanisms.areas,
    "solve": lambda s, u, v: mechanisms.solve(s, u, v, SAMPLES),
    "evolve": lambda s, u, v: mechanisms.evolve(s, u, v, SAMPLES),
    "fixed_point": mechanisms.fixed_point,
    "learning_speed": mechanisms.learning_speed,
    "kernel_change": mechanisms.kernel_change,
    "time_to_reach": lambda s, u, v: mechanisms.time_to_reach(s, u, v, 0.5),
    "descend": lambda s, u, v: mechanisms.descend(s, u, v, 1),
    "descend_on_samples": lambda s, u, v: mechanisms.descend_on_samples(s, u, v, SAMPLES, SAMPLES),
    "step": lambda s, u, v: mechanisms.step(s, u, v, 0.5),
    "neuron_constants": lambda s, u, v: mechanisms.neuron_constants(s, u, v, 2),
}


@pytest.fixture(scope="module")
def drawn():
    """Settings and weights of many networks; a quarter of the weights is zero."""
    rng = np.random.default_rng(0)
    gamma, eta_u, eta_w, A, c = np.exp(rng.normal(size=(5, NETWORKS)))
    y_star = 2 * rng.normal(size=NETWORKS)
    u, v = rng.normal(size=(2, NETWORKS, WIDTH)) * (rng.random((2, NETWORKS, WIDTH)) > 0.25)
    return Setting(gamma, eta_u, eta_w, A, y_star, c), u, v


def close(measured, expected, rtol=1e-13, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def test_the_defaults_are_one():
    assert Setting() == Setting(gamma=1, eta_u=1, eta_w=1, A=1, y_star=1, c=1)


def test_a_state_is_what_the_definitions_say(drawn):
    s, u, v = drawn
    state = mechanisms.state(s, u, v)
    for i in range(NETWORKS):
        lengths = np.linalg.norm(u[i]), np.linalg.norm(v[i])
        close(state.output[i], s.gamma[i] * sum(u[i] * v[i]), atol=1e-15)
        close(state.residual[i], s.gamma[i] * sum(u[i] * v[i]) - s.y_star[i], atol=1e-15)
        rates = s.eta_u[i] * lengths[1] ** 2 + s.eta_w[i] * lengths[0] ** 2
        close(state.kernel[i], s.gamma[i] ** 2 * rates)
        close(state.scale[i], s.gamma[i] * lengths[0] * lengths[1])
        close(state.output[i], state.scale[i] * state.cosine[i], atol=1e-15)


def test_the_kernel_is_the_squared_gradient_of_the_output_with_the_rates(drawn):
    s, u, v = drawn
    by_u, by_v = jax.jacrev(lambda u, v: mechanisms.state(s, u, v).output, argnums=(0, 1))(
        jnp.asarray(u), jnp.asarray(v)
    )
    mine = np.arange(NETWORKS)
    kernel = s.eta_u * (by_u[mine, mine] ** 2).sum(1) + s.eta_w * (by_v[mine, mine] ** 2).sum(1)
    close(mechanisms.state(s, u, v).kernel, kernel)


def test_the_cosine_is_one_for_parallel_layers_and_zero_for_vanishing_ones():
    u = np.array([[1.0, 2.0, -2.0]] * 4)
    v = np.array([2.5, -0.5, 0.0, 1e-9])[:, None] * u
    close(mechanisms.state(Setting(gamma=0.3), u, v).cosine, [1, -1, 0, 1])
    close(mechanisms.state(Setting(gamma=0.3), v, u).cosine, [1, -1, 0, 1])


def test_amplitudes_are_sums_and_differences_in_units_of_the_rates(drawn):
    s, u, v = drawn
    U, V = u / np.sqrt(s.eta_u)[:, None], v / np.sqrt(s.eta_w)[:, None]
    amplitudes = mechanisms.amplitudes(s, u, v)
    close(amplitudes.p, U + V, atol=1e-15)
    close(amplitudes.q, U - V, atol=1e-15)


def test_balance_and_areas_are_what_the_definitions_say(drawn):
    s, u, v = drawn
    balance, areas = mechanisms.balance(s, u, v), mechanisms.areas(s, u, v)
    for i, j in np.ndindex(WIDTH, WIDTH):
        expected = u[:, i] * u[:, j] / s.eta_u - v[:, i] * v[:, j] / s.eta_w
        close(balance[:, i, j], expected, atol=1e-15)
        close(areas[:, i, j], u[:, i] * v[:, j] - u[:, j] * v[:, i], atol=1e-15)


@settings(max_examples=100)
@given(SETTINGS, WEIGHTS)
def test_output_and_kernel_are_difference_and_sum_of_the_amplitudes(s, weights):
    p, q = mechanisms.amplitudes(s, *weights)
    P, Q = (p**2).sum(), (q**2).sum()
    state, g = mechanisms.state(s, *weights), np.sqrt(s.eta_u * s.eta_w)
    M = s.gamma * g * (P + Q) / 4
    close(state.kernel, 2 * s.gamma * g * M)
    close(state.output, s.gamma * g * (P - Q) / 4, atol=1e-14 * M)
    N = mechanisms.invariants(s, *weights).N
    close(N, s.gamma * g * np.sqrt(P * Q) / 2)
    close(N**2, M**2 - state.output**2, atol=1e-14 * M**2)


@settings(max_examples=100)
@given(SETTINGS, WEIGHTS)
def test_N_is_N_perp_and_the_imbalance_of_the_layers(s, weights):
    N, N_perp = mechanisms.invariants(s, *weights)
    B = np.trace(mechanisms.balance(s, *weights))
    imbalance = s.gamma * np.sqrt(s.eta_u * s.eta_w) * B / 2
    rounding = 1e-15 * mechanisms.state(s, *weights).kernel
    close(N, np.hypot(N_perp, imbalance), rtol=1e-12, atol=100 * rounding)
    areas = np.linalg.norm(mechanisms.areas(s, *weights))
    close(N_perp, s.gamma * areas / np.sqrt(2), rtol=1e-12, atol=100 * rounding)


@settings(max_examples=100)
@given(SETTINGS, WEIGHTS)
def test_no_gradient_on_the_line_changes_what_is_conserved(s, weights):
    u, v = weights

    def conserved(u, v):
        return mechanisms.balance(s, u, v), mechanisms.areas(s, u, v)

    _, changes = jax.jvp(conserved, (u, v), (-s.eta_u * v, -s.eta_w * u))
    for change in changes:
        close(change, np.zeros_like(change), atol=1e-12)


def test_invariants_lose_no_digits_where_the_layers_are_almost_parallel():
    angle, y = 1e-9, Setting(gamma=0.7, eta_u=1.3, eta_w=0.4)
    u = np.array([2.0, 0.0, 0.0])
    for sign in (1, -1):
        v = 3 * np.array([sign * np.cos(angle), np.sin(angle), 0.0])
        close(mechanisms.invariants(y, u, v).N_perp, 0.7 * 2 * 3 * np.sin(angle))
        # |p||q| of layers that balance, so that N = N⊥
        v *= 2 / 3 * np.sqrt(0.4 / 1.3)
        N, N_perp = mechanisms.invariants(y, u, v)
        close(N, N_perp, rtol=1e-6)  # q itself is known to 1e-16/1e-9


def test_one_neuron_has_no_area_but_an_imbalance():
    s = Setting(gamma=0.7, eta_u=1.3, eta_w=0.4)
    for u, v in np.array([[0.3, 1.7], [0.3, -1.7], [0.0, 2.0], [1.1, 0.0]]):
        N, N_perp = mechanisms.invariants(s, np.array([u]), np.array([v]))
        assert 0 <= N_perp < 1e-16
        close(N, 0.7 * np.sqrt(1.3 * 0.4) / 2 * np.abs(u**2 / 1.3 - v**2 / 0.4))


def test_constants_and_weights_broadcast_over_networks(drawn):
    s, u, v = drawn
    many = Setting(0.7, s.eta_u[:4], s.eta_w[:3, None], 1.2, s.y_star[:12].reshape(3, 4), 2.0)
    u, v = u[:3, None], v[:4]
    for function in (mechanisms.state, mechanisms.invariants, mechanisms.areas):
        values = jax.tree.leaves(function(many, u, v))
        for i, j in np.ndindex(3, 4):
            one = Setting(0.7, s.eta_u[j], s.eta_w[i], 1.2, s.y_star[4 * i + j], 2.0)
            for value, single in zip(
                values, jax.tree.leaves(function(one, u[i, 0], v[j])), strict=True
            ):
                close(value[i, j], single, rtol=1e-14, atol=1e-15)


def test_the_dtype_of_the_weights_is_kept(drawn):
    s, u, v = drawn
    for function in (mechanisms.state, mechanisms.invariants, mechanisms.balance, mechanisms.areas):
        double, single = function(s, u, v), function(s, np.float32(u), np.float32(v))
        for wide, narrow in zip(*map(jax.tree.leaves, (double, single)), strict=True):
            assert wide.dtype == np.float64 and narrow.dtype == np.float32
            close(narrow, wide, rtol=2e-6, atol=2e-6 * np.abs(wide).max())


@pytest.mark.parametrize("zero", [(0, 0), (0, 1), (1, 0)])
def test_gradients_are_finite_where_a_layer_vanishes(zero):
    def everything(s, u, v):
        values = [mechanisms.state(s, u, v), mechanisms.invariants(s, u, v)]
        return sum(leaf.sum() for leaf in jax.tree.leaves(values))

    start = np.array([0.3, -1.2, 0.4])
    s = Setting(*(np.float64(value) for value in (0.7, 1.3, 0.4, 1.1, -0.5, 2.0)))
    gradients = jax.grad(everything, (0, 1, 2))(s, zero[0] * start, zero[1] * start)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("bad", [0.0, -1.0])
@pytest.mark.parametrize("name", ["gamma", "eta_u", "eta_w", "A", "c"])
def test_constants_must_be_positive(name, bad):
    message = f"setting.{name} must be positive, got {bad}"
    with pytest.raises(ValueError, match=message):
        mechanisms.state(Setting(**{name: bad}), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=message):
        mechanisms.kernel_law(Setting(**{name: np.array([1.0, bad])}), 1.0, 1.0)


@pytest.mark.parametrize("name", Setting._fields)
def test_constants_must_be_finite_floats(name):
    with pytest.raises(ValueError, match=f"setting.{name} must be finite, got nan"):
        mechanisms.state(Setting(**{name: np.nan}), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=f"setting.{name} must be an array of floats, got .* int"):
        mechanisms.state(Setting(**{name: np.arange(1, 3)}), np.ones(2), np.ones(2))


def test_a_target_of_any_sign_is_allowed():
    for y_star in (-2.0, 0.0, 2.0):
        assert (
            mechanisms.state(Setting(y_star=y_star), np.ones(2), np.ones(2)).residual == 2 - y_star
        )


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("u", "v", "message"),
    [
        (
            np.ones(2),
            np.ones(3),
            r"u and v must have as many neurons, got shapes \(2,\) and \(3,\)",
        ),
        (np.ones(2), np.ones(2, "float32"), "one dtype, got float64 and float32"),
        (np.ones(2, int), np.ones(2), "u must be an array of floats, got dtype int64"),
        (np.ones(2), np.ones(2, int), "v must be an array of floats, got dtype int64"),
        (np.ones(2), np.array([1.0, np.nan]), "v must be finite, got nan"),
        (np.array([1.0, np.inf]), np.ones(2), "u must be finite, got inf"),
        (1.0, np.ones(1), r"u must have at least 1 axes, got shape \(\)"),
        (np.ones(1), 1.0, r"v must have at least 1 axes, got shape \(\)"),
        (np.ones((2, 4)), np.ones((3, 4)), r"broadcast over networks, got u \(2, 4\), v \(3, 4\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(function, u, v, message):
    with pytest.raises(ValueError, match=message):
        function(Setting(), u, v)


def test_constants_that_do_not_broadcast_are_named():
    s = Setting(A=np.ones(3))
    with pytest.raises(ValueError, match=r"must broadcast over networks, .*{'A': \(3,\)}"):
        mechanisms.state(s, np.ones((2, 4)), np.ones(4))


def test_a_setting_must_be_a_setting():
    with pytest.raises(ValueError, match="setting must be a Setting, got a tuple"):
        setting.checked_setting((1.0,) * 6)


def test_lengths_do_not_lose_what_their_squares_would():
    u, v = np.array([3e-170, 4e-170]), np.array([1.0, 0.0])
    found = mechanisms.state(Setting(), u, v)
    close([found.cosine, found.scale], [0.6, 5e-170])
    close(mechanisms.invariants(Setting(), u, v).N_perp, 4e-170)


@pytest.mark.parametrize("size", [1e-170, 1e170])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_weights_whose_squares_are_no_floats_are_named(function, size):
    message = "u and v must be of a size whose result is in the range of float64, got entries up to"
    with pytest.raises(ValueError, match=message):
        function(Setting(), size * np.ones(3), size * np.ones(3))
