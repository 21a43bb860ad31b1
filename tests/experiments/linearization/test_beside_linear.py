import jax
import numpy as np
import pytest

from lazyrich.experiments.linearization.beside_linear import (
    gradient_descent,
    stochastic_gradient_descent,
    taylor_distances,
)
from lazyrich.experiments.linearization.family import (
    noise_of_samples,
    order_of_samples,
    toy_tasks,
    weights,
)
from linearization.small import close

KEY, SEEDS, WIDTH = jax.random.key(0), 2, 6
SLOPES = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}


def rows(w, v, x, scale, activation):
    """α F and its Jacobian for one hidden layer, by hand."""
    phi, slope = SLOPES[activation]
    x = x / 10**0.5
    z = x @ w.T
    by_w = (v * slope(z))[:, :, None] * x[:, None, :]
    J = scale * len(v) ** -0.5 * np.concatenate([by_w.reshape(len(x), -1), phi(z)], axis=1)
    return scale * len(v) ** -0.5 * phi(z) @ v, J


def by_hand(
    batches, rate, scale, centred=False, offset=0.0, rescaled=False, activation="tanh", noise=None
):
    """What the deviations of seed 1 are, in their order, after steps on batches of samples."""
    x, y, x_test = (np.asarray(part[1]) for part in toy_tasks(KEY, SEEDS, rescaled))
    w, v = (np.asarray(layer["weight"][1]) for layer in weights(KEY, WIDTH, 1, SEEDS, offset))
    theta, (F, J) = np.concatenate([w.ravel(), v[0]]), rows(w, v[0], x, scale, activation)
    F_test, J_test = rows(w, v[0], x_test, scale, activation)
    shift, shift_test = (F, F_test) if centred else (0 * F, 0 * F_test)
    T, J_0 = np.concatenate([J, J_test]) @ J.T, J
    linear, eta = np.concatenate([F - shift, F_test - shift_test]), rate / scale**2
    noise = np.zeros(len(batches)) if noise is None else noise
    for batch, added in zip(batches, noise, strict=True):
        w, v = theta[:-WIDTH].reshape(WIDTH, 10), theta[-WIDTH:]
        F, J = rows(w, v, x, scale, activation)
        theta = theta - eta * ((F - shift - y)[batch] - added) @ J[batch] / len(batch)
        residual = (linear[:8] - y)[batch] - added
        linear = linear - eta * T[:, batch] @ residual / len(batch)
    w, v = theta[:-WIDTH].reshape(WIDTH, 10), theta[-WIDTH:]
    F, _ = rows(w, v, x_test, scale, activation)
    trained, J = rows(w, v, x, scale, activation)
    return (
        np.mean((F - shift_test - linear[8:]) ** 2) ** 0.5,
        np.linalg.norm(J @ J.T - J_0 @ J_0.T) / np.linalg.norm(J_0 @ J_0.T),
        np.linalg.norm(J - J_0) / np.linalg.norm(J_0),
        np.mean((linear[:8] - y) ** 2) ** 0.5,
        np.mean((trained - shift - linear[:8]) ** 2) ** 0.5,
        np.mean((trained - shift - y) ** 2) ** 0.5,
    )


def at(deviations, time):
    return [part[1, time] for part in deviations]


# Full steps


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"centred": True, "scale": 3.0},
        {"offset": 1.0, "rescaled": True},
        {"activation": "ReLU"},
    ],
)
def test_a_run_is_gradient_descent_beside_its_linear_model(options):
    run = gradient_descent(KEY, WIDTH, SEEDS, (0, 1, 12), rate=0.4, **options)
    assert run.output.shape == (SEEDS, 3)
    options = {"scale": 1.0} | options
    for time, steps in enumerate((0, 1, 12)):
        expected = by_hand([np.arange(8)] * steps, 0.4, **options)
        close(at(run, time), expected, rtol=1e-9, atol=1e-15)


def test_a_member_of_the_family_is_trained_at_its_own_rate():
    run = gradient_descent(KEY, WIDTH, SEEDS, (5,), rate=0.4, a=0.75)
    expected = by_hand([np.arange(8)] * 5, 0.4, WIDTH ** (0.5 - 0.75))
    close(at(run, 0), expected, rtol=1e-10)


def test_more_seeds_and_other_schedules_leave_a_run_as_it_is():
    few, many = gradient_descent(KEY, WIDTH, 2, (7,)), gradient_descent(KEY, WIDTH, 3, (3, 7))
    for one, other in zip(few, many, strict=True):
        close(one, other[:2, 1:], rtol=1e-12)


# One sample a step


def test_a_stochastic_run_takes_the_samples_of_its_order():
    run = stochastic_gradient_descent(KEY, WIDTH, SEEDS, (1, 20), rate=0.2)
    order = np.asarray(order_of_samples(KEY, SEEDS, 20))[1]
    for time, steps in enumerate((1, 20)):
        expected = by_hand(order[:steps, None], 0.2, 1.0, rescaled=True)
        close(at(run, time), expected, rtol=1e-9, atol=1e-15)


def test_noise_on_the_targets_is_the_same_for_the_linear_model():
    run = stochastic_gradient_descent(KEY, WIDTH, SEEDS, (15,), rate=0.2, noise=0.7)
    order = np.asarray(order_of_samples(KEY, SEEDS, 15))[1]
    noise = 0.7 * np.asarray(noise_of_samples(KEY, SEEDS, 15))[1]
    expected = by_hand(order[:, None], 0.2, 1.0, rescaled=True, noise=noise)
    close(at(run, 0), expected, rtol=1e-9, atol=1e-15)


# Taylor models


def test_taylor_models_of_a_bilinear_network_are_exact_from_order_two():
    distances = taylor_distances(KEY, WIDTH, SEEDS, (1, 2, 3), steps=10, activation="linear")
    assert distances.shape == (SEEDS, 3)
    assert (distances[:, 0] > 1e-6).all() and (distances[:, 1:] < 1e-13).all()


def test_the_first_taylor_model_is_the_linear_model():
    distances = taylor_distances(KEY, WIDTH, SEEDS, (1,), rate=0.4, steps=10)
    run = gradient_descent(KEY, WIDTH, SEEDS, (10,), rate=0.4, rescaled=True)
    close(distances, run.output, rtol=1e-9)


def test_a_later_taylor_model_is_closer():
    distances = np.asarray(taylor_distances(KEY, 64, SEEDS, (1, 3), rate=0.4, steps=4))
    assert (distances[:, 1] < distances[:, 0] / 10).all()


def test_before_the_first_sample_nothing_has_moved():
    assert (stochastic_gradient_descent(KEY, 4, 2, (0,)).output == 0).all()


def test_a_diverging_run_is_a_result():
    run = gradient_descent(KEY, WIDTH, 1, (2000,), rate=100.0)
    assert not np.isfinite(run.output).all()
