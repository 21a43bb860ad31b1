import functools
import hashlib
import importlib
import pickle
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich import estimates, mechanisms, provenance, store


class Result(NamedTuple):
    value: np.ndarray
    name: str


@pytest.mark.parametrize(
    "result", [None, [], np.eye(3, dtype=np.float32), Result(np.arange(4), "four"), {"a": [1.5]}]
)
def test_a_result_comes_back_as_it_was(result, tmp_path):
    path = tmp_path / "deep" / "a"
    assert store.read(path) == []
    store.write(path, store.pack(result))
    [back] = store.read(path)
    assert pickle.dumps(back) == pickle.dumps(result)


@given(data=st.data())
def test_a_damaged_file_is_no_result(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "a"
    store.write(path, store.pack(np.arange(50.0)))
    whole = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "changed", "zeros", "longer"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = {
        "cut": whole[:at],
        "changed": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "zeros": whole[:at] + bytes(len(whole) - at),
        "longer": whole + b"\0",
    }[kind]
    path.write_bytes(damaged)
    assert (store.read(path) == []) == (damaged != whole)


def test_the_same_bytes_each_time(tmp_path):
    for name in "ab":
        store.write(tmp_path / name, store.pack({"x": np.linspace(0, 1, 7), "y": "text"}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    content = (tmp_path / "a").read_bytes()
    assert hashlib.sha256(content[32:]).digest() == content[:32]


def test_a_result_whose_class_is_gone_is_none(tmp_path, monkeypatch):
    store.write(tmp_path / "a", store.pack(Result(np.arange(4), "four")))
    monkeypatch.delattr("test_store.Result")
    assert store.read(tmp_path / "a") == []


def test_a_module_edited_after_its_import_is_still_the_one_that_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "edited.py").write_text("def value(key):\n    return 1\n")
    edited = importlib.import_module("edited")
    first = store.identity(edited.value)
    (tmp_path / "edited.py").write_text("def value(key):\n    return 2\n")
    assert store.identity(edited.value) == first
    importlib.reload(edited)
    assert store.identity(edited.value)[0] == first[0]
    assert store.identity(edited.value)[1] != first[1]


def test_a_module_edited_before_it_is_first_asked_for_is_not_taken_for_the_new_one(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    file = tmp_path / "late.py"
    file.write_text(
        "import jax\n\n@jax.jit\ndef part(x):\n    return x in {'a', 'b'}\n\n"
        "def value(key):\n    return part\n"
    )
    late = importlib.import_module("late")
    file.write_text(file.read_text().replace("'b'", "'c'"))
    before = store.identity(late.value)
    importlib.reload(late)
    assert store.identity(late.value) != before


def test_a_function_of_a_module_is_known_by_name_and_code():
    name, code = store.identity(estimates.mean)
    assert name == "lazyrich.estimates.mean"
    assert store.identity(estimates.geometric_mean)[1] == code
    assert store.identity(mechanisms.evolve)[1] != code


def inner():
    def local():
        return 0

    return local


@pytest.mark.parametrize(
    "function", [lambda key: 0, inner(), functools.partial(estimates.mean), len.__call__]
)
def test_a_function_whose_code_is_not_known_cannot_be_kept(function):
    with pytest.raises(ValueError, match="function must stand in a module under its own name"):
        store.identity(function)


def test_a_function_of_a_notebook_or_program_cannot_be_kept(monkeypatch):
    local = inner()
    local.__module__, local.__qualname__ = "__main__", "local"
    monkeypatch.setattr("__main__.local", local, raising=False)
    with pytest.raises(ValueError, match="function must stand in a module"):
        store.identity(local)


def test_a_function_that_was_replaced_under_its_name_cannot_be_kept(monkeypatch):
    old = estimates.mean
    monkeypatch.setattr(estimates, "mean", lambda x: 0)
    with pytest.raises(ValueError, match="under its own name"):
        store.identity(old)


def test_every_part_of_the_key_counts(tmp_path, monkeypatch):
    known = ("module.function", "a" * 64)

    def places(identity=known, arguments=(0, {"width": 3})):
        return store.path(tmp_path, identity, arguments, store.conditions())

    first = places()
    assert places() == first and first.parent.name == "module.function"
    found = {
        first,
        places(identity=("module.other", "a" * 64)),
        places(identity=("module.function", "b" * 64)),
        places(arguments=(1, {"width": 3})),
        places(arguments=(0, {"width": 4})),
        places(arguments=(0, {"width": 3.0})),
        places(arguments=(0, {"depth": 3})),
        places(arguments=(0, {"width": np.float32(3)})),
        places(arguments=(0, {"width": np.arange(3)})),
        places(arguments=(0, {"width": jnp.arange(3)})),
    }
    assert len(found) == 10
    software = provenance.software()
    for name, changed in (
        ("software", software | {"library": "c" * 64}),
        ("software", software | {"packages": software["packages"] | {"jax": "0"}}),
        ("precision", provenance.precision() | {"double": False}),
        ("compiler", provenance.compiler() | {"optimised": False}),
        ("compiler", provenance.compiler() | {"flags": "--one"}),
        ("device", "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(provenance, name, lambda changed=changed: changed)
            found.add(places())
    assert len(found) == 16


def test_the_order_of_the_scalars_does_not_count(tmp_path):
    one, other = {"width": 3, "depth": 2}, {"depth": 2, "width": 3}
    places = [store.path(tmp_path, ("f", ""), point, ()) for point in (one, other)]
    assert places[0] == places[1]


def test_the_folder_is_named_by_a_variable(tmp_path, monkeypatch):
    for empty in (None, ""):
        monkeypatch.delenv(store.VARIABLE, raising=False)
        if empty is not None:
            monkeypatch.setenv(store.VARIABLE, empty)
        assert store.folder() is None
    monkeypatch.setenv(store.VARIABLE, "~/x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.folder() == tmp_path / "x"
