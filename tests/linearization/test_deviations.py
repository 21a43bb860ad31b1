import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

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
    trained = DEEP.apply(params, X)[:, 0]
    close(run.training_output[1], np.sqrt(((trained - linear[:4]) ** 2).mean()), rtol=1e-8)
    close(run.network_residual[1], np.sqrt(((trained - Y) ** 2).mean()))
    close(run.network_residual[0], run.residual[0])
    at_start = run.output[0], run.kernel[0], run.gradient[0], run.training_output[0]
    assert max(at_start) < 1e-14


def test_a_function_goes_through_its_jacobian_to_the_same_numbers():
    layered, general = train(), train(DEEP.apply)
    jax.tree.map(lambda one, other: close(one, other, rtol=1e-8, atol=1e-14), layered, general)


def test_a_step_may_take_one_sample_with_noise_on_its_target():
    run = train(schedule=(2,), samples=jnp.array([3, 3]), noise=jnp.array([0.5, 0.5]))
    one = train_beside_linear(DEEP, PARAMS, X[3:], Y[3:] + 0.5, X_TEST, 0.4, (2,))
    close(run.output, one.output)


def test_digits_in_bytes_train_as_the_same_numbers_in_floats():
    images, labels = load_digits(return_X_y=True)
    y = 1.0 - 2.0 * (labels[:12] % 2)
    network = networks.fully_connected((64, 8, 1), jnp.tanh)
    params = jax.tree.map(lambda w: w / 16, network.init(jax.random.key(0)))
    in_floats, in_bytes = (
        train_beside_linear(network, params, x[:8], y[:8], x[8:], 0.1, (0, 20))
        for x in (images[:12], images[:12].astype(np.uint8))
    )
    assert in_floats.kernel[1] > 0.1
    jax.tree.map(lambda one, other: close(one, other, rtol=1e-12), in_bytes, in_floats)


def test_single_precision_is_kept_and_double_targets_will_do():
    params = jax.tree.map(lambda w: w.astype(jnp.float32), PARAMS)
    x, y, x_test = np.asarray(X, np.float32), np.asarray(Y), np.asarray(X_TEST, np.float32)
    run = train_beside_linear(DEEP, params, x, y, x_test, 0.4, (0, 6))
    assert {leaf.dtype for leaf in run} == {np.dtype(np.float32)}
    jax.tree.map(lambda one, other: close(one[1], other[1], rtol=1e-3), run, train())


def test_a_network_that_has_no_derivative_backwards_is_refused():
    loop = lambda w, x: jax.lax.while_loop(  # noqa: E731
        lambda s: s[0] < 1, lambda s: (s[0] + 1, jnp.sin(s[1])), (0, x @ w)
    )[1]
    with pytest.raises(ValueError, match="apply must be differentiable by jax.vjp: Reverse-mode"):
        train_beside_linear(loop, jnp.ones((3, 1)), X, Y, X_TEST, 0.4, (0, 6))


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
        ({"y": Y * jnp.nan}, "y must be finite, got nan"),
        ({"samples": [1, 2]}, "samples must have one for each of 6 steps, got 2"),
        ({"noise": [0.1] * 5}, "noise must have one for each of 6 steps, got 5"),
        ({"samples": [1.0] * 6}, "samples must be of integers"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(**options)
