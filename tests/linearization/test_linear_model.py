import inspect
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich.kernels import empirical_ntk
from lazyrich.linearization import (
    descend_linear,
    flow_linear,
    linear_model,
    linearize,
    predict_linear,
    taylor_expand,
)
from lazyrich.training import gradient_flow, mean_squared_error, train
from linearization.small import PARAMS, UNRAVEL, X_TEST, X, apply, close, derivative, drawn, flat

BOTH = jnp.concatenate([X, X_TEST])
T = empirical_ntk(apply, PARAMS, BOTH)[:, :5]
F = apply(PARAMS, BOTH)
Y = drawn(5)


def residual(outputs):
    return (outputs - Y) / 5


# In parameter space


def test_taylor_models_are_the_dense_polynomials():
    way = np.asarray(drawn(16)) / 10
    moved = UNRAVEL(flat(PARAMS) + way)
    G, H, third = (derivative(order, X) for order in (1, 2, 3))
    expected = apply(PARAMS, X) + G @ way
    close(linearize(apply, PARAMS)(moved, X), expected, rtol=1e-12)
    close(taylor_expand(apply, PARAMS, 0)(moved, X), apply(PARAMS, X), rtol=1e-12)
    expected = expected + H @ way @ way / 2
    close(taylor_expand(apply, PARAMS, 2)(moved, X), expected, rtol=1e-12)
    expected = expected + third @ way @ way @ way / 6
    close(taylor_expand(apply, PARAMS, 3)(moved, X), expected, rtol=1e-12)


def test_the_gradient_of_a_taylor_model_is_that_of_its_polynomial():
    way = np.asarray(drawn(16)) / 10
    moved = UNRAVEL(flat(PARAMS) + way)
    model = taylor_expand(apply, PARAMS, 2)
    slopes = jax.grad(lambda params: model(params, X).sum())(moved)
    close(flat(slopes), (derivative(1, X) + derivative(2, X) @ way).sum(0), rtol=1e-11, atol=1e-13)


def test_negative_orders_are_refused():
    with pytest.raises(ValueError, match="order must be an integer of at least 0, got -1"):
        taylor_expand(apply, PARAMS, -1)


# In kernel space


def test_the_linear_model_is_the_same_in_kernel_and_parameter_space():
    model, eta = linearize(apply, PARAMS), 0.7

    def loss(params, _):
        return mean_squared_error(model(params, X), Y)

    run = train(loss, PARAMS, optax.sgd(eta), range(8), lambda params, _: model(params, BOTH))
    close(descend_linear(F, T, residual, eta, 7), run.observed, rtol=1e-11)


def test_any_cost_will_do():
    model, eta = linearize(apply, PARAMS), 0.7

    def loss(params, _):
        return jnp.log(jnp.cosh(model(params, X) - Y)).sum()

    run = train(loss, PARAMS, optax.sgd(eta), range(8), lambda params, _: model(params, BOTH))
    close(descend_linear(F, T, lambda f: jnp.tanh(f - Y), eta, 7), run.observed, rtol=1e-11)


@pytest.mark.parametrize("share", [0.1, 0.9, 1.7])
def test_the_closed_form_is_gradient_descent(share):
    eta = share * 5 / np.linalg.eigvalsh(T[:5])[-1]
    stepped = descend_linear(F, T, residual, eta, 40)
    close(predict_linear(F, T, Y, eta, [0, 1, 7, 40]), stepped[jnp.array([0, 1, 7, 40])])


def test_a_singular_kernel_will_do():
    few = derivative(1, BOTH)[:, :3]  # three parameters, five samples
    T = jnp.asarray(few @ few[:5].T)
    stepped = descend_linear(F, T, residual, 0.3, 200)
    close(predict_linear(F, T, Y, 0.3, range(201)), stepped, atol=1e-11)


def test_after_long_training_is_the_solution_of_least_squares():
    limit = predict_linear(F, T, Y, 1.0, [10**9])[0]
    close(limit, F + T @ np.linalg.solve(T[:5], Y - F[:5]), rtol=1e-7)


@given(st.floats(0, 1.99), st.integers(0, 60))
def test_geometric_sums_keep_their_digits(x, s):
    exact = sum(((1 - Fraction(x)) ** j for j in range(s)), Fraction(0))
    measured = linear_model._geometric_sum(jnp.array([x]), jnp.array([float(s)]))[0]
    close(measured, float(exact), rtol=1e-12, atol=1e-13)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"kernel must have a row for each of 4 outputs"):
        predict_linear(F[:4], T, Y, 1.0, [1])
    with pytest.raises(ValueError, match=r"y must have a number for each of 5 columns, got \(4,\)"):
        predict_linear(F, T, Y[:4], 1.0, [1])
    with pytest.raises(ValueError, match="kernel must be symmetric"):
        predict_linear(F, T.at[0, 1].add(1.0), Y, 1.0, [1])
    with pytest.raises(ValueError, match="times must be not negative"):
        predict_linear(F, T, Y, 1.0, [-1])
    with pytest.raises(ValueError, match="rate must be positive"):
        descend_linear(F, T, residual, 0.0, 1)
    with pytest.raises(ValueError, match="times must be of integers, got dtype float64"):
        predict_linear(F, T, Y, 1.0, np.array([0.5]))
    with pytest.raises(ValueError, match="kernel must be positive semidefinite, got eigenvalue -"):
        predict_linear(F, -T, Y, 1.0, [1])
    with pytest.raises(
        ValueError, match=r"slope must give a number for each of 5 outputs, got float64"
    ):
        descend_linear(F, T, lambda f: f[:1], 1.0, 1)


def test_times_outputs_and_targets_have_one_axis():
    # The annotations that tests check would refuse some of them first.
    predict = inspect.unwrap(predict_linear)
    for times in ([[1, 2]], 3):
        with pytest.raises(ValueError, match="times must be a sequence of numbers, got shape"):
            predict(F, T, Y, 1.0, times)
    for times in ("a", None, []):
        with pytest.raises(ValueError, match="times must be of integers, got dtype"):
            predict(F, T, Y, 1.0, times)
    with pytest.raises(
        ValueError, match=r"outputs must be a sequence of numbers, got shape \(7, 1"
    ):
        predict(F[:, None], T, Y, 1.0, [1])
    with pytest.raises(ValueError, match=r"y must be a sequence of numbers, got shape \(5, 1\)"):
        predict(F, T, Y[:, None], 1.0, [1])


def test_a_slope_gives_an_array():
    descend = inspect.unwrap(descend_linear)
    for slope, got in (
        (None, "be a function, got NoneType"),
        (lambda f: (f, f), "give a number for each of 5 outputs, got a tuple"),
        (lambda f: [f], "give a number for each of 5 outputs, got a list"),
        (lambda f: None, "give a number for each of 5 outputs, got a NoneType"),
        (lambda f: f > 0, "give a number for each of 5 outputs, got bool of shape"),
    ):
        with pytest.raises(ValueError, match=f"slope must {got}"):
            descend(F, T, slope, 1.0, 1)


def test_precisions_may_differ_and_the_finer_of_outputs_and_kernel_is_kept():
    expected = descend_linear(F, T, residual, 0.7, 7)
    for outputs, kernel in itertools.product((jnp.float32, jnp.float64), repeat=2):
        for slope in (jnp.float32, jnp.float64):
            steps = descend_linear(
                F.astype(outputs),
                T.astype(kernel),
                lambda f, slope=slope: residual(f.astype(float)).astype(slope),
                0.7,
                7,
            )
            assert steps.dtype == np.promote_types(outputs, kernel)
            close(steps, expected, rtol=1e-4)


def test_parameters_that_are_not_finite_or_not_alike_are_refused():
    model = linearize(apply, PARAMS)
    with pytest.raises(
        ValueError, match="the parameters must be a pytree with the shapes of those"
    ):
        model(PARAMS["v"], X)
    with pytest.raises(ValueError, match="the parameters must be finite, got nan"):
        model(PARAMS | {"v": PARAMS["v"] * jnp.nan}, X)
    root = linearize(lambda params, x: x * jnp.sqrt(params), 0.0)
    with pytest.raises(ValueError, match="apply must have finite derivatives, .* in order 1"):
        root(1.0, 1.0)
    with pytest.raises(ValueError, match="apply must be a function, got NoneType"):
        inspect.unwrap(taylor_expand)(None, PARAMS, 1)


def test_beyond_the_largest_rate_the_outputs_leave_the_floats():
    assert not np.isfinite(predict_linear(F, T, Y, 100.0, [1000])).any()


# Gradient flow


def test_the_flow_is_the_limit_of_small_steps_and_of_the_matrix_exponential():
    times = np.array([0.0, 0.3, 2.0, 40.0])
    found = predict_linear(F, T, Y, None, times)
    values, Q = np.linalg.eigh(T[:5])
    for f, t in zip(found, times, strict=True):
        moved = Q @ np.diag(-np.expm1(-t * values / 5) / values) @ Q.T @ (F[:5] - Y)
        close(f, F - T @ moved)
    close(predict_linear(F, T, Y, 1e-4, [400_000])[0], found[-1], rtol=1e-3)
    close(flow_linear(F, T, residual, times), found, rtol=1e-7)


def test_at_the_end_of_a_flow_the_labels_are_fitted():
    [end] = predict_linear(F, T, Y, None, [np.inf])
    close(end, T @ np.linalg.solve(T[:5], Y - F[:5]) + F)
    doubled = jnp.tile(T[:, :3], (1, 2))[jnp.array([0, 1, 2, 0, 1, 2, 5, 6])]  # singular
    twice = jnp.array([0, 1, 2, 0, 1, 2, 5, 6])
    [end] = predict_linear(F[twice], doubled, Y[twice[:6]], None, [np.inf])
    close(end[:3], Y[:3])


def test_the_flow_of_any_cost_is_that_of_parameters():
    cost = lambda f: jnp.cosh(f - Y).mean()  # noqa: E731
    model = linearize(apply, PARAMS)
    times = jnp.array([0.5, 3.0])
    by_parameters = gradient_flow(
        lambda params: cost(model(params, X)), PARAMS, times, observe=lambda p: model(p, BOTH)
    )
    close(flow_linear(F, T, jax.grad(cost), times), by_parameters, rtol=1e-7)


def test_times_of_a_flow_are_not_negative_and_increase():
    predict, flow = inspect.unwrap(predict_linear), inspect.unwrap(flow_linear)
    with pytest.raises(ValueError, match="times must not be negative|times must be"):
        predict(F, T, Y, None, [-1.0])
    with pytest.raises(ValueError, match="times must be finite, got nan"):
        predict(F, T, Y, None, [np.nan])
    with pytest.raises(ValueError, match="times must increase|times must be increasing"):
        flow(F, T, residual, [2.0, 1.0])
