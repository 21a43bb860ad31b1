"""A report on the weights of a network: what stands in its spectra that random weights do not have.

Every array of a pytree with two axes or more is made a matrix, and its spectrum is read against
the law of random matrices *of its own shape*: how strong the bulk is and where it ends, what lies
beyond it, how heavy the tail is beside that of random weights, and which power law fits it best.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from lazyrich import spectra, validation

DRAWS = 20
"""Random matrices of a shape, of which Hill's exponent is taken for comparison."""


class MatrixReport(NamedTuple):
    """What the spectrum of one matrix shows; eigenvalues are those of WᵀW."""

    name: str
    """Where the weights stand in the pytree."""
    shape: tuple[int, ...]
    """Of the weights."""
    matrix: tuple[int, int]
    """Rows and columns of the matrix that they were made."""
    sigma: float
    """The standard deviation of the entries behind the bulk, from the median."""
    edge: float
    """The root of the upper edge of the law of that deviation and of this shape."""
    largest: float
    """The largest singular value."""
    outliers: int
    """How many eigenvalues lie beyond 1.2 times the edge."""
    stable_rank: float
    """‖W‖_F²/‖W‖_2²."""
    hill: float
    """Hill's exponent, cut at the median."""
    hill_random: float
    """That of random weights of the shape, the mean of 20."""
    hill_deviation: float
    """Its standard deviation from one such matrix to another."""
    exponent: float
    """α of the power law from the cut on from which it fits best."""
    tail: int
    """How many eigenvalues that fit is to."""
    distance: float
    """The Kolmogorov-Smirnov distance of that fit."""
    name_of_shape: str
    """What :func:`lazyrich.spectra.shape` calls it, from Random-like to Heavy-tailed."""
    p_value: float | None = None
    """The share of samples of the fitted law that are as far from their fit, where asked."""
    log_normal: float | None = None
    """Vuong's R of the power law against a log-normal tail, where asked: negative speaks for it."""
    exponential: float | None = None
    """The same against an exponential tail."""


class LeftOut(NamedTuple):
    """Weights of which there is no report."""

    name: str
    """Where they stand in the pytree."""
    shape: tuple[int, ...]
    """Their shape."""
    why: str
    """Why they have none."""


class WeightReport(NamedTuple):
    """A report on all weights of a network."""

    matrices: list[MatrixReport]
    """One a matrix, in the order of the pytree."""
    left_out: list[LeftOut]
    """The others."""

    def __str__(self) -> str:
        """A table, a line a matrix."""
        return _table(self)


def weight_report(
    params: Any,
    smallest: int = 20,
    replicas: int = 0,
    rivals: bool = False,
    rows: Callable[[str, tuple[int, ...]], int | Sequence[int]] | None = None,
) -> WeightReport:
    """Read the spectrum of every matrix of a pytree against the law of random ones of its shape.

    Arrays with two axes are matrices as they are. Those with more become one with their outputs as
    rows: the last axis of an array whose name ends in ``kernel``, as in Flax, else the first, as in
    PyTorch. Spectra are computed in float64, whatever the precision of the weights, and one matrix
    is held at a time.

    Args:
        params: any pytree with arrays in it; half precision is read.
        smallest: matrices with fewer rows or columns are left out.
        replicas: samples for the p-value of each power law, 0 for none.
        rivals: whether to compare each power law with a log-normal and an exponential tail.
        rows: ``rows(name, shape)``, the axis or axes of an array that count the rows of its matrix,
            if the rule above does not hold.

    >>> W = np.random.default_rng(0).normal(size=(60, 40))
    >>> report = weight_report({"layer": {"weight": W, "bias": np.zeros(40)}})
    >>> report.matrices[0].name, report.matrices[0].name_of_shape, report.left_out[0].why
    ("['layer']['weight']", 'Random-like', 'one axis')
    """
    named = ((jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.leaves_with_path(params))
    return report_of(named, smallest, replicas, rivals, rows)


def report_of(
    named: Iterable[tuple[str, Any]],
    smallest: int = 20,
    replicas: int = 0,
    rivals: bool = False,
    rows: Callable | None = None,
) -> WeightReport:
    """:func:`weight_report` of arrays with their names, which are taken one after another."""
    smallest = validation.whole("smallest", smallest, least=2)
    replicas = validation.whole("replicas", replicas)
    matrices, left_out, seen = [], [], {}
    for name, array in named:
        why = _why_not(name, array, smallest, rows or outputs_first, seen)
        if not why:
            W = _matrix(name, array, rows or outputs_first)
            values, unit = _spectrum(W)
            why = "not finite" if np.isnan(values[-1]) else "" if values[-1] > 0 else "zero"
        if why:
            left_out.append(LeftOut(name, tuple(np.shape(array)), why))
        else:
            seen_in = name, np.shape(array), W.shape
            matrices.append(_of_spectrum(*seen_in, values, unit, replicas, rivals))
    return WeightReport(matrices, left_out)


def outputs_first(name: str, shape: tuple[int, ...]) -> int:
    """The axis of the outputs of weights: the last of a kernel as in Flax, else the first."""
    return len(shape) - 1 if re.search(r"kernel\W*$", name) else 0


def random_hill(rows: int, columns: int, draws: int = DRAWS) -> tuple[float, float]:
    """The mean and the standard deviation of Hill's exponent of random matrices of a shape.

    The spectrum of WᵀW of a Gaussian matrix W is that of B Bᵀ with B bidiagonal and independent χ
    numbers, of falling degrees of freedom, on both diagonals (Dumitriu & Edelman 2002): so a draw
    takes columns² operations. The draws are fixed.

    Args:
        rows: h, at least the number of columns.
        columns: d, at least 2.
        draws: how many matrices.

    Raises:
        ValueError: if one of these is out of range.

    >>> mean, deviation = random_hill(300, 200)
    >>> 2 < mean < 3, deviation < 0.1
    (True, True)
    """
    columns = validation.whole("columns", columns, least=2)
    rows = validation.whole("rows", rows, least=columns)
    return _random_hill(rows, columns, validation.whole("draws", draws, least=2))


@cache
def _random_hill(rows, columns, draws):
    random = np.random.default_rng(0)
    exponents = []
    for _ in range(draws):
        diagonal = random.chisquare(rows - np.arange(columns))
        below = random.chisquare(np.arange(columns - 1, 0, -1))
        squares = diagonal + np.concatenate([[0.0], below])
        products = np.sqrt(diagonal[:-1] * below)
        values = scipy.linalg.eigvalsh_tridiagonal(squares, products)
        exponents.append(float(spectra.hill(np.maximum(values, 0))))
    return float(np.mean(exponents)), float(np.std(exponents, ddof=1))


def _why_not(name, array, smallest, rows, seen):
    """Why an array has no report, as far as one sees before its numbers; empty if it has one."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        return f"of {dtype or type(array).__name__}, not of floats"
    if len(array.shape) < 2:
        return "one axis" if len(array.shape) else "one number"
    if min(_sides(array.shape, rows(name, array.shape))) < smallest:
        return f"fewer than {smallest} rows or columns"
    # The same array under two names, or a part of the same memory.
    memory = array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else id(array)
    first = seen.setdefault((memory, array.shape), name)
    return "" if first == name else f"tied to {first}"


def _sides(shape, rows):
    """Rows and columns of the matrix that weights of a shape become."""
    height = math.prod(shape[axis] for axis in np.atleast_1d(rows))
    return height, math.prod(shape) // height


def _matrix(name, array, rows):
    """Weights as a matrix, a view where that is possible."""
    array = np.asarray(array)
    if array.ndim == 2:
        return array
    first = [int(axis) % array.ndim for axis in np.atleast_1d(rows(name, array.shape))]
    others = [axis for axis in range(array.ndim) if axis not in first]
    return array.transpose(*first, *others).reshape(_sides(array.shape, first))


def _spectrum(W, piece=2**22):
    """The eigenvalues of the smaller of WᵀW and WWᵀ, of W over a unit, and this unit.

    In float64, which takes W piece by piece; a power of two, so that no square is lost.
    """
    W = W if W.shape[0] >= W.shape[1] else W.T
    step = max(1, piece // W.shape[1])
    pieces = [slice(start, start + step) for start in range(0, len(W), step)]
    with np.errstate(all="ignore"):
        largest = max(float(np.abs(W[one].astype(float)).max()) for one in pieces)
        if not 0 < largest < np.inf:
            return np.full(W.shape[1], 0.0 if largest == 0 else np.nan), 1.0
        unit, gram = 2.0 ** np.floor(np.log2(largest)), 0.0
        for one in pieces:
            part = W[one].astype(float) / unit
            gram += part.T @ part
        values = np.linalg.eigvalsh(gram)
    precision = max(np.finfo(float).eps, float(jnp.finfo(W.dtype).eps) ** 2)
    floor = len(values) * precision * values[-1]
    return np.where(values > floor, values, 0), float(unit)


def _of_spectrum(name, shape, sides, values, unit, replicas, rivals):
    """The row of a matrix from the spectrum of its smaller side."""
    height, width = max(sides), min(sides)
    with jax.enable_x64():
        seen, fit = spectra.shape(values, height), spectra.power_law_fit(values)
        p_value = log_normal = exponential = None
        if replicas:
            drawn = spectra.power_law_goodness(jax.random.key(0), values, replicas)
            p_value = float(drawn.p_value)
        if rivals:
            log_normal, exponential = (
                float(spectra.likelihood_ratio(values, fit.tail, law).ratio)
                for law in spectra.ALTERNATIVES
            )
        mean, deviation = random_hill(height, width)
        return MatrixReport(
            name=name,
            shape=tuple(shape),
            matrix=tuple(sides),
            sigma=unit * float(np.sqrt(seen.variance)),
            edge=unit * float(np.sqrt(seen.edge)),
            largest=unit * float(np.sqrt(values[-1])),
            outliers=int(seen.outliers),
            stable_rank=float(spectra.stable_rank(values)),
            hill=float(seen.hill),
            hill_random=mean,
            hill_deviation=deviation,
            exponent=float(fit.exponent),
            tail=int(fit.tail),
            distance=float(fit.distance),
            name_of_shape=str(seen.name),
            p_value=p_value,
            log_normal=log_normal,
            exponential=exponential,
        )


def _table(report):
    """The report as lines of text."""
    head = (
        "weights",
        "matrix",
        "σ",
        "outliers",
        "stable rank",
        "Hill (random)",
        "α (tail)",
        "shape",
    )
    lines = [head]
    for one in report.matrices:
        lines.append(
            (
                one.name,
                "×".join(map(str, one.matrix)),
                f"{one.sigma:.3g}",
                str(one.outliers),
                f"{one.stable_rank:.1f}",
                f"{one.hill:.2f} ({one.hill_random:.2f} ± {one.hill_deviation:.2f})",
                f"{one.exponent:.2f} ({one.tail})",
                one.name_of_shape,
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    text += [f"left out: {one.name} {one.shape}: {one.why}" for one in report.left_out]
    return "\n".join(text)
