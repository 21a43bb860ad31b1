import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazyrich.experiments.linearization.beside_linear import gradient_descent
from lazyrich.experiments.linearization.family import network, probe, toy_tasks, weights
from lazyrich.experiments.linearization.first_steps import (
    correlations_at_start,
    correlations_beyond_layers,
    gradient_turn,
    hessian_difference,
    one_step_at_start,
)
from linearization.small import close

KEY, SEEDS, WIDTH = jax.random.key(0), 2, 6


def start(a=0.75, depth=1, activation="tanh"):
    """The network of seed 1 of the probe as a function of one vector, n^(½−a) times, and η."""
    on_inputs, on_weights = jax.random.split(KEY)
    params = jax.tree.map(lambda leaf: leaf[1], weights(on_weights, WIDTH, depth, SEEDS))
    flat, unravel = ravel_pytree(params)
    net, p = network(WIDTH, depth, activation), probe(on_inputs)
    F = lambda flat, x: WIDTH ** (0.5 - a) * net.apply(unravel(flat), x)[:, 0]  # noqa: E731
    v = p.residual @ jax.jacrev(F)(flat, p.x)
    return (lambda flat: F(flat, p.x_test)[0]), np.asarray(v), flat, 0.5 * WIDTH ** (2 * a - 1)


def test_correlations_at_the_start_are_those_of_dense_derivatives():
    F, v, flat, eta = start()
    measured = correlations_at_start(KEY, WIDTH, SEEDS, a=0.75, order=3)
    gradient, H = jax.grad(F)(flat), np.asarray(jax.hessian(F)(flat))
    third = np.asarray(jax.jit(jax.jacfwd(jax.hessian(F)))(flat))
    assert measured.C0.shape == (SEEDS, 3) and measured.C1.shape == (SEEDS, 2)
    expected = [eta * gradient @ v, eta**2 / 2 * v @ H @ v, eta**3 / 6 * third @ v @ v @ v]
    close(measured.C0[1], expected, rtol=1e-11)
    norms = [eta**1.5 * np.linalg.norm(H @ v), eta**2.5 / 2 * np.linalg.norm(third @ v @ v)]
    close(measured.C1[1], norms, rtol=1e-11)


def test_an_external_scale_divides_all_but_the_kernel():
    one, ten = (correlations_at_start(KEY, WIDTH, SEEDS, scale=scale) for scale in (1.0, 10.0))
    close(ten.C0 / one.C0, np.broadcast_to(10.0 ** -np.arange(4), (SEEDS, 4)), rtol=1e-10)
    close(ten.C1 / one.C1, np.broadcast_to(10.0 ** -np.arange(1, 3), (SEEDS, 2)), rtol=1e-10)


@pytest.mark.parametrize(("activation", "depth"), [("ReLU", 1), ("linear", 2)])
def test_multilinear_networks_have_none_beyond_their_layers(activation, depth):
    measured = correlations_at_start(KEY, WIDTH, SEEDS, depth, activation, free_order=3)
    beyond = correlations_beyond_layers(KEY, WIDTH, SEEDS, depth, activation)
    close(beyond.C0[:, 0], measured.C0[:, depth + 1] / measured.C0[:, 0], atol=1e-14)
    assert beyond.C0.shape == (SEEDS, 2) and beyond.C1.shape == (SEEDS, 1)
    assert max(np.abs(part).max() for part in beyond) < 1e-13
    assert (measured.C0[:, depth] != 0).all() and (
        np.abs(measured.C0[:, depth + 1 :]) < 1e-14
    ).all()
    assert (measured.C1[:, depth - 1] > 0).all() and (measured.C1[:, depth:] < 1e-14).all()


def test_the_first_step_is_that_of_gradient_descent_on_the_task():
    step = one_step_at_start(KEY, WIDTH, SEEDS, depth=2, rate=0.3, order=4)
    assert step.deviation.shape == (SEEDS, 16) and step.terms.shape == (SEEDS, 3, 16)
    x, y, x_test = (part[1] for part in toy_tasks(KEY, SEEDS))
    params = jax.tree.map(lambda leaf: leaf[1], weights(KEY, WIDTH, 2, SEEDS))
    net, eta = network(WIDTH, 2), 0.3

    def F(params, x):
        return net.apply(params, x)[:, 0]

    slopes = jax.grad(lambda params: ((F(params, x) - y) ** 2).mean() / 2)(params)
    moved = jax.tree.map(lambda w, s: w - eta * s, params, slopes)
    change = jax.jvp(lambda params: F(params, x_test), (params,), (slopes,))[1]
    deviation = F(moved, x_test) - F(params, x_test) + eta * change
    close(step.deviation[1], deviation, rtol=1e-9, atol=1e-13)
    falls = np.linalg.norm(step.remainders, axis=-1)
    assert (falls[:, 1:] < falls[:, :-1]).all()


def test_the_first_step_is_expanded_to_order_six_by_default():
    assert one_step_at_start(KEY, 3, 1).terms.shape == (1, 5, 16)


def test_the_first_orders_alone_can_be_had():
    one = correlations_at_start(KEY, 5, 2, order=1, free_order=1)
    more = correlations_at_start(KEY, 5, 2, order=2, free_order=2)
    assert one.C0.shape == one.C1.shape == (2, 1)
    close(one.C0, more.C0[:, :1], rtol=1e-12)
    close(one.C1, more.C1[:, :1], rtol=1e-12)


def test_the_whole_hessian_gives_what_derivatives_along_the_step_give():
    assert np.abs(hessian_difference(KEY, 3)).max() < 1e-12


def test_the_gradient_turns_by_its_correlation_with_the_summed_residuals():
    turn, eta, steps = gradient_turn(KEY, WIDTH, SEEDS, 3, rate=0.3), 0.3, 3
    x, y, _ = (part[1] for part in toy_tasks(KEY, SEEDS))
    params = jax.tree.map(lambda leaf: leaf[1], weights(KEY, WIDTH, 1, SEEDS))
    flat, unravel = ravel_pytree(params)
    F = lambda flat: network(WIDTH).apply(unravel(flat), x)[:, 0]  # noqa: E731
    J, H = np.asarray(jax.jacrev(F)(flat)), np.asarray(jax.jit(jax.jacfwd(jax.jacrev(F)))(flat))
    f, summed = np.asarray(F(flat)), 0
    for _ in range(steps):
        c = (f - y) / len(y)
        f, summed = f - eta * J @ (J.T @ c), summed + c
    expected = eta * np.linalg.norm(H @ (summed @ J)) / np.linalg.norm(J)
    close(turn[1], expected, rtol=1e-10)


def test_a_small_turn_of_the_gradient_is_that_of_training():
    rate = 1e-5
    run = gradient_descent(KEY, WIDTH, SEEDS, (4,), rate)
    close(run.gradient[:, 0], gradient_turn(KEY, WIDTH, SEEDS, 4, rate), rtol=1e-3)
