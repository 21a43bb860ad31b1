import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import data, mechanisms, networks
from lazyrich.derivatives import empirical_ntk
from lazyrich.mechanisms import DigitsRun, nonlinear

SEEDS, IMAGES, PROBES, STEPS = 2, 32, 8, 20
RUN = {"train_images": IMAGES, "seeds": SEEDS, "probes": PROBES, "steps": STEPS, "observations": 4}


@pytest.fixture(scope="module")
def run():
    return mechanisms.train_on_digits(jax.random.key(0), 0.5, 8, until=0.0, **RUN)


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(shape):
    return jnp.asarray(np.random.default_rng(len(shape) + sum(shape)).normal(size=shape))


def drawn_params(*widths):
    return [{"weight": drawn((n, m))} for n, m in zip(widths[1:], widths[:-1], strict=True)]


def kernel(network, params, x):
    return np.asarray(jax.jit(lambda params: empirical_ntk(network.apply, params, x))(params))


# Angle and scale


@pytest.mark.parametrize("parametrisation", [networks.standard, networks.maximal_update])
def test_an_output_is_scale_times_cosine(parametrisation):
    network = networks.fully_connected((3, 6, 5, 1), parametrisation=parametrisation)
    params, x = drawn_params(3, 6, 5, 1), drawn((7, 3))
    angle = mechanisms.alignment(network, params, x)
    hidden, u = network.features(params, x)[-1], params[-1]["weight"][0]
    assert (np.abs(angle.cosine) <= 1).all()
    close(angle.scale * angle.cosine, network.apply(params, x)[:, 0])
    multiplier = 1 if parametrisation is networks.standard else 5**-0.5
    close(angle.scale, multiplier * np.linalg.norm(u) * np.linalg.norm(hidden, axis=1))


def test_a_silent_layer_has_no_angle():
    network = networks.fully_connected((2, 3, 1))
    params = [{"weight": -jnp.ones((3, 2))}, {"weight": jnp.array([[0.3, -0.5, 0.1]])}]
    angle = mechanisms.alignment(network, params, jnp.array([[1.0, 1.0], [-1.0, -1.0]]))
    assert angle.cosine[0] == 0 and angle.scale[0] == 0 and angle.scale[1] > 0


def test_networks_of_several_outputs_have_no_angle():
    network = networks.fully_connected((2, 3, 2))
    with pytest.raises(ValueError, match="network must have one output, got 2"):
        mechanisms.alignment(network, drawn_params(2, 3, 2), jnp.ones((1, 2)))


# Training on the digits


def network_of(seed, scale=0.5):
    """A network of the run at its start, and its images."""
    key = jax.random.split(jax.random.key(0), SEEDS)[seed]
    network = networks.fully_connected((64, 8, 1), scale=scale)
    split = data.digits_parity(jax.random.fold_in(key, 0), IMAGES)
    return network, network.init(jax.random.fold_in(key, 1)), split


def test_a_run_has_a_row_for_each_seed_and_observation(run):
    assert run.step.tolist() == [[0, 1, 2, 4, 9, 20]] * SEEDS
    assert run.cosine.shape == run.scale.shape == (SEEDS, 6, IMAGES)
    for name in ("loss", "test_error", "agreement", "kernel_change", "kernel_trace"):
        assert getattr(run, name).shape == (SEEDS, 6)
    loss, change = np.asarray(run.loss), np.asarray(run.kernel_change)
    assert (loss[:, -1] < loss[:, 0] / 3).all()
    assert (change[:, 0] == 0).all() and (change[:, 1:] > 0).all()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_run_starts_at_its_network(run, seed):
    network, params, split = network_of(seed)
    f = network.apply(params, split.x)[:, 0]
    close(run.loss[seed, 0], ((f - split.y) ** 2).mean() / 2)
    close(run.scale[seed, 0] * run.cosine[seed, 0], f)
    close(run.agreement[seed, 0], (split.y * run.cosine[seed, 0]).mean())
    test = np.asarray(network.apply(params, split.x_test)[:, 0] * split.y_test)
    close(run.test_error[seed, 0], (test <= 0).mean(), rtol=1e-6)  # silence is no answer
    K = kernel(network, params, split.x[:PROBES])
    close(run.kernel_trace[seed, 0], np.trace(K) / PROBES)


def test_a_step_is_one_over_the_top_eigenvalue_or_a_tenth(run):
    network, params, split = network_of(0)

    def loss(params):
        return ((network.apply(params, split.x)[:, 0] - split.y) ** 2).mean() / 2

    K = kernel(network, params, split.x)
    rate = min(0.1, IMAGES / np.linalg.eigvalsh(K)[-1])
    after = jax.tree.map(lambda x, slope: x - rate * slope, params, jax.grad(loss)(params))
    close(run.loss[0, 1], loss(after), rtol=1e-4)
    probes = split.x[:PROBES]
    K, moved = (kernel(network, weights, probes) for weights in (params, after))
    change = np.linalg.norm(moved - K) / np.linalg.norm(K)
    close(run.kernel_change[0, 1], change, rtol=1e-3)


def test_the_top_eigenvalue_is_found_without_the_kernel():
    network = networks.fully_connected((4, 6, 1))
    params, x = drawn_params(4, 6, 1), drawn((9, 4))
    top = jax.jit(lambda: nonlinear._top_eigenvalue(network, params, x, 200))()
    close(top, np.linalg.eigvalsh(kernel(network, params, x))[-1], rtol=1e-6)


def test_a_run_rests_once_the_loss_is_low_enough_and_scales_share_their_start(run):
    small = mechanisms.train_on_digits(jax.random.key(0), 1.0, 8, until=1e3, **RUN)
    assert small.step.tolist() == [[0, 1, 1, 1, 1, 1]] * SEEDS
    assert (small.loss[:, 1:] == small.loss[:, 1:2]).all()
    # two layers of weights, each twice as large
    close(small.cosine[:, 0], run.cosine[:, 0])
    close(small.scale[:, 0], 4 * run.scale[:, 0])
    close(small.kernel_trace[:, 0], 4 * run.kernel_trace[:, 0])


def test_what_does_not_fit_is_named():
    key = jax.random.key(0)
    for name in ("width", "seeds"):
        sizes = {"width": 8, "seeds": 1, name: 0}
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
            mechanisms.train_on_digits(key, 1.0, **sizes)
    with pytest.raises(ValueError, match="parametrisation must be one of .*, got 'ntk'"):
        mechanisms.train_on_digits(key, 1.0, 8, parametrisation="ntk")
    with pytest.raises(ValueError, match="scale must be positive, got -1.0"):
        mechanisms.train_on_digits(key, -1.0, 8)


# The share of turning


def run_of(cosine, scale):
    """A run of which only angle and scale are known, of shape (seeds, observations, images)."""
    return DigitsRun(*[None] * 3, jnp.asarray(cosine), jnp.asarray(scale), *[None] * 3)


def test_turning_takes_the_square_of_the_sine_in_a_linear_network():
    # cos ζ = f/√(f² + N²) and R = √(f² + N²), for N = 1 and N = 2
    f = np.linspace(0.5, 1.0, 101)[:, None] * np.array([1.0, -1.1, 0.9])
    N = np.array([1.0, 2.0])[:, None, None]
    scale = np.sqrt(f**2 + N**2)
    share, law = mechanisms.turning_share(run_of(f / scale, scale), least=0.0)
    close(share, law, rtol=1e-4)
    close(law, (N**2 / (0.75**2 + N**2)).ravel(), rtol=0.05)


def test_turning_alone_and_rescaling_alone_are_the_ends():
    growth = np.exp(np.linspace(0, 1, 5))[None, :, None] * np.ones(2)
    turning = run_of(0.1 * growth, np.ones_like(growth))
    rescaling = run_of(np.full_like(growth, 0.6), growth)
    close(mechanisms.turning_share(turning)[0], 1)
    share, law = mechanisms.turning_share(rescaling)
    close(share, 0, atol=1e-12)
    close(law, 1 - 0.6**2)


def test_intervals_without_learning_or_with_a_change_of_sign_do_not_count():
    counted = [[0.2, 0.3, 0.4], [1.0, 1.2, 1.3]]
    still = [[0.5, 0.5, 0.5], [1.0, 1.01, 1.02]]  # learns by less than 2 %
    flips = [[0.5, -0.5, 0.5], [1.0, 5.0, 1.0]]
    silent = [[0.0, 0.5, 0.0], [0.0, 1.0, 0.0]]
    alone = np.array([counted]).transpose(1, 0, 2)[..., None]
    together = np.array([counted, still, flips, silent]).transpose(1, 2, 0)[:, None]
    together[1] = np.where(together[1] == 0, 1e-300, together[1])
    for one, other in zip(
        mechanisms.turning_share(run_of(*alone)),
        mechanisms.turning_share(run_of(*together)),
        strict=True,
    ):
        close(one, other)


@pytest.mark.parametrize("name", ["width", "depth", "seeds", "probes", "steps", "observations"])
def test_sizes_of_a_run_that_do_not_fit_are_named(name):
    sizes = {"width": 4, "train_images": 20, "probes": 20, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
        mechanisms.train_on_digits(jax.random.key(0), 1.0, **sizes)
    with pytest.raises(ValueError, match="probes must be at most 20 train_images, got 21"):
        mechanisms.train_on_digits(jax.random.key(0), 1.0, 4, train_images=20, probes=21)
