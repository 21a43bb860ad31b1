"""The copy of a book in which all outputs were computed here; from it the pages are built."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lazyrich.book import chapters, notebooks

MARK = ".copy-of-the-book"
"""The empty file that marks a folder as one that a build may replace."""


def refresh(source: Path | str, work: Path | str, compute: Callable) -> list[str]:
    """Copy a book to a work folder, with outputs that were all computed here.

    The copy is made in a folder beside `work` whose name ends in ``.part``, and takes its place
    when all is there.

    Args:
        source: the folder of the book.
        work: the folder of the copy.
        compute: :func:`lazyrich.book.chapters.compute` with an engine and a store.

    Returns:
        The names of the chapters that were executed now.

    Raises:
        ValueError: if one of these folders is the book's, above or below it, or holds what no
            earlier call has put there: replacing it would lose files.
    """
    source, work = Path(source), Path(work)
    draft = work.with_name(work.name + ".part")
    for folder in (work, draft):
        _may_be_replaced(folder, source)
    asked = [chapters.at_scale(path, "book") for path in chapters.find(source)]
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    (draft / MARK).touch()
    _copy(source, draft)
    executed = []

    def keep(chapter, computed):
        notebooks.write(draft / chapter.path.name, computed.notebook)
        executed.extend([chapter.name] if computed.now else [])

    compute(asked, keep=keep)
    for path in draft.rglob("*"):  # what is the same keeps its time, so its page is not built anew
        last = work / path.relative_to(draft)
        if path.is_file() and last.is_file() and path.read_bytes() == last.read_bytes():
            shutil.copystat(last, path)
    if work.exists():
        shutil.rmtree(work)
    draft.rename(work)
    return sorted(executed)


def _may_be_replaced(folder, source):
    inside, outside = source.resolve(), folder.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise ValueError(f"the copy must lie apart from the book {source}, got {folder}")
    if folder.exists() and not (folder / MARK).exists():
        raise ValueError(
            f"the copy must be a new folder, or that of an earlier build, got {folder}"
        )


def _copy(source, draft):
    """Copy the files of a book; the copy can be written to even where the book can not."""
    junk = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    shutil.copytree(source, draft, ignore=junk, copy_function=shutil.copyfile, dirs_exist_ok=True)
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        folder.chmod(folder.stat().st_mode | 0o700)
