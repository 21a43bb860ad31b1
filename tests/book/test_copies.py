import copy
import shutil

import pytest
from nbformat import v4

from lazyrich.book import chapters, copies, notebooks


@pytest.fixture
def book(chapter, tmp_path):
    """A book of one small chapter and a page."""
    folder = tmp_path / "book"
    folder.mkdir()
    notebooks.write(folder / "demo.ipynb", chapter)
    (folder / "page.md").write_text("# A page\n")
    return folder


@pytest.fixture
def compute(executed):
    """Computing gives the outputs of the small chapter; only the first time it is done now."""
    known = set()

    def compute(asked, keep):
        for one in asked:
            notebook = copy.copy(executed.notebook)
            notebook.cells = [one.notebook.cells[0], *executed.notebook.cells[1:]]
            keep(one, chapters.Computed(notebook, {}, 1.0, {}, one.name not in known))
            known.add(one.name)

    return compute


def modified(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def outputs(path):
    return [cell.outputs for cell in notebooks.code_cells(notebooks.read(path))]


def test_the_copy_has_the_outputs_and_the_source_is_left(book, compute, executed):
    before = (book / "demo.ipynb").read_text(encoding="utf-8")
    work = book.parent / "_build" / "book"
    assert copies.refresh(book, work, compute) == ["demo"]
    assert outputs(work / "demo.ipynb") == [
        cell.outputs for cell in notebooks.code_cells(notebooks.normalise(executed.notebook))
    ]
    assert (work / "page.md").read_text() == "# A page\n"
    assert (book / "demo.ipynb").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in work.parent.iterdir()) == ["book"]


def test_what_is_the_same_keeps_its_time(book, compute):
    work = book.parent / "work"
    assert copies.refresh(book, work, compute) == ["demo"]
    first, times = (work / "demo.ipynb").read_bytes(), modified(work)
    assert copies.refresh(book, work, compute) == []
    assert (work / "demo.ipynb").read_bytes() == first and modified(work) == times


def test_what_was_removed_vanishes_and_checkpoints_are_not_copied(book, compute):
    work = book.parent / "work"
    (book / ".ipynb_checkpoints").mkdir()
    copies.refresh(book, work, compute)
    assert not (work / ".ipynb_checkpoints").exists()
    (book / "page.md").unlink()
    copies.refresh(book, work, compute)
    assert {path.name for path in work.iterdir()} == {"demo.ipynb", copies.MARK}


def test_what_fails_leaves_the_last_copy(book, compute):
    work = book.parent / "work"
    copies.refresh(book, work, compute)
    before = (work / "demo.ipynb").read_bytes()

    def fail(asked, keep):
        raise RuntimeError("a cell failed")

    with pytest.raises(RuntimeError):
        copies.refresh(book, work, fail)
    assert (work / "demo.ipynb").read_bytes() == before
    assert copies.refresh(book, work, compute) == []


def test_a_notebook_that_is_no_chapter_is_named_before_anything_is_computed(book, compute):
    notebooks.write(book / "Untitled.ipynb", v4.new_notebook())
    with pytest.raises(ValueError, match="Untitled.ipynb is not a chapter"):
        copies.refresh(book, book.parent / "work", compute)
    assert not (book.parent / "work").exists()


def test_a_folder_with_other_files_is_not_replaced(book, compute):
    thesis = book.parent / "victim" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("mine")
    with pytest.raises(ValueError, match="must be a new folder, or that of an earlier build"):
        copies.refresh(book, thesis.parent, compute)
    assert thesis.read_text() == "mine"


def test_the_copy_lies_apart_from_the_book(book, compute):
    for work in (book, book / "inside", book.parent):
        with pytest.raises(ValueError, match="the copy must lie apart from the book"):
            copies.refresh(book, work, compute)
    beside = book.rename(book.with_name("copy.part"))
    with pytest.raises(ValueError, match="the copy must lie apart from the book"):
        copies.refresh(beside, book.with_name("copy"), compute)
    assert (beside / "demo.ipynb").exists()


def test_what_no_build_has_put_there_is_never_replaced(book, compute):
    work = book.parent / "work"
    for folder in ("work", "work.part"):
        mine = book.parent / folder / "thesis.txt"
        mine.parent.mkdir()
        mine.write_text("mine")
        with pytest.raises(ValueError, match=f"or that of an earlier build, got .*{folder}$"):
            copies.refresh(book, work, compute)
        assert mine.read_text() == "mine"
        shutil.rmtree(mine.parent)
