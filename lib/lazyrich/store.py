"""A store of the results of a sweep: each under a key of all that it depends on.

It is a folder, named by the environment variable ``LAZYRICH_STORE``. A result is a file that begins
with the hash of the rest, so that none is taken for whole that is not. Nothing is ever stale: a
change of the arguments, of the function's module, of the library, a version, the precision, the
compiler's settings or the kind of device is another key.
"""

import functools
import hashlib
import importlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import joblib

from lazyrich import files, provenance

VARIABLE = "LAZYRICH_STORE"
_MARK = hashlib.sha256().digest_size


def folder() -> Path | None:
    """The store in use, or None."""
    named = os.environ.get(VARIABLE)
    return files.place(VARIABLE, named).absolute() if named else None


def conditions() -> tuple:
    """What every result depends on besides its function and arguments, in this process."""
    return (
        provenance.software(),
        provenance.precision(),
        provenance.compiler(),
        provenance.device(),
    )


def identity(function: Callable) -> tuple[str, str]:
    """The name of a function and a hash of its module's code.

    Raises:
        ValueError: if the function is not found under its name in a module: then its code, or
            what it captured, is not known, and a result might be another function's.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    try:
        home = importlib.import_module(module)
        known = module != "__main__" and attrgetter(name)(home) is function
    except (AttributeError, ImportError, TypeError):
        known = False
    if not known:
        raise ValueError(
            "function must stand in a module under its own name, so that its results can be kept "
            f"in the store, got {function!r}"
        )
    return f"{module}.{name}", _code(function)


@functools.cache
def _code(function):
    # The file may have been edited since it was imported, and what runs is what is in memory.
    module = sys.modules[function.__module__]
    unwrapped = {
        name: inspect.unwrap(value) for name, value in vars(module).items() if callable(value)
    }
    loaded = [
        (name, _does(value.__code__))
        for name, value in sorted(unwrapped.items())
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    ]
    file = provenance.digest([Path(module.__file__)])
    return hashlib.sha256(repr((file, loaded)).encode()).hexdigest()


def _does(code):
    """What compiled code does, as text that is the same in every process."""
    constants = []
    for one in code.co_consts:
        if isinstance(one, CodeType):
            constants.append(_does(one))
        else:
            constants.append(repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one))
    return repr((code.co_code, code.co_names, constants))


def path(folder: Path, identity: tuple[str, str], arguments: Any, conditions: tuple) -> Path:
    """Where a result stands, or would stand."""
    key = joblib.hash((identity, arguments, conditions), hash_name="sha1")
    return folder / identity[0] / key


def pack(result: Any) -> bytes:
    """A result as bytes that tell whether they are whole.

    Raises:
        Exception: whatever pickle raises, if it cannot be kept.
    """
    content = pickle.dumps(result, protocol=5)
    return hashlib.sha256(content).digest() + content


def unpack(packed: bytes) -> list:
    """The result, alone in a list; an empty list if it is not whole, or its class is gone."""
    mark, content = packed[:_MARK], packed[_MARK:]
    if hashlib.sha256(content).digest() != mark:
        return []
    try:
        return [pickle.loads(content)]
    except (AttributeError, ImportError):
        return []


def read(path: Path) -> list:
    """The result in a file, alone in a list; an empty list if there is none that can be read."""
    try:
        return unpack(path.read_bytes())
    except FileNotFoundError:
        return []


def write(path: Path, packed: bytes) -> None:
    """Keep a result that was packed.

    Raises:
        OSError: if it cannot be written.
    """
    files.make_folder(path.parent)
    files.replace(path, packed)
