from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.experiments.heavy_tails.long_runs import FITTED, LongRun, last_calm_step, long_run
from lazyrich.heavy_tails import draw, sizes
from lazyrich.heavy_tails.optimizers import NEVER
from lazyrich.spectra import hill

KEY = jax.random.key(12)
D, RATE, SCHEDULE = 6, 0.4, (3, 4, 9)
run = partial(long_run, KEY, RATE, D, 2)


def close(measured, expected, rtol=1e-8, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def plain(problem, steps, frozen_from=None, amsgrad=False, epsilon=1e-8):
    """After each step Hill's exponent, the loss at its end and start, and the mean of √v̂."""
    W, a, (x, y) = problem.W, problem.a, problem.train
    (h, d), m, v, largest = W.shape, 0.0, 0.0, 0.0
    seen = []
    for t in range(1, steps + 1):
        hidden = np.tanh(x @ W.T / d**0.5)
        r = hidden @ a / h**0.5 - y
        G = 2 / (len(y) * (h * d) ** 0.5) * (np.outer(a, r) * (1 - hidden.T**2)) @ x
        m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G**2
        largest = np.maximum(largest, v)
        if frozen_from is None or t <= frozen_from:
            v_hat = (largest if amsgrad else v) / (1 - 0.999**t)
        W = W - RATE * m / (1 - 0.9**t) / (np.sqrt(v_hat) + epsilon)
        values = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
        after = ((np.tanh(x @ W.T / d**0.5) @ a / h**0.5 - y) ** 2).mean()
        seen.append([hill(jnp.asarray(values)), after, (r**2).mean(), np.sqrt(v_hat.mean())])
    return np.array(seen)


OPTIONS = {
    "as it is": {},
    "v̂ frozen": {"frozen_from": 4},
    "AMSGrad": {"amsgrad": True},
    "ε = 1e-5": {"epsilon": 1e-5},
    "ε = 1e-3": {"epsilon": 1e-3},
}


@pytest.fixture(scope="module")
def all_variants():
    return {name: run(schedule=SCHEDULE, double=True, **OPTIONS[name]) for name in OPTIONS}


def test_a_long_run_is_a_plain_loop(all_variants):
    assert all_variants["as it is"].step.tolist() == list(SCHEDULE)
    for i in range(2):
        problem = jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), sizes(D)))
        for name, options in OPTIONS.items():
            exponents, losses, before, moments = plain(problem, 9, **options).T
            at = np.array(SCHEDULE) - 1
            found = all_variants[name]
            close(found.hill[i], exponents[at])
            close(found.loss[i], losses[at])
            close(found.second_moment[i], moments[at])
            largest = before[:3].max(), before[3], before[4:].max()
            close(found.largest_loss[i], largest)


def test_the_sharpness_is_of_the_preconditioned_jacobian():
    found = run(schedule=SCHEDULE, double=True, stability=True)
    for i in range(2):
        problem = jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), sizes(D)))
        W, a, (x, y) = problem.W, problem.a, problem.train
        (h, d), m, v = W.shape, 0.0, 0.0
        for t in range(1, 10):
            hidden = np.tanh(x @ W.T / d**0.5)
            r = hidden @ a / h**0.5 - y
            G = 2 / (len(y) * (h * d) ** 0.5) * (np.outer(a, r) * (1 - hidden.T**2)) @ x
            m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G**2
            root = np.sqrt(v / (1 - 0.999**t)) + 1e-8
            W = W - RATE * m / (1 - 0.9**t) / root
            if t not in SCHEDULE:
                continue
            slopes = a[:, None] / np.cosh(W @ x.T / d**0.5) ** 2
            J = np.einsum("jk,ki->kji", slopes, x).reshape(len(x), -1) / (d * h) ** 0.5
            top = np.linalg.norm(J / np.sqrt(root.ravel()), 2) ** 2
            close(found.sharpness[i, SCHEDULE.index(t)], 2 / len(x) * top)
        close(found.eigenvalues[i], np.linalg.svd(W, compute_uv=False)[::-1] ** 2, rtol=1e-6)


def test_the_sharpness_is_not_observed_by_default(all_variants):
    assert np.isnan(all_variants["as it is"].sharpness).all()


def test_the_first_burst_is_after_the_data_are_fitted():
    found = long_run(KEY, 0.3, 24, 2, (10, 2500)).burst
    first = int(found.min())
    assert 500 < first < 2500  # the losses before the data are fitted do not count
    before, at = (long_run(KEY, 0.3, 24, 2, (10, first + more)) for more in (0, 1))
    assert (before.burst == NEVER).all()
    assert at.burst.tolist() == np.where(found == first, first, NEVER).tolist()
    assert (before.largest_loss[:, 1] >= FITTED).all()


def test_a_frozen_run_differs_once_it_is_frozen(all_variants):
    as_it_is, frozen = all_variants["as it is"], all_variants["v̂ frozen"]
    for part in ("hill", "loss", "second_moment"):
        mine, its = getattr(frozen, part), getattr(as_it_is, part)
        np.testing.assert_array_equal(mine[:, :2], its[:, :2])
        assert (mine[:, 2] != its[:, 2]).all()
    np.testing.assert_array_equal(frozen.second_moment[:, 1], frozen.second_moment[:, 2])


def test_by_default_it_is_never_frozen():
    late = run(schedule=(1000, 1001)).second_moment
    assert (late[:, 1] != late[:, 0]).all()


def test_a_run_does_not_depend_on_what_is_observed(all_variants):
    for name in ("AMSGrad", "as it is"):
        same, other = all_variants[name], run(schedule=(0, 4, 9), double=True, **OPTIONS[name])
        assert other.step.tolist() == [0, 4, 9]
        for part in ("hill", "loss", "second_moment"):
            close(getattr(other, part)[:, 1:], getattr(same, part)[:, 1:])
        assert (other.largest_loss[:, 0] == 0).all() and (other.second_moment[:, 0] == 0).all()
        start = draw(jax.random.fold_in(KEY, 0), sizes(D)).W
        close(other.hill[0, 0], hill(jnp.linalg.svd(start, compute_uv=False) ** 2))
        close(other.largest_loss[:, 1], same.largest_loss[:, :2].max(-1))


def test_long_runs_are_in_single_precision_by_default(all_variants):
    single, double = run(schedule=SCHEDULE), all_variants["as it is"]
    assert single.loss.dtype == jnp.float32 and double.loss.dtype == jnp.float64
    assert single.hill.dtype == jnp.float64
    close(single.loss, double.loss, rtol=1e-3)
    close(single.hill, double.hill, rtol=1e-3)


def test_the_last_calm_step_is_that_before_a_fitted_loss_rises():
    loss = np.array([[1.0, 1e-3, 1e-9, 1e-12, 1e-12], [1.0, 1e-2, 1e-8, 1e-3, 1e-9]])
    largest = np.array([[0.0, 2.0, 1e-3, 1e-9, 1e-3], [0.0, 2.0, 1e-2, 1e-2, 1e-3]])
    whole = LongRun(np.array([0, 10, 20, 30, 40]), None, loss, largest, None, None, None, None)
    assert last_calm_step(whole) == 20  # the second student's
    first = whole._replace(loss=loss[:1], largest_loss=largest[:1])
    assert last_calm_step(first) == 30
    # What is never fitted may rise.
    assert last_calm_step(first, fitted=1e-13) == 40
