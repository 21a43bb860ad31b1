import copy

import pytest
from nbformat import v4

from lazyrich.book import copies, notebooks


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
        now = [one.name for one in asked if one.name not in known]
        for one in asked:
            notebook = copy.copy(executed.notebook)
            notebook.cells = [one.notebook.cells[0], *executed.notebook.cells[1:]]
            keep(one, executed._replace(notebook=notebook))
            known.add(one.name)
        return now

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


def test_the_files_of_figures_stand_beside_and_a_table_says_what_it_shows(book, executed):
    drawn = {"fig-draws.svg": b"<svg/>", "fig-draws.csv": b"x\n1\n"}

    def compute(asked, keep):
        keep(asked[0], executed._replace(figures=drawn))
        return ["demo"]

    work = book.parent / "work"
    copies.refresh(book, work, compute)
    folder = work / copies.FIGURES / "demo"
    assert (folder / "fig-draws.svg").read_bytes() == b"<svg/>"
    table = (folder / "fig-draws.csv").read_text()
    assert table.startswith("# fig-draws of the chapter demo, at scale book") and table.endswith(
        "1\n"
    )


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
    assert (book / "demo.ipynb").exists()


def test_what_lies_beside_the_copy_is_never_touched(book, compute):
    mine = book.parent / "work.part" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    copies.refresh(book, book.parent / "work", compute)
    assert [path.name for path in mine.parent.iterdir()] == ["thesis.txt"]
    assert mine.read_text() == "mine"


def test_hidden_files_are_none_of_the_book(book, compute):
    hidden = ("._demo.ipynb", ".~x.ipynb", ".DS_Store", "images/._a.png", "__pycache__/a.pyc")
    for name in (*hidden, "images/a.png"):
        (book / name).parent.mkdir(exist_ok=True)
        (book / name).write_text("no notebook")
    work = book.parent / "work"
    assert copies.refresh(book, work, compute) == ["demo"]
    files = {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}
    assert files == {"demo.ipynb", "page.md", "images/a.png", copies.MARK}


def test_a_copy_that_was_interrupted_is_completed(book, compute, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    work = book.parent / "work"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="disk full"):
            copies.refresh(book, work, compute)
    copies.refresh(book, work, compute)
    assert {path.name for path in work.iterdir()} == {"demo.ipynb", "page.md", copies.MARK}


def test_a_book_that_cannot_be_written_is_copied_to_files_that_can(book, compute):
    for path in (book / "page.md", book):
        path.chmod(path.stat().st_mode & ~0o222)
    copies.refresh(book, book.parent / "work", compute)
    book.chmod(0o755)
    for path in (book.parent / "work", book.parent / "work/page.md"):
        assert path.stat().st_mode & 0o200
