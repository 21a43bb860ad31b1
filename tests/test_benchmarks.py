"""The benchmarks at a tiny size: every method agrees, and the tables are whole. No times."""

import importlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest


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
    first_call = {"first": 1.0, "memory": 1.0, "later": 1.0}
    monkeypatch.setattr(trajectories, "first_call_apart", lambda *_: first_call)
    monkeypatch.setattr(trajectories, "race", lambda problem, kind, *_: races[kind])
    trajectories.main()
    result = json.loads(capsys.readouterr().out)
    for table in result["tables"]:
        assert table["title"] and table["note"] and table["rows"]
        for row in table["rows"]:
            assert len(row) == len(table["columns"]) and all(isinstance(cell, str) for cell in row)
