import jax
import numpy as np
import pytest

from lazyrich.draws import normal
from lazyrich.experiments.linearization.family import (
    external_scale,
    first_normal,
    network,
    noise_of_samples,
    order_of_samples,
    probe,
    seed_keys,
    toy_task,
    toy_tasks,
    weights,
    weights_of_one,
)
from linearization.small import close

KEY = jax.random.key(0)


def test_a_narrower_network_has_the_first_neurons_of_a_wider_one():
    narrow, wide = weights(KEY, 10, 3, 2), weights(KEY, 16, 3, 2)
    assert [layer["weight"].shape for layer in wide] == [
        (2, 16, 10),
        (2, 16, 16),
        (2, 16, 16),
        (2, 1, 16),
    ]
    for few, many in zip(narrow, wide, strict=True):
        _, rows, columns = few["weight"].shape
        np.testing.assert_array_equal(few["weight"], many["weight"][:, :rows, :columns])


def test_weights_are_standard_normal_and_independent():
    params = weights(KEY, 64, 2, 3)
    for layer in params[:2]:
        W = np.asarray(layer["weight"])
        assert len(np.unique(W)) == W.size
        assert abs(W.mean()) < 5 / W.size**0.5 and abs(W.std() - 1) < 5 / W.size**0.5
    assert not np.isin(params[0]["weight"], params[1]["weight"]).any()


def test_more_seeds_begin_with_the_same_ones_and_an_offset_moves_the_output_weights():
    few, many = weights(KEY, 8, 1, 2), weights(KEY, 8, 1, 3, offset=1.0)
    np.testing.assert_array_equal(few[0]["weight"], many[0]["weight"][:2])
    close(few[1]["weight"] + 1, many[1]["weight"][:2])


@pytest.mark.parametrize("a", [0.25, 0.5, 1.0])
def test_a_member_of_the_family_is_the_network_with_an_external_scale(a):
    params = jax.tree.map(lambda leaf: leaf[0], weights(KEY, 12, 1, 1))
    x = toy_tasks(KEY, 1).x[0]
    outputs = external_scale(12, a) * network(12).apply(params, x)[:, 0]
    w, v = (np.asarray(layer["weight"]) for layer in params)
    close(outputs, 12**-a * np.tanh(x @ w.T / 10**0.5) @ v[0], rtol=1e-12)


def test_deeper_networks_are_in_ntk_parametrisation():
    params = jax.tree.map(lambda leaf: leaf[0], weights(KEY, 12, 2, 1))
    x = toy_tasks(KEY, 1).x[0]
    w, W, v = (np.asarray(layer["weight"]) for layer in params)
    hidden = np.sin(2 * np.sin(2 * x @ w.T / 10**0.5) / 2 @ W.T / 12**0.5) / 2
    outputs = network(12, 2, "sin", 2.0).apply(params, x)[:, 0]
    close(outputs, hidden @ v[0] / 12**0.5, rtol=1e-12)


def test_a_task_is_the_same_for_each_seed_and_has_its_targets():
    few, many = toy_tasks(KEY, 2), toy_tasks(KEY, 3)
    np.testing.assert_array_equal(few.x, many.x[:2])
    assert many.x.shape == (3, 8, 10) and many.x_test.shape == (3, 16, 10)
    x = np.asarray(many.x)
    close(many.y, np.sin(2 * x[..., 0]) + x[..., 1] * x[..., 2] / 2, rtol=1e-12)


def test_inputs_may_have_one_length_and_then_their_own_targets():
    x, y, x_test = (np.asarray(part) for part in toy_tasks(KEY, 2, rescaled=True))
    close(np.linalg.norm(x, axis=-1), 10**0.5)
    close(y, np.sin(2 * x[..., 0]) + x[..., 1] * x[..., 2] / 2, rtol=1e-12)
    np.testing.assert_array_equal(x_test, toy_tasks(KEY, 2).x_test)


def test_the_probe_has_a_residual_of_length_one_and_an_input_of_its_own():
    x, residual, x_test = probe(KEY)
    assert x.shape == (4, 10) and x_test.shape == (1, 10)
    assert residual.tolist() == [0.5, -0.5, 0.5, -0.5]
    assert not np.isin(x_test, x).any()


def test_the_order_of_samples_is_uniform_and_not_that_of_another_seed():
    order = np.asarray(order_of_samples(KEY, 2, 4000))
    assert (np.abs(np.bincount(order[0]) - 500) < 100).all()
    assert 0.05 < (order[0] == order[1]).mean() < 0.2


def test_the_noise_of_the_samples_is_standard_normal_and_a_seeds_own():
    noise = np.asarray(noise_of_samples(KEY, 2, 4000))
    np.testing.assert_array_equal(noise[0], noise_of_samples(KEY, 1, 4000)[0])
    assert np.abs(noise.mean(1)).max() < 0.06 and np.abs(noise.std(1) - 1).max() < 0.05
    assert abs(np.corrcoef(noise)[0, 1]) < 0.06


def test_first_numbers_are_those_of_a_draw_in_any_shape():
    for shape in ((3, 4), (1,), (300, 300)):
        np.testing.assert_array_equal(first_normal(KEY, shape), normal(KEY, shape))


def test_a_seed_by_its_own_key_is_that_of_all():
    own = seed_keys(KEY, 3)[2]
    for one, three in (
        (toy_task(own, True), toy_tasks(KEY, 3, True)),
        (weights_of_one(own, 5, 2, 1.0), weights(KEY, 5, 2, 3, 1.0)),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[2]), one, three)
