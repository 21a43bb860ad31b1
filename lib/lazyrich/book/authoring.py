"""What an author does with chapters: execute them in place, and try them at other seeds."""

import importlib.metadata
import json
import platform
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from lazyrich.book import chapters, claims, execution, files, notebooks, provenance


def execute_in_place(folder: Path | str, names: Sequence[str] = ()) -> None:
    """Execute chapters in place at scale ``book``, all or those named, one after another.

    What each took, with nothing kept from before, is written to ``performance.json``, where the
    other chapters keep their entries if they were measured on the same machine with the same
    versions.
    """
    versions = {"python": platform.python_version(), "jax": importlib.metadata.version("jax")}
    conditions = {"machine": provenance.machine(), "versions": versions}
    for chapter in [chapters.at_scale(path, "book") for path in chapters.find(folder, names)]:
        path, name = chapter.path, chapter.path.name
        shares, cold = chapters.shares(path), {"JAX_ENABLE_COMPILATION_CACHE": "0"}
        task = execution.Task(chapter.notebook, folder, name, shares, cold)
        result = execution.execute(task)
        notebooks.write(path, result.notebook)
        known = chapters.performance(folder)
        entries = known["chapters"] if conditions.items() <= known.items() else {}
        entries[path.stem] = {
            "date": date.today().isoformat(),
            "scale": "book",
            "seconds": round(result.seconds, 1),
            "peak_memory_mib": result.peak_memory_mib,
            "cells": [round(seconds, 1) for seconds in result.cells],
            "spent": {name: round(number, 1) for name, number in sorted(result.spent.items())},
        }
        table = json.dumps({"chapters": entries, **conditions}, indent=1, sort_keys=True)
        files.replace(Path(folder, chapters.PERFORMANCE), table + "\n")


def verdicts_at_seeds(
    path: Path, seeds: Sequence[int], scale: str, compute: Callable
) -> tuple[dict[str, list[str]], float]:
    """The verdicts of a chapter at other seeds, a list for each claim, and the seconds it took.

    Args:
        path: of the chapter.
        seeds: the seeds.
        scale: the scale.
        compute: :func:`lazyrich.book.chapters.compute` with an engine and a store.
    """
    computed = {}
    asked = [chapters.at_scale(path, scale, seed) for seed in seeds]
    compute(asked, keep=lambda one, done: computed.update({one.seed: done}))
    verdicts: dict[str, list[str]] = {}
    for seed in seeds:
        for record in claims.recorded_in({path: notebooks.text(computed[seed].notebook)}):
            verdicts.setdefault(record["id"], []).append(record["verdict"])
    return verdicts, sum(done.seconds for done in computed.values())
