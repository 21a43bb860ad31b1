from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.experiments.heavy_tails.first_updates import one_step
from lazyrich.experiments.heavy_tails.interventions import (
    BatchRun,
    batch_run,
    hill_at_loss,
    overlap_run,
    spike_ablation,
)
from lazyrich.experiments.heavy_tails.long_runs import long_run
from lazyrich.experiments.heavy_tails.students import train_students
from lazyrich.heavy_tails import draw, sizes, update
from lazyrich.spectra import hill, marchenko_pastur_median

KEY = jax.random.key(13)
D, SEEDS, RATE = 6, 2, 0.7


def close(measured, expected, rtol=1e-8, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(i):
    return jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), sizes(D)))


class Adam:
    """Full-batch Adam on the hidden weights of a problem."""

    def __init__(self, problem):
        self.problem, self.W, self.t, self.m, self.v = problem, problem.W, 0, 0.0, 0.0

    def step(self):
        W, a, (x, y) = self.W, self.problem.a, self.problem.train
        h, d = W.shape
        hidden = np.tanh(x @ W.T / d**0.5)
        r = hidden @ a / h**0.5 - y
        G = 2 / (len(y) * (h * d) ** 0.5) * (np.outer(a, r) * (1 - hidden.T**2)) @ x
        self.t += 1
        self.m, self.v = 0.9 * self.m + 0.1 * G, 0.999 * self.v + 0.001 * G**2
        root = np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8
        self.W = W - RATE * self.m / (1 - 0.9**self.t) / root
        return self.W - W


def spectrum(W):
    return np.linalg.svd(W, compute_uv=False)[::-1] ** 2


# Overlaps


def test_overlaps_are_of_an_update_with_the_weights_that_it_makes():
    run = overlap_run(KEY, RATE, D, SEEDS, 3)
    assert run.left.shape == run.right.shape == (SEEDS, 3)
    assert run.left_matrices.shape == run.right_matrices.shape == (3, D, D)
    for i in range(SEEDS):
        adam = Adam(drawn(i))
        for t in range(3):
            M = adam.step()
            (U, _, Vt), (P, _, Qt) = (
                np.linalg.svd(each, full_matrices=False) for each in (adam.W, M)
            )
            left, right = (U.T @ P) ** 2, (Vt @ Qt.T) ** 2
            close(run.left[i, t], 1 / (left[:, 0] ** 2).sum(), rtol=1e-6)
            close(run.right[i, t], 1 / (right[:, 0] ** 2).sum(), rtol=1e-6)
            if i == 0:
                close(run.left_matrices[t], left, atol=1e-5)
                close(run.right_matrices[t], right, atol=1e-5)


def test_after_a_large_first_step_the_update_is_one_direction():
    run = overlap_run(KEY, 1.0, 60, 2, 1)
    assert (run.left < 1.1).all() and (run.right < 1.1).all()


# The spike taken away


@pytest.fixture(scope="module")
def ablation():
    return spike_ablation(KEY, RATE, D, SEEDS, 4)


def test_without_its_spike_the_first_step_has_its_vectors_and_the_edge(ablation):
    tau = (1 + RATE**2 * (1 - 0.8243706**2)) ** 0.5
    close(tau**2, update("Adam", RATE, sizes(D)).variance, rtol=1e-6)
    for i in range(SEEDS):
        plain, less = Adam(drawn(i)), Adam(drawn(i))
        plain.step()
        less.step()
        close(ablation.first[i], spectrum(plain.W))
        U, sigma, Vt = np.linalg.svd(plain.W, full_matrices=False)
        sigma[0] = tau * (9**0.5 + D**0.5)
        less.W = U @ np.diag(sigma) @ Vt
        for _ in range(3):
            plain.step()
            less.step()
        close(ablation.untouched[i], spectrum(plain.W), rtol=1e-6)
        close(ablation.removed[i], spectrum(less.W), rtol=1e-5)


def test_without_the_spike_of_every_step_each_ends_at_the_edge(ablation):
    c = D / 9
    for i in range(SEEDS):
        plain = Adam(drawn(i))
        for _ in range(4):
            plain.step()
            U, sigma, Vt = np.linalg.svd(plain.W, full_matrices=False)
            scale = np.median(sigma**2) / float(marchenko_pastur_median(c))
            sigma[0] = min(sigma[0], scale**0.5 * (1 + c**0.5))
            plain.W = U @ np.diag(sigma) @ Vt
        close(ablation.always[i], spectrum(plain.W), rtol=1e-6)


def test_an_untouched_run_is_training(ablation):
    run = train_students(KEY, "Adam", [RATE], D, SEEDS, (1, 4), double=True)
    close(run.eigenvalues[:, 0, 0], ablation.first, rtol=1e-6)
    close(run.eigenvalues[:, 0, 1], ablation.untouched, rtol=1e-6)
    assert (ablation.removed[:, -1] != ablation.untouched[:, -1]).all()


# Batches


@pytest.mark.parametrize("optimizer", ["GD", "Adam"])
def test_a_batch_of_all_samples_is_the_full_batch(optimizer):
    full = batch_run(KEY, optimizer, RATE, 2 * D, D, SEEDS, (0, 2, 5))
    run = train_students(KEY, optimizer, [RATE], D, SEEDS, (0, 2, 5), double=True)
    assert full.step.tolist() == [0, 2, 5] and full.loss.dtype == jnp.float64
    close(full.loss, run.loss[:, 0])
    close(full.hill, hill(run.eigenvalues[:, 0]))


@pytest.fixture(scope="module")
def batches():
    return batch_run(KEY, "GD", RATE, 5, D, SEEDS, (0, 1, 2))


def test_a_batch_is_of_distinct_samples_drawn_anew(batches):
    found = []
    for i in range(SEEDS):
        problem = drawn(i)
        W, a, (x, y) = problem.W, problem.a, problem.train
        loss = lambda W: ((np.tanh(x @ W.T / D**0.5) @ a / 3 - y) ** 2).mean()  # noqa: B023, E731
        close(batches.loss[i, 0], loss(W))
        for t in (1, 2):
            # Which five samples give the loss that was observed after the step?
            hidden = np.tanh(x @ W.T / D**0.5)
            r = hidden @ a / 3 - y
            each = (2 / (3 * D**0.5) * a * (1 - hidden**2) * r[:, None])[:, :, None] * x[:, None]
            choices = list(combinations(range(2 * D), 5))
            steps = [W - RATE * each[list(chosen)].mean(0) for chosen in choices]
            off = np.abs(np.array([loss(step) for step in steps]) / batches.loss[i, t] - 1)
            best = int(off.argmin())
            assert off[best] < 1e-10
            close(hill(jnp.asarray(spectrum(steps[best]))), batches.hill[i, t])
            W = steps[best]
            found.append(choices[best])
    assert len(set(found)) == 4


def test_more_seeds_begin_with_the_same_batches(batches):
    more = batch_run(KEY, "GD", RATE, 5, D, SEEDS + 1, (0, 1, 2))
    np.testing.assert_array_equal(more.loss[:SEEDS], batches.loss)
    assert (more.loss[SEEDS] != batches.loss).all()


def test_exponents_are_interpolated_at_a_loss():
    loss = np.array([[1.0, 0.1, 0.01], [0.01, 0.001, 0.0001]])
    hill_ = np.array([[3.0, 2.0, 1.0], [3.0, 2.5, 1.0]])
    run = BatchRun(np.arange(3), jnp.asarray(hill_), jnp.asarray(loss))
    close(hill_at_loss(run, 10**-1.5), [1.5, 3.0])
    with pytest.raises(ValueError, match="^no loss below 0.001 in 3 observations"):
        hill_at_loss(run, 1e-3)


# What is no mistake: rates without sense


@pytest.mark.parametrize("rate", [1e6, 1e200])
def test_absurd_rates_leave_no_nan_where_the_weights_are_finite(rate):
    batches = batch_run(KEY, "GD", rate, 3, D, 1, (0, 1, 3))
    long = long_run(KEY, rate, D, 1, (1, 3), double=True)
    step = one_step(KEY, "Adam", [rate], D, 1)
    spread = overlap_run(KEY, rate, D, 1, 2)
    # The squares of weights of 1e200 are beyond float64, and their spectra are nan.
    known = rate < 1e100
    assert np.isfinite(batches.hill).all() == np.isfinite(long.hill).all() == known
    assert np.isfinite(step.sigma).all() == known
    assert np.isfinite(spread.left).all() and np.isfinite(batches.loss).all()


def test_an_absurd_rate_can_be_followed_without_its_spike():
    assert np.isfinite(spike_ablation(KEY, 1e6, D, 1, 3).removed).all()
