import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazyrich import networks
from lazyrich.linearization import (
    contracted,
    laziness,
    update_direction,
)
from linearization.small import PARAMS, X_TEST, X, apply, close, derivative, drawn

Y, ETA, STEPS = drawn(5) / 2, 0.7, 6
TWO = networks.fully_connected((3, 4, 2), jnp.tanh, networks.neural_tangent, gain=1.0)


def dense(steps):
    """f_1, f_2 on the test inputs and K_0, K_1, K_2, from all derivatives of the small network."""
    both = jnp.concatenate([X, X_TEST])
    F, J, H, T = (derivative(order, both) for order in range(4))
    first = second = third = np.zeros(J.shape[1])
    for step in range(steps + 1):
        f = [
            F + J @ first,
            J @ second + H @ first @ first / 2,
            J @ third + H @ first @ second + T @ first @ first @ first / 6,
        ]
        G = [J, H @ first, H @ second + T @ first @ first / 2]
        G = [part[:5] for part in G]
        if step < steps:
            r = [(f[0][:5] - np.asarray(Y)) / 5, f[1][:5] / 5, f[2][:5] / 5]
            first, second, third = (
                first - ETA * r[0] @ G[0],
                second - ETA * (r[1] @ G[0] + r[0] @ G[1]),
                third - ETA * (r[2] @ G[0] + r[1] @ G[1] + r[0] @ G[2]),
            )
    K = (sum(G[i] @ G[k - i].T for i in range(k + 1)) for k in range(3))
    return (J @ first)[5:], f[1][5:], f[2][5:], *K


def test_the_reading_is_that_of_the_dense_derivatives():
    reading = laziness(apply, PARAMS, X, Y, ETA, STEPS, X_TEST)
    moved, f_1, f_2, K_0, K_1, K_2 = dense(STEPS)
    close(reading.terms, [f_1, f_2])
    close(reading.distance, np.mean((f_1 + f_2) ** 2) ** 0.5)
    close(reading.movement, np.mean(moved**2) ** 0.5)
    close(reading.kernel, np.linalg.norm(K_1 + K_2) / np.linalg.norm(K_0))


def cross_entropy(logits, labels):
    """Of labels in whole numbers."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (None, np.asarray(drawn(5, 2))),
        (cross_entropy, np.array([0, 1, 1, 0, 1])),
        (lambda F, y: jnp.cosh(F - y).sum(), np.asarray(drawn(5, 2) / 9)),
    ],
    ids=["squared", "cross-entropy", "any"],
)
def test_the_terms_are_the_expansion_of_training_in_the_inverse_of_an_external_scale(loss, y):
    params = TWO.init(jax.random.key(0))
    cost = loss or (lambda F, y: ((F - y) ** 2).mean() / 2)
    start, unravel = ravel_pytree(params)

    def network(way, x, epsilon):
        outputs = TWO.apply(params, x)
        if epsilon == 0:
            return outputs + jax.jvp(lambda w: TWO.apply(unravel(w), x), (start,), (way,))[1]
        return outputs + (TWO.apply(unravel(start + epsilon * way), x) - outputs) / epsilon

    def trained(epsilon):
        slope = jax.jit(jax.grad(lambda way: cost(network(way, X, epsilon), y)))
        way = 0 * start
        for _ in range(STEPS):
            way = way - ETA / 5 * slope(way)
        return np.asarray(network(way, X_TEST, epsilon))

    h = 1e-3
    before, linear, after = (trained(epsilon) for epsilon in (-h, 0, h))
    reading = laziness(TWO.apply, params, X, y, ETA / 5, STEPS, X_TEST, loss)
    close(reading.terms[0], (after - before) / (2 * h), rtol=1e-4, atol=1e-7)
    close(reading.terms[1], (after + before - 2 * linear) / (2 * h**2), rtol=1e-4, atol=1e-6)


def test_after_one_step_the_terms_are_the_correlations():
    v = update_direction(apply, PARAMS, X, (apply(PARAMS, X) - Y) / 5)
    C = contracted(apply, PARAMS, X_TEST, v, 3, ETA)
    close(laziness(apply, PARAMS, X, Y, ETA, 1, X_TEST).terms, [C[1], -C[2]])


@pytest.mark.parametrize("kernel", [True, False])
def test_samples_that_depend_on_each_other_are_refused_in_one_sentence(kernel):
    mixing = lambda params, x: apply(params, x) - apply(params, x).mean()  # noqa: E731
    with pytest.raises(ValueError, match="^apply must treat each sample by itself"):
        laziness(mixing, PARAMS, X, Y, ETA, 2, kernel=kernel)
    reading = laziness(apply, PARAMS, X, Y, ETA, 2, kernel=kernel)
    assert np.isnan(reading.kernel) == (not kernel)


def test_before_training_and_on_the_training_inputs_by_default():
    assert laziness(apply, PARAMS, X, Y, ETA, 0)[:3] == (0, 0, 0)
    here = laziness(apply, PARAMS, X, Y, ETA, 2)
    close(here.terms, laziness(apply, PARAMS, X, Y, ETA, 2, X).terms, rtol=1e-13)


def test_inputs_may_have_any_shape_and_32_bits():
    def images(params, x):
        return apply(params, x.reshape(len(x), 3))

    params, x, y = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (PARAMS, X, Y))
    reading = laziness(images, params, x.reshape(5, 1, 3), y, ETA, STEPS)
    assert reading.distance.dtype == reading.terms.dtype == jnp.float32
    close(reading.terms, laziness(apply, PARAMS, X, Y, ETA, STEPS).terms, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"y": Y[:, None]}, r"y must have the shape of the outputs, \(5,\), got \(5, 1\)"),
        ({"y": Y * jnp.nan}, "y must be finite"),
        ({"loss": lambda F, y: F}, r"loss must give a number from outputs and y, got .* \(5,\)"),
        ({"loss": lambda F, y: F @ y[:2]}, "loss must give a number from outputs and y: "),
        ({"rate": -1.0}, "rate must be positive"),
        ({"steps": -1}, "steps must be an integer of at least 0, got -1"),
        (
            {"x_test": drawn(2, 4)},
            r"apply must take params and x_test, of shape \(2, 4\)",
        ),
        ({"x_test": X[:0]}, "x_test must hold samples along its first axis"),
        ({"x": X * jnp.nan}, "x must be finite, got nan"),
        ({"x_test": X * jnp.nan}, "x_test must be finite, got nan"),
        ({"x": X[:0], "y": Y[:0]}, "x must hold samples along its first axis"),
        ({"x": X[:, :2]}, r"apply must take params and x, of shape \(5, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    arguments = {"x": X, "y": Y, "rate": ETA, "steps": 2} | arguments
    with pytest.raises(ValueError, match=sentence):
        laziness(apply, PARAMS, **arguments)


def test_a_network_is_differentiated_in_both_directions():
    step = lambda s: (s[0] + 1, jnp.sin(s[1]))  # noqa: E731
    loop = lambda params, x: jax.lax.while_loop(  # noqa: E731
        lambda s: s[0] < 1, step, (0, apply(params, x))
    )[1]
    with pytest.raises(ValueError, match="apply must be differentiable three times by jax.jvp, an"):
        laziness(loop, PARAMS, X, Y, ETA, 2)


def test_parameters_are_finite_floats_of_one_dtype():
    for w, sentence in (
        (PARAMS["w"] * jnp.nan, "params must be finite"),
        (jnp.ones((4, 3), int), "params must be an array of floats"),
        (PARAMS["w"].astype(jnp.float32), "params must have the dtype of the outputs, float64"),
    ):
        with pytest.raises(ValueError, match=sentence):
            laziness(apply, PARAMS | {"w": w}, X, Y, ETA, 2)
