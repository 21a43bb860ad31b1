"""Chapters of a book: computed side by side, and kept until what they are from changes.

An executed chapter is a result as a point of a sweep is: the outputs of its cells and the files of
its figures, under a key of its code, of all modules that this reaches, and of the engine.
"""

import copy
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from joblib import cpu_count
from nbformat import NotebookNode, from_dict

from lazyrich import validation
from lazyrich.book import execution, files, notebooks, provenance, sources, store
from lazyrich.book.engines import Engine
from lazyrich.book.scales import SCALES

MEMORY = 2.5 * 2**30
"""What a chapter may need, in bytes: so many of them run at once as memory has room for."""
PERFORMANCE = "performance.json"
"""The file beside the chapters that says what executing them took."""


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


def find(folder: Path | str, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks of a folder, in the order of their names; only those named, if any are.

    Raises:
        ValueError: if there are none, a name is not among them, or one has a ``#``.
    """
    paths = {path.stem: path for path in files.notebooks_of(folder)}
    if not paths:
        raise ValueError(f"folder must hold notebooks (*.ipynb), got {str(folder)!r}")
    if odd := [path.name for path in paths.values() if "#" in path.name]:
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
    plain = notebooks.plain_code(chapter.notebook)
    names = {name for cell in plain for name in sources.imports(cell)}
    names |= set(sources.modules_of_library("book"))
    reached = sources.of_modules(sorted(names), beside=chapter.path.parent)
    style = [file.read_bytes() for file in sorted(chapter.path.parent.glob("matplotlibrc"))]
    return store.hashed(code, reached.mark(), style, provenance.software())


def compute(
    chapters: Sequence[Chapter],
    engine: Engine,
    folder: Path,
    keep: Callable[[Chapter, execution.Execution], None],
) -> list[str]:
    """Compute chapters side by side, with bars; what a store has already is taken from there.

    Args:
        chapters: the chapters.
        engine: on what.
        folder: the store.
        keep: is given each chapter with its execution, as soon as it is there.

    Returns:
        The names of the chapters that were executed now.

    Raises:
        CellError: after all others, if cells failed.
        ValueError: if what a chapter is from was changed while it was executed.
    """
    files.make_folder(folder)
    waiting = []
    for chapter in chapters:
        mark = fingerprint(chapter)
        origin = (mark, chapter.scale, chapter.seed, engine.device, engine.settings)
        place = store.path(folder, f"chapters.{chapter.name}", *origin)
        try:
            executed = _unpacked(chapter, store.load(place))
        except LookupError:
            waiting.append((chapter, mark, place))
        else:
            keep(chapter, executed)
    # The longest first, so that none is left alone at the end.
    waiting.sort(key=lambda one: -sum(shares(one[0].path)))

    def done(number, executed):
        chapter, mark, place = waiting[number]
        if fingerprint(chapter) != mark:
            raise ValueError(
                "the code must stay as it is while it computes, but some that "
                f"{chapter.name} is from was changed since, so it is not kept"
            )
        store.keep(place, _packed(executed))
        keep(chapter, executed)

    environment = engine.environment | {store.VARIABLE: str(folder)}
    tasks = [
        execution.Task(
            chapter.notebook,
            chapter.path.parent,
            chapter.name + (f" at seed {chapter.seed}" if chapter.seed else ""),
            shares(chapter.path),
            environment,
            engine.code,
            figures=True,
        )
        for chapter, _, _ in waiting
    ]
    execution.execute_all(tasks, at_once(), done)
    return sorted(chapter.name for chapter, _, _ in waiting)


def at_once() -> int:
    """How many chapters the cores and the memory of this machine can compute at a time."""
    return max(1, min(cpu_count(), int(psutil.virtual_memory().available / MEMORY)))


def _packed(executed):
    """An execution without the source of its notebook, whose prose may change meanwhile."""
    code = notebooks.code_cells(executed.notebook)
    cells = [{"execution_count": one.execution_count, "outputs": one.outputs} for one in code]
    about = executed._replace(notebook=cells, figures=None)
    return store.pack([json.dumps(about).encode(), executed.figures])


def _unpacked(chapter, packed):
    about, figures = store.unpack(packed)
    executed = execution.Execution(*json.loads(about))._replace(figures=figures)
    notebook = copy.deepcopy(chapter.notebook)
    for cell, computed in zip(notebooks.code_cells(notebook), executed.notebook, strict=True):
        cell.update(from_dict(computed))
    return executed._replace(notebook=notebook)


def performance(folder: Path | str) -> dict:
    """What executing the chapters of a folder took when they were stored; empty if not known."""
    with suppress(OSError, ValueError, TypeError):
        return dict(json.loads(Path(folder, PERFORMANCE).read_text(encoding="utf-8")))
    return {}


def shares(path: Path) -> list[float]:
    """How long the cells of a chapter took when it was stored, in seconds; empty if not known."""
    return performance(path.parent).get("chapters", {}).get(path.stem, {}).get("cells", [])
