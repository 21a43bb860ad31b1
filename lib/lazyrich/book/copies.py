"""The copy of a book in which all outputs were computed here; from it the pages are built."""

import re
from collections.abc import Callable
from pathlib import Path

from lazyrich.book import chapters, files, notebooks, reproduction

MARK = ".copy-of-the-book"
"""The empty file that marks a folder as one that a build may change."""
FIGURES = "figures"
"""The folder in a copy for the files of its figures, a folder a chapter."""


def refresh(source: Path | str, work: Path | str, compute: Callable) -> list[str]:
    """Copy a book to a work folder, with outputs and files of figures that were all computed here.

    The folder is as it was until all is computed. Then each file that differs is replaced, whole,
    and what the book no longer has goes. What is the same keeps its time, so that its page is not
    built anew. Hidden files are none of the book.

    Args:
        source: the folder of the book.
        work: the folder of the copy.
        compute: :func:`lazyrich.book.chapters.compute` with an engine and a store.

    Returns:
        The names of the chapters that were executed now.

    Raises:
        ValueError: if one of these folders is above or below the other, or `work` holds what no
            earlier call has put there: files would be lost.
    """
    source, work = Path(source), Path(work)
    inside, outside = source.resolve(), work.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise ValueError(f"the copy must lie apart from the book {source}, got {work}")
    if work.exists() and not (work / MARK).exists() and any(work.iterdir()):
        raise ValueError(f"the copy must be a new folder, or that of an earlier build, got {work}")
    asked = [chapters.at_scale(path, "book") for path in chapters.find(source)]
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    shown = [name for name in names if not re.search(r"(^|/)(\.|__pycache__/)", name.as_posix())]
    contents = {Path(MARK): b""} | {name: (source / name).read_bytes() for name in shown}

    def keep(chapter, executed):
        contents[Path(chapter.path.name)] = notebooks.text(executed.notebook).encode()
        drawn = reproduction.explained(chapter.path, executed, "at scale book and seed 0")
        contents.update({Path(FIGURES, chapter.name, name): file for name, file in drawn.items()})

    files.make_folder(work)
    now = compute(asked, keep=keep)
    for path in work.rglob("*"):
        if path.is_file() and path.relative_to(work) not in contents:
            path.unlink()
    for name, content in contents.items():  # the mark first
        path = work / name
        if not path.is_file() or path.read_bytes() != content:
            files.make_folder(path.parent)
            files.replace(path, content)
    return now
