"""Networks along the knob, against their own definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import kernels, lenses
from lazyrich.experiments.lenses import knob, measured, others, setting

R = (0.02, 1.0)
INPUTS, WIDTH, PAIRS = 4, 48, 2


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with jax.enable_x64():
        yield


@pytest.fixture(scope="module")
def found(in_float64):
    return knob.at_knob(jax.random.key(0), INPUTS, WIDTH, R, PAIRS, levels=(0.5, 0.1))


@pytest.fixture(scope="module")
def start(in_float64):
    """The task, a network and the weights of its first start."""
    shape = setting.Shape(INPUTS, WIDTH)
    params = setting.paired_starts(jax.random.key(0), shape, PAIRS)
    return setting.sine_task(INPUTS), shape.network(), jax.tree.map(lambda a: a[0], params), params


def test_a_start_and_its_other_sign_have_one_kernel_and_opposite_angles(found):
    read = found.start.read
    np.testing.assert_allclose(read.trace[:PAIRS], read.trace[PAIRS:], rtol=1e-12)
    np.testing.assert_allclose(read.cosine[:PAIRS], -read.cosine[PAIRS:], rtol=1e-12)


def test_training_by_plain_steps_ends_at_the_same_readings(found, start):
    task, network, params, all_params = start
    rate = knob.rate_of(setting.Shape(INPUTS, WIDTH), task, all_params)
    [scale] = setting.scales(setting.Shape(INPUTS, WIDTH), R[1:])
    first = network.apply(params, task.x)[:, 0]

    def loss(params):
        outputs = (network.apply(params, task.x)[:, 0] - first) / scale
        return ((outputs - task.y) ** 2).mean() / 2

    value, wanted = loss(params), 0.1 * (task.y**2).mean() / 2
    while value > wanted:
        before = params
        gradient = jax.grad(loss)(params)
        params = jax.tree.map(lambda a, g: a - rate * scale**2 * g, params, gradient)
        value = loss(params)
    at = {name: [] for name in ("cosine", "trace")}
    for ends in (before, params):  # between which it stops, at a level that it met on the way
        read = knob.read_two_layers(network, task, ends)
        for name, values in at.items():
            values.append(float(getattr(read, name)))
    for name, (low, high) in at.items():
        reading = getattr(found.levels.read, name)[0, 1, 1]
        slack = 0.5 * abs(high - low)
        assert min(low, high) - slack <= reading <= max(low, high) + slack


def test_richness_is_the_distance_that_the_linear_model_moves(found, start):
    task, network, params, _ = start
    kernel = kernels.empirical_ntk(network, params, task.x)
    alpha = found.start.residual[0, 1]
    loss = ((task.y - kernel @ alpha) ** 2).sum() / (task.y**2).sum()
    np.testing.assert_allclose(loss, 0.1, rtol=1e-9)
    _, pull = jax.vjp(lambda params: network.apply(params, task.x)[:, 0], params)
    [moved] = pull(jnp.asarray(alpha))
    square = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(moved))
    scale = setting.scales(setting.Shape(INPUTS, WIDTH), R)
    expected = scale * np.sqrt(2 * square / WIDTH)
    np.testing.assert_allclose(found.richness[0, :, 1], expected, rtol=1e-9)


def test_a_lazy_network_is_its_linear_model(found):
    assert (found.levels.change[:, 0] < 0.1 * found.levels.change[:, 1]).all()
    assert (found.levels.clock[:, 0] < 0.1 * found.levels.clock[:, 1]).all()
    np.testing.assert_allclose(found.levels.error[:, 0], found.start.error, rtol=0.02)


def test_the_scale_of_richness_one(found):
    one = measured.scale_of(found, INPUTS, WIDTH, R)
    scales = setting.scales(setting.Shape(INPUTS, WIDTH), R)
    ratio = found.richness[..., 0].mean(0) / scales
    np.testing.assert_allclose(one * ratio, 1, rtol=1e-9)


def test_both_levels_are_met_and_the_second_is_richer(found):
    assert (found.levels.steps > 0).all()
    assert (found.richness[..., 1] > found.richness[..., 0]).all()
    assert (found.levels.read.cosine[:PAIRS, 1, 1] != found.levels.read.cosine[:PAIRS, 1, 0]).all()


def test_what_is_read_of_weights_is_what_it_says(start):
    task, network, params, _ = start
    read = knob.read_two_layers(network, task, params)
    W, v = np.asarray(params[0]["weight"]), np.asarray(params[1]["weight"][0])
    along = W @ task.direction
    cosine = v @ along / np.linalg.norm(v) / np.linalg.norm(along)
    np.testing.assert_allclose(read.cosine, cosine, rtol=1e-12)
    np.testing.assert_allclose(read.edge, np.linalg.norm(W, 2) / WIDTH**0.5, rtol=1e-12)
    np.testing.assert_allclose(read.along, along @ along / WIDTH, rtol=1e-12)
    kernel = np.asarray(kernels.empirical_ntk(network.apply, params, task.x))
    np.testing.assert_allclose(read.target, task.y @ kernel @ task.y / (task.y @ task.y))
    ends = np.linalg.eigvalsh(kernel)[[0, -1]]
    np.testing.assert_allclose([read.smallest, read.largest], ends, rtol=1e-9)


def test_floors_of_angle_and_tail_are_those_of_random_weights():
    floors = measured.floors_at(jax.random.key(1), INPUTS, WIDTH, 200)
    np.testing.assert_allclose(floors.alignment, WIDTH**-0.5, rtol=0.2)
    edge = lenses.edge_floor(INPUTS, WIDTH)
    np.testing.assert_allclose(floors.tail, edge.sd / edge.mean, rtol=0.3)


def test_alarms_ring_where_the_mean_signal_is_two_floors(found):
    samples = np.array([[0.1, 0.4, 1.6], [0.1, 0.4, 1.6]])
    assert measured.ring(samples, np.array([1.0, 2.0, 4.0]), 0.4) == pytest.approx(8**0.5)
    assert measured.ring(samples, np.array([1.0, 2.0, 4.0]), 40.0) == 8  # beyond the grid
    assert measured.ring(samples, np.array([1.0, 2.0, 4.0]), 0.01) == 0.5  # before it
    share = measured.share_of_floor(samples, np.array([1.0, 2.0, 4.0]), 0.4)
    assert share == pytest.approx(0.5)  # since the samples grow as R²
    opposite = np.stack([samples, -samples], -1)
    np.testing.assert_allclose(measured.size_of(opposite), samples[0])
    floors = measured.Floors(*np.ones(9))
    given = measured.alarms_of(found, floors, level=1)
    assert list(given) == list(measured.Floors._fields)
    gain = np.log(found.levels.read.trace[..., 1] / found.start.read.trace[:, None])
    np.testing.assert_allclose(given["trace"][0], measured.over_signs(gain))


def test_a_twin_starts_from_the_same_moments(start):
    task, network, params, all_params = start
    twins = measured.equivalents_at(jax.random.key(0), INPUTS, WIDTH, R, PAIRS)
    moments = lenses.gaussian_moments(setting.ACTIVATIONS["erf"])
    begin = lenses.layer_moments(params[0]["weight"], params[1]["weight"][0])
    shape = setting.Shape(INPUTS, WIDTH)
    rate, scale = knob.rate_of(shape, task, all_params), setting.scales(shape, R)[1]
    run = lenses.train_equivalent(task.x, task.y, moments, scale, WIDTH, rate, 0.1, begin)
    end, first = (
        lenses.equivalent_readings(state, task.x, task.y, task.direction, moments)
        for state in (run.moments, begin)
    )
    np.testing.assert_allclose(twins.trace[0, 1], np.log(end.trace / first.trace), rtol=1e-9)
    np.testing.assert_allclose(twins.cosine[0, 1], end.cosine, rtol=1e-9)


def test_the_meter_forecasts_small_deviations(found):
    meters = measured.meters_at(jax.random.key(0), INPUTS, WIDTH, PAIRS)
    assert meters.shape == (2 * PAIRS, 2, setting.TESTS)
    known, ended = measured.known_and_ended(found, meters, INPUTS, WIDTH, R)
    assert {value.shape for value in (*known.values(), *ended.values())} == {(2 * PAIRS, 2)}
    assert (known["meter"][:, 1] > known["meter"][:, 0]).all()


def test_deeper_networks_grow_more_and_digits_have_a_direction():
    shallow, deep = (
        others.deep_at_knob(jax.random.key(2), hidden, INPUTS, WIDTH, (0.5,), 2)
        for hidden in (1, 2)
    )
    gain = [
        float((one.levels.read.target[..., 0] / one.start.read.target[:, None]).mean())
        for one in (shallow, deep)
    ]
    assert gain[1] > gain[0] > 1
    assert deep.levels.read.edges.shape == (4, 1, 1, 2)
    digits = others.digits_at_knob(jax.random.key(3), 16, (0.5,), 1, samples=16, level=0.5)
    assert (measured.signals(digits)["alignment"] > 0.1).all()
