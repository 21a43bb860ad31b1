import copy
import json
import re
from functools import partial

import pytest
from nbformat import v4

from lazyrich.book import authoring, chapters, engines, execution, notebooks, provenance


@pytest.fixture
def book(chapter, tmp_path):
    """A book of one small chapter."""
    folder = tmp_path / "book"
    folder.mkdir()
    notebooks.write(folder / "demo.ipynb", chapter)
    return folder


@pytest.fixture
def run(monkeypatch, executed):
    """Executing takes no kernel: the outputs of the small chapter."""

    def execute(task, progress=True):
        result = copy.deepcopy(executed)
        for cell, source in zip(result.notebook.cells, task.notebook.cells, strict=True):
            cell.source = source.source
        return result

    monkeypatch.setattr(execution, "execute", execute)


def test_executing_writes_the_normal_form_and_what_it_took(book, run):
    notebook = notebooks.read(book / "demo.ipynb")
    notebook.cells[1].source = 'scale = "quick"\nseed = 5'
    notebooks.write(book / "demo.ipynb", notebook)
    authoring.execute_in_place(book)
    notebook = notebooks.read(book / "demo.ipynb")
    assert notebook.cells[1].source == 'scale = "book"\nseed = 0'
    assert (book / "demo.ipynb").read_text(encoding="utf-8") == notebooks.text(notebook)
    table = json.loads((book / "performance.json").read_text(encoding="utf-8"))
    assert set(table) == {"chapters", "machine", "versions"}
    assert set(table["versions"]) == {"python", "jax"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", table["chapters"]["demo"]["date"])
    entry = table["chapters"]["demo"]
    assert entry["scale"] == "book" and entry["seconds"] > 0 and entry["peak_memory_mib"] > 0
    assert len(entry["cells"]) == len(notebooks.code_cells(notebook))
    assert entry["spent"]["drawing"] > 0
    assert chapters.shares(book / "demo.ipynb") == entry["cells"]


def test_nothing_is_executed_if_a_notebook_is_no_chapter(book, run):
    before = (book / "demo.ipynb").read_bytes()
    notebooks.write(book / "Untitled.ipynb", v4.new_notebook())
    with pytest.raises(ValueError, match="Untitled.ipynb is not a chapter: one code cell must"):
        authoring.execute_in_place(book)
    assert (book / "demo.ipynb").read_bytes() == before
    assert not (book / "performance.json").exists()


def test_one_chapter_keeps_the_times_of_others_on_this_machine_only(
    book, run, chapter, monkeypatch
):
    notebooks.write(book / "other.ipynb", chapter)
    authoring.execute_in_place(book, ["demo"])
    authoring.execute_in_place(book, ["other"])
    table = book / "performance.json"
    assert set(json.loads(table.read_text(encoding="utf-8"))["chapters"]) == {"demo", "other"}
    monkeypatch.setattr(provenance, "machine", lambda: "another, 4 cores")
    authoring.execute_in_place(book, ["other"])
    assert set(json.loads(table.read_text(encoding="utf-8"))["chapters"]) == {"other"}


def test_verdicts_at_other_seeds_come_from_executed_copies(book, tmp_path):
    before = (book / "demo.ipynb").read_bytes()
    engine = engines.Engine({}, "", "cpu", {})
    compute = partial(chapters.compute, engine=engine, folder=tmp_path / "store")
    found, seconds = authoring.verdicts_at_seeds(book / "demo.ipynb", [1, 2], "quick", compute)
    assert seconds > 0
    # Ten draws have a standard error of 0.3, which no tolerance of 0.2 can decide.
    assert found == {"M1": ["undecided", "undecided"]}
    assert (book / "demo.ipynb").read_bytes() == before
