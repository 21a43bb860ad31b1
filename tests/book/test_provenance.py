import json
import re
import subprocess

import jax
import pytest

from lazyrich.book import provenance


def test_the_machine_is_told_without_its_name():
    assert re.fullmatch(r".+, \d+ cores?", provenance.machine())


def test_software_has_the_versions_of_what_is_needed():
    found = provenance.software.__wrapped__()
    assert found["packages"]["jax"] == jax.__version__
    assert {"jaxlib", "lazyrich", "numpy", "matplotlib"} <= set(found["packages"])
    assert "pytest" not in found["packages"] and all(found["packages"].values())


def test_what_jax_is_set_to_is_known(monkeypatch):
    here = provenance.settings()
    assert here["jax_enable_x64"] is True and here["jax_default_matmul_precision"] is None
    assert here["jax_disable_most_optimizations"] is False
    json.dumps(here)
    with jax.enable_x64(False), jax.default_matmul_precision("highest"):
        there = provenance.settings()
    assert there["jax_enable_x64"] is False
    assert there["jax_default_matmul_precision"] == "highest"
    with jax.threefry_partitionable(not here["jax_threefry_partitionable"]):
        assert provenance.settings() != here
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert provenance.settings()["XLA_FLAGS"].endswith("math=true")


def test_the_device_is_the_one_that_computes():
    assert provenance.device() == jax.numpy.ones(1).device.device_kind


def test_the_commit_is_marked_where_files_differ(tmp_path):
    if provenance.commit(".") is None:
        pytest.skip("no git here")
    assert provenance.commit(tmp_path) is None

    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-m", "First")
    known = provenance.commit(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40}", known)
    (tmp_path / "out").write_text("computed")
    assert provenance.commit(tmp_path) == known
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path) == known + "+"
