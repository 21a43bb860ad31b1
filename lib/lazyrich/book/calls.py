"""Calls: which functions of the library a piece of code may reach, as its names say.

The code is read and nothing is executed. A name counts as used wherever it stands, so that what is
reached may be too much, and never too little, but for names that are put together as text.
"""

import ast
import functools
from collections.abc import Iterable, Mapping

from lazyrich.book import sources


def reached(names: Iterable[str]) -> set[str]:
    """The full names of what stands at the top of the library's modules and is reached from names.

    >>> "lazyrich.mechanisms.solution._solve" in reached(["lazyrich.mechanisms.solve"])
    True
    """
    uses, found, waiting = _uses(), set(), [_where(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name not in uses:
            continue
        found.add(name)
        waiting += uses[name]
    return found


def used_by(code: str, known: Mapping[str, str] | None = None) -> tuple[set[str], dict[str, str]]:
    """The full names that code uses, and what its imports call them, besides those known before."""
    tree = ast.parse(code)
    names = dict(known or {}) | _imported(tree, "")
    return {_where(name) for name in _used(tree, names)}, names


def definition(name: str) -> ast.FunctionDef | None:
    """The syntax tree of a function at the top of a module of the library; None if it is none."""
    module, _, short = name.rpartition(".")
    body = _parsed()[module][0].body if module in _parsed() else []
    found = [one for one in body if isinstance(one, ast.FunctionDef) and one.name == short]
    return found[0] if found else None


@functools.cache
def _parsed():
    """The modules of the library: the syntax tree of each, and what its imports call others."""
    parsed = {}
    for module, file in sources.of_modules(["lazyrich"]).files.items():
        if not module.startswith("lazyrich.book"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            parsed[module] = tree, _imported(tree, package)
    return parsed


@functools.cache
def _uses():
    """For each name at the top of a module of the library those that it uses."""
    uses = {}
    for module, (tree, imported) in _parsed().items():
        own = {name: f"{module}.{name}" for node in tree.body for name in _defined(node)}
        for node in tree.body:
            for name in _defined(node):
                uses.setdefault(f"{module}.{name}", set()).update(_used(node, imported | own))
    return {name: {_where(one) for one in used} for name, used in uses.items()}


@functools.cache
def _exports():
    """What packages and modules import, by the full name under which it is found there."""
    return {
        f"{module}.{name}": full
        for module, (_, imported) in _parsed().items()
        for name, full in imported.items()
    }


def _where(name):
    """The full name under which something is defined, for one that a package hands on."""
    exports, seen = _exports(), set()
    while name in exports and name not in seen:
        seen.add(name)
        name = exports[name]
    return name


def _imported(tree, package):
    """What imports call the modules and names of the library."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                shown = alias.asname or alias.name.partition(".")[0]
                names[shown] = alias.name if alias.asname else shown
        elif isinstance(node, ast.ImportFrom):
            base = sources.origin(node, package)
            names |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    return names


def _defined(node):
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _used(tree, names):
    """The full names of the chains of attributes, as ``m.solve``, that stand in a piece of code."""
    for node in ast.walk(tree):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in names:
            full = _where(names[inner.id])
            for part in reversed(parts):
                full = _where(f"{full}.{part}")
            yield full
