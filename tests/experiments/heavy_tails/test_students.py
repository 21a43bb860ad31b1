import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.experiments.heavy_tails.students import (
    StartLosses,
    chosen_by_others,
    inner_gains,
    input_losses,
    linear_losses,
    lowest,
    problems,
    scaling_gaps,
    start_losses,
    start_spectra,
    train_students,
)
from lazyrich.heavy_tails import SCALINGS, Losses, draw, parity_floor, sizes
from lazyrich.spectra import hill, power_law_fit
from plain_students import (
    KEY,
    SEEDS,
    D,
    H,
    N,
    close,
    drawn,
    output,
    ridge,
    trained,
)

students = partial(train_students, KEY, inputs=D, seeds=SEEDS)


# Problems


def test_problems_are_drawn_one_by_one():
    two = list(problems(KEY, sizes(D), 2, 0.1))
    three = list(problems(KEY, sizes(D), 3, 0.1, dtype=jnp.float32))
    [few] = problems(KEY, sizes(D), 1, 0.1, tests=7)
    for mine, its in zip(few[:-1], two[0][:-1], strict=True):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), mine, its)
    np.testing.assert_array_equal(few.test.x, two[0].test.x[:7])
    for i, problem in enumerate(two):
        for mine, its in zip(problem, drawn(i, noise=0.1), strict=True):
            jax.tree.map(np.testing.assert_array_equal, mine, its)
        assert three[i].W.dtype == jnp.float32
        close(three[i].train.x, problem.train.x, rtol=1e-6)
    assert len(three) == 3 and (two[0].W != two[1].W).all()


# The start


def test_start_spectra_are_of_the_first_weights():
    values = start_spectra(KEY, D, SEEDS)
    for i in range(SEEDS):
        close(values[i], np.linalg.svd(drawn(i).W, compute_uv=False)[::-1] ** 2)


def test_start_losses_are_those_of_the_features():
    losses = start_losses(KEY, D, SEEDS, 15, [0.01, 1.0])
    for i in range(SEEDS):
        problem = drawn(i, sizes=(D, H, 15))
        for scaling, measured in zip(SCALINGS, losses, strict=True):
            for j, strength in enumerate((0.01, 1.0)):
                expected = ridge(problem.W, problem, strength, scaling)
                close([part[i, j] for part in measured], expected)


def test_linear_losses_are_those_of_half_the_teacher():
    losses = linear_losses(KEY, D, 5, 15, SEEDS)
    for i in range(SEEDS):
        problem = drawn(i, sizes=(D, 5, 15))
        x, y = problem.test
        close(losses[i], ((y - x @ problem.teacher / 2) ** 2).mean())


def test_input_losses_are_those_of_regression_on_the_probe_set():
    losses = input_losses(KEY, D, 2 * N, SEEDS, noise=0.2)
    for i in range(SEEDS):
        problem = draw(jax.random.fold_in(KEY, i), sizes(D, samples=2 * N), 0.2)
        x, y = map(np.asarray, problem.probe)
        tests, labels = map(np.asarray, problem.test)
        ridge = 4 * D / (2 * N) * parity_floor(0.2)
        for found, strength in zip(losses[:2], (ridge, 0.0), strict=True):
            rows = np.vstack([x, (strength * len(y)) ** 0.5 * np.eye(D)])
            fit = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(D)]))[0]
            close(found[i], ((tests @ fit - labels) ** 2).mean())
        more = np.vstack([x, problem.train.x, (4 * D * parity_floor(0.2)) ** 0.5 * np.eye(D)])
        labelled = np.concatenate([y, problem.train.y, np.zeros(D)])
        fit = np.linalg.lstsq(more, labelled)[0]
        close(losses.both[i], ((tests @ fit - labels) ** 2).mean())


def test_a_rate_is_chosen_by_the_other_seeds():
    losses = np.array([[1.0, 5.0, 3.0], [4.0, 2.0, 6.0], [9.0, 8.0, 0.0]])
    # The means of the others are lowest at the second, the third and the first rate.
    others = [np.delete(losses, i, 0).mean(0).argmin() for i in range(3)]
    np.testing.assert_array_equal(chosen_by_others(losses), losses[range(3), others])
    np.testing.assert_array_equal(chosen_by_others(losses[:, :1]), losses[:, 0])


def test_the_lowest_case_is_that_of_the_lowest_mean():
    assert lowest(np.array([[[1.0, 5.0], [4.0, 3.0]], [[6.0, 5.0], [1.0, 3.0]]])).tolist() == [4, 1]


def test_scalings_are_compared_at_one_ridge_and_at_the_best_of_each():
    coded, written = (
        Losses(None, np.array(test), None)
        for test in ([[[1.0, 3.0]], [[5.0, 4.0]]], [[[2.0, 7.0]], [[8.0, 9.0]]])
    )
    plain, tuned = scaling_gaps(StartLosses(coded, written), 1)
    assert plain.tolist() == [[4], [5]] and tuned.tolist() == [[1], [4]]


def test_a_gain_is_chosen_by_the_other_seeds():
    losses = np.array([[3.0, 1.0, 2.0, 4.0], [3.0, 2.0, 1.0, 5.0], [9.0, 1.0, 0.0, 2.0]])
    # The others are best inside at 2, 1 and 1, and their better ends are the last, last and first.
    assert inner_gains(losses).tolist() == [4 - 2, 5 - 2, 9 - 1]


# Training


@pytest.mark.parametrize(
    ("optimizer", "rates", "decay", "normalise", "activation"),
    [
        ("Adam", [0.5, 0.02], 0.8, True, "tanh"),
        ("GD", [3.0, 0.2], 0.6, True, "shifted tanh"),
        ("GD", [0.5, 3.0, 0.2], 1.0, False, "ReLU"),
    ],
)
def test_training_is_a_plain_loop(optimizer, rates, decay, normalise, activation):
    steps, strengths = (0, 1, 4), (0.01, 0.5)
    found = students(
        optimizer,
        rates,
        schedule=steps,
        samples=15,
        hidden=7,
        noise=0.5,
        ridges=strengths,
        decay=decay,
        normalise=normalise,
        activation=activation,
        double=True,
    )
    assert found.step.tolist() == list(steps) and found.finite.all()
    assert found.loss.shape == (SEEDS, len(rates), 3)
    for i in range(SEEDS):
        problem = drawn(i, 0.5, (D, 7, 15))
        for j, rate in enumerate(rates):
            path = list(trained(problem, optimizer, rate, 4, decay, normalise, activation))
            for k, step in enumerate(steps):
                W, (x, y) = path[step], problem.train
                close(found.loss[i, j, k], ((output(W, problem, x, activation) - y) ** 2).mean())
                _, sigma, Vt = np.linalg.svd(W)
                close(found.eigenvalues[i, j, k], sigma[::-1] ** 2, atol=1e-9 * sigma[0] ** 2)
            close(found.teacher[i, j], abs(Vt[0] @ problem.teacher), rtol=1e-6)
            close(found.overlaps[i, j], (Vt[::-1] @ problem.teacher) ** 2, rtol=1e-5, atol=1e-9)
            for scaling, losses in zip(SCALINGS, (found.coded, found.written), strict=True):
                for m, strength in enumerate(strengths):
                    expected = ridge(path[-1], problem, strength, scaling, activation)
                    close([part[i, j, m] for part in losses], expected, rtol=1e-7)


@pytest.fixture(scope="module")
def adam():
    """Students trained by Adam with everything at its default."""
    return students("Adam", [0.3, 0.03])


def test_by_default_it_is_the_paper_s_training(adam):
    assert adam.step.tolist() == [0, 10]
    assert adam.loss.dtype == adam.written.test.dtype == jnp.float32
    assert adam.eigenvalues.shape == (SEEDS, 2, 2, D)
    assert adam.coded.test.shape == adam.written.alignment.shape == (SEEDS, 2, 1)
    for i in range(SEEDS):
        problem = drawn(i)
        for j, rate in enumerate((0.3, 0.03)):
            *_, W = trained(problem, "Adam", rate, 10)
            close(adam.eigenvalues[i, j, 1, -1], np.linalg.norm(W, 2) ** 2, rtol=1e-3)
            close(adam.coded.train[i, j, 0], ridge(W, problem, 0.01, "as coded")[0], rtol=1e-3)


def test_two_precisions_train_alike(adam):
    exact = students("Adam", [0.3, 0.03], double=True)
    assert exact.loss.dtype == jnp.float64
    for single, double in zip(jax.tree.leaves(adam), jax.tree.leaves(exact), strict=True):
        close(single, double, rtol=2e-3, atol=2e-3)
    assert (np.asarray(adam.loss) != np.asarray(exact.loss)).any()


def test_everything_begins_with_the_same_problems(adam):
    gd = students("GD", [0.1, 1.0, 10.0])
    more = train_students(KEY, "Adam", [0.03, 0.3], D, SEEDS + 1)
    for field in ("loss", "eigenvalues"):
        mine, its = (getattr(one, field)[:, :, 0] for one in (adam, gd))
        for j in range(3):
            close(its[:, j], mine[:, 0], rtol=1e-6)
        close(getattr(more, field)[:SEEDS, ::-1], getattr(adam, field), rtol=1e-5)
    assert (more.loss[1] != more.loss[2]).all()
    # The label noise changes labels only.
    quiet = students("Adam", [0.3, 0.03], noise=0.0)
    close(quiet.eigenvalues[:, :, 0], adam.eigenvalues[:, :, 0])
    assert (quiet.loss[:, :, 0] != adam.loss[:, :, 0]).all()


def test_the_ridge_does_not_change_the_weights(adam):
    other = students("Adam", [0.3, 0.03], ridges=[1.0, 0.01])
    np.testing.assert_array_equal(other.eigenvalues, adam.eigenvalues)
    close(other.written.test[..., 1:], adam.written.test, rtol=1e-5)


def test_a_device_that_trains_all_at_once_finds_the_same(monkeypatch):
    one_by_one = students("Adam", [0.3, 0.03], double=True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    at_once = students("Adam", [0.3, 0.03], double=True)
    for mine, its in zip(jax.tree.leaves(at_once), jax.tree.leaves(one_by_one), strict=True):
        close(mine, its, rtol=1e-7, atol=1e-9)


def test_a_student_that_diverges_is_a_result():
    relu = students("GD", [1e6, 0.1], schedule=(0, 1, 20), activation="ReLU")
    assert relu.finite[:, 0].tolist() == [[True, True, False]] * SEEDS
    assert relu.finite[:, 1].all()
    assert np.isnan(relu.coded.test[:, 0]).all() and np.isfinite(relu.coded.test[:, 1]).all()
    assert np.isnan(relu.eigenvalues[:, 0, -1]).all() and np.isnan(relu.teacher[:, 0]).all()
    bounded = students("GD", [1e6, 0.1], schedule=(0, 1, 20))
    assert bounded.finite.all() and np.isfinite(bounded.written.test).all()


def test_divergence_is_a_result_that_no_fit_takes():
    # A ReLU at this rate; tanh is bounded, and stays where it was thrown.
    key, schedule = jax.random.key(3), (0, 1, 30, 31)
    run = train_students(key, "GD", [1e6], 4, 1, schedule, activation="ReLU", double=True)
    finite = run.finite[0, 0]
    assert finite.tolist() == [True, True, False, False]
    assert int(run.step[np.argmin(finite)]) == 30
    assert np.isnan(run.eigenvalues[0, 0, 2:]).all() and np.isnan(run.teacher[0, 0]).all()
    for fit in (hill, power_law_fit):
        with pytest.raises(ValueError, match="^eigenvalues must be finite, got nan"):
            fit(run.eigenvalues)


def test_training_ends_on_a_cpu():
    # Two decompositions in a vectorised scan of this size can wait for each other for ever.
    code = (
        "import jax; jax.config.update('jax_enable_x64', True)\n"
        "from lazyrich.experiments.heavy_tails.students import train_students\n"
        "run = train_students(jax.random.key(0), 'Adam', [0.1, 1.0], 200, 1, (0, 1))\n"
        "print(run.finite.all())\n"
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        timeout=120,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"
