import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import pytest

import points
from lazyrich.book import engines, provenance, store


def test_devices_are_backends_of_jax():
    there = engines.engine("book", "cpu")
    assert there.environment == {"JAX_PLATFORMS": "cpu"} and there.code == ""
    assert there.device == "cpu" and there.settings == provenance.settings() | {
        "jax_enable_x64": False
    }
    with pytest.raises(ValueError, match="device must be one of 'auto', 'cpu', 'gpu', got 'tpu'"):
        engines.engine("book", "tpu")


def test_at_quick_alone_a_kernel_compiles_with_less_care():
    quick = engines.engine("quick")
    assert engines.engine("book")[:2] == engines.engine("paper")[:2] == ({}, "")
    assert quick.settings["jax_disable_most_optimizations"]
    asking = (
        f"{quick.code}from lazyrich.book.provenance import settings\n"
        "print(gc.get_threshold()[0], settings()['jax_disable_most_optimizations'])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", asking],
        env=os.environ | quick.environment,
        capture_output=True,
        text=True,
    )
    assert asked.stdout.split() == ["50000", "True"]


def test_processes_are_those_of_joblib():
    with joblib.parallel_config("sequential"):
        scope = {}
        with warnings.catch_warnings(record=True) as seen:
            exec(engines.engine("book", jobs=3).code, scope)
            warnings.warn("A worker stopped while some jobs were given to it", stacklevel=1)
        assert not seen
        backend, number = joblib.parallel.get_active_backend()
        assert type(backend).__name__ == "LokyBackend" and number == 3


def test_programs_are_kept_where_they_can_be_and_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    there = engines.engine("book", programs=tmp_path / "programs").environment
    folder = Path(there["JAX_COMPILATION_CACHE_DIR"])
    assert folder.parent == tmp_path / "programs" and not folder.exists()
    code = "import jax; jax.jit(lambda x: x + 1)(1.0)"
    subprocess.run([sys.executable, "-c", code], env=os.environ | there, check=True)
    assert list(folder.iterdir())
    (tmp_path / "file").touch()
    assert engines.engine("book", programs=tmp_path / "file").environment == {}
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert engines.engine("book", programs=tmp_path / "programs").environment == {}


def test_a_cluster_computes_a_sweep_and_a_chapter_though_a_worker_dies(tmp_path):
    here = Path(__file__).parents[1]
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(here), *sys.path]),
        store.VARIABLE: str(tmp_path / "store"),
        points.NOTES: str(tmp_path),
    }
    command = [sys.executable, str(here / "on_a_cluster.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    numbers = [int(line) for line in (tmp_path / "notes").read_text().split()]
    # Once on the cluster and once here; and the chapter's points on the cluster.
    assert sorted(numbers) == sorted([*range(1, 9)] * 2 + [*range(3, 9)])
    assert len(list((tmp_path / "store/points.killing").iterdir())) == 8
    assert json.loads((tmp_path / "out/one/claims.json").read_text())[0]["verdict"] == "holds"
