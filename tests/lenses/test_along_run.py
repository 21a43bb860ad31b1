"""The four instruments along a run."""

from itertools import chain, combinations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lazyrich import curvature, linearization, mechanisms, networks, spectra
from lazyrich.lenses import LENSES, lenses
from lazyrich.training import mean_squared_error, train

NETWORK = networks.fully_connected((24, 32, 1), jnp.tanh)
X = jax.random.normal(jax.random.key(0), (12, 24))
Y = X[:, :1]
PARAMS = NETWORK.init(jax.random.key(1))
STEPS = [1, 4]


def readout(params, x):
    return NETWORK.features(params, x)[-1], params[-1]["weight"]


def seen(optimizer=None, looking=tuple(LENSES), **options):
    optimizer = optimizer or optax.sgd(0.1)
    given = {"readout": readout, "looking": looking} | options
    return lenses(NETWORK.apply, PARAMS, X, Y, optimizer, STEPS, **given)


@pytest.fixture(scope="module")
def whole():
    return seen()


def values(found, what):
    return np.array([one.value for one in found.readings if one.what == what])


def references(found, what):
    return np.array([one.reference for one in found.readings if one.what == what])


SUBSETS = list(chain.from_iterable(combinations(LENSES, n) for n in (1, 2, 4)))


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), optax.adam(0.01)])
def test_training_is_the_same_bit_for_bit_whatever_looks_at_it(optimizer):
    def loss(params, _):
        return mean_squared_error(NETWORK.apply(params, X), Y)

    alone = train(loss, PARAMS, optimizer, [0, *STEPS], lambda params, _: (params, loss(params, 0)))
    for looking in SUBSETS:
        found = seen(optimizer, looking)
        jax.tree.map(np.testing.assert_array_equal, found.params, alone.params)
        assert list(dict.fromkeys(one.lens for one in found.readings)) == list(looking)


def test_the_distance_is_that_of_network_and_linear_model(whole):
    def run(apply):
        def loss(params, _):
            return mean_squared_error(apply(params, X), Y)

        return apply(train(loss, PARAMS, optax.sgd(0.1), [STEPS[-1]]).params, X)

    linear = run(linearization.linearize(NETWORK.apply, PARAMS))
    apart = jnp.sqrt(((run(NETWORK.apply) - linear) ** 2).mean())
    moved = jnp.sqrt(((linear - NETWORK.apply(PARAMS, X)) ** 2).mean())
    found = values(whole, "‖F − F_lin‖/‖F_lin − F₀‖")
    np.testing.assert_allclose(found[-1], apart / moved, rtol=1e-3)
    assert found[0] == 0


def test_the_ends_of_the_spectrum_are_those_of_gauss_newton(whole):
    last = curvature.condition_number(NETWORK.apply, whole.params, X, rank=12)
    np.testing.assert_allclose(values(whole, "κ")[-1], last.value, rtol=1e-3)
    top = curvature.gauss_newton_spectrum(NETWORK.apply, PARAMS, X)[-1]
    np.testing.assert_allclose(references(whole, "λ_max"), float(top), rtol=1e-5)


def test_the_angle_is_that_of_the_chapter_on_mechanisms(whole):
    angle = mechanisms.alignment(NETWORK, whole.params, X)
    root = float(jnp.sqrt((angle.cosine**2).mean()))
    np.testing.assert_allclose(values(whole, "cos ζ (RMS)")[-1], root, rtol=1e-5)
    scale = float(angle.scale.mean()) / NETWORK.layers[-1].multiplier
    np.testing.assert_allclose(values(whole, "scale |u||h|")[-1], scale, rtol=1e-5)
    np.testing.assert_allclose(values(whole, "cos between h and h₀")[0], 1, rtol=1e-6)


def test_the_spectra_are_those_of_weights_and_updates(whole):
    W, first = whole.params[0]["weight"], PARAMS[0]["weight"]
    np.testing.assert_allclose(
        values(whole, "Hill's exponent")[-1], spectra.hill(spectra.weight_spectrum(W)), rtol=1e-4
    )
    rank = spectra.stable_rank(spectra.weight_spectrum(np.asarray(W) - np.asarray(first)))
    ranks = values(whole, "stable rank of the update")
    np.testing.assert_allclose(ranks[-1], rank, rtol=1e-3)
    assert np.isnan(ranks[0])


def test_a_network_that_is_linear_in_its_parameters_stays_on_its_linear_model():
    found = lenses(
        lambda w, x: x @ w, jnp.zeros((24, 1)), X, Y, optax.sgd(0.1), STEPS,
        looking=["linearization", "conditioning"],
    )  # fmt: skip
    np.testing.assert_allclose(values(found, "‖F − F_lin‖/‖F_lin − F₀‖"), 0, atol=1e-6)
    np.testing.assert_allclose(values(found, "λ_max"), references(found, "λ_max"), rtol=1e-6)


def test_the_table_has_a_row_a_reading_and_the_text_the_last_step(whole):
    table = whole.table()
    assert {len(column) for column in table.values()} == {len(whole.readings)}
    assert sorted(set(table["step"])) == [0, *STEPS]
    assert str(whole).startswith("after 4 steps\n  linearization")
    assert len(str(whole).splitlines()) == 1 + 1 + 2 + 3 + 3


def test_the_plot_has_a_panel_a_lens(whole):
    figure = whole.plot()
    assert [axes.get_title() for axes in figure.axes] == list(LENSES)


def test_another_loss_and_other_labels():
    labels = jnp.arange(12) % 3
    network = networks.fully_connected((24, 32, 3), jnp.tanh)

    def loss(logits, labels):
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    found = lenses(
        network.apply, network.init(jax.random.key(2)), X, labels, optax.sgd(0.5), [3], loss,
        looking=["linearization"],
    )  # fmt: skip
    losses = found.table()["loss"]
    assert losses[1] < losses[0] and found.readings[1].value > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"looking": ["tails"]}, "looking must be one of .*linearization.*, got 'tails'"),
        ({"looking": ["mechanisms"], "readout": None}, "looking must name a lens that can look"),
        ({"looking": []}, "looking must name a lens that can look"),
        ({"smallest": 100}, "params must have a matrix with 100 rows and columns"),
        ({"readout": lambda params, x: (x, x[0])}, "readout must give"),
        ({"readout": lambda params, x: x}, "readout must give two arrays"),
        ({"readout": lambda params, x: x[:2]}, "readout must give two arrays"),
        ({"readout": lambda params, x: {"h": x}}, "readout must give two arrays"),
        ({"readout": lambda params, x: (x[:3], x)}, "readout must give a row for each of 12"),
        ({"optimizer": optax.sgd(1e38)}, "optimizer must not diverge"),
    ],
)
def test_what_cannot_be_looked_at_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        seen(**options)


def test_one_lens_may_be_named_alone_and_none_counts_twice():
    one = seen(looking="conditioning")
    assert {reading.lens for reading in one.readings} == {"conditioning"}
    twice = seen(looking=["conditioning", "conditioning"])
    assert len(twice.readings) == len(one.readings)


def test_a_schedule_must_increase():
    with pytest.raises(ValueError, match="schedule"):
        lenses(NETWORK.apply, PARAMS, X, Y, optax.sgd(0.1), [4, 1])
