from functools import partial

import jax
import numpy as np
from sklearn.datasets import load_digits

from lazyrich.derivatives import jacobian
from lazyrich.experiments.linearization.digits_beside_linear import (
    correlations_on_digits,
    digits_weights,
    gradient_descent_on_digits,
    standardised,
)
from linearization.small import close

KEY, SEEDS, WIDTH, TRAIN, STEPS = jax.random.key(0), 2, 5, 6, 7


def apply(params, x):
    (w, b), (v, c) = ((layer["weight"], layer["bias"]) for layer in params)
    hidden = jax.scipy.special.erf(x @ w.T / 8 + 0.05 * b)
    return hidden @ v.T / WIDTH**0.5 + 0.05 * c


def test_a_run_is_gradient_descent_beside_its_linear_model():
    run = gradient_descent_on_digits(KEY, WIDTH, SEEDS, STEPS, TRAIN, "erf", rate=0.8)
    on_images, on_weights = jax.random.split(KEY)
    x, y, x_test = standardised(on_images, TRAIN)
    start = params = digits_weights(jax.random.fold_in(on_weights, 1), WIDTH)
    rms = lambda values: np.sqrt(np.mean(np.asarray(values) ** 2))  # noqa: E731

    def loss(params):
        return ((apply(params, x) - y) ** 2).mean() / 2

    slopes = jax.jit(jax.grad(loss))
    v = slopes(start)
    F = lambda t: apply(jax.tree.map(lambda w, v: w + t * v, start, v), x_test)  # noqa: E731
    at_start = correlations_on_digits(KEY, WIDTH, SEEDS, TRAIN, "erf", rate=0.8)
    close(at_start.C01[1], 0.8 * rms(jax.jvp(F, (0.0,), (1.0,))[1]))
    close(at_start.C02[1], 0.32 * rms(jax.jit(jax.jacfwd(jax.jacfwd(F)))(0.0)))
    rows = jax.jit(partial(jacobian, apply))
    J, J_test = rows(start, x), rows(start, x_test)
    linear, linear_test = apply(start, x).ravel(), apply(start, x_test).ravel()
    averaged, averaged_test = apply(start, x), apply(start, x_test)
    K, K_test = (
        np.mean([rows[o::10] @ J[o::10].T for o in range(10)], axis=0) for rows in (J, J_test)
    )
    for _ in range(STEPS):
        params = jax.tree.map(lambda w, s: w - 0.8 * s, params, slopes(params))
        c = (linear - y.ravel()) / y.size
        linear, linear_test = linear - 0.8 * J @ (J.T @ c), linear_test - 0.8 * J_test @ (J.T @ c)
        c = (averaged - y) / y.size
        averaged, averaged_test = averaged - 0.8 * K @ c, averaged_test - 0.8 * K_test @ c
    far = rms(apply(params, x_test).ravel() - linear_test) / rms(linear_test)
    close(run.discrepancy[1], far, rtol=1e-9)
    far = rms(apply(params, x_test) - averaged_test) / rms(linear_test)
    close(run.from_averaged[1], far, rtol=1e-9)


def test_the_images_have_one_mean_and_deviation_and_targets_one_of_ten():
    images, labels = load_digits(return_X_y=True)
    x, y, x_test = standardised(KEY, 1000, 797)
    both = np.concatenate([x, x_test])
    close([both.mean(), both.std()], [0, 1], atol=1e-12)
    assert (y.sum(0) <= np.bincount(labels)).all() and (y.sum(1) == 1).all()
    close(both.sum(1).sum(), 0, atol=1e-8)
    first = np.abs((images - images.mean()) / images.std() - x[0]).max(1).argmin()
    assert labels[first] == y[0].argmax()


def test_a_narrower_network_has_the_first_neurons_of_a_wider_one():
    narrow, wide = (digits_weights(KEY, width) for width in (4, 7))
    np.testing.assert_array_equal(narrow[0]["weight"], wide[0]["weight"][:4])
    np.testing.assert_array_equal(narrow[0]["bias"], wide[0]["bias"][:4])
    np.testing.assert_array_equal(narrow[1]["weight"], wide[1]["weight"][:, :4])
    np.testing.assert_array_equal(narrow[1]["bias"], wide[1]["bias"])
    assert not np.isin(wide[0]["bias"], wide[0]["weight"]).any()  # drawn beside them, not from them
