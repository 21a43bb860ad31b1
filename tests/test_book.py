"""The chapters of the book: the guards hold, and each runs at scale quick."""

import base64
import shutil
from pathlib import Path

import pytest

import guards
from lazyrich.book import chapters, engines, execution, files, notebooks

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = files.notebooks_of(BOOK)


def test_the_book_has_chapters():
    assert CHAPTERS, "book/ must hold chapters (*.ipynb)"


@pytest.mark.parametrize("guard", guards.OF_A_NOTEBOOK)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_keeps(guard, path):
    guard(path)


@pytest.mark.parametrize("guard", guards.OF_THE_BOOK)
def test_the_book_keeps(guard):
    guard(BOOK)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_at_scale_quick(path, tmp_path):
    folder = shutil.copytree(BOOK, tmp_path / "book")
    engine = engines.engine("quick")
    chapter = chapters.at_scale(path, "quick")
    environment, code = engine.environment, engine.code
    task = execution.Task(chapter.notebook, folder, path.name, (), environment, code)
    execution.execute(task, progress=False)


def test_the_picture_of_the_readme_is_a_figure_of_the_book():
    stored = {
        output.data["image/png"].strip()
        for path in CHAPTERS
        for cell in notebooks.code_cells(notebooks.read(path))
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }
    picture = base64.b64encode((BOOK / "_static" / "overview.png").read_bytes()).decode()
    assert picture in {one.replace("\n", "") for one in stored}
