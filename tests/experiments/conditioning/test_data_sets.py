from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.conditioning import bounds, loss_above_floor
from lazyrich.experiments.conditioning.data_sets import (
    DATA_SETS,
    classification,
    images,
    inputs_of,
    whole_moment,
)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def test_the_data_have_their_names_and_are_as_they_say():
    assert {"digits", "photographs", "MNIST", "CIFAR-10"} <= set(DATA_SETS)
    assert images("digits").x.shape == (1000, 61)
    assert images("digits", all_pixels=True).x.shape == (1000, 64)
    for name, kappa in (("digits", 7.0e6), ("photographs", 5e4)):
        x, labels = images(name)
        assert len(x) == len(labels) == 1000
        raw, white = inputs_of(name, whiten=False), inputs_of(name)
        close(raw.variances, np.linalg.eigvalsh(x.T @ x / 1000), rtol=1e-8)
        close(bounds.data_condition_number(raw), kappa, rtol=0.2)
        assert (white.variances == 1).all() and (white.directions == raw.directions).all()


def test_a_number_of_inputs_stands_for_white_data():
    inputs = inputs_of(4)
    assert inputs.variances.tolist() == [1] * 4
    np.testing.assert_array_equal(inputs.directions, np.eye(4))


def test_a_data_set_is_decomposed_once():
    assert inputs_of("few", whiten=False) is inputs_of("few", whiten=False)


def test_the_whole_moment_keeps_the_directions_without_variance(few):
    inputs = whole_moment("few")
    assert inputs.variances.shape == (6,) and inputs.variances[0] < 1e-15 < inputs.variances[1]
    Q = np.asarray(inputs.directions)
    close(Q @ np.diag(inputs.variances) @ Q.T, few.x.T @ few.x / 30, atol=1e-15)


@pytest.mark.parametrize("data", ["few", "digits"])
def test_classes_are_told_by_least_squares_with_targets_one_of_ten(data):
    for all_pixels, whiten in ((False, False), (False, True), (True, False)):
        x, labels = map(np.asarray, images(data, all_pixels))
        inputs, optimum = classification(data, whiten, all_pixels)
        Q, variances = map(np.asarray, (inputs.directions, inputs.variances))
        raw = np.linalg.eigvalsh(x.T @ x / len(x))[-len(variances) :]
        close(variances, np.ones(len(raw)) if whiten else raw, rtol=1e-8)
        W = np.linalg.lstsq(x @ Q / np.sqrt(raw), np.eye(10)[labels])[0].T  # on white inputs
        close(optimum, W, atol=1e-10)
    assert len(Q) == {"few": 6, "digits": 64}[data]  # all pixels
    assert len(variances) == {"few": 5, "digits": 61}[data]


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("data", ["few", "digits"])
def test_the_loss_is_that_of_the_samples_above_its_least_value(data, whiten):
    x, labels = map(np.asarray, images(data))
    problem, rng = classification(data, whiten), np.random.default_rng(0)
    if whiten:
        values, Q = np.linalg.eigh(x.T @ x / len(x))
        x = x @ (Q / np.sqrt(values)) @ Q.T
    y = np.eye(10)[labels]
    floor = x @ np.linalg.lstsq(x, y)[0]
    for sizes in ((x.shape[1], 10), (x.shape[1], 4, 10)):
        weights = [rng.normal(0, n**-0.5, (m, n)) for n, m in pairwise(sizes)]
        F = x
        for W in weights:
            F = F @ W.T
        expected = (((F - y) ** 2).sum() - ((floor - y) ** 2).sum()) / (2 * len(x))
        close(loss_above_floor([jnp.asarray(W) for W in weights], problem), expected)
