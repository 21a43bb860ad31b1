import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import networks
from lazyrich.derivatives import jacobian
from lazyrich.linearization import (
    predict_linear,
    relative_gradient_change,
    train_beside_linear,
)
from linearization.small import close, drawn

DEEP = networks.fully_connected((3, 6, 5, 1), jnp.tanh, networks.neural_tangent, gain=1.0)
PARAMS, X, Y, X_TEST = DEEP.init(jax.random.key(1)), drawn(4, 3), drawn(4), drawn(2, 3)


def train(network=DEEP, rate=0.4, schedule=(0, 6), y=Y, **options):
    return train_beside_linear(network, PARAMS, X, y, X_TEST, rate, schedule, **options)


# Changes of the gradient


def test_changes_of_the_gradient_are_those_of_the_jacobian():
    net = networks.fully_connected((3, 5, 4, 2), jnp.tanh, networks.maximal_update)
    start, x = net.init(jax.random.key(0)), drawn(6, 3)
    for step in (1.0, 1e-9):
        moved = jax.tree.map(lambda w, step=step: w + step * jnp.sin(9 * w), start)
        J, J_0 = jacobian(net.apply, moved, x), jacobian(net.apply, start, x)
        share = np.linalg.norm(J - J_0) / np.linalg.norm(J_0)
        tolerance = 1e-12 if step == 1 else 1e-6
        close(relative_gradient_change(net, moved, start, x), share, rtol=tolerance)
        close(relative_gradient_change(net.apply, moved, start, x), share, rtol=tolerance)
    assert relative_gradient_change(net, start, start, x) == 0


# Training


def test_the_linear_model_of_a_deep_network_is_that_of_its_jacobian():
    J, J_test = (jacobian(DEEP.apply, PARAMS, x) for x in (X, X_TEST))
    outputs, outputs_test = (DEEP.apply(PARAMS, x)[:, 0] for x in (X, X_TEST))
    kernel = jnp.concatenate([J, J_test]) @ J.T
    [linear] = predict_linear(jnp.concatenate([outputs, outputs_test]), kernel, Y, 0.4, [6])
    params = PARAMS
    for _ in range(6):
        params = jax.tree.map(
            lambda w, g: w - 0.4 * g,
            params,
            jax.grad(lambda p: ((DEEP.apply(p, X)[:, 0] - Y) ** 2).mean() / 2)(params),
        )
    run = train()
    close(run.residual[1], np.sqrt(((linear[:4] - Y) ** 2).mean()))
    off = DEEP.apply(params, X_TEST)[:, 0] - linear[4:]
    close(run.output[1], np.sqrt((off**2).mean()), rtol=1e-8)
    K, K_0 = (rows @ rows.T for rows in (jacobian(DEEP.apply, params, X), J))
    close(run.kernel[1], np.linalg.norm(K - K_0) / np.linalg.norm(K_0), rtol=1e-8)
    close(run.gradient[1], relative_gradient_change(DEEP, params, PARAMS, X), rtol=1e-8)
    assert max(run.output[0], run.kernel[0], run.gradient[0]) < 1e-14


def test_a_function_goes_through_its_jacobian_to_the_same_numbers():
    layered, general = train(), train(DEEP.apply)
    jax.tree.map(lambda one, other: close(one, other, rtol=1e-8, atol=1e-14), layered, general)


def test_a_step_may_take_one_sample_with_noise_on_its_target():
    run = train(schedule=(2,), samples=jnp.array([3, 3]), noise=jnp.array([0.5, 0.5]))
    one = train_beside_linear(DEEP, PARAMS, X[3:], Y[3:] + 0.5, X_TEST, 0.4, (2,))
    close(run.output, one.output)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"schedule": (3, 3)}, "schedule must hold increasing numbers"),
        ({"rate": 0.0}, "rate must be positive, got 0.0"),
        ({"scale": -1.0}, "scale must be positive, got -1.0"),
        (
            {"y": Y[1:]},
            r"outputs and y must have shapes \(4, 1\) and \(4,\), got \(4, 1\) and \(3,\)",
        ),
        ({"network": lambda params, x: x}, r"got \(4, 3\) and \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(**options)
