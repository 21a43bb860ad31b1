"""Sources: the files of code on which a result depends, as their import statements say.

The statements are read and nothing is executed, so that the files are the same in every process.
Followed are the library and the user's own modules, also where a function imports them; of other
packages the version counts.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import psutil

from lazyrich.book import provenance

LIBRARY = Path(__file__).parents[1]
_INSTALLED = {"site-packages", "dist-packages"}


class Sources(NamedTuple):
    """What a piece of code consists of."""

    files: dict[str, Path]
    """The modules that are followed, with their files."""
    versions: dict[str, str]
    """The other packages that they import, with their versions."""

    def mark(self) -> str:
        """A hash of the names and contents of the files, and of the versions."""
        mark = hashlib.sha256(repr(sorted(self.versions.items())).encode())
        for name, file in sorted(self.files.items()):
            content = file.read_bytes()
            mark.update(f"{name} {len(content)} ".encode() + content)
        return mark.hexdigest()


def identity(function: Callable) -> tuple[str, Sources]:
    """The name of a function, and the sources of its module.

    Raises:
        ValueError: if the function is not found under its name in a module, or a file of the
            sources was written after this process began: what runs may not be what it says.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    sources = Sources({}, {})
    with suppress(AttributeError, KeyError, TypeError):
        if module != "__main__" and attrgetter(name)(sys.modules[module]) is function:
            sources = of_modules([module])
    if module not in sources.files:
        raise ValueError(
            "function must stand in a module under its own name, so that its results can be kept "
            f"in the store, got {function!r}"
        )
    if late := [one for one, file in sources.files.items() if _written(file) > _began()]:
        raise ValueError(
            "function must stand in a module that is as its file says, but the file of "
            f"{', '.join(late)} was written after this process began: start the process anew, "
            "which is the kernel also where a cell of its notebook wrote the file"
        )
    return f"{module}.{name}", sources


def of_modules(names: Iterable[str], beside: Path | str | None = None) -> Sources:
    """The sources of modules, those that a folder holds beside a notebook among them."""
    found, seen = Sources({}, {}), set()
    waiting = [part for name in names for part in _with_parents(name)]
    # Absolute, since Python remembers the finder of a path by its name.
    folder = beside and str(Path(beside).absolute())
    while waiting:
        name = waiting.pop()
        root = name.partition(".")[0]
        if name in seen or root in sys.stdlib_module_names:
            continue
        seen.add(name)
        spec = _spec(name, folder)
        if spec is None or not spec.has_location:
            continue
        file = Path(spec.origin)
        if root != "lazyrich" and _INSTALLED & set(file.parts):
            found.versions[root] = provenance.version(root)
            continue
        found.files[name] = file
        if file.suffix == ".py":
            status = file.stat()
            package = name if spec.submodule_search_locations else name.rpartition(".")[0]
            waiting += _imports_of(file, status.st_mtime_ns, status.st_size, package)
    return found


def modules_of_library(wing: str = "") -> list[str]:
    """The names of all modules of the library, or of those of a wing."""
    files = sorted((LIBRARY / wing).rglob("*.py"))
    parts = [file.relative_to(LIBRARY.parent).with_suffix("").parts for file in files]
    return [".".join(one[:-1] if one[-1] == "__init__" else one) for one in parts]


def imports(code: str, package: str = "") -> Iterator[str]:
    """The modules that code may import, with the packages around them.

    Of the library, ``import lazyrich`` is all of it, since its names come from everywhere.
    """
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = origin(node, package)
            yield from _with_parents(base) if base != "lazyrich" else ()
            for alias in node.names:
                yield from _with_parents(f"{base}.{alias.name}")


def origin(node: ast.ImportFrom, package: str) -> str:
    """The full name of the module from which a statement in a package imports."""
    up = package.rsplit(".", node.level - 1)[0] if node.level else ""
    return ".".join(filter(None, (up, node.module)))


@functools.cache
def _imports_of(file, _time, _size, package):
    """The imports of a file, read once for each of its states."""
    return list(imports(file.read_text(encoding="utf-8"), package))


def _with_parents(name):
    parts = name.split(".")
    names = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    if parts[0] != "lazyrich":
        return names
    if len(parts) == 1 or (len(parts) == 2 and _spec(name, None) is None):
        return modules_of_library()
    return names[1:]


def _spec(name, beside):
    """Where a module is found, without importing it or the packages around it."""
    parent = name.rpartition(".")[0]
    if parent:
        around = _spec(parent, beside)
        places = around and around.submodule_search_locations
        return PathFinder.find_spec(name, list(places)) if places else None
    found = PathFinder.find_spec(name, [beside]) if beside else None
    try:
        return found or importlib.util.find_spec(name)
    except ValueError:  # as for __main__
        return None


def _written(file):
    """When a file was written last, also where an older time was given to it then."""
    status = file.stat()
    return max(status.st_mtime, status.st_ctime if os.name == "posix" else 0)


@functools.cache
def _began():
    """When this process began; on Linux by its own clock, which psutil knows to a second only."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return psutil.Process().create_time()
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    # The end of that tick, within which no module is loaded yet.
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - (ticks + 1) / os.sysconf("SC_CLK_TCK")
    return time.time() - age
