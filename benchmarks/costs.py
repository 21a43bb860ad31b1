"""What the chapters cost at the papers' sizes, from a model that is checked at scale book.

The members of an ensemble (seeds, draws, networks) cost the same each. So each point that a chapter
asks for is computed at its own sizes with few members, and twice; the second call tells what they
take, the difference of the two what compiling takes. Of long training, the first steps are taken.
The model for a chapter is the sum over its points of compiling, and of all members at the cost of
these. At scale book it is set against the time that the chapter took when it was stored.

The images of the papers are not needed: other data of the same number of pixels cost the same.
"""

import ast
import json
import os
import sys
import time
from pathlib import Path

import measuring
from measuring import digits

from lazyrich import chapters, notebooks, provenance, sweeps

BOOK = Path(__file__).parents[1] / "book"
MEMBERS = ("seeds", "draws", "networks", "cases")
FEW, STEPS = 2, 100
PIXELS = {"MNIST": 49, "CIFAR-10": 64}


class Asked(Exception):
    """A sweep was asked for; it is not computed."""


def asked(path, scale):
    """The sweeps that a chapter asks for at a scale: each a function and its points.

    The code is executed statement by statement. One that needs the result of a sweep fails, and is
    left out; what a chapter sweeps over hangs on its sizes and not on results.
    """
    found = []

    def listed(function, points, key):
        found.append((function, [dict(point) for point in points]))
        raise Asked

    notebook = notebooks.set_parameters(notebooks.read(path), scale, 0)
    computed, sweeps.sweep = sweeps.sweep, listed
    scope = {}
    try:
        for cell in notebooks.code_cells(notebook):
            for statement in ast.parse(cell.source).body:
                try:
                    exec(compile(ast.Module([statement], []), path.name, "exec"), scope)
                except Exception:
                    continue
    finally:
        sweeps.sweep = computed
    return found


def smaller(point):
    """A point with few members and steps, and how many times as much the whole one is."""
    point, times = dict(point), 1.0
    for name in MEMBERS:
        if point.get(name, 0) > FEW:
            times *= point[name] / FEW
            point[name] = FEW
    for name in ("steps", "schedule"):
        if name in point:
            last = point[name] if name == "steps" else max(point[name])
            if last > STEPS:
                times *= last / STEPS
                point[name] = STEPS if name == "steps" else kept(point[name])
    if point.get("data") in PIXELS:
        point["data"] = PIXELS[point["data"]]
    return point, times


def kept(schedule):
    """The first steps of a schedule."""
    return sorted({min(step, STEPS) for step in schedule})


def predicted(name, scale):
    """Seconds and memory of a chapter at a scale, by the model, and its points."""
    import jax

    key = jax.random.key(0)
    total, number, known = 0.0, 0, {}
    for function, points in asked(BOOK / f"{name}.ipynb", scale):
        for point in points:
            small, times = smaller(point)
            mark = function.__qualname__, repr(sorted(small.items()))
            if mark not in known:
                known[mark] = twice(function, key, small)
            first, later = known[mark]
            total += first - later + times * later
            number += 1
            print(f"{mark} {first:.2f} {later:.3f} x {times:.0f}", file=sys.stderr)
    return {"seconds": total, "points": number, "memory": measuring.peak_memory()}


def twice(function, key, point):
    """The seconds of a first call and of a second one."""
    took = []
    for _ in range(2):
        start = time.perf_counter()
        sweeps.sweep(function, [point], key)
        took.append(time.perf_counter() - start)
    return took


def main():
    rows = []
    stored = json.loads((BOOK / "performance.json").read_text(encoding="utf-8"))["chapters"]
    for path in chapters.find(BOOK):
        book, paper = (measuring.apart(__file__, path.stem, scale) for scale in ("book", "paper"))
        took = stored[path.stem]["seconds"]
        rows.append(
            [path.stem, str(paper["points"]), digits(paper["seconds"] / 3600)]
            + [f"{paper['memory']:.0f}", digits(book["seconds"]), digits(took)]
        )
    table = {
        "title": "The papers' sizes",
        "note": "Hours that the chapters take at scale paper on this machine, as the model says: "
        "each point at its own sizes with few members and steps, times how many there are. Beside "
        "it the same model at scale book, and what was measured there.",
        "columns": [
            "chapter",
            "points",
            "hours, paper",
            "memory of few members, MiB",
            "seconds, book, model",
            "seconds, book, measured",
        ],
        "rows": rows,
    }
    print(json.dumps({"machine": provenance.machine(), "tables": [table]}))


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    if len(sys.argv) > 1:
        os.chdir(BOOK)
        print(json.dumps(predicted(*sys.argv[1:])))
    else:
        main()
