"""Break the formulas at random: do their tests notice?

Draws a hundred of all the mutants that Cosmic Ray knows of the modules below, the same ones each
time, and runs the tests of the formulas against each in a copy of the project, those of the broken
module first. Left out are operators that floats do not have (shifts, and bit by bit) and
comparisons of identity, whose mutants die of a TypeError; annotations and docstrings are never
changed. What is known already is kept in _build/mutants.json until a formula or a test changes.

    python tests/mutants.py [number of mutants] [seed]
"""

import difflib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("lib/lazyrich/mechanisms")
MODULES = ("setting", "solution", "phases", "steps", "variants")
TESTS = "tests/mechanisms/test_{}.py"
KNOWN = ROOT / "_build/mutants.json"
FOREIGN = ("Shift", "Bit", "_Is", "Invert")
TIMEOUT, GOAL = 900, 0.95


def mutants():
    """Every mutant as the module's name and the difference to it, with its code."""
    operators = [
        plugins.get_operator(name)()
        for name in sorted(plugins.operator_names())
        if not any(part in name for part in FOREIGN) and not plugins.get_operator(name).arguments()
    ]
    for module in MODULES:
        source = (ROOT / FOLDER / f"{module}.py").read_text()
        nodes = list(ast_nodes(get_ast(source)))
        for operator in operators:
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            for place in range(places):
                code = mutate_code(source, operator, place)
                lines = difflib.unified_diff(source.splitlines(), code.splitlines(), n=0)
                yield module, "\n".join(list(lines)[2:]), code


def passes(copy, log, first=None):
    """Whether the tests pass in a copy, in a process of their own."""
    ordered = sorted(MODULES, key=lambda name: name != first)
    process = multiprocessing.get_context("fork").Process(
        target=_test, args=(copy, log, [TESTS.format(name) for name in ordered])
    )
    process.start()
    process.join(TIMEOUT)
    process.kill()
    return process.exitcode == 0


def _test(copy, log, files):
    with log.open("wb") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    os.chdir(copy)
    sys.path.insert(0, str(copy / "lib"))
    import pytest

    # jaxtyping, a plugin of pytest, has been imported already
    options = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]
    sys.exit(pytest.main(["-x", "-q", "--tb=line", *options, *files]))


def main(number=100, seed=0):
    drawn = list(mutants())
    total = len(drawn)
    drawn = random.Random(seed).sample(drawn, min(number, total))
    parts = [*sorted((ROOT / FOLDER).glob("*.py")), *(ROOT / TESTS.format(m) for m in MODULES)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    known = known if known.get("of") == digest else {"of": digest}
    KNOWN.parent.mkdir(exist_ok=True)
    print(f"{len(drawn)} mutants drawn of {total}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        copy, log = Path(folder, "copy"), Path(folder, "log")
        for part in ("lib", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        # What a mutant leaves as it was need not be compiled again.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(folder, "cache"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        sys.dont_write_bytecode = True
        import diffrax  # noqa: F401  what takes time to import, once for all processes
        import sklearn.datasets  # noqa: F401

        if not passes(copy, log):
            sys.exit(f"The tests fail without a mutant:\n{log.read_text()}")
        for i, (module, difference, code) in enumerate(drawn, start=1):
            name = f"{module}.py {difference}"
            if name not in known:
                path = copy / FOLDER / f"{module}.py"
                source = path.read_text()
                path.write_text(code)
                known[name] = "survived" if passes(copy, log, module) else "killed"
                path.write_text(source)
                KNOWN.write_text(json.dumps(known, indent=1, ensure_ascii=False))
            print(f"{i:4} {known[name]:8} {name.splitlines()[0]}", flush=True)

    names = [f"{module}.py {difference}" for module, difference, _ in drawn]
    survivors = [name for name in names if known[name] == "survived"]
    for name in survivors:
        print(f"\nSurvived: {name}")
    share = 1 - len(survivors) / len(names)
    print(f"\n{share:.0%} of {len(names)} mutants killed, {len(survivors)} survived")
    sys.exit(share < GOAL)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
