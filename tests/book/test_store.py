import functools
import hashlib
import importlib
import os
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyrich
from lazyrich import mechanisms
from lazyrich.book import estimates, provenance, store


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
    monkeypatch.delattr(f"{__name__}.Result")
    assert store.read(tmp_path / "a") == []


MODULE = """
import functools
from types import SimpleNamespace
from typing import NamedTuple

STEPS: int = 1
RATES = (0.5, -1.0)
SIZES, CACHE = SimpleNamespace(width=60), {}
CALLS = 0

class Result(NamedTuple):
    value: float

class Model:
    power = 2
    @property
    def value(self):
        return self.power + 10

def raised(power):
    return lambda x: x**power

square = raised(20)

@functools.cache
def part(x, shift=40):
    return x in {"a", "b"}

def value(key):
    global CALLS
    CALLS += 1
    CACHE[CALLS] = [square(2.0), part("a"), Model().value]
    return Result(STEPS * SIZES.width)
"""


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """The module above, from a file of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "edited", raising=False)
    (tmp_path / "edited.py").write_text(MODULE)
    return importlib.import_module("edited")


def edit(module, old, new):
    assert MODULE.count(old) == 1
    Path(module.__file__).write_text(MODULE.replace(old, new))


CODE = [
    ("self.power + 10", "self.power + 11"),
    ("x**power", "power**x"),
    ("shift=40):\n    return x", "shift=40):\n    return not x"),
    ("STEPS * SIZES", "STEPS - SIZES"),
]
NUMBERS = [("STEPS: int = 1", "STEPS: int = 3"), ("(0.5, -1.0)", "(0.5, -1.5)")]
OTHERS = [("width=60", "width=61"), ("raised(20)", "raised(21)"), ("power = 2", "power = 4")]


@pytest.mark.parametrize(("old", "new"), CODE + NUMBERS + OTHERS)
def test_a_module_is_known_by_its_file_when_it_was_loaded(old, new, edited):
    first = store.identity(edited.value)
    edit(edited, old, new)
    assert store.identity(edited.value) == first
    importlib.reload(edited)
    after = store.identity(edited.value)
    assert first[0] == after[0] == "edited.value" and first[1] != after[1]


@pytest.mark.parametrize(("old", "new"), CODE + NUMBERS)
def test_a_module_that_was_edited_and_not_loaded_anew_is_refused(old, new, edited):
    edit(edited, old, new)
    with pytest.raises(ValueError, match="as its file says, but in edited .* is not: load it anew"):
        store.identity(edited.value)
    importlib.reload(edited)
    store.identity(edited.value)


@pytest.mark.parametrize(("old", "new"), CODE + NUMBERS + OTHERS)
def test_the_bytecode_tells_that_a_file_was_edited(old, new, edited, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    importlib.reload(edited)
    edit(edited, old, new)
    os.utime(edited.__file__, (2e9, 2e9))  # the bytecode knows the second
    with pytest.raises(ValueError, match="the file of edited was edited since it was loaded"):
        store.identity(edited.value)
    importlib.reload(edited)
    store.identity(edited.value)


def test_what_a_module_keeps_while_it_computes_does_not_count(edited):
    first = store.identity(edited.value)
    for _ in range(100):
        store.pack(edited.value(None))
    assert edited.CALLS == len(edited.CACHE) == 100
    assert store.identity(edited.value) == first


@pytest.mark.parametrize(
    ("name", "value"), [("STEPS", 5), ("STEPS", 1.0), ("RATES", (0.5,)), ("STEPS", np.eye(3))]
)
def test_a_constant_that_was_set_from_outside_is_refused(name, value, edited, monkeypatch):
    store.identity(edited.value)
    monkeypatch.setattr(edited, name, value)
    with pytest.raises(ValueError, match=f"in edited {name} is not: .* give as an argument"):
        store.identity(edited.value)


def test_every_module_of_the_library_is_as_its_file_says():
    names = [one.name for one in pkgutil.walk_packages(lazyrich.__path__, "lazyrich.")]
    assert "lazyrich.experiments.mechanisms.flows" in names
    for name in names:
        if name != "lazyrich.__main__":
            home = importlib.import_module(name)
            assert not store._others(home, store._source(home))


def test_the_identity_is_the_same_in_every_process(tmp_path):
    (tmp_path / "edited.py").write_text(MODULE)
    asking = (
        "from lazyrich import mechanisms; from lazyrich.book import store; import edited; "
        "print([store.identity(one)[1] for one in (mechanisms.evolve, edited.value)])"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    asked = [
        subprocess.run(
            [sys.executable, "-c", asking],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert asked[0] == asked[1]


def test_drafts_that_were_left_are_swept_up_when_the_result_is_there(tmp_path):
    left, fresh = tmp_path / "a.7.part", tmp_path / "a.8.part"
    for draft in (left, fresh, tmp_path / "b.7.part"):
        draft.touch()
    os.utime(left, (0, 0))
    os.utime(tmp_path / "b.7.part", (0, 0))
    store.write(tmp_path / "a", store.pack(1))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.8.part", "b.7.part"}


@pytest.mark.parametrize("kind", ["folder", "foreign"])
def test_what_cannot_be_read_is_no_result(kind, tmp_path):
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    else:
        content = b"csubprocess\nnothing\n."
        path.write_bytes(hashlib.sha256(content).digest() + content)
    assert store.read(path) == []


def test_a_function_of_a_module_is_known_by_name_and_code():
    name, code = store.identity(estimates.mean)
    assert name == "lazyrich.book.estimates.mean"
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
        ("settings", provenance.settings() | {"jax_enable_x64": False}),
        ("settings", provenance.settings() | {"jax_threefry_partitionable": False}),
        ("settings", provenance.settings() | {"XLA_FLAGS": "--one"}),
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
