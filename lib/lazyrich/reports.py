"""A report on the weights of a network: what stands in its spectra that random weights do not have.

Every array of a pytree with two axes or more is made a matrix, and its spectrum is read against
the law of random matrices *of its own shape*: how strong the bulk is and where it ends, what lies
beyond it, how heavy the tail is beside that of random weights, and which power law fits it best.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy

from lazyrich import validation

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
    """The upper edge of the Marchenko-Pastur law of that deviation and of this shape."""
    largest: float
    """The largest eigenvalue."""
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
    validation.whole("smallest", smallest, least=2)
    validation.whole("replicas", replicas)
    matrices, left_out, seen = [], [], {}
    for name, array in named:
        why = _why_not(name, array, smallest, rows, seen)
        if why:
            left_out.append(LeftOut(name, tuple(np.shape(array)), why))
        else:
            matrices.append(_of_matrix(name, array, replicas, rivals, rows))
    return WeightReport(matrices, left_out)


def random_hill(rows: int, columns: int, draws: int = DRAWS) -> tuple[float, float]:
    """The mean and the standard deviation of Hill's exponent of random matrices of a shape.

    The spectrum of WᵀW of a Gaussian matrix W is that of B Bᵀ with B bidiagonal and independent χ
    numbers, of falling degrees of freedom, on both diagonals (Dumitriu & Edelman 2002): so a draw
    takes columns² operations. The draws are fixed.

    Args:
        rows: h ≥ columns.
        columns: d, at least 2.
        draws: how many matrices.

    >>> mean, deviation = random_hill(300, 200)
    >>> round(mean, 1), deviation < 0.1
    (2.4, True)
    """
    return _random_hill(
        validation.whole("rows", rows, least=validation.whole("columns", columns, least=2)),
        columns,
        validation.whole("draws", draws, least=2),
    )


@cache
def _random_hill(rows, columns, draws):
    random, exponents = np.random.default_rng(0), []
    for _ in range(draws):
        diagonal = random.chisquare(rows - np.arange(columns))
        below = random.chisquare(columns - 1 - np.arange(columns - 1))
        # B Bᵀ of a lower bidiagonal B with these squares on its diagonals.
        squares = diagonal + np.concatenate([[0.0], below])
        values = scipy.linalg.eigvalsh_tridiagonal(squares, np.sqrt(diagonal[:-1] * below))
        exponents.append(_hill(values))
    return float(np.mean(exponents)), float(np.std(exponents, ddof=1))


def _why_not(name, array, smallest, rows, seen):
    """Why an array has no report; empty if it has one."""
    shape = np.shape(array)
    if not hasattr(array, "dtype") or not np.issubdtype(_plain(array.dtype), np.floating):
        return f"of {getattr(array, 'dtype', type(array).__name__)}, not of floats"
    if len(shape) < 2:
        return "one axis" if shape else "a number"
    first = seen.setdefault(_identity(array), name)
    if first != name:
        return f"tied to {first}"
    if min(_matrix_shape(name, shape, rows)) < smallest:
        return f"fewer than {smallest} rows or columns"
    return ""


def _matrix_shape(name, shape, rows):
    """Rows and columns of the matrix that an array becomes."""
    if rows is None and len(shape) == 2:
        return shape
    chosen = rows(name, shape) if rows is not None else _outputs_axis(name)
    height = math.prod(np.array(shape)[np.atleast_1d(chosen)].tolist())
    return height, math.prod(shape) // height


def _outputs_axis(name):
    """The axis of the outputs of a kernel with more than two: the last in Flax, else the first."""
    return -1 if re.sub(r"\W+$", "", name).endswith("kernel") else 0
