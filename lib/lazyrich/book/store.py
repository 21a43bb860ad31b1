"""A store of the results of a sweep: each under a key of all that it depends on.

It is a folder, named by the environment variable ``LAZYRICH_STORE``. A result is a file that begins
with the hash of the rest, so that none is taken for whole that is not. A change of the arguments,
of the file of the function's module, of the library, a version, a setting of JAX or the kind of
device is another key; and what runs must be what the file says.
"""

import ast
import hashlib
import importlib
import inspect
import os
import pickle
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import joblib

from lazyrich import places
from lazyrich.book import files, provenance

VARIABLE = "LAZYRICH_STORE"
_MARK = hashlib.sha256().digest_size
_NO_CODE = compile("", "", "exec")
_STALE = 600  # seconds after which nobody still writes a draft
_LOADED: WeakKeyDictionary = WeakKeyDictionary()  # a module loaded anew has other functions


class _Source(NamedTuple):
    """What the file of a module says."""

    mark: str
    """Its hash."""
    codes: set[CodeType] | None
    """Of all functions in it; None where a tool rewrites what it loads."""
    constants: dict[str, str]
    """The numbers and texts that it sets once, as they are written out."""


def folder() -> Path | None:
    """The store in use, or None."""
    return places.named(VARIABLE)


def prepared() -> Path | None:
    """The store in use, which is there now, or None.

    Raises:
        ValueError: if it cannot be made.
    """
    place = folder()
    try:
        if place:
            files.make_folder(place)
    except OSError as error:
        raise ValueError(
            f"{VARIABLE} must name a folder that can be written, got {str(place)!r} "
            f"({error.strerror})"
        ) from None
    return place


def conditions() -> tuple:
    """What every result depends on besides its function and arguments, in this process."""
    return provenance.software(), provenance.settings(), provenance.device()


def identity(function: Callable) -> tuple[str, str]:
    """The name of a function and a hash of its module's file, as it was when first asked.

    Raises:
        ValueError: if the function is not found under its name in a module, or the module is not
            what its file says, since it was edited without being loaded anew, or a constant was
            set from outside. Then what runs is not known, and a result might be another's.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    try:
        home = importlib.import_module(module)
        known = module != "__main__" and attrgetter(name)(home) is function
        known = known and Path(home.__file__).suffix == ".py"
    except (AttributeError, ImportError, TypeError):
        known = False
    if not known:
        raise ValueError(
            "function must stand in a module under its own name, so that its results can be kept "
            f"in the store, got {function!r}"
        )
    if function not in _LOADED:
        if _edited(home):
            raise ValueError(
                "function must stand in a module that is as its file says, but the file of "
                f"{module} was edited since it was loaded: load it anew"
            )
        _LOADED[function] = _source(home)
    source = _LOADED[function]
    if other := _others(home, source):
        raise ValueError(
            f"function must stand in a module that is as its file says, but in {module} "
            f"{', '.join(other)} is not: load it anew, and give as an argument what changes"
        )
    return f"{module}.{name}", source.mark


def _edited(module):
    """Whether a file was changed since anyone loaded it, where the bytecode that is kept tells."""
    try:
        head, file = Path(module.__cached__).read_bytes()[:16], Path(module.__file__).stat()
    except (AttributeError, OSError, TypeError):
        return False
    if sys.dont_write_bytecode or len(head) < 16 or not os.access(module.__cached__, os.W_OK):
        return False
    flags, *compiled = struct.unpack("<4x3I", head)
    return not flags and compiled != [int(file.st_mtime) % 2**32, file.st_size % 2**32]


def _source(module):
    """What the file of a module says now."""
    content, loader = Path(module.__file__).read_bytes(), module.__loader__
    codes = None
    if hasattr(loader, "source_to_code"):
        codes = set(_codes(loader.source_to_code(content, module.__file__)))
    return _Source(hashlib.sha256(content).hexdigest(), codes, _constants(ast.parse(content)))


def _codes(code):
    """A code, and those of all functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _constants(tree):
    """The numbers and texts that a module sets once, by name."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    times = Counter(node.id for node in nodes if isinstance(node.ctx, ast.Store))
    found = {}
    for line in tree.body:
        targets = getattr(line, "targets", [getattr(line, "target", None)])
        name = getattr(targets[0], "id", None) if len(targets) == 1 else None
        if times[name] == 1 and getattr(line, "value", None):
            with suppress(TypeError, ValueError):  # not written out, or not hashable as a list
                hash(value := ast.literal_eval(line.value))
                found[name] = repr(value)
    return found


def _others(module, source):
    """The names of functions, classes and constants of a module that the source has otherwise."""
    found = []
    for name, value in vars(module).items():
        own = isinstance(value, type) and value.__module__ == module.__name__
        parts = vars(value).values() if own else [value]
        codes = [code for code in map(_code, parts) if code.co_filename == module.__file__]
        other_code = source.codes is not None and not source.codes.issuperset(codes)
        if other_code or (name in source.constants and repr(value) != source.constants[name]):
            found.append(name)
    return found


def _code(part):
    """The code of a function, method or property, under what decorates it; else an empty one."""
    part = inspect.unwrap(part.fget if isinstance(part, property) else part)
    code = getattr(getattr(part, "__func__", part), "__code__", None)
    return code if isinstance(code, CodeType) else _NO_CODE


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
    except Exception:  # whatever its class says that is not what it was
        return []


def read(path: Path) -> list:
    """The result in a file, alone in a list; an empty list if there is none that can be read."""
    try:
        return unpack(path.read_bytes())
    except OSError:
        return []


def write(path: Path, packed: bytes) -> None:
    """Keep a result that was packed, and sweep up what a writer of it left that was killed.

    Raises:
        OSError: if it cannot be written.
    """
    files.make_folder(path.parent)
    files.replace(path, packed)
    for draft in path.parent.glob(f"{path.name}.*.part"):
        with suppress(OSError):  # gone meanwhile
            if time.time() - draft.stat().st_mtime > _STALE:
                draft.unlink()
