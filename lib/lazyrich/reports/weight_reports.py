"""A report on the weights of a network: what stands in its spectra that random weights do not have.

Every matrix is read against the law of random matrices *of its own shape*: how strong the bulk is
and where it ends, what lies beyond it, how heavy the tail is beside that of random weights, and
which power law fits it best.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lazyrich import spectra, validation
from lazyrich.reports import matrices
from lazyrich.reports.matrices import NotRead, Spectrum, outputs_first
from lazyrich.reports.random_tails import random_hill
from lazyrich.spectra.weights import with_rows


class MatrixReport(NamedTuple):
    """What the spectrum of one matrix shows; eigenvalues are those of WᵀW."""

    name: str
    """Where the weights stand in the pytree, or in the file."""
    shape: tuple[int, ...]
    """Of the weights."""
    rows: tuple[int, ...]
    """The axes that count the rows of the matrix that they were made."""
    matrix: tuple[int, int]
    """Its rows and columns."""
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
    form: str
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
        return table(self)


def weight_report(
    params: Any,
    smallest: int = 20,
    replicas: int = 0,
    rivals: bool = False,
    rows: Callable[[str, tuple[int, ...]], int | Sequence[int]] = outputs_first,
) -> WeightReport:
    """Read the spectrum of every matrix of a pytree against the law of random ones of its shape.

    Arrays with two axes are matrices as they are. Those with more become one with their outputs as
    rows: the last axis of an array whose name ends in ``kernel``, as in Flax, else the first, as in
    PyTorch and Equinox; see :func:`~lazyrich.reports.matrices.outputs_first`. Layers that are
    stacked in one array are one matrix: take them apart. Spectra are computed in float64, whatever
    the precision of the weights, and one matrix is held at a time. What lies below that precision,
    or below the edge of what the rounding of the entries can have made, is zero.

    Args:
        params: any pytree with arrays in it, also PyTorch's; half precision is read.
        smallest: matrices with fewer rows or columns are left out.
        replicas: samples for the p-value of each power law, 0 for none.
        rivals: whether to compare each power law with a log-normal and an exponential tail.
        rows: ``rows(name, shape)``, the axis or axes of an array with three or more that count the
            rows of its matrix.

    Raises:
        ValueError: if params hold no array, smallest or replicas is out of range, or rows names no
            axis.

    >>> W = np.random.default_rng(0).normal(size=(60, 40))
    >>> report = weight_report({"layer": {"weight": W, "bias": np.zeros(40)}})
    >>> report.matrices[0].name, report.matrices[0].form, report.left_out[0].why
    ('layer.weight', 'Random-like', 'one axis')
    """
    if not any(
        isinstance(leaf, NotRead) or hasattr(leaf, "dtype") for leaf in jax.tree.leaves(params)
    ):
        raise ValueError(
            f"params must be a pytree with arrays, got {type(params).__name__} without any: files "
            "are read by lazyrich.reports.checkpoint, modules of PyTorch give a state_dict()"
        )
    report = WeightReport([], [])
    for row, _ in readings(matrices.untied(_leaves(params)), smallest, replicas, rivals, rows):
        (report.matrices if isinstance(row, MatrixReport) else report.left_out).append(row)
    return report


def readings(
    named: Iterable,  # of pairs; whoever checks their types takes one
    smallest: int = 20,
    replicas: int = 0,
    rivals: bool = False,
    rows: Callable = outputs_first,
) -> Iterator[tuple[MatrixReport | LeftOut, Spectrum | None]]:
    """The rows of a :func:`weight_report` of arrays with names, one after another, with spectra."""
    smallest = validation.whole("smallest", smallest, least=3)
    replicas = validation.whole("replicas", replicas)
    rivals, rows = validation.flag("rivals", rivals), validation.function("rows", rows)
    return _readings(named, smallest, replicas, rivals, rows)


def _readings(named, smallest, replicas, rivals, rows):
    for name, array in named:
        shape, spectrum = tuple(getattr(array, "shape", ())), None
        axes = matrices.axes_of(name, shape, rows)
        why = matrices.why_not(array, axes, smallest)
        if not why:
            spectrum = matrices.spectrum(with_rows(np.asarray(array), axes))
            why = matrices.why_no_law(spectrum)
        if why:
            yield LeftOut(name, shape, why), None
        else:
            with jax.enable_x64():
                yield _row(name, shape, axes, spectrum, replicas, rivals), spectrum


def _leaves(params):
    """The arrays of a pytree with their names."""
    for path, leaf in jax.tree.leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        yield name.removesuffix(".value") or "weights", leaf  # as NNX has it


def _row(name, shape, axes, spectrum, replicas, rivals):
    """The row of a matrix from the spectrum of its smaller side."""
    (values, unit), sides = spectrum, matrices.sides(shape, axes)
    height, width = max(sides), min(sides)
    seen, fit = spectra.shape(values, height), spectra.power_law_fit(values)
    mean, deviation = random_hill(height, width)
    row = MatrixReport(
        name=name,
        shape=shape,
        rows=axes,
        matrix=sides,
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
        form=str(seen.name),
    )
    if replicas:
        goodness = spectra.power_law_goodness(jax.random.key(0), values, replicas)
        row = row._replace(p_value=float(goodness.p_value))
    if rivals and np.isfinite(row.exponent):
        log_normal, exponential = (
            float(spectra.likelihood_ratio(values, fit.tail, law).ratio)
            for law in spectra.ALTERNATIVES
        )
        row = row._replace(log_normal=log_normal, exponential=exponential)
    return row


def _short(exponent):
    return f"{exponent:.2f}" if exponent < 1000 else f"{exponent:.0e}"


HEAD = {
    "weights": lambda row: shown(row.name),
    "matrix": lambda row: (
        "×".join(map(str, row.matrix)) + (f" of {row.shape}" if len(row.shape) > 2 else "")
    ),
    "σ": lambda row: f"{row.sigma:.3g}",
    "largest/edge": lambda row: f"{row.largest / row.edge:.2f}" if row.edge else "inf",
    "outliers": lambda row: str(row.outliers),
    "stable rank": lambda row: f"{row.stable_rank:.1f}",
    "Hill (random)": lambda row: (
        f"{_short(row.hill)} ({row.hill_random:.2f} ± {row.hill_deviation:.2f})"
    ),
    "α (tail)": lambda row: f"{_short(row.exponent)} ({row.tail})",
    "p": lambda row: "" if row.p_value is None else f"{row.p_value:.2f}",
    "form": lambda row: row.form,
}
"""The columns of the table of a report."""


def table(report: WeightReport) -> str:
    """A report as lines of text."""
    lines = [list(HEAD), *([cell(row) for cell in HEAD.values()] for row in report.matrices)]
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]
    text += [f"left out: {shown(one.name)} {one.shape}: {one.why}" for one in report.left_out]
    return "\n".join(text)


def shown(name: str) -> str:
    r"""A name without what would move a terminal.

    >>> shown("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
