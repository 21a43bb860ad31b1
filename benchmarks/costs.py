"""What the chapters cost at the papers' sizes, from a model that is checked at scale book.

The members of an ensemble (seeds, draws, networks) cost the same each, and so do steps. So each
point that a chapter asks for is computed at its own sizes with few members and steps, and twice:
the difference of the two calls is what compiling takes. A short one is computed with more of them
too, and what all would take lies on the line through the two; beside a long one what a call costs
by itself is nothing. The model for a chapter is the sum over its points. It counts the time of
processors, which hardly depends on what else runs, and leaves out what is not in a sweep, as the
figures. At scale book it is set against all that the chapter takes.

The images of the papers are not needed: the digits are as many, of about as many pixels.

What was measured is kept in _build until the library changes, so an interrupted call goes on.
"""

import ast
import hashlib
import json
import os
import platform
import sys
import time
from contextlib import redirect_stdout, suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path

import measuring
from measuring import digits

from lazyrich.book import chapters, files, notebooks, provenance, sources, sweeps

BOOK = Path(__file__).parents[1] / "book"
KEPT = Path(__file__).parents[1] / "_build"
MEMBERS = ("seeds", "draws", "networks", "cases")
FEW, STEPS, MORE = 2, 100, 4
SHORT, LONG = 2.0, 20.0
DOWNLOADED = ("MNIST", "CIFAR-10")


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

    notebook = chapters.at_scale(path, scale).notebook
    computed, sweeps.sweep = sweeps.sweep, listed
    scope = {}
    statements = [one for cell in notebooks.code_cells(notebook) for one in lines(cell.source)]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for statement in statements:
            with suppress(Exception):
                exec(compile(ast.Module([statement], []), path.name, "exec"), scope)
    sweeps.sweep = computed
    return found


def lines(source):
    """The statements of a cell that compute; what only shows is left out."""
    return [one for one in ast.parse(source).body if "show(" not in ast.unparse(one)]


def smaller(point, more=1):
    """A point with few members and steps, and how many times as much the whole one is."""
    point, times, few, steps = dict(point), 1.0, FEW * more, STEPS * more
    for name in MEMBERS:
        if point.get(name, 0) > few:
            times *= point[name] / few
            point[name] = few
    for name in ("steps", "schedule"):
        if name in point:
            last = point[name] if name == "steps" else max(point[name])
            if last > steps:
                times *= last / steps
                point[name] = steps if name == "steps" else kept(point[name], steps)
    if point.get("data") in DOWNLOADED:
        point["data"] = "digits"
    return point, times


def kept(schedule, steps):
    """The first steps of a schedule."""
    return sorted({min(step, steps) for step in schedule})


def predicted(name, scale):
    """Core-seconds and memory of a chapter at a scale, by the model, and the number of points."""
    import jax

    key = jax.random.key(0)
    store = KEPT / f"costs-{name}-{scale}.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    library = sources.of_modules(["lazyrich"]).mark()
    total, number, memory = 0.0, 0, 0.0
    for function, points in asked(BOOK / f"{name}.ipynb", scale):
        for point in points:
            mark = f"{function.__qualname__} {sorted(point.items())} {library}"
            mark = hashlib.sha256(mark.encode()).hexdigest()
            if mark not in known:
                known[mark] = [cost(function, key, point), measuring.peak_memory()]
                files.make_folder(KEPT)
                files.replace(store, json.dumps(known))
            seconds, peak = known[mark]
            total, number, memory = total + seconds, number + 1, max(memory, peak)
            print(f"{function.__qualname__} {seconds:.2f}", file=sys.stderr)
    return {"seconds": total, "points": number, "memory": memory}


def cost(function, key, point):
    """The core-seconds of a point: of compiling, and of a call with all members and steps."""
    small, times = smaller(point)
    first, later = twice(function, key, small)
    compiling = max(first - later, 0)
    if later > SHORT or times == 1:
        return compiling + times * later
    larger, left = smaller(point, MORE)
    each = max(twice(function, key, larger)[1] - later, 0) / (times / left - 1)
    return compiling + later + each * (times - 1)


def twice(function, key, point):
    """The core-seconds of a first call and of a second one."""
    took = []
    for _ in range(2):
        start = time.process_time()
        sweeps.sweep(function, [point], key)
        took.append(time.process_time() - start)
        if took[0] > LONG:
            return took * 2
    return took


def executed(name):
    """The core-seconds that a whole chapter takes at scale book, in this process."""
    notebook = chapters.at_scale(BOOK / f"{name}.ipynb", "book").notebook
    scope, start = {}, time.process_time()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for cell in notebooks.code_cells(notebook):
            exec(cell.source, scope)
    return {"seconds": time.process_time() - start}


def main():
    rows = []
    for path in chapters.find(BOOK):
        print(f"costs: {path.stem}", file=sys.stderr)
        paper, book = (measuring.apart(__file__, path.stem, scale) for scale in ("paper", "book"))
        took = measuring.apart(__file__, path.stem)["seconds"]
        rows.append(
            [path.stem, str(paper["points"]), digits(paper["seconds"] / 3600)]
            + [f"{paper['memory']:.0f}", digits(book["seconds"]), digits(took)]
        )
    table = {
        "title": "The papers' sizes",
        "note": f"Extrapolated: each point of a chapter with {FEW} members and at most {STEPS} "
        f"steps, at its own sizes, and if it is short with {MORE} times as many, on a line to how "
        "many there are. The unit is the time of one core of this machine; the memory is that of "
        "these few members. Beside it stand the same model at scale book, and what the whole "
        "chapter takes there.",
        "columns": [
            "chapter",
            "points",
            "paper, core-hours",
            "memory, MiB",
            "book by the model, core-seconds",
            "book, core-seconds",
        ],
        "rows": rows,
    }
    versions = {"python": platform.python_version(), "jax": version("jax")}
    measured = {"machine": provenance.machine(), "date": date.today().isoformat()}
    measured |= {"versions": versions, "tables": [table]}
    text = json.dumps(measured, indent=1, ensure_ascii=False) + "\n"
    files.replace(BOOK / "costs.json", text)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    if len(sys.argv) > 1:
        os.chdir(BOOK)
        what = predicted if len(sys.argv) > 2 else executed
        print(json.dumps(what(*sys.argv[1:])))
    else:
        main()
