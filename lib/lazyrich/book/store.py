"""A store of results: points of sweeps and executed chapters, each under a key of what it is from.

It is a folder, named by the environment variable ``LAZYRICH_STORE``. A result is a file that begins
with the hash of the rest, so that none is taken for whole that is not. Another argument, version or
setting, and another state of the code that it depends on (:mod:`lazyrich.book.sources`), is another
key. In the files stand arrays, texts, bytes and the names of named tuples, so that a folder which
came from somebody else runs no code when it is read.

>>> unpack(pack({"mean": np.array([1.0, 2.0]), "name": "a"}))["mean"].tolist()
[1.0, 2.0]
"""

import hashlib
import importlib
import io
import json
import time
from collections.abc import Collection
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from lazyrich import places
from lazyrich.book import files

VARIABLE = "LAZYRICH_STORE"
_MARK = hashlib.sha256().digest_size
_STALE = 600  # seconds after which nobody still writes a draft


def prepared() -> Path | None:
    """The store that the variable names, which is there now; None if it names none.

    Raises:
        ValueError: if it cannot be made.
    """
    place = places.named(VARIABLE)
    try:
        if place:
            files.make_folder(place)
    except OSError as error:
        raise ValueError(
            f"{VARIABLE} must name a folder that can be written, got {str(place)!r} "
            f"({error.strerror})"
        ) from None
    return place


def path(folder: Path, name: str, *origin: Any) -> Path:
    """Where a result stands, or would stand, that is of a name and comes from all the rest."""
    return folder / name / hashed(*origin)


def hashed(*origin: Any) -> str:
    """A hash of anything that can be pickled, by its content."""
    return joblib.hash(origin, hash_name="sha1")


def keep(path: Path, packed: bytes) -> None:
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


def load(path: Path) -> bytes:
    """A packed result from its file.

    Raises:
        LookupError: if there is none, or not the whole of it.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise LookupError(f"no result can be read from {path}") from error
    if hashlib.sha256(packed[_MARK:]).digest() != packed[:_MARK]:
        raise LookupError(f"{path} is not whole")
    return packed


def pack(result: Any) -> bytes:
    """A result as bytes, the same each time, that tell whether they are whole.

    Args:
        result: arrays, numbers, texts and bytes, alone or in tuples, named tuples, lists and dicts.

    Raises:
        TypeError: if it holds anything else.
    """
    leaves: list = []
    tree = json.dumps(_described(result, leaves)).encode()
    content = io.BytesIO()
    content.write(len(tree).to_bytes(8, "little") + tree)
    for leaf in leaves:
        np.lib.format.write_array(content, leaf, allow_pickle=False)
    return hashlib.sha256(content.getvalue()).digest() + content.getvalue()


def unpack(packed: bytes, modules: Collection[str] = ()) -> Any:
    """The result that was packed; all numbers and texts come back as arrays.

    Args:
        packed: a whole result, as from :func:`load`.
        modules: the modules and packages whose named tuples may be made; no other is imported.

    Raises:
        LookupError: if a named tuple is of another module, or is not there as it was.
    """
    content = io.BytesIO(packed[_MARK:])
    tree = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    return _restored(tree, content, modules)


def _described(node, leaves):
    """The structure of a result as JSON, whose leaves go into a list of arrays in their order."""
    if node is None:
        return None
    if isinstance(node, dict):
        return {"dict": [[key, _described(value, leaves)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        parts = [_described(part, leaves) for part in node]
        if hasattr(node, "_fields"):
            kind = type(node)
            return {"named": [kind.__module__, kind.__qualname__, node._fields], "parts": parts}
        return {"tuple" if isinstance(node, tuple) else "list": parts}
    array = np.frombuffer(node, np.uint8) if isinstance(node, bytes) else np.asarray(node)
    if array.dtype.hasobject:
        raise TypeError(
            "a result must be of arrays, numbers, texts and bytes, in tuples, lists and dicts, "
            f"got {type(node).__name__}"
        )
    leaves.append(array)
    if isinstance(node, bytes):
        return "bytes"
    # Types that NumPy has from elsewhere, as bfloat16, would come back without their name.
    foreign = array.dtype.kind == "V" and not array.dtype.names
    return str(array.dtype) if foreign else "array"


def _restored(tree, content, modules):
    if tree is None:
        return None
    if isinstance(tree, str):
        array = np.lib.format.read_array(content, allow_pickle=False)
        if tree == "bytes":
            return array.tobytes()
        return array if tree == "array" else array.view(tree)
    if "dict" in tree:
        return {key: _restored(value, content, modules) for key, value in tree["dict"]}
    [*_, parts] = tree.values()
    parts = [_restored(part, content, modules) for part in parts]
    if "named" in tree:
        return _named_tuple(*tree["named"], modules)(*parts)
    return tuple(parts) if "tuple" in tree else parts


def _named_tuple(module, name, fields, modules):
    """The class of a named tuple, from a module that is allowed, if it has these fields."""
    found = None
    if module in modules or module.partition(".")[0] in modules:
        with suppress(AttributeError):
            found = attrgetter(name)(importlib.import_module(module))
    named = isinstance(found, type) and issubclass(found, tuple)
    if not named or list(getattr(found, "_fields", ())) != fields:
        raise LookupError(f"a result is a {name} of {module}, which is not there as it was")
    return found
