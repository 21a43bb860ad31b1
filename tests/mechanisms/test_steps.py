import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lazyrich import mechanisms
from lazyrich.mechanisms import Setting, Weights

NETWORKS, WIDTH, STEPS = 6, 3, 12


@pytest.fixture(scope="module")
def drawn():
    """Networks that learn in a dozen steps, the last one with a step size that overshoots."""
    rng = np.random.default_rng(1)
    gamma, eta_u, eta_w, A, c = np.exp(rng.normal(size=(5, NETWORKS)) / 2)
    y_star = 2 * rng.normal(size=NETWORKS)
    u, v = rng.normal(size=(2, NETWORKS, WIDTH))
    kernel = gamma**2 * (eta_u * (v**2).sum(1) + eta_w * (u**2).sum(1))
    step = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 2.2]) / (c * A * kernel)
    return Setting(gamma, step * eta_u, step * eta_w, A, y_star, c), u, v


def one(s, i):
    return Setting(*(float(value[i]) for value in s))


def close(measured, expected, rtol=1e-11, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def explicit(s, u, v, a, y):
    """The weights of one network after each step of h = c γ a (a F − y), from the definition."""
    trajectory = [(u, v)]
    for position, label in zip(a, y, strict=True):
        h = s.c * s.gamma * position * (position * s.gamma * np.dot(u, v) - label)
        u, v = u - s.eta_u * h * v, v - s.eta_w * h * u
        trajectory.append((u, v))
    return map(np.array, zip(*trajectory, strict=True))


def check(descent, s, u, v):
    """The scalars of a descent are those of its weights, u and v of shape (steps + 1, d)."""
    state, (N, N_perp) = mechanisms.state(s, u, v), mechanisms.invariants(s, u, v)
    close(descent.output, state.output, rtol=1e-8, atol=1e-8)  # large steps are chaotic
    close(descent.kernel, state.kernel, rtol=1e-8)
    for conserved in (N, N_perp):
        close(descent.log_erosion, np.log(conserved / conserved[0]), rtol=1e-8, atol=1e-12)


def test_descent_is_an_exact_map_of_two_scalars(drawn):
    s, u, v = drawn
    descent = mechanisms.descend(s, u, v, STEPS)
    assert descent.output.shape == (NETWORKS, STEPS + 1)
    for i in range(NETWORKS):
        a = np.full(STEPS, np.sqrt(s.A[i]))
        weights = explicit(one(s, i), u[i], v[i], a, a * s.y_star[i])
        check(jax.tree.map(lambda value: value[i], descent), one(s, i), *weights)  # noqa: B023


def test_descent_on_samples_is_stochastic_gradient_descent(drawn):
    s, u, v = drawn
    rng = np.random.default_rng(2)
    a, y = rng.normal(size=(2, NETWORKS, STEPS))
    descent = mechanisms.descend_on_samples(s, u, v, a, y)
    for i in range(NETWORKS):
        weights = explicit(one(s, i), u[i], v[i], a[i], y[i])
        check(jax.tree.map(lambda value: value[i], descent), one(s, i), *weights)  # noqa: B023


def test_descent_is_what_an_optimizer_does_with_the_loss(drawn):
    s, u, v = one(drawn[0], 3), drawn[1][3], drawn[2][3]
    rng = np.random.default_rng(5)
    a, y = rng.normal(size=(2, 32))
    s = s._replace(A=(a * a).mean(), y_star=(a * y).mean() / (a * a).mean())

    def loss(weights):
        return s.c / 2 * ((s.gamma * a * (weights.u * weights.v).sum() - y) ** 2).mean()

    optimizer = optax.partition(
        {"u": optax.sgd(s.eta_u), "v": optax.sgd(s.eta_w)}, Weights("u", "v")
    )
    weights = Weights(jnp.array(u), jnp.array(v))
    memory, outputs = optimizer.init(weights), []
    for _ in range(STEPS + 1):
        outputs.append(s.gamma * (weights.u * weights.v).sum())
        change, memory = optimizer.update(jax.grad(loss)(weights), memory)
        weights = optax.apply_updates(weights, change)
    close(mechanisms.descend(s, u, v, STEPS).output, outputs)


def test_a_step_subtracts_the_gradient(drawn):
    s, u, v = drawn
    h = np.array([0.3, -0.7, 0.0, 2.0, -1.5, 1.0])
    after = mechanisms.step(s, u, v, h)
    close(after.u, u - (s.eta_u * h)[:, None] * v, rtol=1e-13, atol=1e-15)
    close(after.v, v - (s.eta_w * h)[:, None] * u, rtol=1e-13, atol=1e-15)


def test_a_step_is_stable_below_two_over_the_kernel(drawn):
    # Close to the target the residual shrinks by the factor 1 − c A κ.
    s, u, v = drawn
    u, v = mechanisms.fixed_point(s, u, v)
    s = s._replace(y_star=s.y_star + 1e-7)
    descent = mechanisms.descend(s, u, v, 1)
    residual = descent.output - s.y_star[:, None]
    factor = 1 - s.c * s.A * descent.kernel[:, 0]
    close(residual[:, 1] / residual[:, 0], factor, rtol=1e-5, atol=1e-5)


def test_small_steps_follow_the_flow(drawn):
    s, u, v = drawn
    end = mechanisms.evolve(s, u, v, np.array([2.0]))
    fine = s._replace(eta_u=s.eta_u / 1000, eta_w=s.eta_w / 1000)
    descent = mechanisms.descend(fine, u, v, 2000)
    close(descent.output[:, -1], end.output[:, 0], atol=2e-3)
    close(1000 * descent.kernel[:, -1], end.kernel[:, 0], rtol=2e-3)


def test_a_step_too_large_diverges_without_an_error():
    s = Setting(eta_u=3.0, eta_w=2.0)
    descent = mechanisms.descend(s, np.ones(WIDTH), np.ones(WIDTH), 40)
    assert not np.isfinite(descent.output[-1]) and np.isfinite(descent.output[2])


def test_a_step_may_erode_everything():
    # g h = 1 annihilates p: the layers become opposite, and N vanishes for ever
    s, u, v = Setting(eta_u=4.0, eta_w=0.25), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    after = mechanisms.step(s, u, v, 1.0)
    close(mechanisms.invariants(s, *after).N, 0)
    descent = mechanisms.descend(s._replace(y_star=-1.0), u, v, 1)
    assert descent.log_erosion.tolist() == [0, -np.inf]


def test_networks_and_samples_broadcast(drawn):
    s, u, v = drawn
    s = s._replace(eta_u=s.eta_u[:, None], eta_w=0.1, A=1.2, y_star=s.y_star[:2], gamma=0.7, c=2.0)
    grid = mechanisms.descend(s, u[:, None], v[:2], STEPS)
    assert grid.output.shape == (NETWORKS, 2, STEPS + 1)
    single = s._replace(eta_u=float(s.eta_u[4, 0]), y_star=float(s.y_star[1]))
    for many, alone in zip(grid, mechanisms.descend(single, u[4], v[1], STEPS), strict=True):
        close(many[4, 1], alone)


def test_the_dtype_of_the_weights_is_kept(drawn):
    single = jax.tree.map(np.float32, drawn)
    for wide, narrow in zip(
        mechanisms.descend(*drawn, STEPS), mechanisms.descend(*single, STEPS), strict=True
    ):
        assert narrow.dtype == np.float32
        close(narrow[:, :4], wide[:, :4], rtol=1e-4, atol=1e-5)
    assert mechanisms.step(*single, np.float32(1)).u.dtype == np.float32


def test_descent_is_differentiable(drawn):
    s, u, v = one(drawn[0], 2), drawn[1][2], drawn[2][2]

    def last(gamma):
        return mechanisms.descend(s._replace(gamma=gamma), u, v, STEPS).output[-1]

    slope = (last(s.gamma + 1e-5) - last(s.gamma - 1e-5)) / 2e-5
    close(jax.grad(last)(s.gamma), slope, rtol=1e-6)


def test_what_does_not_fit_is_named():
    s, u = Setting(), np.ones(2)
    for steps in (0, -1):
        with pytest.raises(
            ValueError, match=f"steps must be an integer of at least 1, got {steps}"
        ):
            mechanisms.descend(s, u, u, steps)
    with pytest.raises(ValueError, match="setting.eta_u must be positive, got -1.0"):
        mechanisms.descend(Setting(eta_u=-1.0), u, u, 1)
    with pytest.raises(ValueError, match=r"a and y must have one shape, got \(3,\) and \(4,\)"):
        mechanisms.descend_on_samples(s, u, u, np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"a and y must have one shape, got \(4,\) and \(3,\)"):
        mechanisms.descend_on_samples(s, u, u, np.ones(4), np.ones(3))
    with pytest.raises(
        ValueError, match=r"setting, a, y, u and v must broadcast .*, got u \(2, .*'a': \(3, 4\)"
    ):
        many = np.ones((2, len(u)))
        mechanisms.descend_on_samples(s, many, many, np.ones((3, 4)), np.ones((3, 4)))
    single = mechanisms.descend_on_samples(s, *np.ones((2, 2), "f4"), *np.ones((2, 4)))
    assert single.output.dtype == np.float32
    for name, samples in (("a", (np.array([np.nan]), u[:1])), ("y", (u[:1], np.array([np.nan])))):
        with pytest.raises(ValueError, match=f"{name} must be finite, got nan"):
            mechanisms.descend_on_samples(s, u, u, *samples)
    for name, samples in (("a", (1.0, u)), ("y", (u, 1.0))):
        with pytest.raises(ValueError, match=f"{name} must have at least 1 axes"):
            mechanisms.descend_on_samples(s, u, u, *samples)
    with pytest.raises(ValueError, match="h must be finite, got inf"):
        mechanisms.step(s, u, u, np.inf)
