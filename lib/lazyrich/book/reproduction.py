"""Reproduction: chapters, or single figures of them, at any scale, into a folder.

A chapter leaves its executed notebook, its claims as JSON, and each figure as SVG, PDF and PNG with
the numbers behind it, and the lines drawn over them, as CSV. The file ``manifest.json`` says from
what all this was computed. Chapters and the points of their sweeps are kept in the store
(:mod:`lazyrich.book.store`), so that nothing is lost when a run is interrupted, and the folder only
takes what stands there.
"""

import copy
import json
import re
import textwrap
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from lazyrich import places
from lazyrich.book import (
    chapters,
    claims,
    evidence,
    execution,
    manifests,
    notebooks,
    provenance,
    store,
)
from lazyrich.book.engines import Engine


class Figure(NamedTuple):
    """A figure that can be reproduced."""

    chapter: str
    name: str
    cell: int
    """The number of the cell that shows it."""
    caption: str
    answers: str
    """What it answers, as its caption says: a figure of the paper, a theorem, or nothing there."""


def known_figures(folder: Path | str, names: Sequence[str] = ()) -> list[Figure]:
    """The figures of all chapters of a folder, or of those named, in the order of the book."""
    return [
        figure for path in chapters.find(folder, names) for figure in _figures_of(path).values()
    ]


def reproduce(
    folder: Path | str,
    out: Path | str,
    engine: Engine,
    compute: Callable,
    targets: Sequence[str] = (),
    scale: str = "book",
    seed: int = 0,
) -> list[str]:
    """Compute chapters and figures, and leave them in a folder; what is there already stays.

    Interrupted at any moment, the next call with the same arguments goes on where this one was.

    Args:
        folder: the folder of notebooks.
        out: a new or empty folder, or that of an earlier call at the same scale and seed, on the
            same device, with the same software.
        engine: on what they are computed.
        compute: :func:`lazyrich.book.chapters.compute` with this engine and a store.
        targets: ``"chapter"`` or ``"chapter#figure"``; by default all chapters. For figures alone,
            the cells up to them are executed, and only they are written.
        scale: one of ``scales.SCALES``.
        seed: the seed of the chapters.

    Returns:
        The targets that were written now, in the order of the book.

    Raises:
        ValueError: if an argument is not as above, or the code was changed meanwhile.
        CellError: if a cell fails, or a figure has another name where it is shown than in the
            metadata of its cell; the other chapters are computed before.
    """
    wanted, out = select(folder, targets), places.place("out", out)
    asked = {path: chapters.at_scale(path, scale, seed) for path in wanted}
    run = {"scale": scale, "seed": seed, "device": engine.device, "settings": engine.settings}
    manifest = manifests.begun(out, run | {"software": provenance.software()})
    marks = {path: _mark(chapter) for path, chapter in asked.items()}
    states = {path: evidence.state(path) for path in asked}
    for path, names in wanted.items():
        left = sorted(set(manifests.outdated(manifest, path.stem, marks[path])) - set(names))
        if path.stem not in names and left:
            raise ValueError(
                f"out must be another folder, got {str(out)!r}, which holds {left[0]} from before "
                f"{path.name} was changed; only the whole chapter is computed anew there"
            )
    written, failures = [], []

    def keep(chapter, executed):
        path = chapter.path
        about = {
            "commit": provenance.commit(path.parent),
            "fingerprint": marks[path],
            "state": states[path],
            "settings": executed.settings,
            "machine": provenance.machine(),
            "date": date.today().isoformat(),
            "seconds": round(executed.seconds, 1),
        }
        for target in wanted[path]:
            try:
                parts = _parts(target, path, executed, f"at scale {scale} and seed {seed}")
            except execution.CellError as error:
                failures.append(str(error))
            else:
                now = manifests.put(out, manifest, target, about, parts)
                written.extend([target] if now else [])

    waiting = [
        _cut(asked[path], names)
        for path, names in wanted.items()
        if not all(manifests.there(out, manifest, name, marks[path]) for name in names)
    ]
    try:
        compute(waiting, keep=keep)
    except execution.CellError as error:
        failures.append(str(error))
    if failures:
        raise execution.CellError("\n\n".join(failures))
    return [target for names in wanted.values() for target in names if target in written]


def select(folder: Path | str, targets: Sequence[str] = ()) -> dict[Path, list[str]]:
    """The chapters to execute, each with its targets, in the order of the book.

    Raises:
        ValueError: if there is no such chapter or figure.
    """
    asked: dict[str, list[str]] = {}
    for target in targets:
        asked.setdefault(target.partition("#")[0], []).append(target)
    wanted = {}
    for path in chapters.find(folder, list(asked)):
        names = asked.get(path.stem, [path.stem])
        known = [f"{path.stem}#{name}" for name in _figures_of(path)]
        for name in names:
            if name not in [path.stem, *known]:
                raise ValueError(f"figure must be one of {', '.join(known)}, got {name!r}")
        wanted[path] = [path.stem] if path.stem in names else sorted(set(names))
    return wanted


def _mark(chapter):
    """A hash of what a chapter's files depend on: what computes it, its prose, its captions."""
    cells = [(one.source, one.metadata) for one in notebooks.normalise(chapter.notebook).cells]
    return store.hashed(chapters.fingerprint(chapter), json.dumps(cells, sort_keys=True))


def _cut(chapter, targets):
    """A chapter as far as its targets need it."""
    if targets == [chapter.name]:
        return chapter
    figures = _figures_of(chapter.path)
    last = max(figures[target.partition("#")[2]].cell for target in targets)
    notebook = copy.copy(chapter.notebook)
    notebook.cells = notebook.cells[: last + 1]
    return chapter._replace(notebook=notebook)


def _parts(target, path, executed, how):
    """The files that a chapter or one of its figures leaves."""
    known, name = _figures_of(path), target.partition("#")[2]
    shown, expected = set(map(_figure_of, executed.figures)), {name} if name else set(known)
    if differ := expected - shown if name else expected ^ shown:
        raise execution.CellError(
            f"{path.name} must show each figure under the name that its cell's metadata "
            f"give it, but does not: {', '.join(sorted(differ))}"
        )
    drawn = explained(path, executed, how)
    parts = {file: content for file, content in drawn.items() if _figure_of(file) in expected}
    if not name:
        text = notebooks.text(executed.notebook)
        records = json.dumps(claims.recorded_in({path: text}), indent=1, ensure_ascii=False)
        parts |= {path.name: text.encode(), "claims.json": f"{records}\n".encode()}
    return dict(sorted(parts.items()))


def explained(path: Path, executed: execution.Execution, how: str) -> dict[str, bytes]:
    """The files that the figures of a chapter left, by name; tables say what they show.

    Args:
        path: of the chapter.
        executed: the chapter.
        how: at which scale and seed, in words.
    """
    known = _figures_of(path)
    return {
        file: _explained(file, content, known[_figure_of(file)], how)
        for file, content in executed.figures.items()
        if _figure_of(file) in known
    }


def _figures_of(path):
    """The figures of a chapter by name."""
    found = {}
    for index, cell in enumerate(notebooks.read(path).cells):
        about = cell.metadata.get("mystnb", {}).get("figure")
        if about and about.get("name"):
            caption = " ".join(about.get("caption", "").split())
            answers = re.search(r"\b(It|They) (answer|test|go)(e?s)? [^:]+", caption)
            answers = answers[0].rstrip(".").replace("$", "") + "." if answers else ""
            found[about["name"]] = Figure(path.stem, about["name"], index, caption, answers)
    return found


def _figure_of(file):
    return file.partition(".")[0]


def _explained(file, content, figure, how):
    """A file of a figure; what a table shows stands in the comment lines at its head."""
    if not file.endswith(".csv"):
        return content
    row = "an observation, a column a variable"
    if file.endswith(".curves.csv"):
        row = "a point of a line; panels are counted along the rows of the figure"
    lines = [
        f"{figure.name} of the chapter {figure.chapter}, {how}.",
        figure.caption,
        f"A row is {row}. All numbers are without a unit: the theory has none, steps and samples "
        "are counted, and time is learning rate times steps.",
    ]
    head = [f"# {part}" for line in lines for part in textwrap.wrap(line, 98)]
    return "\n".join([*head, content.decode()]).encode()
