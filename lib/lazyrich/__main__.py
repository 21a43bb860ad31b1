"""The command line: ``lazyrich --help`` says what there is.

A command is a function, whose docstring is its help. What it needs is imported when it runs, so
that reading the claims starts fast.
"""

import argparse
import inspect
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0, or 1 if a cell failed, a verdict depends on the seed or too few formulas are seen broken,
        or 2 if the command cannot be carried out as given, or 130 if it was interrupted, or 141 if
        nobody reads what it prints.
    """
    if sys.stdout is None:  # as it is where it was closed
        sys.stdout = io.TextIOWrapper(io.BytesIO())
    sys.stdout.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    _end_in_order()
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("\nlazyrich: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        needed = f"{options.command} needs the packages of the book: pip install 'lazyrich[book]'"
        if options.run is weights:
            needed = "weights needs it: pip install 'lazyrich[weights]'"
        told = f"there is no {error.name} here, and {needed}" if error.name else error
    except ValueError as error:
        told = error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = f"{where}{error.strerror or error}"
    except RuntimeError as error:
        from lazyrich.book.execution import CellError

        if not isinstance(error, CellError):
            raise
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"lazyrich: {told}", file=sys.stderr)
    return 2


def _end_in_order():
    """Let what asks for an end do as Ctrl-C does, so that kernels and their processes end too."""
    for request in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(request) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(request, signal.default_int_handler)
    # It would tell at length of the cell that was interrupted.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def claims(options):
    """Show which claims held, from the outputs of the notebooks."""
    from lazyrich.book import claims, rendering

    if options.schema:
        print(claims.SCHEMA.read_text(encoding="utf-8"), end="")
    elif options.json:
        from lazyrich.book import evidence

        # Escaped where it could not be shown otherwise, so that no character is lost.
        escaped = sys.stdout.encoding.lower() != "utf-8"
        records = evidence.with_evidence(options.folder)
        print(json.dumps(records, indent=1, ensure_ascii=escaped))
    else:
        print(rendering.scorecard(claims.recorded(options.folder)))
    return 0


def figures(options):
    """List the figures, and what of the paper each answers."""
    from lazyrich.book import reproduction

    for figure in reproduction.known_figures(options.folder, options.chapter):
        print(f"{figure.chapter}#{figure.name}\n    {figure.answers}")
    return 0


def reproduce(options):
    """Compute chapters or single figures at a scale, and leave them in a folder.

    It leaves in the folder, for each chapter: the executed notebook, every figure as SVG, PDF and
    PNG, the numbers behind it as CSV, and the claims as JSON; and manifest.json, which says from
    what. If it is interrupted, the same command goes on where it was. A folder holds one scale,
    seed and device. LAZYRICH_DATA names the folder of images that were downloaded, LAZYRICH_STORE
    that of the results of sweeps and chapters, by default _build/store beside the folder of
    notebooks.

    The status is 0 if all is there, 1 if a cell failed, 2 if it cannot be done as asked, and 130
    if it was interrupted.

      lazyrich reproduce mechanisms --scale quick --out out
      lazyrich reproduce 'mechanisms#fig-angle' --out angle
      lazyrich reproduce --scale paper --device gpu --out paper
    """
    from lazyrich.book import chapters, manifests, reproduction

    for path in reproduction.select(options.folder, options.target):
        chapters.at_scale(path, options.scale, options.seed)
    elsewhere = options.device, options.jobs, options.dask
    engine, compute = _computing(options.folder, options.scale, *elsewhere)
    out, chosen = options.out, (options.target, options.scale, options.seed)
    written = reproduction.reproduce(options.folder, out, engine, compute, *chosen)
    print(f"Computed: {', '.join(written) or 'nothing, all is there already'}.")
    print(f"In {options.out}: what {manifests.MANIFEST} lists.")
    return 0


def build(options):
    """Copy the book, and execute in the copy what is stale."""
    from lazyrich.book import copies

    _, compute = _computing(options.folder, "book")
    executed = copies.refresh(options.folder, options.into, compute)
    print(f"Executed: {', '.join(executed) or 'nothing, every output is up to date'}.")
    return 0


def execute(options):
    """Execute chapters in place at scale book, to be stored."""
    from lazyrich.book import authoring

    authoring.execute_in_place(options.folder, options.chapter)
    return 0


def seeds(options):
    """Compare the stored verdicts with those at other seeds.

    At scale book they are stored as evidence beside the chapters. If it is interrupted, the same
    command goes on where it was.
    """
    from lazyrich.book import authoring, chapters, claims, evidence

    if options.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {options.seeds}")
    _, compute = _computing(options.folder, options.scale)
    stored = {record["id"]: record["verdict"] for record in claims.recorded(options.folder)}
    differ = []
    for path in chapters.find(options.folder, options.chapter):
        seeds = range(1, options.seeds + 1)
        state = evidence.state(path)
        verdicts_of, seconds = authoring.verdicts_at_seeds(path, seeds, options.scale, compute)
        if options.scale == "book":
            about = evidence.circumstances(path, seconds)
            evidence.add(path, "seeds", verdicts_of, state, about)
        print(f"\n{path.stem}: the stored verdicts, and those at seeds 1 to {options.seeds}")
        for identifier, verdicts in verdicts_of.items():
            kept = stored.get(identifier, "(none)")
            same = set(verdicts) == {kept}
            print(f"  {identifier:<4} {kept:<14} {'the same' if same else ', '.join(verdicts)}")
            differ += [] if same else [identifier]
    print(f"\nDepends on the seed: {', '.join(differ) or 'none'}.")
    return 1 if differ else 0


def refute(options):
    """Break the formulas of chapters one after another, and tell which verdicts turn.

    A sign, a factor of 1.1, a power, a missing term: each in a process of its own, never in a
    file. What was seen is stored as evidence beside the chapters. If it is interrupted, the same
    command goes on where it was. The status is 1 if less than 90 % of the formulas are seen.
    """
    from lazyrich.book import chapters, evidence, refutation

    if options.number < 1:
        raise ValueError(f"--number must be at least 1, got {options.number}")
    engine, _ = _computing(options.folder, "book")
    os.environ.update(engine.environment)
    built, shares = _built(options.folder), []
    for path in chapters.find(options.folder, options.chapter):
        kept, state = built / f"refuted-{path.stem}.json", evidence.state(path)
        found = refutation.refute(path, _store(options.folder), kept, options.number)
        if not found.formulas:
            continue
        about = evidence.circumstances(path, found.seconds)
        evidence.add(path, "broken", found.seen, state, about)
        print(f"\n{path.stem}: breaks, and the claims that no longer hold")
        for one, seen in found.seen.items():
            print(f"  {', '.join(seen) or 'none':<24} {one}")
        ran = {name: seen for name, seen in found.formulas.items() if seen is not None}
        shares.append(sum(ran.values()) / len(ran))
        print(f"Seen: {shares[-1]:.0%} of {len(ran)} formulas; no break of others ran: "
              f"{', '.join(found.formulas.keys() - ran) or 'none'}.")  # fmt: skip
    return 1 if min(shares, default=1) < 0.9 else 0


def evidence(options):
    """Store what a reproduction at scale paper says as evidence beside the chapters.

    To be resumed and shared, such a run is made by `lazyrich reproduce --scale paper --out OUT`.
    """
    from lazyrich.book import chapters, evidence

    for path in chapters.find(options.folder, options.chapter):
        evidence.add_reproduction(options.run_of, path)
    return 0


def weights(options):
    """Report on the weights in a file, against the law of random matrices.

    A line a matrix: the strength σ of the bulk of its spectrum, its largest singular value over
    the edge of the law of random matrices of its own shape, what lies beyond that edge, Hill's
    exponent beside that of random weights, and the power law that fits best. FILE is one of
    safetensors, NumPy (.npz, .npy), PyTorch (a state dict), Flax (to_bytes) or Equinox
    (tree_serialise_leaves), or a folder of such shards. It is mapped, not loaded, and none runs
    code. A kernel of a convolution becomes a matrix with its outputs as rows.

      lazyrich weights model.safetensors
      lazyrich weights model.pt --replicas 100 --rivals --csv > weights.csv
      lazyrich weights shards/ --figures spectra
    """
    from tqdm import tqdm

    from lazyrich.reports import WeightReport, checkpoint, forms
    from lazyrich.reports.weight_reports import readings

    file, report = checkpoint(options.file), WeightReport([], [])
    arrays = tqdm(file.arrays, total=file.number, unit=" arrays", leave=False, disable=None)
    try:
        for row, spectrum in readings(arrays, options.smallest, options.replicas, options.rivals):
            (report.matrices if spectrum else report.left_out).append(row)
            if options.figures and spectrum:
                forms.picture(options.figures, len(report.matrices), row, spectrum)
    finally:  # what was read before an interrupt is shown
        arrays.close()
        print(getattr(forms, options.form)(report))
    return 0


def _computing(folder, scale, *asked):
    """An engine of this machine, and ``compute(chapters, keep)`` on it with the store in use."""
    from lazyrich.book import chapters, engines

    chapters.find(folder)
    engine = engines.engine(scale, *asked, programs=_built(folder) / "programs")
    return engine, partial(chapters.compute, engine=engine, folder=_store(folder))


def _built(folder):
    return Path(folder).absolute().parent / "_build"


def _store(folder):
    """The store that is in use for the chapters of a folder."""
    from lazyrich.book import store

    return store.prepared() or _built(folder) / "store"


_HOME = {"type": os.path.expanduser}
_FOLDER = ("--folder", "the folder of notebooks", {"default": "book"} | _HOME)
_FOLDER_FIRST = ("folder", _FOLDER[1], _FOLDER[2] | {"nargs": "?", "metavar": "FOLDER"})
_CHAPTERS = ("chapter", "names without .ipynb (default: all)", {"nargs": "*", "metavar": "CHAPTER"})
_TARGETS = "a chapter, or one of its figures as in 'lazyrich figures' (default: all chapters)"
_SCALE = "quick (to try), book (what the pages show) or paper (the papers' own sizes, for a GPU "
_SCALE += "or a cluster)"
_JOBS = "processes that share the points of a sweep"
_DASK = "a Dask scheduler, as tcp://host:8786, whose workers share them instead"

_AS = {"action": "store_const", "dest": "form", "default": "as_table"}


def _path(text):
    return Path(text).expanduser()


# The commands, each with its arguments: a name, what it is, and how argparse takes it.
_COMMANDS = {
    claims: [
        _FOLDER_FIRST,
        ("--json", "the full records, a list of objects", {"action": "store_true"}),
        ("--schema", "what they hold, as a JSON schema", {"action": "store_true"}),
    ],
    figures: [_CHAPTERS, _FOLDER],
    reproduce: [
        ("target", _TARGETS, {"nargs": "*", "metavar": "CHAPTER[#FIGURE]"}),
        ("--scale", _SCALE, {"default": "book"}),
        ("--out", "a new folder, or that of the run to go on with", {"default": "reproduced"}),
        ("--seed", "the seed of the chapters", {"default": 0, "type": int}),
        ("--device", "cpu, gpu or auto", {"default": "auto"}),
        ("--jobs", _JOBS, {"default": 1, "type": int, "metavar": "N"}),
        ("--dask", _DASK, {"metavar": "ADDRESS"}),
        _FOLDER,
    ],
    build: [_FOLDER_FIRST, ("--into", "the copy", {"default": "_build/book"} | _HOME)],
    execute: [_CHAPTERS, _FOLDER],
    seeds: [
        _CHAPTERS,
        _FOLDER,
        ("--seeds", "how many", {"default": 20, "type": int}),
        ("--scale", "quick, book or paper", {"default": "book"}),
    ],
    refute: [
        _CHAPTERS,
        _FOLDER,
        ("--number", "of breaks of each formula", {"default": 1, "type": int}),
    ],
    evidence: [
        ("run_of", "the folder of a reproduction", {"metavar": "OUT", "type": _path}),
        _CHAPTERS,
        _FOLDER,
    ],
    weights: [
        ("file", "a file of weights, or a folder of shards", {"metavar": "FILE"} | _HOME),
        ("--json", "all numbers, as JSON", _AS | {"const": "as_json"}),
        ("--csv", "all numbers of the matrices, as CSV", _AS | {"const": "as_csv"}),
        ("--figures", "a folder for a picture of each", {"type": _path, "metavar": "DIR"}),
        ("--smallest", "leave out what has fewer rows or columns", {"default": 20, "type": int}),
        ("--replicas", "samples for a p-value of each power law", {"default": 0, "type": int}),
        ("--rivals", "compare with log-normal and exponential tails", {"action": "store_true"}),
    ],
}


def _parser():
    parser = argparse.ArgumentParser(
        prog="lazyrich",
        description="From Lazy to Rich: the claims of the book, and the commands that compute it.",
    )
    parser.add_argument("--version", action="version", version=f"lazyrich {version('lazyrich')}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="command"
    )
    for run, arguments in _COMMANDS.items():
        title, _, more = inspect.getdoc(run).partition("\n")
        command = commands.add_parser(
            run.__name__,
            help=title[0].lower() + title[1:-1],
            description=title,
            epilog=more,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        for name, text, how in arguments:
            shown = "default" in how and "const" not in how
            default = " (default: %(default)s)" if shown else ""
            command.add_argument(name, help=text + default, **how)
    return parser


if __name__ == "__main__":
    sys.exit(main())
