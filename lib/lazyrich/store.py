"""A store of the results of a sweep: each under a key of all that it depends on.

It is a folder, named by the environment variable ``LAZYRICH_STORE``. A result is a file that begins
with the hash of the rest, so that none is taken for whole that is not. Nothing is ever stale: a
change of the arguments, of the function's module, of the library, a version, a setting of JAX or
the kind of device is another key.
"""

import hashlib
import importlib
import inspect
import pickle
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import Any

import jax
import jax.numpy as jnp
import joblib
import numpy as np

from lazyrich import files, provenance

VARIABLE = "LAZYRICH_STORE"
_ASIDE = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__parameters__",
    "__static_attributes__", "__firstlineno__", "__orig_bases__", "_abc_impl",
}  # fmt: skip
_MARK = hashlib.sha256().digest_size


def folder() -> Path | None:
    """The store in use, or None."""
    return files.named(VARIABLE)


def conditions() -> tuple:
    """What every result depends on besides its function and arguments, in this process."""
    return provenance.software(), provenance.settings(), provenance.device()


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
    return f"{module}.{name}", _code(home)


def _code(module):
    """A hash of a module: of its file, and of what stands in it."""
    # The file may have been edited since it was imported, and what runs is what is in memory.
    file = provenance.digest([Path(module.__file__)])
    loaded = [
        (name, _meaning(value, module.__name__))
        for name, value in sorted(vars(module).items())
        if not (name.startswith("__") and name.endswith("__"))
    ]
    return hashlib.sha256(repr((file, loaded)).encode()).hexdigest()


def _meaning(value, module, above=()):
    """What stands in a module, as text that is the same in every process."""
    if id(value) in above:
        return "itself"
    inner = partial(_meaning, module=module, above=(*above, id(value)))
    if callable(value):
        value = inspect.unwrap(value)
    if isinstance(value, (FunctionType, type)) and value.__module__ != module:
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        return inner((value.__code__, value.__defaults__, value.__kwdefaults__, held))
    if isinstance(value, CodeType):
        counts = value.co_argcount, value.co_kwonlyargcount
        names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
        return repr((value.co_code, counts, names, inner(value.co_consts)))
    if isinstance(value, type):
        own = {name: part for name, part in vars(value).items() if name not in _ASIDE}
        return inner((value.__bases__, own))
    if isinstance(value, (staticmethod, classmethod)):
        return inner(value.__func__)
    if isinstance(value, property):
        return inner((value.fget, value.fset))
    if isinstance(value, partial):
        return inner((value.func, value.args, value.keywords))
    if isinstance(value, dict):
        return repr([(inner(name), inner(part)) for name, part in value.items()])
    if isinstance(value, (tuple, list)):
        return repr([inner(part) for part in value])
    if isinstance(value, (set, frozenset)):
        return repr(sorted(inner(part) for part in value))
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        return joblib.hash(np.asarray(jax.random.key_data(value) if is_key else value))
    if isinstance(value, (bool, int, float, complex, str, bytes, Enum, NoneType)):
        return repr(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if type(value).__module__ == module or is_dataclass(value):
        return inner((type(value), value.__getstate__()))
    return type(value).__qualname__


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
    """Keep a result that was packed.

    Raises:
        OSError: if it cannot be written.
    """
    files.make_folder(path.parent)
    files.replace(path, packed)
