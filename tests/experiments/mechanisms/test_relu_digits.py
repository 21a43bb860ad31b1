import jax
import numpy as np
import pytest

from lazyrich import data, mechanisms, networks
from lazyrich.experiments.mechanisms import relu_digits
from lazyrich.experiments.mechanisms.relu_digits import ReluRun
from lazyrich.kernels import empirical_ntk

SEEDS, IMAGES, STEPS = 2, 32, 20
RUN = {"train_images": IMAGES, "seeds": SEEDS, "steps": STEPS, "observations": 4}


@pytest.fixture(scope="module")
def run():
    return relu_digits.train_on_digits(jax.random.key(0), 0.5, 8, until=0.0, **RUN)


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def kernel(network, params, x):
    return np.asarray(jax.jit(lambda params: empirical_ntk(network.apply, params, x))(params))


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
    close(run.mean_cosine[seed, 0], np.abs(run.cosine[seed, 0]).mean())
    close(run.mean_scale[seed, 0], run.scale[seed, 0].mean())
    close(run.output[seed, 0], np.sqrt((f**2).mean()))
    close(run.agreement[seed, 0], (split.y * run.cosine[seed, 0]).mean())
    test = np.asarray(network.apply(params, split.x_test)[:, 0] * split.y_test)
    close(run.test_error[seed, 0], (test <= 0).mean(), rtol=1e-6)  # silence is no answer
    close(
        run.test_loss[seed, 0],
        ((network.apply(params, split.x_test)[:, 0] - split.y_test) ** 2).mean() / 2,
    )
    K = kernel(network, params, split.x[:IMAGES])
    close(run.kernel_trace[seed, 0], np.trace(K) / IMAGES)


def test_a_run_watches_its_neighbouring_layers(run):
    assert run.layers.shape == (SEEDS, 6, 1)
    for seed in range(SEEDS):
        _, params, _ = network_of(seed)
        close(run.layers[seed, 0], mechanisms.layer_cosines(params), rtol=1e-6)


def test_a_step_is_one_over_the_top_eigenvalue_or_a_tenth(run):
    network, params, split = network_of(0)

    def loss(params):
        return ((network.apply(params, split.x)[:, 0] - split.y) ** 2).mean() / 2

    K = kernel(network, params, split.x)
    rate = min(0.1, IMAGES / np.linalg.eigvalsh(K)[-1])
    after = jax.tree.map(lambda x, slope: x - rate * slope, params, jax.grad(loss)(params))
    close(run.loss[0, 1], loss(after), rtol=1e-4)
    probes = split.x[:IMAGES]
    K, moved = (kernel(network, weights, probes) for weights in (params, after))
    change = np.linalg.norm(moved - K) / np.linalg.norm(K)
    close(run.kernel_change[0, 1], change, rtol=1e-3)


def test_a_run_rests_once_the_loss_is_low_enough_and_scales_share_their_start(run):
    small = relu_digits.train_on_digits(jax.random.key(0), 1.0, 8, until=1e3, **RUN)
    assert small.step.tolist() == [[0, 1, 1, 1, 1, 1]] * SEEDS
    assert (small.loss[:, 1:] == small.loss[:, 1:2]).all()
    # two layers of weights, each twice as large
    close(small.cosine[:, 0], run.cosine[:, 0])
    close(small.scale[:, 0], 4 * run.scale[:, 0])
    close(small.kernel_trace[:, 0], 4 * run.kernel_trace[:, 0])


def test_parametrisations_of_one_shape_share_a_program():
    relu_digits.train_on_digits(jax.random.key(0), 0.5, 8, **RUN)
    programs = relu_digits._train._cache_size()
    mup = relu_digits.train_on_digits(
        jax.random.key(0), 0.5, 8, parametrisation="maximal update", **RUN
    )
    assert relu_digits._train._cache_size() == programs
    network = networks.fully_connected(
        (64, 8, 1), parametrisation=networks.maximal_update, scale=0.5
    )
    _, _, split = network_of(0)
    key = jax.random.split(jax.random.key(0), SEEDS)[0]
    outputs = network.apply(network.init(jax.random.fold_in(key, 1)), split.x)[:, 0]
    close(mup.scale[0, 0] * mup.cosine[0, 0], outputs)


def test_the_share_of_a_network_is_the_median_over_images_and_intervals():
    growth = np.exp(np.linspace(0, 1, 5))[None, :, None] * np.ones(2)
    turned = growth * np.array([0.1, -0.05])
    runs = [
        ReluRun(*[None] * 3, cosine, scale, *[None] * 9)
        for cosine, scale in ((turned, np.ones_like(turned)), (0 * turned + 0.6, growth))
    ]
    close(relu_digits.median_turning_share(runs[0])[0], [1])
    share, law = relu_digits.median_turning_share(runs[1])
    close(share, [0], atol=1e-12)
    close(law, [1 - 0.6**2])


def test_moves_compare_the_end_with_the_start(run):
    moves = relu_digits.moves(run)
    cosine, scale = np.abs(run.cosine).mean(-1), run.scale.mean(-1)
    close(moves["|cos ζ| after/before"], cosine[:, -1] / cosine[:, 0])
    close(moves["R after/before"], scale[:, -1] / scale[:, 0])
    close(moves["kernel change"], run.kernel_change[:, -1])


def test_a_network_is_at_rest_before_its_last_step_unless_it_diverged(run):
    assert not relu_digits.at_rest(run, STEPS).any()
    assert relu_digits.at_rest(run, STEPS + 1).all()
    lost = run._replace(loss=run.loss.at[0, -1].set(np.nan))
    assert relu_digits.at_rest(lost, STEPS + 1).tolist() == [False, True]


def test_the_sharpness_is_the_step_size_over_that_of_the_kernel():
    few = RUN | {"steps": 2, "observations": 1}
    watched = relu_digits.train_on_digits(
        jax.random.key(0), 0.5, 8, until=0.0, rate=0.01, watch_sharpness=True, **few
    )
    for seed in range(SEEDS):
        network, params, split = network_of(seed)
        top = np.linalg.eigvalsh(kernel(network, params, split.x))[-1]
        rate = min(0.01, IMAGES / top)
        close(watched.sharpness[seed, 0], rate * top / IMAGES, rtol=1e-6)


def test_no_sharpness_is_computed_unless_asked_for(run):
    assert np.isnan(run.sharpness).all()
