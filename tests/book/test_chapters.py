import copy
import json
import re

import pytest
from nbformat import v4

from lazyrich.book import chapters, claims, execution, notebooks, provenance


@pytest.fixture
def book(chapter, tmp_path):
    """A book of one small chapter and a page."""
    folder = tmp_path / "book"
    folder.mkdir()
    notebooks.write(folder / "demo.ipynb", chapter)
    (folder / "page.md").write_text("# A page\n")
    return folder


@pytest.fixture
def run(monkeypatch, executed):
    """Executing takes no kernel: the outputs of the small chapter, and a list of what was run."""
    names = []

    def execute(notebook, folder, name, progress=True, shares=()):
        names.append(name)
        result = copy.deepcopy(executed)
        for cell, source in zip(result.notebook.cells, notebook.cells, strict=True):
            cell.source = source.source
        return result

    monkeypatch.setattr(execution, "execute", execute)
    return names


def edit(path, number, source):
    notebook = notebooks.read(path)
    notebook.cells[number].source = source
    notebooks.write(path, notebook)


def modified(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def outputs(path):
    return [cell.outputs for cell in notebooks.code_cells(notebooks.read(path))]


def test_chapters_are_found_by_name_in_their_order(book, chapter):
    notebooks.write(book / "another.ipynb", chapter)
    assert [path.stem for path in chapters.find(book)] == ["another", "demo"]
    assert chapters.find(book, ["demo"]) == [book / "demo.ipynb"]
    with pytest.raises(ValueError, match="chapter must be one of another, demo, got 'x'"):
        chapters.find(book, ["x"])
    with pytest.raises(ValueError, match="folder must hold notebooks"):
        chapters.find(book / "none")


def test_the_fingerprint_follows_code_style_library_and_versions(book, chapter, monkeypatch):
    def mark(notebook=chapter):
        return chapters.fingerprint(notebook, book)

    first = mark()
    prose, code = copy.deepcopy(chapter), copy.deepcopy(chapter)
    prose.cells[0].source += " More."
    prose.cells[7].metadata.mystnb.figure.caption = "Another caption."
    code.cells[1].source += " "
    assert mark(prose) == mark() == first
    assert mark(code) != first
    (book / "matplotlibrc").write_text("figure.dpi: 93\n")
    styled = mark()
    assert styled != first
    for part in ("packages", "library", "python"):
        software = provenance.software() | {part: "another"}
        monkeypatch.setattr(provenance, "software", lambda software=software: software)
        assert mark() != styled
        monkeypatch.undo()


def test_a_fresh_copy_is_executed_and_the_source_is_left(book, run, executed):
    before = (book / "demo.ipynb").read_text(encoding="utf-8")
    work = book.parent / "_build" / "book"
    assert chapters.refresh(book, work) == ["demo"]
    assert outputs(work / "demo.ipynb") == [
        cell.outputs for cell in notebooks.code_cells(executed.notebook)
    ]
    assert (work / "page.md").read_text() == "# A page\n"
    assert (book / "demo.ipynb").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in work.parent.iterdir()) == ["book", "book.outputs"]


def test_stored_outputs_do_not_count_as_computed_here(book, run, executed):
    notebooks.write(book / "demo.ipynb", executed.notebook)
    assert chapters.refresh(book, book.parent / "work") == ["demo"]


def test_only_what_is_stale_is_executed(book, run, chapter):
    work = book.parent / "work"
    notebooks.write(book / "other.ipynb", chapter)
    assert chapters.refresh(book, work) == ["demo", "other"]
    first, times = (work / "demo.ipynb").read_bytes(), modified(work)
    assert chapters.refresh(book, work) == []
    assert (work / "demo.ipynb").read_bytes() == first and modified(work) == times
    edit(book / "demo.ipynb", 5, "1 + 1")
    assert chapters.refresh(book, work) == ["demo"]
    assert run == ["demo.ipynb", "other.ipynb", "demo.ipynb"]


def test_new_prose_and_captions_keep_the_outputs(book, run):
    work = book.parent / "work"
    chapters.refresh(book, work)
    computed = outputs(work / "demo.ipynb")
    edit(book / "demo.ipynb", 0, "# Another title")
    assert chapters.refresh(book, work) == []
    assert notebooks.read(work / "demo.ipynb").cells[0].source == "# Another title"
    assert outputs(work / "demo.ipynb") == computed != [[], [], [], []]


def test_what_was_removed_vanishes_and_checkpoints_are_not_copied(book, run):
    work = book.parent / "work"
    (book / ".ipynb_checkpoints").mkdir()
    chapters.refresh(book, work)
    assert not (work / ".ipynb_checkpoints").exists()
    (book / "page.md").unlink()
    chapters.refresh(book, work)
    assert {path.name for path in work.iterdir()} == {"demo.ipynb", chapters.MARK}


def test_a_failing_cell_leaves_the_last_copy_and_what_was_computed(book, run, chapter, monkeypatch):
    work = book.parent / "work"
    chapters.refresh(book, work)
    before = (work / "demo.ipynb").read_bytes()
    notebooks.write(book / "another.ipynb", chapter)
    edit(book / "demo.ipynb", 5, "1 / 0")
    execute = execution.execute

    def fail(notebook, folder, name, progress):
        if name == "demo.ipynb":
            raise execution.CellError("demo.ipynb: code cell 3 failed")
        return execute(notebook, folder, name, progress)

    monkeypatch.setattr(execution, "execute", fail)
    with pytest.raises(execution.CellError):
        chapters.refresh(book, work)
    assert (work / "demo.ipynb").read_bytes() == before
    edit(book / "demo.ipynb", 5, "1 + 1")
    monkeypatch.setattr(execution, "execute", execute)
    assert chapters.refresh(book, work) == ["demo"]  # the other one is remembered


def test_storing_writes_the_normal_form_and_what_it_took(book, run):
    edit(book / "demo.ipynb", 1, 'scale = "quick"\nseed = 5')
    chapters.store(book)
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
    assert chapters.shares(book / "demo.ipynb") == entry["cells"]


def test_hidden_notebooks_are_none_of_the_book(book):
    for name in (".~demo.ipynb", "._demo.ipynb", "...ipynb"):
        (book / name).write_text("no notebook")
    assert [path.name for path in chapters.find(book)] == ["demo.ipynb"]
    (book / "a#b.ipynb").write_text("")
    with pytest.raises(ValueError, match="name of a notebook must be without '#', got 'a#b.ipynb'"):
        chapters.find(book)


def test_a_module_beside_the_chapters_counts(book):
    notebook = notebooks.read(book / "demo.ipynb")
    found = [chapters.fingerprint(notebook, book)]
    for content in ("C = 1", "C = 2"):
        (book / "helper.py").write_text(content)
        found.append(chapters.fingerprint(notebook, book))
    assert len(set(found)) == 3


def test_nothing_is_stored_if_a_notebook_is_no_chapter(book):
    stray, before = book / "Untitled.ipynb", (book / "demo.ipynb").read_bytes()
    notebooks.write(stray, v4.new_notebook())
    for compute in (
        chapters.store,
        lambda folder: chapters.verdicts_at_seeds(folder, "Untitled", [1]),
    ):
        with pytest.raises(ValueError, match="Untitled.ipynb is not a chapter: one code cell must"):
            compute(book)
    assert (book / "demo.ipynb").read_bytes() == before
    assert not (book / "performance.json").exists()


@pytest.mark.parametrize("table", [None, "", "[]", "{", '{"chapters": {"demo": {}}}'])
def test_the_times_of_the_cells_may_not_be_known(book, table):
    if table is not None:
        (book / "performance.json").write_text(table)
    assert chapters.shares(book / "demo.ipynb") == []


def test_storing_one_chapter_keeps_the_times_of_others_on_this_machine_only(
    book, run, chapter, monkeypatch
):
    notebooks.write(book / "other.ipynb", chapter)
    chapters.store(book, ["demo"])
    chapters.store(book, ["other"])
    table = book / "performance.json"
    assert set(json.loads(table.read_text(encoding="utf-8"))["chapters"]) == {"demo", "other"}
    monkeypatch.setattr(provenance, "machine", lambda: "another, 4 cores")
    chapters.store(book, ["other"])
    assert set(json.loads(table.read_text(encoding="utf-8"))["chapters"]) == {"other"}


def test_verdicts_at_other_seeds_come_from_executed_copies(book):
    before = (book / "demo.ipynb").read_bytes()
    found = chapters.verdicts_at_seeds(book, "demo", [1, 2], "quick", progress=False)
    # Ten draws have a standard error of 0.3, which no tolerance of 0.2 can decide.
    assert found == {"M1": ["undecided", "undecided"]}
    assert (book / "demo.ipynb").read_bytes() == before


def test_the_small_chapter_end_to_end(book):
    work = book.parent / "work"
    chapters.refresh(book, work, progress=False)
    [record] = claims.read(work)
    assert (record["id"], record["chapter"], record["verdict"]) == ("M1", "demo", "holds")


def test_a_folder_with_other_files_is_not_replaced(book, run):
    thesis = book.parent / "victim" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("mine")
    with pytest.raises(ValueError, match="must be a new folder, or that of an earlier build"):
        chapters.refresh(book, thesis.parent)
    assert thesis.read_text() == "mine"


def test_the_copy_lies_apart_from_the_book(book, run):
    for work in (book, book / "inside", book.parent):
        with pytest.raises(ValueError, match="the copy must lie apart from the book"):
            chapters.refresh(book, work)
    for end in ("part", "outputs"):
        beside = book.rename(book.with_name(f"copy.{end}"))
        with pytest.raises(ValueError, match="the copy must lie apart from the book"):
            chapters.refresh(beside, book.with_name("copy"))
        beside.rename(book)
    assert (book / "demo.ipynb").exists()


def test_what_no_build_has_put_there_is_never_replaced(book, run):
    work = book.parent / "work"
    for folder in ("work", "work.part", "work.outputs"):
        mine = book.parent / folder / "thesis.txt"
        mine.parent.mkdir()
        mine.write_text("mine")
        with pytest.raises(ValueError, match=f"or that of an earlier build, got .*{folder}$"):
            chapters.refresh(book, work)
        assert mine.read_text() == "mine"
        mine.unlink()
        mine.parent.rmdir()
    assert not run


@pytest.mark.parametrize("memory", ["{", "[]", '{"fingerprint": "a"}', ""])
def test_a_memory_that_cannot_be_read_is_stale(book, run, memory):
    work = book.parent / "work"
    chapters.refresh(book, work)
    record = book.parent / "work.outputs" / "demo.json"
    record.write_text(memory)
    assert chapters.refresh(book, work) == ["demo"]
    fewer = json.loads(record.read_text())
    record.write_text(json.dumps(fewer | {"cells": fewer["cells"][1:]}))
    assert chapters.refresh(book, work) == ["demo"]
    assert chapters.refresh(book, work) == []


@pytest.mark.parametrize("table", ["{", "[]", "{}"])
def test_a_table_that_cannot_be_read_is_written_anew(book, run, table):
    (book / "performance.json").write_text(table)
    chapters.store(book)
    assert set(json.loads((book / "performance.json").read_text())["chapters"]) == {"demo"}


def test_a_book_that_cannot_be_written_to_can_be_built(book, run):
    for path in (*book.iterdir(), book):
        path.chmod(0o555)
    work = book.parent / "work"
    assert chapters.refresh(book, work) == ["demo"] and chapters.refresh(book, work) == []
    assert work.stat().st_mode & 0o700 == 0o700
    book.chmod(0o755)
