import os
import pickle
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich.book import store


class Result(NamedTuple):
    value: np.ndarray
    name: str


class Outer:
    class Inner(NamedTuple):
        part: object


def kept(result, path):
    """A result that was written and read again."""
    store.keep(path, store.pack(result))
    return store.unpack(store.load(path), {__name__})


def same(one, other):
    """Whether two results have one structure, and arrays of one type and content."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        together = zip(one, other, strict=True)
        return type(one) is type(other) and all(same(a, b) for a, b in together)
    return one is other or (isinstance(one, bytes) and one == other)


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {},
        np.eye(3, dtype=np.float32),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array("tail"),
        np.zeros((2, 0)),
        np.array(jnp.arange(3, dtype="bfloat16")),
        Result(np.arange(4), np.array("four")),
        Outer.Inner([Result(np.array(1.5), np.array(True)), None]),
        {"a": [np.array(1.5)], "b": (np.array([1 + 2j]), b"\x00bytes"), 3: {"c": b""}},
    ],
)
def test_a_result_comes_back_as_it_was(result, tmp_path):
    path = tmp_path / "deep" / "a"
    with pytest.raises(LookupError):
        store.load(path)
    assert same(kept(result, path), result)


def test_numbers_and_texts_come_back_as_arrays(tmp_path):
    back = kept({"n": 3, "x": 0.5, "name": "a", "on": True}, tmp_path / "a")
    assert back == {"n": 3, "x": 0.5, "name": "a", "on": True}
    assert all(isinstance(value, np.ndarray) for value in back.values())


@pytest.mark.parametrize("result", [object(), {"f": lambda: 0}, np.array([None]), {1, 2}])
def test_what_is_no_array_number_or_text_is_refused(result):
    with pytest.raises(TypeError, match="a result must be of arrays, numbers, texts and bytes"):
        store.pack(result)


@given(data=st.data())
def test_a_damaged_file_is_no_result(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "a"
    store.keep(path, store.pack(np.arange(50.0)))
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
    if damaged == whole:
        assert store.load(path) == whole
    else:
        with pytest.raises(LookupError, match="is not whole"):
            store.load(path)


def test_the_same_bytes_each_time():
    first, again = (store.pack({"x": np.linspace(0, 1, 7), "y": "text"}) for _ in range(2))
    assert first == again


def test_reading_runs_no_code(tmp_path, monkeypatch):
    """Neither a pickle nor the name of a class makes anything of somebody else's run."""
    named = store.pack(Result(np.arange(4), np.array("four")))
    for modules in ((), ("numpy",), ("os", "subprocess")):
        with pytest.raises(LookupError, match="is a Result of .*, which is not there as it was"):
            store.unpack(named, modules)
    hostile = named.replace(b"Result", b"Harmer")

    class Harmer(NamedTuple):
        value: np.ndarray
        other: str

    monkeypatch.setattr(f"{__name__}.Harmer", Harmer, raising=False)
    with pytest.raises(LookupError, match="is a Harmer"):
        store.unpack(hostile, {__name__})  # of other fields
    monkeypatch.setattr(f"{__name__}.Harmer", exit)
    with pytest.raises(LookupError, match="is a Harmer"):
        store.unpack(hostile, {__name__})
    pickled = store.pack(np.zeros(1)).replace(b"'<f8'", b" '|O'")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.unpack(pickled)


def test_drafts_that_were_left_are_swept_up_when_the_result_is_there(tmp_path):
    left, fresh = tmp_path / "a.7.part", tmp_path / "a.8.part"
    for draft in (left, fresh, tmp_path / "b.7.part"):
        draft.touch()
    os.utime(left, (0, 0))
    os.utime(tmp_path / "b.7.part", (0, 0))
    store.keep(tmp_path / "a", store.pack(1))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.8.part", "b.7.part"}


@pytest.mark.parametrize("kind", ["folder", "pickle", "empty"])
def test_what_cannot_be_read_is_no_result(kind, tmp_path):
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(pickle.dumps({"x": 1}) if kind == "pickle" else b"")
    with pytest.raises(LookupError):
        store.load(path)


def test_every_part_of_the_origin_counts(tmp_path):
    origins = [
        ("f", 0, {"width": 3}),
        ("g", 0, {"width": 3}),
        ("f", 1, {"width": 3}),
        ("f", 0, {"width": 4}),
        ("f", 0, {"width": 3.0}),
        ("f", 0, {"depth": 3}),
        ("f", 0, {"width": np.float32(3)}),
        ("f", 0, {"width": np.arange(3)}),
        ("f", 0, {"width": (3,)}),
    ]
    places = {store.path(tmp_path, *origin) for origin in origins}
    assert len(places) == len(origins)
    assert store.path(tmp_path, "f", 0, {"width": 3}).parent == tmp_path / "f"
    one, other = {"width": 3, "depth": 2}, {"depth": 2, "width": 3}
    assert store.path(tmp_path, "f", one) == store.path(tmp_path, "f", other)


def test_the_folder_is_named_by_a_variable(tmp_path, monkeypatch):
    for empty in (None, ""):
        monkeypatch.delenv(store.VARIABLE, raising=False)
        if empty is not None:
            monkeypatch.setenv(store.VARIABLE, empty)
        assert store.prepared() is None
    monkeypatch.setenv(store.VARIABLE, "~/x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.prepared() == tmp_path / "x" and (tmp_path / "x").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ValueError, match="LAZYRICH_STORE must name a folder that can be written"):
        store.prepared()
