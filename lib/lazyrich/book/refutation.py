"""Refutation: would a verdict turn if a formula were wrong?

The formulas of a chapter are broken one after another, in the memory of a process of its own and
never in a file: a sign, a factor of 1.1, a power, a missing term. Then its cells run, without
showing figures. Sweeps whose points reach the broken formula are computed anew and not kept, the
others are read from the store. A break is seen if the verdict of a claim leaves *holds*.
"""

import ast
import contextlib
import copy
import functools
import importlib
import io
import json
import multiprocessing
import os
import random
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from tqdm import tqdm

from lazyrich.book import calls, claims, evidence, figures, files, notebooks, store, sweeps

TIMEOUT = 300
"""Seconds after which a broken chapter is given up."""
TRIES = 4
"""How many breaks of a formula are tried, at most, for each that shall run."""
WINGS = ("mechanisms", "conditioning", "linearization", "heavy_tails", "lenses", "spectra")
HOW = {
    ast.Add: ("another sign", "a missing term"),
    ast.Sub: ("another sign", "a missing term"),
    ast.Mult: ("a factor of 1.1",),
    ast.Div: ("a factor of 1.1",),
    ast.MatMult: ("a factor of 1.1",),
    ast.Pow: ("another power",),
}
"""How an operation of a formula can be broken."""


class Break(NamedTuple):
    """A formula, which of its operations is broken, counted from the first, and how."""

    name: str
    """The full name of the function."""
    place: int
    how: str

    def __str__(self) -> str:
        operation = ast.unparse(_operations_of(self.name)[self.place])
        return f"{_short(self.name)}: {operation} with {self.how}"


class Refutation(NamedTuple):
    """What breaking the formulas of a chapter has shown."""

    seen: dict[str, list[str]]
    """For each break, in words, the claims that no longer hold."""
    formulas: dict[str, bool | None]
    """For each formula whether a verdict has seen it broken; None if no break of it ran."""
    seconds: float
    """What it took."""


def formulas(path: Path) -> list[str]:
    """The full names of the formulas, functions with an operation in them, that a chapter uses."""
    used, known = set(), {}
    for cell in _cells(path):
        names, known = calls.used_by(ast.unparse(cell), known)
        used |= names
    wings = tuple(f"lazyrich.{wing}." for wing in WINGS)
    return sorted(name for name in calls.reached(used) if name.startswith(wings) and breaks(name))


def breaks(name: str) -> list[Break]:
    """All breaks of a function of the library, in an order drawn at random, the same each time."""
    drawn = [
        Break(name, place, how)
        for place, node in enumerate(_operations_of(name))
        for how in HOW[type(node.op)]
    ]
    random.Random(name).shuffle(drawn)
    return drawn


def refute(path: Path, folder: Path, kept: Path, number: int = 1) -> Refutation:
    """Break the formulas of a chapter, and look which of its verdicts turn.

    Args:
        path: of the chapter; its verdicts are those that stand in it.
        folder: the store with the results of its sweeps.
        kept: the file that keeps what is known, from which an interrupted call goes on.
        number: of breaks of each formula.

    Raises:
        ValueError: if the cells do not give the verdicts of the chapter where nothing is broken.
    """
    path, folder = path.absolute(), folder.absolute()  # a chapter runs in its own folder
    records = claims.recorded_in({path: path.read_bytes()})
    held = [record["id"] for record in records if record["verdict"] == "holds"]
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    whole, _ = _apart(path, folder, None)
    if left := [name for name in held if not whole or whole.get(name) != "holds"]:
        raise ValueError(
            f"{path} must give its own verdicts where nothing is broken, but not of "
            f"{', '.join(left)}: execute it first"
        )
    seen, found, seconds, state = {}, {}, 0.0, evidence.state(path)
    for name in tqdm(formulas(path), unit="formula", disable=None, leave=False):
        ran = 0
        for one in breaks(name)[: TRIES * number]:
            mark = f"{state} {one.name} {one.place} {one.how}"
            if mark not in known:
                known[mark] = _apart(path, folder, one)
                files.make_folder(kept.parent)
                files.replace(kept, json.dumps(known, indent=1))
            verdicts, took = known[mark]
            seconds += took
            if verdicts is None:
                continue
            turned = [claim for claim in held if verdicts.get(claim, "holds") != "holds"]
            seen[str(one)] = sorted({*seen.get(str(one), []), *turned})
            found[name] = found.get(name, False) or bool(turned)
            ran += 1
            if ran == number:
                break
        found.setdefault(name, None)
    return Refutation(seen, {_short(name): of for name, of in found.items()}, seconds)


def _apart(path, folder, one):
    """Verdicts by claim and the seconds they took, from a process that ends with this call."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        try:
            return process.apply_async(_verdicts, (path, folder, one)).get(TIMEOUT)
        except multiprocessing.TimeoutError:
            return None, float(TIMEOUT)


def _verdicts(path, folder, one):
    """The verdicts of the claims of a chapter; None where a cell fails that does not otherwise."""
    began, verdicts = time.perf_counter(), {}
    os.environ[store.VARIABLE] = str(folder)
    os.chdir(path.parent)
    sys.path.insert(0, "")
    judge, compute = claims.claim, sweeps.sweep

    @functools.wraps(judge)
    def judged(*given, **options):
        result = judge(*given, **options)
        verdicts[result.record["id"]] = result.record["verdict"]
        return result

    def computed(function, points, key):
        name = f"{function.__module__}.{function.__qualname__}"
        if one is not None and one.name in calls.reached([name]):
            del os.environ[store.VARIABLE]
        try:
            return compute(function, points, key)
        finally:
            os.environ[store.VARIABLE] = str(folder)

    claims.claim, sweeps.sweep, figures.show = judged, computed, _not_shown
    if one is not None and not _put_into_effect(one):
        return None, 0.0
    space = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for cell in _cells(path):
            try:
                exec(compile(cell, str(path), "exec"), space)
            except Exception:
                return None, time.perf_counter() - began
    return verdicts, time.perf_counter() - began


def _not_shown(name, figure, table, **options):
    """In place of showing a figure, which takes longer than to draw it."""
    plt.close(figure)


def _put_into_effect(one):
    """Whether the function now runs the broken code: all that know it run that, too."""
    module, _, name = one.name.rpartition(".")
    module = importlib.import_module(module)
    function = _inside(getattr(module, name), name)
    if function is None:
        return False
    tree = copy.deepcopy(calls.definition(one.name))
    tree.decorator_list = []
    node = list(_operations(tree))[one.place]
    _Breaking(node, one.how).visit(tree)
    space = dict(vars(module))
    broken = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(broken, module.__file__, "exec"), space)
    function.__code__ = space[name].__code__
    return True


def _inside(decorated, name):
    """The function of a name that decorators have wrapped, by its code."""
    waiting, seen = [decorated], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, types.FunctionType):
            if one.__code__.co_name == name and one.__closure__ is None:
                return one
            waiting += [cell.cell_contents for cell in one.__closure__ or ()]
        waiting += [_vars(one)[key] for key in ("__wrapped__", "fun") if key in _vars(one)]
        waiting += [one.func] if isinstance(one, functools.partial) else []
    return None


def _vars(thing):
    return getattr(thing, "__dict__", {})


class _Breaking(ast.NodeTransformer):
    """Breaks one operation of a formula."""

    def __init__(self, node, how):
        self.node, self.how = node, how

    def visit(self, node):
        if node is not self.node:
            return self.generic_visit(node)
        if self.how == "a missing term":
            return node.left
        if self.how == "another sign":
            return ast.BinOp(
                node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right
            )
        if self.how == "another power":
            return ast.BinOp(node.left, node.op, ast.BinOp(node.right, ast.Add(), ast.Constant(1)))
        return ast.BinOp(ast.Constant(1.1), ast.Mult(), node)


def _operations_of(name):
    tree = calls.definition(name)
    return [] if tree is None else list(_operations(tree))


def _operations(node) -> Iterator[ast.BinOp]:
    """The operations of a formula, but for those in indices, messages and defaults."""
    if isinstance(node, ast.BinOp) and type(node.op) in HOW:
        yield node
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments):
        return
    children = [node.value] if isinstance(node, ast.Subscript) else ast.iter_child_nodes(node)
    for child in children:
        yield from _operations(child)


def _cells(path):
    """The syntax trees of the cells of a chapter."""
    return map(ast.parse, notebooks.plain_code(notebooks.read(path)))


def _short(name):
    return name.removeprefix("lazyrich.")
