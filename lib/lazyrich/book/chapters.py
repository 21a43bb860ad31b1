"""Chapters of a book: computed anew where stale, executed to be stored, tried at other seeds.

These are the author's tools behind ``make book``, ``make notebooks`` and ``make seeds``.
"""

import hashlib
import importlib.metadata
import json
import platform
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from nbformat import NotebookNode, from_dict

from lazyrich import places
from lazyrich.book import claims, engines, execution, files, notebooks, provenance

MARK = ".copy-of-the-book"
"""The empty file that marks a folder as one that a build may replace."""


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


def read(path: Path, scale: str, seed: int) -> NotebookNode:
    """A chapter from its file, set to a scale and a seed.

    Raises:
        ValueError: if the notebook is not a chapter, or there is no such scale.
    """
    notebook = notebooks.read(path)
    try:
        return notebooks.set_parameters(notebook, scale, seed)
    except ValueError as error:
        raise ValueError(f"{path.name} is not a chapter: {error}") from None


def fingerprint(notebook: NotebookNode, folder: Path | str) -> str:
    """A hash of what determines the outputs of a notebook that is executed in a folder.

    That is the code of its cells, modules and the style of the figures in the folder, the library,
    and the versions of Python and of what the library needs; not the prose.
    """
    content = {
        "code": [cell.source for cell in notebooks.code_cells(notebook)],
        "beside": provenance.digest(
            sorted([*Path(folder).glob("matplotlibrc"), *Path(folder).glob("*.py")])
        ),
        "software": provenance.software(),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def refresh(source: Path | str, work: Path | str, progress: bool = True) -> list[str]:
    """Copy a book to a work folder, with outputs that were all computed here.

    Only what is stale is executed: what was computed is remembered by :func:`fingerprint`, in a
    folder beside `work` whose name ends in ``.outputs``. The copy is made beside it too, in one
    that ends in ``.part``, and takes the place of the work folder when all is there.

    Returns:
        The names of the chapters that were executed.

    Raises:
        ValueError: if one of these folders is the book's, above or below it, or holds what no
            earlier call has put there: replacing it would lose files.
    """
    source, work = Path(source), Path(work)
    draft, memory = (work.with_name(work.name + end) for end in (".part", ".outputs"))
    for folder in (work, draft, memory):
        _may_be_replaced(folder, source)
    find(source)
    if draft.exists():
        shutil.rmtree(draft)
    for folder in (draft, memory):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    _copy(source, draft)
    executed = []
    for path in find(draft):
        notebook, record = notebooks.read(path), memory / f"{path.stem}.json"
        mark = fingerprint(notebook, draft)
        cells = _remembered(record, mark, len(notebooks.code_cells(notebook)))
        if cells is None:
            done = execution.execute(notebook, draft, path.name, progress).notebook
            cells = [
                {"execution_count": cell.execution_count, "outputs": cell.outputs}
                for cell in notebooks.code_cells(done)
            ]
            files.replace(record, json.dumps({"fingerprint": mark, "cells": cells}))
            executed.append(path.stem)
        for cell, computed in zip(notebooks.code_cells(notebook), cells, strict=True):
            cell.update(from_dict(computed))
        notebooks.write(path, notebook)
    for path in draft.rglob("*"):  # what is the same keeps its time, so its page is not built anew
        last = work / path.relative_to(draft)
        if path.is_file() and last.is_file() and path.read_bytes() == last.read_bytes():
            shutil.copystat(last, path)
    if work.exists():
        shutil.rmtree(work)
    draft.rename(work)
    return executed


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


def _remembered(record, mark, count):
    """The outputs of the cells from an earlier build, if they are those of this notebook."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        fits = known["fingerprint"] == mark and len(known["cells"]) == count
        return known["cells"] if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store(folder: Path | str, names: Sequence[str] = (), progress: bool = True) -> None:
    """Execute chapters in place at scale ``book``, all or those named.

    What each took is written to ``performance.json``, where the other chapters keep their entries
    if they were measured on the same machine with the same versions.
    """
    table = Path(folder) / "performance.json"
    versions = {"python": platform.python_version(), "jax": importlib.metadata.version("jax")}
    conditions = {"machine": provenance.machine(), "versions": versions}
    wanted = {path: read(path, "book", 0) for path in find(folder, names)}
    for path, notebook in wanted.items():
        result = execution.execute(notebook, folder, path.name, progress, shares(path))
        notebooks.write(path, result.notebook)
        entries = _measured(table, conditions)
        entries[path.stem] = {
            "date": date.today().isoformat(),
            "scale": "book",
            "seconds": round(result.seconds, 1),
            "peak_memory_mib": result.peak_memory_mib,
            "cells": [round(seconds, 1) for seconds in result.cells],
        }
        performance = {"chapters": entries, **conditions}
        files.replace(table, json.dumps(performance, indent=1, sort_keys=True) + "\n")


def shares(path: Path) -> list[float]:
    """How long the cells of a chapter took when it was stored, in seconds; empty if not known."""
    try:
        table = json.loads((path.parent / "performance.json").read_text(encoding="utf-8"))
        return [float(seconds) for seconds in table["chapters"][path.stem]["cells"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _measured(table, conditions):
    """The entries of a table that were measured under the same conditions, if it is one."""
    try:
        old = json.loads(table.read_text(encoding="utf-8"))
        same = all(old[name] == value for name, value in conditions.items())
        return dict(old["chapters"]) if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def verdicts_at_seeds(
    folder: Path | str,
    name: str,
    seeds: Iterable[int],
    scale: str = "book",
    progress: bool = True,
) -> dict[str, list[str]]:
    """The verdicts of a chapter at other seeds, computed in copies: a list for each claim."""
    [path] = find(folder, [name])
    haste, first = engines.haste(scale)
    verdicts: dict[str, list[str]] = {}
    for seed in seeds:
        notebook, name = read(path, scale, seed), f"{path.name} at seed {seed}"
        result = execution.execute(notebook, folder, name, progress, shares(path), haste, first)
        with tempfile.TemporaryDirectory() as copies:
            notebooks.write(Path(copies) / path.name, result.notebook)
            for record in claims.read(copies):
                verdicts.setdefault(record["id"], []).append(record["verdict"])
    return verdicts
