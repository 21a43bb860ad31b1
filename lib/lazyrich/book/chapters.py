"""Chapters of a book: computed side by side, and kept until what they are from changes.

An executed chapter is a result as a point of a sweep is: the outputs of its cells and the files of
its figures, under a key of its code, of all modules that this reaches, and of the engine.
"""

import copy
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode, from_dict

from lazyrich import places, validation
from lazyrich.book import execution, files, notebooks, provenance, sources, store
from lazyrich.book.engines import Engine
from lazyrich.book.scales import SCALES

MEMORY = 2.5 * 2**30
"""What a chapter may need, in bytes: so many of them run at once as memory has room for."""


class Chapter(NamedTuple):
    """A chapter as it is to be computed."""

    path: Path
    notebook: NotebookNode
    """Set to a scale and a seed, and perhaps cut after a figure."""
    scale: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return self.path.stem


class Computed(NamedTuple):
    """A chapter that was executed, here or earlier."""

    notebook: NotebookNode
    """With its outputs."""
    figures: dict[str, bytes]
    """The files that its figures left."""
    seconds: float
    """How long its execution took."""
    settings: dict
    """JAX's at its end."""
    now: bool
    """Whether it was executed by this call."""


def find(folder: Path | str, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks of a folder, in the order of their names; only those named, if any are.

    Raises:
        ValueError: if there are none, a name is not among them, or one has a ``#``.
    """
    # Hidden ones are those of editors and systems.
    found = sorted(places.place("folder", folder).glob("[!.]*.ipynb"))
    paths = {path.stem: path for path in found}
    if not paths:
        raise ValueError(f"folder must hold notebooks (*.ipynb), got {str(folder)!r}")
    if odd := [path.name for path in found if "#" in path.name]:
        raise ValueError(f"the name of a notebook must be without '#', got {odd[0]!r}")
    for name in names:
        if name not in paths:
            raise ValueError(f"chapter must be one of {', '.join(paths)}, got {name!r}")
    return [paths[name] for name in names or paths]


def at_scale(path: Path, scale: str, seed: int = 0) -> Chapter:
    """A chapter from its file, set to a scale and a seed.

    Raises:
        ValueError: if the notebook is not a chapter, or there is no such scale.
    """
    validation.one_of("scale", scale, SCALES)
    validation.whole("seed", seed)
    notebook = notebooks.read(path)
    try:
        return Chapter(path, notebooks.set_parameters(notebook, scale, seed), scale, seed)
    except ValueError as error:
        raise ValueError(f"{path.name} is not a chapter: {error}") from None


def fingerprint(chapter: Chapter) -> str:
    """A hash of what determines the outputs of a chapter, but for the engine; prose does not.

    That is the code of its cells, the modules that these reach, the machinery of the book, the
    style of the figures, and the versions of Python and of what the book needs.
    """
    code = [cell.source for cell in notebooks.code_cells(chapter.notebook)]
    plain = TransformerManager()
    names = {name for cell in code for name in sources.imports(plain.transform_cell(cell))}
    names |= set(sources.modules_of_library("book"))
    reached = sources.of_modules(sorted(names), beside=chapter.path.parent)
    style = [file.read_bytes() for file in sorted(chapter.path.parent.glob("matplotlibrc"))]
    return store.hashed(code, reached.mark(), style, provenance.software())


def compute(
    chapters: Sequence[Chapter],
    engine: Engine,
    folder: Path | None,
    keep: Callable[[Chapter, Computed], None],
    progress: bool = True,
) -> None:
    """Compute chapters side by side; what a store has already is taken from there.

    Args:
        chapters: the chapters.
        engine: on what.
        folder: the store, or None: then all are executed, and nothing is kept.
        keep: is given each chapter with what came out of it, as soon as it is there.
        progress: whether to show bars on stderr.

    Raises:
        CellError: after all others, if cells failed.
        ValueError: if what a chapter is from was changed while it was executed.
    """
    waiting: list[_Waiting] = []
    if folder:
        files.make_folder(folder)
    for chapter in chapters:
        mark = fingerprint(chapter)
        origin = (mark, chapter.scale, chapter.seed, engine.device, engine.settings)
        place = store.path(folder, f"chapters.{chapter.name}", *origin) if folder else None
        try:
            keep(chapter, _from_store(chapter, place))
        except LookupError:
            waiting.append(_Waiting(chapter, mark, place))
    if not waiting:
        return
    # The longest first, so that none is left alone at the end.
    waiting.sort(key=lambda one: -sum(shares(one.chapter.path)))
    with tempfile.TemporaryDirectory() as drafts:
        _execute(waiting, Path(drafts), engine, folder, keep, progress)


class _Waiting(NamedTuple):
    """A chapter that is to be executed."""

    chapter: Chapter
    mark: str
    """Its fingerprint before."""
    place: Path | None
    """In the store."""


def _execute(waiting, drafts, engine, folder, keep, progress):
    """Execute chapters, whose figures leave their files in folders of their own meanwhile."""
    failures = []
    drawn = [drafts / str(number) for number in range(len(waiting))]
    for draft in drawn:
        draft.mkdir()

    def done(number, result):
        chapter, mark, place = waiting[number]
        if isinstance(result, execution.CellError):
            failures.append(str(result))
            return
        if fingerprint(chapter) != mark:
            raise ValueError(
                "the code must stay as it is while it computes, but some that "
                f"{chapter.name} is from was changed since, so it is not kept"
            )
        figures = {part.name: part.read_bytes() for part in sorted(drawn[number].iterdir())}
        computed = Computed(result.notebook, figures, result.seconds, result.settings, True)
        if place:
            store.keep(place, store.pack(_for_store(computed)))
        keep(chapter, computed)

    tasks = [
        execution.Task(
            chapter.notebook,
            chapter.path.parent,
            chapter.name + (f" at seed {chapter.seed}" if chapter.seed else ""),
            shares(chapter.path),
            engine.environment | {store.VARIABLE: str(folder or ""), files.FIGURES: str(draft)},
            engine.code,
        )
        for (chapter, _, _), draft in zip(waiting, drawn, strict=True)
    ]
    execution.execute_all(tasks, at_once(), done, progress)
    if failures:
        raise execution.CellError("\n\n".join(failures))


def at_once() -> int:
    """How many chapters the cores and the memory of this machine can compute at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores, int(psutil.virtual_memory().available / MEMORY)))


def _for_store(computed):
    cells = [
        {"execution_count": cell.execution_count, "outputs": cell.outputs}
        for cell in notebooks.code_cells(computed.notebook)
    ]
    about = {"cells": cells, "seconds": computed.seconds, "settings": computed.settings}
    return {"about": json.dumps(about).encode(), "figures": computed.figures}


def _from_store(chapter, place):
    """A chapter that was executed before; a LookupError if it was not, or there is no store."""
    if place is None:
        raise LookupError("there is no store")
    kept = store.unpack(store.load(place))
    about = json.loads(kept["about"])
    notebook = copy.deepcopy(chapter.notebook)
    for cell, computed in zip(notebooks.code_cells(notebook), about["cells"], strict=True):
        cell.update(from_dict(computed))
    return Computed(notebook, kept["figures"], about["seconds"], about["settings"], False)


def shares(path: Path) -> list[float]:
    """How long the cells of a chapter took when it was stored, in seconds; empty if not known."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        table = json.loads((path.parent / "performance.json").read_text(encoding="utf-8"))
        return [float(seconds) for seconds in table["chapters"][path.stem]["cells"]]
    return []
