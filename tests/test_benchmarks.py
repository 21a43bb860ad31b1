"""The benchmarks at a tiny size: every method agrees, and the tables are whole. No times."""

import importlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import points
import small_book
from lazyrich.book import sweeps

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FIRST_CALL = {"first": 1.0, "memory": 1.0, "later": 1.0}


@pytest.fixture(scope="module")
def trajectories():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
        module = importlib.import_module("trajectories")
        patch.setattr(module, "TIMES", 20)
        patch.setattr(module, "SOLVERS", ("Tsit5",))
        patch.setattr(module.measuring.seconds, "__defaults__", (1, 0.0))
        with jax.numpy_rank_promotion("allow"):
            yield module


@pytest.fixture(scope="module")
def races(trajectories):
    shapes = {"scalars": (3,), "weights": (2, 3)}  # one network, and two
    return {
        kind: trajectories.race(trajectories.problem(shape), kind, target=1e-6)
        for kind, shape in shapes.items()
    }


def test_every_method_reaches_the_accuracy(trajectories, races):
    for kind, (entries, _) in races.items():
        assert tuple(entries) == trajectories.KINDS[kind]
        assert all(entry.accuracy <= 1e-6 for entry in entries.values())
        assert entries["lazyrich"].accuracy < 1e-14


def test_the_accuracy_is_that_of_the_worst_time(trajectories):
    exact = np.ones((2, 20)), np.ones((2, 20, 3))
    for kind, array in zip(trajectories.KINDS, exact, strict=True):
        off = array.copy()
        off[1, 7] += 0.25
        assert trajectories.accuracy([off], [np.moveaxis(array, 1, 0)], kind) == 0.25
        off[1, 7] = np.nan
        assert np.isnan(trajectories.accuracy([off], [np.moveaxis(array, 1, 0)], kind))


def test_the_tables_are_whole(trajectories, races, monkeypatch, capsys):
    monkeypatch.setattr(trajectories.measuring, "apart", lambda *_: FIRST_CALL)
    monkeypatch.setattr(trajectories, "race", lambda problem, kind, *_: races[kind])
    trajectories.main()
    are_whole(capsys.readouterr().out)


@pytest.fixture
def tiny(trajectories, monkeypatch):
    """The other two benchmarks, where one case of each kind is too large for the Jacobian."""
    kernels, spectra = map(importlib.import_module, ("kernels", "gauss_newton"))
    monkeypatch.setattr(kernels.measuring, "apart", lambda *_: FIRST_CALL)
    monkeypatch.setattr(kernels, "ROUNDS", 1)
    monkeypatch.setattr(kernels, "LIMIT", 60_000)
    monkeypatch.setattr(kernels, "CASES", {"small": (3, 4, 3, 2), "large": (20, 8, 3, 2)})
    linear = {"small": (3, 5, 3, 2, 4), "large": (6, 20, 3, 2, 12)}
    relu = {"small": (4, 30, 2, 2, 5), "large": (4, 80, 2, 2, 9)}
    monkeypatch.setattr(spectra, "CASES", {"linear": linear, "ReLU": relu})
    monkeypatch.setattr(spectra, "GROWTH", (linear["small"], linear["small"]))
    monkeypatch.setattr(spectra, "SPARE", 4)
    monkeypatch.setattr(spectra, "STEPS", (6,))
    return kernels, spectra


def test_every_installed_method_agrees_with_the_dense_answer(tiny):
    kernels, spectra = tiny
    for kind in spectra.CASES:
        one = spectra.problem(kind, *spectra.CASES[kind]["small"])
        expected = dense(kernels, one)
        for name, call in installed(kernels.METHODS, one._replace(relu=True)):
            kernels.agree(name, np.asarray(call()), dense(kernels, one._replace(relu=True)))
        expected = np.linalg.eigvalsh(expected)[-spectra.rank(one) :] / len(one.x)
        for name, call in installed(spectra.METHODS, one):
            if call is not None:
                spectra.agree(name, call(), expected)


def test_a_wrong_method_is_noticed(tiny):
    kernels, spectra = tiny
    right = np.array([1.0, 2.0, 3.0])
    for module, off in ((kernels, 1e-4), (spectra, 1e-10)):
        module.agree("right", right, right)
        with pytest.raises(ArithmeticError, match="wrong is"):
            module.agree("wrong", right + off, right)
        with pytest.raises(ArithmeticError, match="float32"):
            module.agree("rounded", right.astype(np.float32), right)


def test_the_operations_are_those_of_the_products(tiny):
    kernels, spectra = tiny
    one = kernels.problem(8, 64, 3, 4)
    function, arguments = kernels.of_library(one)
    counted = jax.jit(function).lower(*arguments).cost_analysis()["flops"]
    assert kernels.operations(one) == pytest.approx(counted, rel=0.05)


def test_the_other_tables_are_whole(tiny, capsys):
    for module in tiny:
        module.main()
        text = are_whole(capsys.readouterr().out)
        assert "not run: " in text


@pytest.fixture
def linear_models(trajectories, monkeypatch):
    module = importlib.import_module("linear_models")
    monkeypatch.setattr(module.kernels, "ROUNDS", 1)
    monkeypatch.setattr(module.measuring, "apart", lambda *_: FIRST_CALL)
    monkeypatch.setattr(module, "CASES", {kind: {kind: (3, 4, 3, 3)} for kind in module.CASES})
    return module


def test_every_method_of_linear_models_agrees_and_their_tables_are_whole(linear_models, capsys):
    linear_models.main()  # where all that are installed must agree
    assert are_whole(capsys.readouterr().out).count('"lazyrich') > 3
    with pytest.raises(ArithmeticError, match="wrong is"):
        linear_models.agree("wrong", np.ones(3), np.ones(3) + 1e-6)


def test_the_least_operations_of_linear_models_are_those_of_the_products(linear_models):
    for kind, function in (
        ("linear", linear_models.of_library),
        ("coefficients", linear_models.series),
    ):
        one = linear_models.problem(kind, 20, 64, 3, 4)
        program, arguments = function(one)
        counted = jax.jit(program).lower(*arguments).cost_analysis()["flops"]
        assert linear_models.operations(kind, one) <= 1.05 * counted


@pytest.fixture
def tails(trajectories, monkeypatch):
    module = importlib.import_module("tails")
    monkeypatch.setattr(module.kernels, "ROUNDS", 1)
    monkeypatch.setattr(module.measuring, "apart", lambda *_: FIRST_CALL)
    cases = {"fit": {"small": 25}, "spectrum": {"tall": (9, 6), "wide": (6, 9)}}
    monkeypatch.setattr(module, "CASES", cases)
    monkeypatch.setattr(module, "FITS", cases["fit"])
    monkeypatch.setattr(module, "SPECTRA", cases["spectrum"])
    return module


def test_every_method_of_tails_agrees_and_their_tables_are_whole(tails, capsys):
    for kind, cases in tails.CASES.items():
        for case in cases:
            one = tails.problem(kind, case)
            found = [call() for _, call in installed(tails.METHODS[kind], one)]
            assert len(found) >= 3
            for each in found:
                tails.agree("each", each, found[0])
    with pytest.raises(ArithmeticError, match="wrong is"):
        tails.agree("wrong", found[0] + 1e-6, found[0])
    tails.main()
    are_whole(capsys.readouterr().out)


@pytest.fixture
def students(trajectories, monkeypatch):
    module = importlib.import_module("students")
    monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(module, "TESTS", 20)
    monkeypatch.setattr(module.measuring, "apart", lambda *_: FIRST_CALL)
    monkeypatch.setattr(module, "CASES", {"small": 12})
    return module


def test_every_method_of_students_agrees_and_the_table_is_whole(students, monkeypatch, capsys):
    seconds = students.measured(12)  # where all that are installed must agree
    assert {"lazyrich", "lean NumPy", "least"} <= set(seconds)
    monkeypatch.setattr(students, "measured", lambda d: seconds)
    students.main()
    are_whole(capsys.readouterr().out)


def test_another_run_than_that_of_students_is_noticed(students):
    draw, run = students.lean()
    values, numbers = found = run(draw(12))
    assert values.shape == (2, 12) and numbers.shape == (2, 6)
    students.agree("right", found, found)
    for wrong in ((values * 1.01, numbers), (values, numbers * 1.01), (values * np.nan, numbers)):
        with pytest.raises(ArithmeticError, match="wrong is"):
            students.agree("wrong", wrong, found)


@pytest.fixture
def own_networks(trajectories, monkeypatch):
    module = importlib.import_module("own_networks")
    monkeypatch.setattr(module, "CHANNELS", (1, 2, 2, 2, 3))
    monkeypatch.setattr(module, "WIDTHS", (3, 6, module.OUTPUTS))
    monkeypatch.setattr(module, "MATRICES", [(30, 20), (20, 40)])
    return module


def test_every_method_of_own_networks_agrees(own_networks):
    for traced in (True, False):
        calls = own_networks.METHODS["kernel"]
        problem = own_networks.convolutional(3)
        problem = problem._replace(x=problem.x[:, :17, :17])
        problem.weights[-1] = problem.weights[-1][: 3 * 4]
        found = [call() for _, call in installed(calls, problem, traced)]
        assert len(found) > 1
        for kernel in found[1:]:
            np.testing.assert_allclose(kernel, found[0], rtol=1e-3, atol=1e-3)
    problem = own_networks.perceptron(2)
    for _, call in installed(own_networks.METHODS["ends"], problem):
        values = np.linalg.eigvalsh(dense(own_networks.kernels, problem, jax.numpy.tanh)) / 2
        np.testing.assert_allclose(call(), values[[0, -1]], rtol=1e-4)
    weights = own_networks.normal_weights()
    exponents, *_ = (call() for _, call in installed(own_networks.METHODS["weights"], weights))
    assert len(exponents) == 2


def test_the_tables_of_own_networks_are_whole(own_networks, monkeypatch, capsys):
    taken = {"seconds": 1.0, "memory": 1.0, "ends": None}
    monkeypatch.setattr(own_networks.measuring, "apart", lambda *_: taken)
    monkeypatch.setattr(own_networks, "LIMIT", 5e4)
    own_networks.main()
    tables = are_whole(capsys.readouterr().out)
    assert "\\u2013" in tables  # a Jacobian beyond the limit is not made


@pytest.fixture
def scaling(trajectories, monkeypatch):
    module = importlib.import_module("scaling")
    monkeypatch.setenv("JAX_ENABLE_X64", "true")  # for processes that it starts
    monkeypatch.setattr(module, "WIDTH", 4)
    monkeypatch.setattr(module, "STEPS", 3)
    monkeypatch.setattr(module, "RATES", (0.1, 0.2))
    return module


def test_workers_share_the_same_work(scaling):
    assert scaling.ensemble(1)() > 0
    scaling.agree("as one", scaling.sweep(2)(), scaling.sweep(1)())
    with pytest.raises(RuntimeError, match="there must be 2 devices, got"):
        scaling.ensemble(2)
    with pytest.raises(ArithmeticError, match="wrong is 1.0e-03 off"):
        scaling.agree("wrong", 1.001, 1.0)


def test_the_table_of_scaling_is_whole(scaling, monkeypatch, capsys):
    took = {"first": 2.0, "found": 1.0}
    monkeypatch.setattr(
        scaling.measuring, "apart", lambda _, kind, workers: took | {"later": 1 / workers}
    )
    scaling.main()
    table = json.loads(are_whole(capsys.readouterr().out))["tables"][0]
    assert [row[1:4] for row in table["rows"]] == [["1.0", "0.50", "2.0"]] * 2


@pytest.fixture(scope="module")
def costs(trajectories):
    return importlib.import_module("costs")


def test_the_sweeps_of_a_chapter_are_listed_and_not_computed(costs, tmp_path):
    small_book.write(tmp_path / "book")
    computed = sweeps.sweep
    [(function, found)] = costs.asked(tmp_path / "book/one.ipynb", "quick")
    assert function is points.slow and found == [{"number": number} for number in range(3, 9)]
    assert sweeps.sweep is computed


def test_a_point_is_made_smaller_by_what_only_repeats(costs):
    point = {"width": 64, "seeds": 100, "schedule": (0, 50, 400), "data": "MNIST"}
    small, times = costs.smaller(point)
    assert small == {"width": 64, "seeds": 2, "schedule": [0, 50, 100], "data": "digits"}
    assert times == 50 * 4
    assert costs.smaller({"width": 64, "seeds": 1}) == ({"width": 64, "seeds": 1}, 1)
    larger, left = costs.smaller(point, more=4)
    assert larger["seeds"] == 8 and larger["schedule"] == (0, 50, 400) and left == 12.5


@pytest.mark.parametrize(("own", "each"), [(0.5, 0.01), (0.0, 0.2), (3.0, 0.1)])
def test_what_all_members_cost_lies_on_a_line(own, each, costs, monkeypatch):
    monkeypatch.setattr(costs, "twice", lambda _, __, point: [9.0, own + each * point["seeds"]])
    compiling = 9 - own - 2 * each
    linear = 50 * (own + 2 * each) if own > costs.SHORT else own + 100 * each
    assert costs.cost(None, None, {"seeds": 100}) == pytest.approx(compiling + linear)
    assert costs.cost(None, None, {"seeds": 1}) == pytest.approx(9)


def test_what_a_point_costs_is_measured_once(costs, monkeypatch, tmp_path):
    small_book.write(tmp_path / "book")
    monkeypatch.setattr(costs, "BOOK", tmp_path / "book")
    monkeypatch.setattr(costs, "KEPT", tmp_path / "kept")
    monkeypatch.setenv(points.NOTES, str(tmp_path))
    first = costs.predicted("one", "quick")
    assert first["points"] == 6 and first["seconds"] > 0 and first["memory"] > 0
    assert len((tmp_path / "notes").read_text().split()) == 2 * 6
    assert costs.predicted("one", "quick") == first
    assert len((tmp_path / "notes").read_text().split()) == 2 * 6


def test_a_point_that_takes_long_is_computed_once(costs, monkeypatch):
    clock, called = iter([0.0, 30.0]), []
    monkeypatch.setattr(costs.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(costs.sweeps, "sweep", lambda *given: called.append(given))
    assert costs.twice(None, None, {}) == [30.0, 30.0] and len(called) == 1


def test_the_table_of_costs_is_whole(costs, monkeypatch, tmp_path):
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(costs, "BOOK", tmp_path / "book")
    monkeypatch.setattr(costs.chapters, "find", lambda folder: [folder / "one.ipynb"])
    answer = {"seconds": 7200.0, "points": 3, "memory": 100.0}
    monkeypatch.setattr(costs.measuring, "apart", lambda *_: answer)
    costs.main()
    found = json.loads((tmp_path / "book/costs.json").read_text())
    assert {"machine", "date", "versions", "tables"} == set(found)
    [table] = found["tables"]
    assert table["rows"] == [["one", "3", "2.0", "100", "7200", "7200"]]
    assert len(table["columns"]) == 6


def dense(kernels, problem, activation=None):
    """J Jᵀ by the Jacobian of all samples at once."""
    activation = activation or (jax.nn.relu if problem.relu else lambda z: z)

    def outputs(weights):
        return kernels.apply(weights, problem.x, activation).reshape(-1)

    blocks = jax.jacfwd(outputs)([jax.numpy.asarray(W) for W in problem.weights])
    rows = np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
    return rows @ rows.T


def installed(methods, problem, *settings):
    for name, method in methods.items():
        try:
            yield name, method(problem, *settings)
        except ImportError:
            assert name not in ("lazyrich", "JAX Jacobian")


def are_whole(text):
    result = json.loads(text)
    assert result["tables"]
    for table in result["tables"]:
        assert table["title"] and table["note"] and table["rows"]
        for row in table["rows"]:
            assert len(row) == len(table["columns"]) and all(isinstance(cell, str) for cell in row)
    return text
