import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

import points
import processes
from lazyrich.book import provenance, sources, store, sweeps


def test_a_grid_is_a_product_whose_last_axis_runs_fastest():
    points = sweeps.grid(width=[1, 2], scheme=["a", "b", "c"])
    assert [(point["width"], point["scheme"]) for point in points] == [
        (1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c"),
    ]  # fmt: skip
    assert sweeps.grid(width=[1], scheme=[]) == [] and sweeps.grid() == [{}]


def shifted(key, shift, scale=1.0):
    return {"draw": jax.random.normal(key, (2,)) + shift, "scale": scale}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_gives_paired_results_in_order(jobs):
    points = sweeps.grid(shift=[0.0, 1.0, -2.0], scale=[1.0, 3.0])
    with joblib.parallel_config("threading", n_jobs=jobs):
        results = sweeps.sweep(shifted, points, jax.random.key(3))
    draw = np.asarray(jax.random.normal(jax.random.key(3), (2,)))
    for result, point in zip(results, points, strict=True):
        assert type(result["draw"]) is np.ndarray and type(result["scale"]) is np.ndarray
        np.testing.assert_allclose(result["draw"], draw + point["shift"])
        assert result["scale"] == point["scale"]


def test_a_sweep_needs_points():
    with pytest.raises(ValueError, match="points must hold at least one point, got none"):
        sweeps.sweep(shifted, [], jax.random.key(0))


def test_a_key_keeps_its_kind():
    key = jax.random.key(3, impl="rbg")
    [draw] = sweeps.sweep(lambda key: jax.random.normal(key, (2,)), [{}], key)
    assert (draw == np.asarray(jax.random.normal(key, (2,)))).all()


def test_a_failing_point_is_named_beside_its_error():
    def fail(key, width, depth):
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError, match="no") as caught:
        sweeps.sweep(fail, [{"width": 3, "depth": 2}], jax.random.key(0))
    assert caught.value.__notes__ == ["at the point width 3, depth 2"]


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """The numbers of the points that were computed, in their order; a store is in use."""
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(points.NOTES, str(tmp_path))
    get_reusable_executor().shutdown()  # its processes have the environment of an earlier test

    def read():
        file = tmp_path / "notes"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    return read


def equal(one, other):
    return jax.tree.all(
        jax.tree.map(lambda a, b: (a == b).all() and a.dtype == b.dtype, one, other)
    )


def test_with_a_store_nothing_is_computed_twice(notes, monkeypatch):
    key = jax.random.key(0)
    first = sweeps.sweep(points.noted, sweeps.grid(number=[1, 2]), key)
    more = sweeps.sweep(points.noted, sweeps.grid(number=[3, 2, 1]), key)
    assert notes() == [1, 2, 3]
    assert equal(more[2], first[0]) and equal(more[1], first[1])
    assert type(more[2]["draw"]) is np.ndarray
    monkeypatch.delenv(store.VARIABLE)
    again = sweeps.sweep(points.noted, sweeps.grid(number=[3, 2, 1]), key)
    assert all(equal(a, b) for a, b in zip(again, more, strict=True))


def test_another_key_or_precision_is_another_point(notes):
    point = [{"number": 2}]
    keys = jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg")
    draws = [sweeps.sweep(points.noted, point, key)[0]["draw"] for key in keys]
    with jax.enable_x64(False):
        draws += [sweeps.sweep(points.noted, point, keys[0])[0]["draw"]]
    assert notes() == [2] * 4
    assert draws[3].dtype == np.float32
    assert len({float(draw[0]) for draw in draws}) == 4


@pytest.mark.parametrize("jobs", [1, 2])
def test_with_a_store_a_failing_point_leaves_the_others(jobs, notes, tmp_path):
    grid = sweeps.grid(number=[1, 2, 3, 4], failing=[(2, 3)])
    with joblib.parallel_config("threading", n_jobs=jobs):
        with pytest.raises(sweeps.SweepError) as caught:
            sweeps.sweep(points.noted, grid, jax.random.key(0))
        lines = str(caught.value).splitlines()
        assert lines[0].startswith("2 of 4 points of points.noted failed; the others are kept")
        assert sorted(lines[1:]) == [
            f"  number {i}, failing (2, 3): ArithmeticError: no {i}" for i in (2, 3)
        ]
        assert sorted(notes()) == [1, 4]
        (tmp_path / "mended").touch()
        results = sweeps.sweep(points.noted, grid, jax.random.key(0))
    assert sorted(notes()) == [1, 2, 3, 4] and sorted(notes()[:2]) == [1, 4]
    assert [len(result["count"]) for result in results] == [1, 2, 3, 4]


def test_each_result_is_kept_as_soon_as_it_is_there(notes):
    with joblib.parallel_config("threading", n_jobs=2):
        sweeps.sweep(points.waiting, sweeps.grid(number=[1, 2]), jax.random.key(0))
    assert notes() == [2, 1]


def test_a_damaged_result_is_computed_again(notes, tmp_path):
    grid = sweeps.grid(number=[1, 2, 3])
    whole = sweeps.sweep(points.noted, grid, jax.random.key(0))
    kept = sorted((tmp_path / "store").rglob("*.*/*"))
    assert len(kept) == 3
    kept[0].write_bytes(kept[0].read_bytes()[:-1])
    again = sweeps.sweep(points.noted, grid, jax.random.key(0))
    assert len(notes()) == 4 and all(equal(a, b) for a, b in zip(again, whole, strict=True))


def test_a_function_that_is_not_of_a_module_is_refused_by_the_store(notes):
    with pytest.raises(ValueError, match="function must stand in a module"):
        sweeps.sweep(lambda key: 0, [{}], jax.random.key(0))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_result_that_cannot_be_kept_is_a_failing_point(jobs, notes):
    with (
        joblib.parallel_config("threading", n_jobs=jobs),
        pytest.raises(
            sweeps.SweepError,
            match=r"^1 of 4 points (?s:.*)\n  number 2: TypeError: a result",
        ),
    ):
        sweeps.sweep(points.refused, sweeps.grid(number=[1, 2, 3, 4]), jax.random.key(0))
    assert sorted(notes()) == [1, 3, 4]


def test_a_result_that_cannot_be_kept_is_an_error(notes, monkeypatch):
    def full(path, result):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "keep", full)
    with pytest.raises(OSError, match="No space left"):
        sweeps.sweep(points.noted, [{"number": 1}], jax.random.key(0))


def test_processes_must_run_the_same_software(notes, monkeypatch):
    here = provenance.software()
    answers = iter([here, here])
    monkeypatch.setattr(provenance, "software", lambda: next(answers, {"python": "3.0"}))
    with pytest.raises(ValueError, match="and run the same software, and these differ"):
        sweeps.sweep(points.noted, sweeps.grid(number=[1, 2]), jax.random.key(0))
    monkeypatch.setattr(provenance, "software", lambda: here)
    with pytest.raises(ValueError, match="start the workers anew"):
        sweeps._attempt(0, None, ("", here), points.noted, None, {}, {"number": 1})
    sweeps.sweep(points.noted, sweeps.grid(number=[1, 2]), jax.random.key(0))
    assert sorted(notes()) == [1, 2]


def test_other_processes_compute_in_the_precision_of_this_one(notes):
    grid = sweeps.grid(number=[1, 2, 3])
    with joblib.parallel_config("loky", n_jobs=2):
        there = sweeps.sweep(points.noted, grid, jax.random.key(0))
    assert there[0]["draw"].dtype == np.float64
    here = sweeps.sweep(points.noted, grid, jax.random.key(0))
    assert len(notes()) == 3 and all(equal(a, b) for a, b in zip(here, there, strict=True))


def test_another_process_keeps_its_results_itself(notes, monkeypatch):
    def nothing(path, packed):
        raise AssertionError("there was nothing left to keep")

    monkeypatch.setattr(store, "keep", nothing)
    grid = sweeps.grid(number=[1, 2, 3])
    with joblib.parallel_config("loky", n_jobs=2):
        found = sweeps.sweep(points.noted, grid, jax.random.key(0))
    assert [len(result["count"]) for result in found] == [1, 2, 3] and len(notes()) == 3


def test_a_process_that_dies_is_told_with_the_points_that_are_left(notes):
    grid = sweeps.grid(number=[1, 2, 3, 4])
    with joblib.parallel_config("loky", n_jobs=2):
        with pytest.raises(sweeps.SweepError, match="a process that .* died") as caught:
            sweeps.sweep(points.killing, grid, jax.random.key(0))
        lines = str(caught.value).splitlines()
        assert "  number 3" in lines[1:] and f"{5 - len(lines)} of 4 are kept" in lines[0]
        sweeps.sweep(points.killing, grid, jax.random.key(0))
    # The other process, which ends too, may have been between computing a point and keeping it.
    assert set(notes()) == {1, 2, 3, 4} and len(notes()) <= 5


def test_processes_end_with_the_one_that_started_them_also_before_they_got_a_point(tmp_path):
    program = """
import os, signal
import jax, joblib, points
from lazyrich.book import sweeps
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
    yield
sweeps._with_progress = die
joblib.parallel_config("loky", n_jobs=2)
sweeps.sweep(points.noted, sweeps.grid(number=[1, 2]), jax.random.key(0))
"""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        points.NOTES: str(tmp_path),
        store.VARIABLE: str(tmp_path / "store"),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, start_new_session=True
    )
    assert process.wait() == -signal.SIGKILL
    # By themselves they would wait for five minutes.
    assert processes.end(process.pid, within=60)
    assert not (tmp_path / "notes").exists()


def test_a_module_that_was_written_after_the_process_began_is_refused(notes, monkeypatch):
    monkeypatch.setattr(sources, "_began", lambda: 0.0)
    with pytest.raises(ValueError, match="the file of .*points.* was written after this process"):
        sweeps.sweep(points.noted, sweeps.grid(number=[1]), jax.random.key(0))
    assert notes() == []


def test_a_point_that_ends_the_program_is_a_failing_point(notes):
    with pytest.raises(sweeps.SweepError, match="number 2: SystemExit: enough"):
        sweeps.sweep(points.ending, sweeps.grid(number=[1, 2, 3]), jax.random.key(0))
    assert notes() == [1, 3]


def test_progress_goes_where_a_variable_says(tmp_path, monkeypatch, capsys):
    sweeps.sweep(shifted, sweeps.grid(shift=[0.0, 1.0, 2.0]), jax.random.key(0))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(sweeps.VARIABLE, str(tmp_path / "progress"))
    sweeps.sweep(shifted, sweeps.grid(shift=[0.0, 1.0, 2.0]), jax.random.key(0))
    assert "point 0 of 3" in (tmp_path / "progress").read_text()
    assert capsys.readouterr() == ("", "")


def test_threads_are_taken_unless_an_engine_was_chosen():
    def engine():
        backend, number = joblib.parallel.get_active_backend()
        return type(backend).__name__, number

    def chosen():
        sweeps.threads(3)
        return engine()

    with ThreadPoolExecutor(1) as fresh:  # joblib keeps its settings for each thread
        assert fresh.submit(chosen).result() == ("ThreadingBackend", 3)
    assert engine() != ("ThreadingBackend", 3)
    with joblib.parallel_config("loky", n_jobs=2):
        sweeps.threads(3)
        assert engine() == ("LokyBackend", 2)
    with pytest.raises(ValueError, match="number must be an integer of at least 1, got 0"):
        sweeps.threads(0)
