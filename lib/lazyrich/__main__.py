"""The command line: ``lazyrich --help`` says what there is.

What a command needs is imported when it runs, so that reading the claims starts fast.
"""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

REPRODUCE = """\
It leaves in the folder, for each chapter: the executed notebook, every figure as SVG, PDF and PNG,
the numbers behind it as CSV, and the claims as JSON; and manifest.json, which says from what. If it
is interrupted, the same command goes on where it was. A folder holds one scale, seed and device.
LAZYRICH_DATA names the folder of images that were downloaded, LAZYRICH_STORE that of the results
of sweeps and chapters, by default _build/store beside the folder of notebooks.

The status is 0 if all is there, 1 if a cell failed, 2 if it cannot be done as asked, and 130 if it
was interrupted.

  lazyrich reproduce mechanisms --scale quick --out out
  lazyrich reproduce 'mechanisms#fig-angle' --out angle
  lazyrich reproduce --scale paper --device gpu --out paper
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0, or 1 if a cell failed or a verdict depends on the seed, or 2 if the command cannot be
        carried out as given, or 130 if it was interrupted.
    """
    options = _parser().parse_args(arguments)
    _end_in_order()
    try:
        status = options.run(options)
        if sys.stdout is not None:  # as it is where it was closed
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ValueError as error:
        print(f"lazyrich: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"lazyrich: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from lazyrich.book.execution import CellError

        if not isinstance(error, CellError):
            raise
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlazyrich: interrupted", file=sys.stderr)
        return 130


def _end_in_order() -> None:
    """Let what asks for an end do as Ctrl-C does, so that kernels and their processes end too."""
    for request in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(request) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(request, signal.default_int_handler)
    # It would tell at length of the cell that was interrupted.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _claims(options) -> int:
    from lazyrich.book import claims, rendering

    records = claims.recorded(options.folder)
    if options.json:
        print(json.dumps(records, indent=1, ensure_ascii=False))
    else:
        print(rendering.scorecard(records))
    return 0


def _build(options) -> int:
    from lazyrich.book import copies

    executed = copies.refresh(options.folder, options.into, _compute(options.folder, "book"))
    print(f"Executed: {', '.join(executed) or 'nothing, every output is up to date'}.")
    return 0


def _compute(folder, scale, **engine):
    """``compute(chapters, keep)`` on an engine of this machine, with the store that is in use."""
    from lazyrich.book import chapters, engines, store

    chapters.find(folder)
    built = Path(folder).absolute().parent / "_build"
    engine = engines.engine(scale, programs=built / "programs", **engine)
    return partial(chapters.compute, engine=engine, folder=store.prepared() or built / "store")


def _execute(options) -> int:
    from lazyrich.book import authoring

    authoring.execute_in_place(options.folder, options.chapter)
    return 0


def _seeds(options) -> int:
    from lazyrich.book import authoring, chapters, claims

    if options.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {options.seeds}")
    compute = _compute(options.folder, options.scale)
    stored = {record["id"]: record["verdict"] for record in claims.recorded(options.folder)}
    differ = []
    for path in chapters.find(options.folder, options.chapter):
        seeds = range(1, options.seeds + 1)
        verdicts_of = authoring.verdicts_at_seeds(path, seeds, options.scale, compute)
        print(f"\n{path.stem}: the stored verdicts, and those at seeds 1 to {options.seeds}")
        for identifier, verdicts in verdicts_of.items():
            kept = stored.get(identifier, "(none)")
            same = set(verdicts) == {kept}
            print(f"  {identifier:<4} {kept:<14} {'the same' if same else ', '.join(verdicts)}")
            differ += [] if same else [identifier]
    print(f"\nDepends on the seed: {', '.join(differ) or 'none'}.")
    return 1 if differ else 0


def _figures(options) -> int:
    from lazyrich.book import reproduction

    for figure in reproduction.known_figures(options.folder, options.chapter):
        print(f"{figure.chapter}#{figure.name}\n    {figure.answers}")
    return 0


def _reproduce(options) -> int:
    from lazyrich.book import chapters, manifests, reproduction

    for path in reproduction.select(options.folder, options.target):
        chapters.at_scale(path, options.scale, options.seed)
    engine = {"device": options.device, "jobs": options.jobs, "dask": options.dask}
    compute = _compute(options.folder, options.scale, **engine)
    written = reproduction.reproduce(
        options.folder, options.out, compute, options.target, options.scale, options.seed
    )
    print(f"Computed: {', '.join(written) or 'nothing, all is there already'}.")
    print(f"In {options.out}: what {manifests.MANIFEST} lists.")
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="lazyrich",
        description="From Lazy to Rich: the claims of the book, and the commands that compute it.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    parser.add_argument("--version", action="version", version=f"lazyrich {version('lazyrich')}")
    folder = {"default": "book", "type": os.path.expanduser}
    folder |= {"help": "the folder of notebooks (default: %(default)s)"}
    names = {"nargs": "*", "metavar": "CHAPTER", "help": "names without .ipynb (default: all)"}

    def command(name, run, text):
        added = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        added.set_defaults(run=run)
        return added

    one = command("claims", _claims, "show which claims held, from the outputs of the notebooks")
    one.add_argument("folder", nargs="?", metavar="FOLDER", **folder)
    one.add_argument("--json", action="store_true", help="the full records, a list of objects")

    one = command("figures", _figures, "list the figures, and what of the paper each answers")
    one.add_argument("chapter", **names)
    one.add_argument("--folder", **folder)

    one = command(
        "reproduce",
        _reproduce,
        "compute chapters or single figures at a scale, and leave them in a folder",
    )
    one.formatter_class = argparse.RawDescriptionHelpFormatter
    one.epilog = REPRODUCE
    one.add_argument(
        "target",
        nargs="*",
        metavar="CHAPTER[#FIGURE]",
        help="a chapter, or one of its figures as in 'lazyrich figures' (default: all chapters)",
    )
    one.add_argument(
        "--scale",
        default="book",
        help="quick (to try), book (what the pages show) or paper (the papers' own sizes, for a "
        "GPU or a cluster) (default: %(default)s)",
    )
    one.add_argument(
        "--out",
        default="reproduced",
        help="a new folder, or that of the run to go on with (default: %(default)s)",
    )
    one.add_argument(
        "--seed", type=int, default=0, help="the seed of the chapters (default: %(default)s)"
    )
    one.add_argument("--device", default="auto", help="cpu, gpu or auto (default: %(default)s)")
    one.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the points of a sweep (default: %(default)s)",
    )
    one.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="a Dask scheduler, as tcp://host:8786, whose workers share them instead",
    )
    one.add_argument("--folder", **folder)

    one = command("build", _build, "copy the book, and execute in the copy what is stale")
    one.add_argument("folder", nargs="?", metavar="FOLDER", **folder)
    one.add_argument(
        "--into",
        default="_build/book",
        type=os.path.expanduser,
        help="the copy (default: %(default)s)",
    )

    one = command("execute", _execute, "execute chapters in place at scale book, to be stored")
    one.add_argument("chapter", **names)
    one.add_argument("--folder", **folder)

    one = command("seeds", _seeds, "compare the stored verdicts with those at other seeds")
    one.add_argument("chapter", **names)
    one.add_argument("--folder", **folder)
    one.add_argument("--seeds", type=int, default=5, help="how many (default: %(default)s)")
    one.add_argument("--scale", default="book", help="quick, book or paper (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
