"""Weights in files: of safetensors, NumPy, PyTorch, Flax and Equinox, and in folders of shards.

What a file is, is read from its first bytes. An array is read when its turn comes, from the mapped
file where the format allows it. No file runs code: of NumPy's no objects are taken, and PyTorch's
are read by its reader of weights alone.
"""

import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lazyrich import places, validation
from lazyrich.reports.matrices import NotRead, untied

# Of the files of a folder those of the first kind that is there are read.
KINDS = (
    (".safetensors",),
    (".npz", ".npy"),
    (".pt", ".pth", ".bin", ".ckpt"),
    (".msgpack",),
    (".eqx",),
)
PYTHON = NotRead("an object of Python's, which is not read")


class Checkpoint(NamedTuple):
    """The arrays in a file or a folder."""

    number: int | None
    """How many there are; None where only reading tells."""
    arrays: Iterator[tuple[str, Any]]
    """Their names and themselves, one after another; what is not read says why."""


def checkpoint(path: str | Path) -> Checkpoint:
    """The arrays with their names in a file, or in all files of weights of a folder.

    Args:
        path: a file of safetensors, of NumPy (``.npz``, ``.npy``), a state dict of PyTorch (torch
            is needed), the bytes of ``flax.serialization.to_bytes`` (flax is needed) or the leaves
            of ``equinox.tree_serialise_leaves``; or a folder of such shards, of which those of one
            kind are read, by their suffix, safetensors first.

    Raises:
        ValueError: if it is none of these, or damaged, or wants to run code.
        OSError: if it cannot be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "weights.npz")
    >>> np.savez(path, layer=np.ones((2, 3)))
    >>> [(name, array.shape) for name, array in checkpoint(path).arrays]
    [('layer', (2, 3))]
    """
    path = places.place("path", path)
    if not path.is_dir():
        return _in_file(path)
    files = [each for each in sorted(path.iterdir()) if each.is_file()]
    kinds = ([each for each in files if each.suffix in kind] for kind in KINDS)
    shards = next(filter(None, kinds), [])
    if not shards:
        known = ", ".join(suffix for kind in KINDS for suffix in kind)
        raise ValueError(f"{path} must hold files of weights ({known}), got a folder without any")
    files = [_in_file(each) for each in shards]
    numbers = [file.number for file in files]
    total = None if None in numbers else sum(numbers)
    return Checkpoint(total, (named for file in files for named in file.arrays))


def _in_file(path):
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} must be a file or a folder")
    reader = _reader(path)
    if reader is None:
        raise ValueError(
            f"{path} must be a file of weights, of safetensors, NumPy, PyTorch, Flax or Equinox, "
            "and its first bytes are of none of these"
        )
    opened = _in_one_sentence(path, reader, path)
    return Checkpoint(opened.number, _soundly(path, opened.arrays))


def _soundly(path, arrays):
    """The arrays of a file, with one sentence where it is damaged on the way."""
    arrays = iter(arrays)
    while True:
        named = _in_one_sentence(path, next, arrays, None)
        if named is None:
            return
        yield named


def _in_one_sentence(path, function, *arguments):
    try:
        return function(*arguments)
    except (OSError, ModuleNotFoundError):
        raise
    # Each format has errors of its own, down to those of its decoder.
    except Exception as error:
        reason = validation.first_line(error)
        raise ValueError(f"{path} must be a sound file of weights: {reason}") from error


def _reader(path) -> Callable | None:
    """What reads a file, from its first bytes."""
    with path.open("rb") as file:
        start = file.read(10)
        if start.startswith(b"PK"):
            return _zipped
        if start.startswith(b"\x93NUMPY"):
            return _one_after_another
        if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 2:
            return _torch
        if start[8:9] == b"{":
            return _safetensors
        # A map of msgpack, small or of 16 bits.
        return _flax if start[:1] and (0x81 <= start[0] <= 0x8F or start[0] == 0xDE) else None


def _safetensors(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())

    def arrays():
        with safe_open(path, framework="numpy") as file:
            for name in names:
                yield name, _of_safetensors(file, name)

    return Checkpoint(len(names), arrays())


def _of_safetensors(file, name):
    """An array, or that NumPy does not have its dtype."""
    try:
        return file.get_tensor(name)
    except (AttributeError, TypeError, KeyError):
        about = file.get_slice(name)
        why = f"of {about.get_dtype()}, which NumPy does not have"
        return NotRead(why, tuple(about.get_shape()))


def _zipped(path):
    """NumPy's archive, or PyTorch's, which has its objects in ``data.pkl``."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/data.pkl") for name in names):
        return _torch(path)

    def arrays():
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                yield name, _of_numpy(archive.__getitem__, name)

    return Checkpoint(len(names), arrays())


def _one_after_another(path):
    """One array of NumPy's, or the leaves of a tree of Equinox's."""
    if path.suffix == ".npy":
        array = _of_numpy(lambda path: np.load(path, mmap_mode="r", allow_pickle=False), path)
        return Checkpoint(1, iter([(path.stem, array)]))

    def arrays():
        with path.open("rb") as file:
            for number in count():
                if not file.peek(1):
                    return
                yield f"leaf {number}", np.load(file, allow_pickle=False)

    return Checkpoint(None, arrays())


def _of_numpy(load, what):
    """An array, or that it is one of objects."""
    try:
        return load(what)
    except ValueError as error:
        if "allow_pickle" in str(error):
            return PYTHON
        raise


def _torch(path):
    try:
        import torch
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{path} is a file of PyTorch, which torch reads: pip install torch"
        ) from None
    with path.open("rb") as file:
        mapped = file.read(2) == b"PK"
    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "it holds more than weights, or is damaged; a state dict is read"
        ) from error
    named = list(_leaves(state))
    return Checkpoint(len(named), untied(named))


def _flax(path):
    from flax.serialization import msgpack_restore

    named = list(_leaves(msgpack_restore(path.read_bytes())))
    return Checkpoint(len(named), iter(named))


def _leaves(tree, name=""):
    """What stands in nested dicts and lists, with names as PyTorch writes them."""
    if isinstance(tree, dict):
        pairs = tree.items()
    elif isinstance(tree, (list, tuple)):
        pairs = enumerate(tree)
    else:
        yield name, tree
        return
    for key, value in pairs:
        yield from _leaves(value, f"{name}.{key}" if name else str(key))
