"""Break the formulas at random: do their tests notice?

Draws a hundred of all the mutants that Cosmic Ray knows of a chapter's modules, the same ones each
time, and runs the tests of these modules against each in a copy of the project, those of the broken
one first. Left out are operators that floats do not have (shifts, and bit by bit) and
comparisons of identity, whose mutants die of a TypeError, and the removal of decorators, which here
are ``jax.jit``: without it a formula is slower and the same. Annotations and docstrings are never
changed. What is known already is kept in _build until a formula or a test changes.
"""

import argparse
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
LIBRARY = ROOT / "lib/lazyrich"
FORMULAS = ("mechanisms", "conditioning", "linearization", "heavy_tails", "lenses", "spectra")
FOUNDATION = (
    "arithmetic",
    "curvature",
    "derivatives",
    "draws",
    "jacobians",
    "kernels",
    "linear_maps",
)
# Each wing's own formulas, and the foundation's.
MODULES = {
    wing: [f"{wing}/{path.stem}" for path in sorted((LIBRARY / wing).glob("[!_]*.py"))]
    for wing in FORMULAS
} | {"foundation": list(FOUNDATION)}
FOREIGN = ("Shift", "Bit", "_Is", "Invert", "RemoveDecorator")
TIMEOUT, GOAL = 900, 0.95


def code_of(module):
    return Path("lib/lazyrich", f"{module}.py")


def tests_of(modules):
    """The tests of modules in their order, and those of the border that they share."""
    own = [Path("tests", module).with_name(f"test_{Path(module).name}.py") for module in modules]
    shared = {test.with_name("test_border.py") for test in own}
    return [test for test in [*own, *sorted(shared)] if (ROOT / test).exists()]


def mutants(modules):
    """Every mutant as the module's name and the difference to it, with its code."""
    operators = [
        plugins.get_operator(name)()
        for name in sorted(plugins.operator_names())
        if not any(part in name for part in FOREIGN) and not plugins.get_operator(name).arguments()
    ]
    for module in modules:
        source = (ROOT / code_of(module)).read_text()
        nodes = list(ast_nodes(get_ast(source)))
        for operator in operators:
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            for place in range(places):
                code = mutate_code(source, operator, place)
                lines = difflib.unified_diff(source.splitlines(), code.splitlines(), n=0)
                yield module, "\n".join(list(lines)[2:]), code


def passes(copy, log, modules):
    """Whether the tests of modules pass in a copy, in a process of their own."""
    process = multiprocessing.get_context("fork").Process(
        target=_test, args=(copy, log, [str(test) for test in tests_of(modules)])
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


def killed(chapter, number, seed):
    """The share of mutants of a chapter that its tests notice."""
    modules = MODULES[chapter]
    drawn = list(mutants(modules))
    total = len(drawn)
    drawn = random.Random(seed).sample(drawn, min(number, total))
    parts = [ROOT / part for part in [*map(code_of, modules), *tests_of(modules)]]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    store = ROOT / "_build" / f"mutants-{chapter}.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    known = known if known.get("of") == digest else {"of": digest}
    store.parent.mkdir(exist_ok=True)
    print(f"{chapter}: {len(drawn)} mutants drawn of {total}", flush=True)

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

        if not passes(copy, log, modules):
            sys.exit(f"The tests fail without a mutant:\n{log.read_text()}")
        for i, (module, difference, code) in enumerate(drawn, start=1):
            name = f"{module}.py {difference}"
            if name not in known:
                path = copy / code_of(module)
                source = path.read_text()
                path.write_text(code)
                ordered = sorted(modules, key=lambda other, broken=module: other != broken)
                known[name] = "survived" if passes(copy, log, ordered) else "killed"
                path.write_text(source)
                store.write_text(json.dumps(known, indent=1, ensure_ascii=False))
            print(f"{i:4} {known[name]:8} {name.splitlines()[0]}", flush=True)

    names = [f"{module}.py {difference}" for module, difference, _ in drawn]
    survivors = [name for name in names if known[name] == "survived"]
    for name in survivors:
        print(f"\nSurvived: {name}")
    share = 1 - len(survivors) / len(names)
    print(f"\n{share:.0%} of {len(names)} mutants killed, {len(survivors)} survived\n", flush=True)
    return share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", nargs="?", choices=MODULES, help="by default each in turn")
    parser.add_argument("--number", type=int, default=100, help="of mutants, by default 100")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, by default 0")
    asked = parser.parse_args()
    chapters = [asked.chapter] if asked.chapter else list(MODULES)
    shares = [killed(chapter, asked.number, asked.seed) for chapter in chapters]
    sys.exit(min(shares) < GOAL)
