import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lazyrich import mechanisms
from lazyrich.book import estimates, sources

FILES = {
    "mine.py": "import helper\n\ndef value(key):\n    from house.room import light\n    return 1\n",
    "helper.py": "import os, numpy\nCONSTANT = 1\n",
    "house/__init__.py": "SIZE = 2\n",
    "house/room.py": "from . import door\nfrom .cellar import stairs\nlight = 3\n",
    "house/door.py": "WIDTH = 4\n",
    "house/cellar.py": "stairs = 5\n",
    "house/attic.py": "dust = 6\n",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's that imports others; this process began after they were written."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setattr(sources, "_began", lambda: float("inf"))
    for name in ("mine", "helper", "house", "house.room"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("mine")


def test_sources_are_what_is_imported_also_inside_functions(mine):
    name, needed = sources.identity(mine.value)
    assert name == "mine.value"
    assert set(needed.files) == {
        "mine", "helper", "house", "house.room", "house.door", "house.cellar",
    }  # fmt: skip
    assert set(needed.versions) == {"numpy"}
    assert "house" not in sys.modules  # nothing was executed for it


@pytest.mark.parametrize("name", [name for name in FILES if name != "house/attic.py"])
def test_each_file_counts(name, mine, tmp_path):
    first = sources.identity(mine.value)[1].mark()
    assert sources.identity(mine.value)[1].mark() == first
    (tmp_path / name).write_text(FILES[name] + "# changed\n")
    assert sources.identity(mine.value)[1].mark() != first


def test_what_is_not_imported_does_not_count(mine, tmp_path):
    first = sources.identity(mine.value)[1].mark()
    (tmp_path / "house/attic.py").write_text("dust = 7\n")
    assert sources.identity(mine.value)[1].mark() == first


def test_a_mark_knows_where_a_file_ends(tmp_path):
    marks = set()
    for one, other in (("ab", ""), ("a", "b"), ("", "ab")):
        (tmp_path / "x").write_text(one)
        (tmp_path / "y").write_text(other)
        marks.add(sources.Sources({"x": tmp_path / "x", "y": tmp_path / "y"}, {}).mark())
    marks.add(sources.Sources({"x": tmp_path / "x"}, {"numpy": "2.0"}).mark())
    assert len(marks) == 4


def test_a_file_that_was_written_after_the_process_began_is_refused(mine, tmp_path, monkeypatch):
    written = max(sources._written(file) for file in tmp_path.rglob("*.py"))
    monkeypatch.setattr(sources, "_began", lambda: written)
    sources.identity(mine.value)
    (tmp_path / "helper.py").write_text("CONSTANT = 2\n")
    os.utime(tmp_path / "helper.py", (0, 0))  # the time of the change itself is known, too
    with pytest.raises(ValueError, match="file of helper was written after .*: start the process"):
        sources.identity(mine.value)


def test_a_process_knows_when_it_began(tmp_path):
    (tmp_path / "before.py").write_text("def value(key):\n    return 1\n")
    program = """
from pathlib import Path
from lazyrich.book import sources
import before
print(sources.identity(before.value)[0])
Path(before.__file__).write_text("def value(key):\\n    return 2\\n")
try:
    sources.identity(before.value)
except ValueError as error:
    print("which is the kernel also where a cell" in str(error))
"""
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": paths}
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == ["before.value", "True"]


def test_of_the_library_only_what_is_reached_counts():
    _, needed = sources.identity(estimates.mean)
    assert set(needed.files) == {"lazyrich.book", "lazyrich.book.estimates"}
    _, needed = sources.identity(mechanisms.evolve)
    assert {"lazyrich.mechanisms.solution", "lazyrich.validation.arrays"} <= set(needed.files)
    assert not any("conditioning" in name or "figures" in name for name in needed.files)


@pytest.mark.parametrize(
    "code", ["import lazyrich", "from lazyrich import gauss_newton", "from lazyrich import *"]
)
def test_the_names_of_the_library_itself_come_from_all_of_it(code):
    assert set(sources.imports(code)) >= set(sources.modules_of_library())
    assert "lazyrich.book.claims" in sources.modules_of_library("book")


def test_imports_are_read_from_all_statements():
    code = """
import a.b as c, d
from e import f
def late():
    from .g import h
    from ..i import j
    from .. import k
"""
    assert list(sources.imports(code, "p.q")) == [
        "a", "a.b", "d", "e", "e", "e.f",
        "p", "p.q", "p.q.g", "p", "p.q", "p.q.g", "p.q.g.h",
        "p", "p.i", "p", "p.i", "p.i.j", "p", "p", "p.k",
    ]  # fmt: skip


def test_modules_beside_a_notebook_are_found(tmp_path):
    (tmp_path / "beside.py").write_text("import helper_beside\n")
    (tmp_path / "helper_beside.py").write_text("")
    found = sources.of_modules(["beside", "nowhere", "json", "__main__"], beside=tmp_path)
    assert set(found.files) == {"beside", "helper_beside"} and found.versions == {}


def test_the_sources_are_the_same_in_every_process(tmp_path):
    (tmp_path / "mine.py").write_text(FILES["mine.py"])
    asking = (
        "from lazyrich import mechanisms; from lazyrich.book import sources; import mine; "
        "print([sources.identity(one)[1].mark() for one in (mechanisms.evolve, mine.value)])"
    )
    (tmp_path / "helper.py").write_text("")
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


def inner():
    def local():
        return 0

    return local


@pytest.mark.parametrize(
    "function", [lambda key: 0, inner(), functools.partial(estimates.mean), len.__call__]
)
def test_a_function_whose_code_is_not_known_is_refused(function):
    with pytest.raises(ValueError, match="function must stand in a module under its own name"):
        sources.identity(function)


def test_a_function_of_a_notebook_or_program_is_refused(monkeypatch):
    local = inner()
    local.__module__, local.__qualname__ = "__main__", "local"
    monkeypatch.setattr("__main__.local", local, raising=False)
    with pytest.raises(ValueError, match="function must stand in a module"):
        sources.identity(local)


def test_a_function_that_was_replaced_under_its_name_is_refused(monkeypatch):
    old = estimates.mean
    monkeypatch.setattr(estimates, "mean", lambda x: 0)
    with pytest.raises(ValueError, match="under its own name"):
        sources.identity(old)


def test_the_library_lies_where_it_is_imported_from():
    assert Path(mechanisms.__file__).is_relative_to(sources.LIBRARY)
