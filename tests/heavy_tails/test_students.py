import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.heavy_tails import (
    OPTIMIZERS,
    SCALINGS,
    Shape,
    alignment_law,
    draw,
    equal_norm_rates,
    first_gradients,
    first_step_law,
    one_step,
    one_step_features,
    problems,
    shape,
    spike_law,
    start_losses,
    start_spectra,
    teacher_alignment,
    threshold,
    train_students,
    update,
)
from lazyrich.training import stacked

KEY = jax.random.key(11)
D, H, N, SEEDS = 6, 9, 12, 2
PLAIN = {
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "shifted tanh": (lambda z: np.tanh(z + 1), lambda z: 1 / np.cosh(z + 1) ** 2),
}
students = partial(train_students, KEY, inputs=D, seeds=SEEDS)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(i, noise=0.3, sizes=(D, H, N)):
    """The i-th problem, in NumPy."""
    return jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), Shape(*sizes), noise))


def output(W, problem, x, activation="tanh"):
    h, d = W.shape
    return PLAIN[activation][0](x @ W.T / d**0.5) @ problem.a / h**0.5


def gradient(W, problem, activation="tanh"):
    """Of the mean of (f − y)², by the chain rule."""
    (h, d), (x, y) = W.shape, problem.train
    r = output(W, problem, x, activation) - y
    slopes = PLAIN[activation][1](W @ x.T / d**0.5)
    return 2 / (len(y) * (h * d) ** 0.5) * (np.outer(problem.a, r) * slopes) @ x


def trained(problem, optimizer, rate, steps, decay=1.0, normalise=False, activation="tanh"):
    """The weights after each number of steps."""
    W, m, v = problem.W, 0.0, 0.0
    yield W
    for t in range(1, steps + 1):
        if normalise:
            W = W * W.size**0.5 / np.sqrt((W**2).sum())
        G = gradient(W, problem, activation)
        if optimizer == "Adam":
            m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G**2
            G = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        W = W - rate * decay ** (t - 1) * G
        yield W


def ridge(W, problem, strength, scaling, activation="tanh"):
    """The three losses of a last layer that is fitted."""
    h, d = W.shape
    (x, y), (x_test, y_test) = problem.probe, problem.test
    size = d if scaling == "as coded" else d**0.5
    Z, T = (PLAIN[activation][0](each @ W.T / size) / h**0.5 for each in (x, x_test))
    a = np.linalg.solve(Z.T @ Z + strength / h * len(y) * np.eye(h), Z.T @ y)
    K = Z @ Z.T
    alignment = y @ K @ y / (np.linalg.norm(K) * (y @ y))
    return ((Z @ a - y) ** 2).mean(), ((T @ a - y_test) ** 2).mean(), alignment


# Problems


def test_problems_are_drawn_one_by_one():
    two = list(problems(KEY, shape(D), 2, 0.1))
    three = list(problems(KEY, shape(D), 3, 0.1, jnp.float32))
    for i, problem in enumerate(two):
        for mine, its in zip(problem, drawn(i, noise=0.1), strict=True):
            jax.tree.map(np.testing.assert_array_equal, mine, its)
        assert three[i].W.dtype == jnp.float32
        close(three[i].train.x, problem.train.x, rtol=1e-6)
    assert len(three) == 3 and (two[0].W != two[1].W).all()


def test_results_are_stacked_along_a_new_axis():
    each = ({"a": jnp.full(3, i), "b": (jnp.asarray(i),)} for i in range(2))
    both = stacked(each)
    assert both["a"].tolist() == [[0, 0, 0], [1, 1, 1]] and both["b"][0].tolist() == [0, 1]


# The start


def test_start_spectra_are_of_the_first_weights():
    values = start_spectra(KEY, D, SEEDS)
    for i in range(SEEDS):
        close(values[i], np.linalg.svd(drawn(i).W, compute_uv=False)[::-1] ** 2)


@pytest.mark.parametrize("activation", ["tanh", "ReLU"])
def test_start_losses_are_those_of_the_features(activation):
    losses = start_losses(KEY, D, SEEDS, 15, 5, 0.6, [0.01, 1.0], activation)
    for i in range(SEEDS):
        problem = drawn(i, noise=0.6, sizes=(D, 5, 15))
        for scaling, measured in zip(SCALINGS, losses, strict=True):
            for j, strength in enumerate((0.01, 1.0)):
                expected = ridge(problem.W, problem, strength, scaling, activation)
                close([part[i, j] for part in measured], expected, rtol=1e-3)  # float32


@pytest.mark.parametrize("samples", [None, 20])
def test_first_gradients_are_measured_as_by_linear_algebra(samples):
    found = first_gradients(KEY, D, SEEDS, samples, noise=0.5)
    for i in range(SEEDS):
        problem = drawn(i, 0.5, (D, H, samples or N))
        W, a, (x, y) = problem.W, problem.a, problem.train
        G, q = gradient(W, problem), (output(W, problem, x) - y) @ x / len(y)
        A = 2 * 0.6057055096 / (D * H) ** 0.5 * np.outer(a, q)
        U, sigma, Vt = np.linalg.svd(G, full_matrices=False)
        unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
        close(found.singular_values[i], sigma[:2])
        close(found.left[i], abs(U[:, 0] @ unit(a)))
        close(found.right[i], abs(Vt[0] @ unit(q)))
        close(found.stable_rank[i], (sigma**2).sum() / sigma[0] ** 2)
        close(found.remainder[i], np.linalg.norm(G - A) / np.linalg.norm(A))
        close(found.sign_norm[i], np.linalg.norm(np.sign(G), 2) / (D * H) ** 0.5)
        norms = [np.array([np.linalg.norm(M, 2), np.linalg.norm(M)]) for M in (W, G, np.sign(G))]
        close(found.equal_norms[i], [*(norms[0] / norms[1]), *(norms[0] / norms[2])])


def test_first_gradients_follow_the_law():
    found, law = first_gradients(KEY, 100, 6), first_step_law(shape(100))
    assert 1 - found.left.mean() < 0.6 / 100 and 1 - found.right.mean() < 0.4 / 100
    close(found.stable_rank.mean(), law.stable_rank, rtol=0.02)
    close(found.remainder.mean(), law.remainder, atol=0.03)
    close(found.sign_norm.mean(), law.sign_norm, atol=0.02)
    ratio = found.singular_values[:, 0] / found.singular_values[:, 1]
    assert 7 < ratio.mean() < 11
    expected = np.array(list(equal_norm_rates(shape(100)).values()))
    close(found.equal_norms.mean(0), expected, rtol=0.08)


# One step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_is_measured_as_by_linear_algebra(optimizer):
    rates = [0.0, 0.7, 30.0]
    found = one_step(KEY, optimizer, rates, D, SEEDS, samples=15, noise=0.5)
    features = one_step_features(KEY, optimizer, rates, D, SEEDS, samples=15, noise=0.5)
    for i in range(SEEDS):
        problem = drawn(i, 0.5, (D, H, 15))
        G, w = gradient(problem.W, problem), problem.a
        if optimizer == "Adam":
            G, w = np.sign(G), np.sign(w)
        w = w / np.linalg.norm(w)
        for j, rate in enumerate(rates):
            W = problem.W - rate * G
            U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
            p = W.T @ w
            at = {name: part[i, j] for name, part in found._asdict().items()}
            close(at["sigma"], sigma[:2])
            close(at["left"], (U[:, 0] @ w) ** 2, rtol=1e-8)
            close(at["right"], (Vt[0] @ p) ** 2 / (p @ p), rtol=1e-8)
            close(at["teacher"], abs(Vt[0] @ problem.teacher), rtol=1e-8)
            close(at["p_norm2"], p @ p)
            expected = [ridge(W, problem, 1.0, scaling)[2] for scaling in SCALINGS]
            close(features.alignment[i, j], expected)
            x, y = problem.test
            close(features.test[i, j], ((output(W, problem, x) - y) ** 2).mean())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_follows_the_law_of_the_spike(optimizer):
    sizes = shape(120)
    rates = threshold(optimizer, sizes) * np.array([0.0, 0.5, 1.5, 4.0])
    found = one_step(KEY, optimizer, rates.tolist(), 120, 6)
    law, after = spike_law(optimizer, rates, sizes), update(optimizer, rates, sizes)
    error = np.std(found.sigma[..., 0], 0) / 6**0.5
    assert (np.abs(found.sigma[..., 0].mean(0) - law.sigma) <= 0.03 * law.sigma + 2 * error).all()
    close(found.p_norm2.mean(0), after.p_norm2, rtol=0.1)
    for measured, expected in ((found.left, law.left), (found.right, law.right)):
        spread = np.std(measured, 0) / 6**0.5
        assert (np.abs(measured.mean(0) - expected) <= 0.08 + 2 * spread).all()
    spread = np.std(found.teacher, 0) / 6**0.5
    sim = teacher_alignment(optimizer, rates, sizes)
    assert (np.abs(found.teacher.mean(0) - sim)[2:] <= 0.05 + 2 * spread[2:]).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_follows_the_law_of_the_alignment(optimizer):
    sizes = shape(60)
    rates = threshold(optimizer, sizes) * np.array([0.0, 0.5, 1.5, 4.0])
    found = one_step_features(KEY, optimizer, rates.tolist(), 60, 12).alignment[..., 0]
    law, spread = alignment_law(optimizer, rates, sizes), np.std(found, 0) / 12**0.5
    assert (np.abs(found.mean(0) - law) <= 0.15 * law + 2 * spread).all()


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
                close(found.teacher[i, j, k], abs(Vt[0] @ problem.teacher), rtol=1e-6)
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
    for field in ("loss", "eigenvalues", "teacher"):
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


def test_a_student_that_diverges_is_a_result():
    relu = students("GD", [1e6, 0.1], schedule=(0, 1, 20), activation="ReLU")
    assert relu.finite[:, 0].tolist() == [[True, True, False]] * SEEDS
    assert relu.finite[:, 1].all()
    assert np.isnan(relu.coded.test[:, 0]).all() and np.isfinite(relu.coded.test[:, 1]).all()
    assert np.isnan(relu.eigenvalues[:, 0, -1]).all() and np.isnan(relu.teacher[:, 0, -1]).all()
    bounded = students("GD", [1e6, 0.1], schedule=(0, 1, 20))
    assert bounded.finite.all() and np.isfinite(bounded.written.test).all()


def test_training_ends_on_a_cpu():
    # Two decompositions in a vectorised scan of this size can wait for each other for ever.
    code = (
        "import jax; jax.config.update('jax_enable_x64', True)\n"
        "from lazyrich.heavy_tails import train_students\n"
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


# What does not fit

RUNS = {
    "start_spectra": {"inputs": D, "seeds": 1},
    "first_gradients": {"inputs": D, "seeds": 1},
    "one_step": {"optimizer": "GD", "rates": [0.1], "inputs": D, "seeds": 1},
    "one_step_features": {"optimizer": "GD", "rates": [0.1], "inputs": D, "seeds": 1},
    "start_losses": {"inputs": D, "seeds": 1},
    "train_students": {"optimizer": "GD", "rates": [0.1], "inputs": D, "seeds": 1},
}
NAMED = {
    "inputs": [(1, "inputs must be an integer of at least 2, got 1")],
    "seeds": [(0, "seeds must be an integer of at least 1, got 0")],
    "samples": [(0, "samples must be an integer of at least 1, got 0")],
    "hidden": [(0, "hidden must be an integer of at least 1, got 0")],
    "noise": [
        (-0.1, "noise must be not negative, got -0.1"),
        (np.nan, "noise must be finite, got nan"),
    ],
    "optimizer": [("adam", "optimizer must be one of 'GD', 'Adam', got 'adam'")],
    "activation": [("erf", "activation must be one of 'tanh', .*, got 'erf'")],
    "rates": [
        ([0.1, np.nan], "rates must be finite, got nan"),
        ([0.1, -1.0], "rates must be (positive|not negative), got -1.0"),
        (np.arange(3), "rates must be an array of floats, got dtype int64"),
        ([], r"rates must be a sequence of numbers, got shape \(0,\)"),
        (0.1, r"rates must be a sequence of numbers, got shape \(\)"),
    ],
    "ridges": [
        ([0.0], "ridges must be positive, got 0.0"),
        ([np.nan], "ridges must be finite, got nan"),
        ([], r"ridges must be a sequence of numbers, got shape \(0,\)"),
    ],
    "decay": [
        (0.0, "decay must be positive, got 0.0"),
        (np.ones(2), r"decay must be one number, got shape \(2,\)"),
    ],
    "schedule": [
        ((3, 3), r"schedule must hold increasing numbers of steps, got \[3, 3\]"),
        ((), r"schedule must hold increasing numbers of steps, got \[\]"),
        ((-1, 3), "schedule must be an integer of at least 0, got -1"),
    ],
    "normalise": [(1, "normalise must be True or False, got 1")],
    "double": [("no", "double must be True or False, got 'no'")],
}


@pytest.mark.parametrize("run", RUNS)
def test_what_makes_no_student_is_named(run, unchecked):
    from lazyrich.heavy_tails import students

    function = unchecked(getattr(students, run))
    taken = function.__code__.co_varnames[: function.__code__.co_argcount]
    for argument in set(taken) - {"key"}:
        for bad, message in NAMED[argument]:
            with pytest.raises(ValueError, match="^" + message):
                function(KEY, **RUNS[run] | {argument: bad})


def test_students_have_positive_rates():
    with pytest.raises(ValueError, match="^rates must be positive, got 0.0"):
        students("GD", [0.0])


def test_problems_are_counted_before_any_is_drawn():
    with pytest.raises(ValueError, match="^seeds must be an integer of at least 1, got 0"):
        problems(KEY, shape(D), 0)
