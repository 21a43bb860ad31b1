"""Calls: which functions of the library a piece of code may reach, as its names say.

The code is read and nothing is executed. A name counts as used wherever it stands, so that what is
reached may be too much, and never too little, but for names that are put together as text.
"""

import ast
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

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


@functools.cache
def _uses():
    """For each name at the top of a module of the library those that it uses."""
    uses = {}
    for module, file in _modules().items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        own = {name: f"{module}.{name}" for node in tree.body for name in _defined(node)}
        names = _imported(tree, package) | own
        for node in tree.body:
            for name in _defined(node):
                uses.setdefault(f"{module}.{name}", set()).update(_used(node, names))
    return {name: {_where(one) for one in used} for name, used in uses.items()}


@functools.cache
def _modules():
    return {
        name: file
        for name, file in sources.of_modules(["lazyrich"]).files.items()
        if not name.startswith("lazyrich.book")
    }


@functools.cache
def _exports():
    """What packages and modules import, by the full name under which it is found there."""
    exports = {}
    for module, file in _modules().items():
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        names = _imported(ast.parse(file.read_text(encoding="utf-8")), package)
        exports |= {f"{module}.{name}": full for name, full in names.items()}
    return exports


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
            up = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (up, node.module)))
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


def library_file(module: str) -> Path:
    """The file of a module of the library."""
    return _modules()[module]
