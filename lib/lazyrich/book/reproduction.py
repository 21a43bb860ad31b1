"""Reproduction: chapters, or single figures of them, at any scale, into a folder.

A chapter leaves its executed notebook, its claims as JSON, and each figure as SVG, PDF and PNG with
the numbers behind it, and the lines drawn over them, as CSV. The file ``manifest.json`` says from
what all this was computed; it is also what a later call goes on from. The results of sweeps are
kept in the folder's ``.points`` (:mod:`lazyrich.book.store`), so that nothing which was computed
is lost when a run is interrupted.
"""

import hashlib
import json
import re
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lazyrich import places, validation
from lazyrich.book import (
    chapters,
    claims,
    engines,
    execution,
    files,
    notebooks,
    provenance,
    runs,
    store,
)
from lazyrich.book.sweeps import SCALES

# The hash of the library is taken before a chapter imports it, and told when all is computed.
KNOWN = "from lazyrich.book import provenance\nprovenance.software()\n"
TOLD = """import json
from lazyrich.book import provenance
software = provenance.software.__wrapped__()  # as it is now
print(json.dumps({"settings": provenance.settings(), "software": software}))"""


class Figure(NamedTuple):
    """A figure that can be reproduced."""

    chapter: str
    name: str
    caption: str
    answers: str
    """What it answers, as its caption says: a figure of the paper, a theorem, or nothing there."""


def figures(folder: Path | str, names: Sequence[str] = ()) -> list[Figure]:
    """The figures of all chapters of a folder, or of those named, in the order of the book."""
    return [
        figure for path in chapters.find(folder, names) for figure, _ in _figures_of(path).values()
    ]


def reproduce(
    folder: Path | str,
    out: Path | str,
    targets: Sequence[str] = (),
    scale: str = "book",
    seed: int = 0,
    device: str = "auto",
    jobs: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> list[str]:
    """Compute chapters and figures, and leave them in a folder; what is there already stays.

    Interrupted at any moment, the next call with the same arguments goes on where this one was.

    Args:
        folder: the folder of notebooks.
        out: a new or empty folder, or that of an earlier call at the same scale and seed, on the
            same device, with the same software.
        targets: ``"chapter"`` or ``"chapter#figure"``; by default all chapters. For figures alone,
            the cells up to them are executed, and only they are written.
        scale: one of ``sweeps.SCALES``.
        seed: the seed of the chapters.
        device: ``"cpu"``, ``"gpu"``, or ``"auto"`` for what JAX takes by itself.
        jobs: how many processes take the points of a sweep.
        dask: the address of a Dask scheduler whose workers take them instead.
        progress: whether to show a progress bar on stderr, with the time that remains.

    Returns:
        The targets that were computed now.

    Raises:
        ValueError: if an argument is not as above, or the library was changed meanwhile.
        CellError: if a cell fails, or a figure has another name where it is shown than in the
            metadata of its cell; the other chapters are computed before.
    """
    validation.one_of("scale", scale, SCALES)
    validation.whole("seed", seed)
    validation.whole("jobs", jobs, least=1)
    wanted, out = select(folder, targets), places.place("out", out)
    for path in wanted:
        chapters.read(path, scale, seed)
    engine = engines.code(jobs, dask)
    haste, first = engines.haste(scale)
    run = {"scale": scale, "seed": seed, **engines.found(device, haste)}
    run["software"] = provenance.software()
    kept = store.prepared()
    with runs.held(out, run) as manifest:
        stored = {store.VARIABLE: str(kept or runs.points(out))}
        environment = engines.backends(device) | haste | stored
        todo = {path: _todo(out, manifest, path, names) for path, names in wanted.items()}
        computed, failed = [], []
        for number, path in enumerate(wanted, start=1):
            if not todo[path]:
                continue
            label = f"{path.stem} ({number} of {len(wanted)})"
            about = todo[path], label, environment, KNOWN + first + engine, progress
            try:
                _compute(out, manifest, path, *about)
                computed += todo[path]
            except execution.CellError as error:
                failed.append(str(error))
    if failed:
        raise execution.CellError("\n\n".join(failed))
    return computed


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
            if name != path.stem and name not in known:
                allowed = ", ".join(known)
                raise ValueError(f"figure must be one of {allowed}, got {name!r}")
        wanted[path] = [path.stem] if path.stem in names else sorted(set(names))
    return wanted


def _compute(out, *about):
    """Execute a chapter as far as its targets need it, move them into place, and say so."""
    with tempfile.TemporaryDirectory(prefix=runs.DRAFT, dir=out.absolute()) as draft:
        _compute_in(Path(draft), out, *about)


def _compute_in(draft, out, manifest, path, targets, label, environment, before, progress):
    notebook, known = notebooks.read(path), _figures_of(path)
    mark, commit = _mark(notebook, path.parent), provenance.commit(path.parent)
    names = [target.partition("#")[2] for target in targets]
    whole = names == [""]
    notebook = notebooks.set_parameters(notebook, manifest["scale"], manifest["seed"])
    if not whole:
        notebook.cells = notebook.cells[: 1 + max(known[name][1] for name in names)]
    done = execution.execute(
        notebook,
        path.parent,
        label,
        progress,
        chapters.shares(path),
        environment | {files.FIGURES: str(draft)},
        before,
        after=TOLD,
    )
    told = json.loads(done.told)
    if told["software"] != manifest["software"]:
        raise ValueError(
            "the library must stay as it is while it computes, but it was changed since this run "
            f"began, so {path.stem} is not kept"
        )
    tables = list(draft.glob("*.csv"))
    shown, expected = set(map(_figure_of, tables)), set(known if whole else names)
    differ = shown ^ expected if whole else expected - shown
    if differ:
        raise execution.CellError(
            f"{path.name} must show each figure under the name that its cell's metadata give it, "
            f"but does not: {', '.join(sorted(differ))}"
        )
    for table in tables:
        if _figure_of(table) in expected:
            _explain(table, known[_figure_of(table)][0], manifest)
    if whole:
        notebooks.write(draft / path.name, done.notebook)
        records = json.dumps(claims.read(draft), indent=1, ensure_ascii=False)
        files.replace(draft / "claims.json", records + "\n")
    about = {
        "commit": commit,
        "fingerprint": mark,
        "settings": told["settings"],
        "seconds": round(done.seconds, 1),
    }
    found = {
        target: sorted(part for part in draft.iterdir() if whole or _figure_of(part) == name)
        for target, name in zip(targets, names, strict=True)
    }
    runs.keep(out, manifest, path.stem, about, found)


def _todo(out, manifest, path, targets):
    """The targets of a chapter that are to be computed, and can be in this folder."""
    mark = _mark(notebooks.read(path), path.parent)
    targets = runs.stale(out, manifest, path.stem, mark, targets)
    left = sorted(set(runs.outdated(manifest, path.stem, mark)) - set(targets))
    if targets and path.stem not in targets and left:
        raise ValueError(
            f"out must be another folder, got {str(out)!r}, which holds {left[0]} from "
            f"before {path.name} was changed; only the whole chapter is computed anew there"
        )
    return targets


def _mark(notebook, folder):
    """A hash of what a chapter's files depend on: what computes it, its prose, its captions."""
    cells = [(one.source, one.metadata) for one in notebooks.normalise(notebook).cells]
    content = chapters.fingerprint(notebook, folder) + json.dumps(cells, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _figures_of(path):
    """The figures of a chapter by name, each with the number of its cell."""
    found = {}
    for index, cell in enumerate(notebooks.read(path).cells):
        about = cell.metadata.get("mystnb", {}).get("figure")
        if about and about.get("name"):
            caption = " ".join(about.get("caption", "").split())
            answers = re.search(r"\b(It|They) (answer|test|go)(e?s)? [^:]+", caption)
            answers = answers[0].rstrip(".").replace("$", "") + "." if answers else ""
            found[about["name"]] = Figure(path.stem, about["name"], caption, answers), index
    return found


def _figure_of(file):
    return file.name.partition(".")[0]


def _explain(table, figure, manifest):
    """Put what a table shows into the comment lines at its head."""
    row = "an observation, a column a variable"
    if table.name.endswith(".curves.csv"):
        row = "a point of a line; panels are counted along the rows of the figure"
    lines = [
        f"{figure.name} of the chapter {figure.chapter}, at scale {manifest['scale']} and seed "
        f"{manifest['seed']}.",
        figure.caption,
        f"A row is {row}. All numbers are without a unit: the theory has none, steps and samples "
        "are counted, and time is learning rate times steps.",
    ]
    head = [f"# {part}" for line in lines for part in textwrap.wrap(line, 98)]
    files.replace(table, "\n".join([*head, table.read_text(encoding="utf-8")]))
