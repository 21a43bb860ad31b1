import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import heavy_tails
from lazyrich.experiments.heavy_tails import first_updates, interventions, long_runs, students
from lazyrich.heavy_tails import (
    ACTIVATIONS,
    Samples,
    Sizes,
    draw,
    features,
    loss,
    outputs,
    sizes,
)

KEY = jax.random.key(5)
PLAIN = {
    "tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0),
    "shifted tanh": lambda z: np.tanh(z + 1),
}


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def problem():
    return draw(KEY, sizes(40, samples=50), noise=0.4)


def test_the_shape_of_the_paper_is_the_default():
    assert sizes(1000) == Sizes(inputs=1000, hidden=1500, samples=2000)
    assert sizes(5) == (5, 7, 10)
    assert sizes(5, hidden=3) == (5, 3, 10) and sizes(5, samples=3) == (5, 7, 3)


def test_every_default_is_the_paper_s(unchecked):
    paper = {"noise": 0.3, "tests": 2000, "steps": 10, "ridge": 0.01, "ridges": (0.01,)}
    plain = {"decay": 1.0, "double": False, "naive": False, "normalise": False, "scale": 1.0}
    seen = set()
    for module in (heavy_tails, students, first_updates, interventions, long_runs):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            function = unchecked(function)
            for argument, given in inspect.signature(function).parameters.items():
                if argument in paper | plain and given.default is not inspect.Parameter.empty:
                    assert given.default == (paper | plain)[argument], (name, argument)
                    seen.add(argument)
    assert seen == set(paper | plain)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"inputs": 1}, "inputs must be an integer of at least 2, got 1"),
        ({"inputs": 5.0}, "inputs must be an integer of at least 2, got 5.0"),
        ({"inputs": 10**400}, r"inputs must be an integer below 2\*\*31, got about 2\*\*1329"),
        ({"hidden": 0}, "hidden must be an integer of at least 1, got 0"),
        ({"samples": 0}, "samples must be an integer of at least 1, got 0"),
    ],
)
def test_sizes_are_positive_integers(bad, message, unchecked):
    with pytest.raises(ValueError, match="^" + message):
        unchecked(sizes)(**{"inputs": 5} | bad)


# Drawing


def test_a_problem_has_its_parts(problem):
    shapes = [part.shape for part in jax.tree.leaves(problem)]
    samples = [(50, 40), (50,), (50, 40), (50,), (2000, 40), (2000,)]
    assert shapes == [(40,), (60, 40), (60,), *samples]
    assert all(part.dtype == jnp.float64 for part in jax.tree.leaves(problem))
    close(np.linalg.norm(problem.teacher), 1)


def test_all_that_is_drawn_is_normal_and_independent(problem):
    sets = problem.train, problem.probe, problem.test
    for array in (problem.W, problem.a, *(each.x for each in sets)):
        close(array.mean(), 0, atol=4 * array.size**-0.5)
        close((array**2).mean(), 1, atol=4 * (2 / array.size) ** 0.5)
    rows = np.concatenate([problem.W, *(each.x for each in sets)])
    assert len(np.unique(rows[:, 0])) == len(rows)
    covariance = rows.T @ rows / len(rows)
    close(covariance, np.eye(40), atol=6 * len(rows) ** -0.5)


def test_labels_are_of_the_teacher_and_noisy(problem):
    quiet = draw(KEY, sizes(40, samples=50), noise=0.0)
    loud = draw(KEY, sizes(40, samples=50), noise=0.8)
    for name in ("train", "probe", "test"):
        given, clean, noisy = (getattr(each, name) for each in (problem, quiet, loud))
        close(given.x, clean.x)
        z = np.asarray(given.x) @ np.asarray(problem.teacher)
        close(clean.y, np.log1p(np.exp(z)))
        close(noisy.y - clean.y, 2 * (given.y - clean.y), atol=1e-12)
    xi = (problem.test.y - quiet.test.y) / 0.4
    close(xi.mean(), 0, atol=4 * 2000**-0.5)
    close(xi.std(), 1, atol=4 * 4000**-0.5)
    assert np.abs(np.asarray(problem.test.x).T @ xi).max() < 4.5 * 2000**0.5


def test_teacher_student_and_data_have_a_key_each(problem):
    more = draw(KEY, sizes(40, samples=60))
    close(more.teacher, problem.teacher)
    close(more.W, problem.W)
    close(more.a, problem.a)
    wider = draw(KEY, sizes(40, hidden=61, samples=50), noise=0.4)
    close(wider.teacher, problem.teacher)
    close(wider.test.y, problem.test.y)
    other = draw(jax.random.key(6), sizes(40, samples=50))
    for mine, others in zip(jax.tree.leaves(problem), jax.tree.leaves(other), strict=True):
        assert np.isclose(mine, others).mean() < 0.01


def test_two_precisions_have_the_same_problem(problem):
    single = draw(KEY, sizes(40, samples=50), noise=0.4, dtype=jnp.float32)
    for mine, exact in zip(jax.tree.leaves(single), jax.tree.leaves(problem), strict=True):
        assert mine.dtype == jnp.float32
        np.testing.assert_array_equal(mine, exact.astype(jnp.float32))


def test_the_number_of_tests_is_free():
    assert draw(KEY, sizes(3), tests=7).test.x.shape == (7, 3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"noise": -0.1}, "noise must be not negative, got -0.1"),
        ({"noise": np.nan}, "noise must be finite, got nan"),
        ({"noise": np.ones(2)}, r"noise must be one number, got shape \(2,\)"),
        ({"noise": np.array(1)}, "noise must be an array of floats, got dtype int64"),
        ({"noise": 10**400}, "noise must be finite as a float, got a larger number"),
        ({"tests": 10**400}, r"tests must be an integer below 2\*\*31, got about 2\*\*1329"),
        ({"tests": 0}, "tests must be an integer of at least 1, got 0"),
        ({"sizes": Sizes(4, 0, 8)}, "hidden must be an integer of at least 1, got 0"),
    ],
)
def test_what_makes_no_problem_is_named(bad, message, unchecked):
    with pytest.raises(ValueError, match="^" + message):
        unchecked(draw)(**{"key": KEY, "sizes": sizes(4)} | bad)


# The student


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_student_is_a_sum_over_its_hidden_units(activation, problem):
    W, a, x, y = map(np.asarray, (problem.W, problem.a, *problem.train))
    f = np.zeros(50)
    for unit, weight in zip(W, a, strict=True):
        f += weight * PLAIN[activation](x @ unit / 40**0.5) / 60**0.5
    close(outputs(problem.W, problem.a, problem.train.x, activation), f, atol=1e-13)
    close(loss(problem.W, problem.a, problem.train, activation), ((f - y) ** 2).mean())
    seen = features(problem.W, problem.train.x, activation, 0.3)
    close(seen, PLAIN[activation](0.3 * x @ W.T / 40**0.5) / 60**0.5, atol=1e-15)


def test_only_the_student_of_the_paper_is_odd(problem):
    W, a, x = problem.W, problem.a, problem.test.x
    for activation in ACTIVATIONS:
        even = outputs(W, a, x, activation) + outputs(W, a, -x, activation)
        assert (np.abs(even).max() < 1e-13) == (activation == "tanh")


def test_the_output_at_the_start_has_the_power_of_a_feature():
    powers = []
    for seed in range(20):
        one = draw(jax.random.key(seed), sizes(50))
        powers.append(float((outputs(one.W, one.a, one.test.x) ** 2).mean()))
    close(np.mean(powers), 0.39429, atol=3 * np.std(powers) / 20**0.5)


def test_losses_are_means_over_samples(problem):
    many = Samples(*(jnp.concatenate([part, part]) for part in problem.train))
    close(loss(problem.W, problem.a, many), loss(problem.W, problem.a, problem.train))


def test_an_unknown_activation_is_named(problem):
    with pytest.raises(ValueError, match="^activation must be one of 'tanh', .*, got 'tan'"):
        outputs(problem.W, problem.a, problem.train.x, "tan")
