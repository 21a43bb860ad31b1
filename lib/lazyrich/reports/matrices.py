"""Which arrays of a network are matrices of weights, of which shape, and what their spectra are.

An array with two axes is a matrix as it is, an embedding among them. One with more becomes a matrix
with the outputs as its rows: those are the last axis of an array whose name ends in ``kernel``, as
in Flax (of the ``query``, ``key`` and ``value`` of attention all but the first), and else the
first, as in PyTorch and Equinox.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lazyrich.spectra.weights import some_axes

PIECE = 2**22  # entries that are held in double precision


class Spectrum(NamedTuple):
    """The eigenvalues of the smaller of WᵀW and WWᵀ, in units of a power of two."""

    values: np.ndarray
    """λ/unit², ascending, of which those below the rounding floor are zero."""
    unit: float
    """Of the entries of W."""


@dataclass(frozen=True)
class NotRead:
    """What stands for weights that are not read; a leaf of a pytree."""

    why: str
    """The reason."""
    shape: tuple[int, ...] = ()
    """Their shape, where it is known."""


def outputs_first(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the outputs of weights: the last of a ``kernel``, else the first.

    Of a kernel that belongs to the ``query``, ``key`` or ``value`` of Flax's attention, whose axes
    are inputs, heads and what a head has, all but the first.

    >>> outputs_first("Conv_0.kernel", (3, 3, 16, 32)), outputs_first("conv.weight", (32, 16, 3, 3))
    ((3,), (0,))
    >>> outputs_first("attention.query.kernel", (256, 8, 32))
    (1, 2)
    """
    if re.search(r"\b(query|key|value)\W+kernel\W*$", name):
        return tuple(range(1, len(shape)))
    return (len(shape) - 1,) if re.search(r"kernel\W*$", name) else (0,)


def axes_of(name: str, shape: tuple[int, ...], rows: Callable) -> tuple[int, ...]:
    """The axes of an array that count the rows of its matrix; of two axes the first."""
    if len(shape) < 3:
        return (0,)
    given = rows(name, shape)
    axes = some_axes(shape, given)
    if axes is None:
        raise ValueError(f"rows must give some axes of shape {shape}, but not all, got {given!r}")
    return axes


def why_not(array: Any, axes: tuple[int, ...], smallest: int) -> str:
    """Why an array is no matrix to report on, as far as its shape and dtype tell; else empty."""
    if isinstance(array, NotRead):
        return array.why
    if isinstance(array, np.ma.MaskedArray):
        return "masked"
    if not hasattr(array, "dtype"):
        return f"{type(array).__name__}, no array"
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return f"of {array.dtype}, not of floats"
    if len(array.shape) < 2:
        return "one axis" if len(array.shape) else "one number"
    if min(sides(array.shape, axes)) < smallest:
        return f"fewer than {smallest} rows or columns"
    return ""


def why_no_law(spectrum: Spectrum) -> str:
    """Why a spectrum is not read; else empty."""
    if np.isnan(spectrum.values[-1]):
        return "not finite"
    return "" if np.count_nonzero(spectrum.values) > 1 else "of rank 1 or zero"


def sides(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the matrix that weights of a shape become."""
    height = math.prod(shape[axis] for axis in axes)
    return height, math.prod(shape) // max(height, 1)


def of_torch(tensor: Any) -> np.ndarray | NotRead:
    """A tensor of PyTorch in NumPy, where this has its dtype; its memory is shared."""
    import torch

    shape = tuple(tensor.shape)
    if tensor.layout != torch.strided or tensor.is_quantized:
        return NotRead(f"{tensor.layout} of {tensor.dtype}", shape)
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(np.dtype(jnp.bfloat16))
    try:
        return tensor.numpy()
    except TypeError:
        return NotRead(f"of {tensor.dtype}, which NumPy does not have", shape)


def untied(named: Iterable) -> Iterator[tuple[str, Any]]:
    """Arrays with names, PyTorch's in NumPy; what stands where another stood is tied to that."""
    seen = {}
    for name, leaf in named:
        leaf = of_torch(leaf) if hasattr(leaf, "detach") else leaf
        first = seen.setdefault(_place(leaf), name) if getattr(leaf, "size", 0) else name
        yield name, leaf if first == name else NotRead(f"tied to {first}", leaf.shape)


def _place(array):
    """Where an array stands, and how it is read there."""
    if isinstance(array, np.ndarray):
        return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype
    return id(array)


def spectrum(W: np.ndarray) -> Spectrum:
    """The spectrum of a matrix in float64, which is made of it piece by piece.

    Values are nan if an entry is not finite.
    """
    W = W if W.shape[0] >= W.shape[1] else W.T
    step = max(1, PIECE // W.shape[1])
    pieces = [slice(start, start + step) for start in range(0, len(W), step)]
    with np.errstate(all="ignore"):
        largest = max(float(np.abs(W[piece]).max()) for piece in pieces)
        if not 0 < largest < np.inf:
            return Spectrum(np.full(W.shape[1], 0.0 if largest == 0 else np.nan), 1.0)
        unit, gram = 2.0 ** np.floor(np.log2(largest)), 0.0
        for piece in pieces:
            part = W[piece].astype(float) / unit
            gram += part.T @ part
        values = np.linalg.eigvalsh(gram)
    # What float64 leaves, and what the rounding of the entries can have made, noise with an edge.
    noise = float(jnp.finfo(W.dtype).eps) ** 2 * np.trace(gram) / W.size
    edge = noise * (W.shape[0] ** 0.5 + W.shape[1] ** 0.5) ** 2
    floor = max(len(values) * np.finfo(float).eps * values[-1], edge)
    return Spectrum(np.where(values > floor, values, 0), float(unit))
