"""The picture of a row of a report: a spectrum over the law of random matrices of its shape."""

from typing import Any

import numpy as np

from lazyrich import spectra
from lazyrich.reports.matrices import Spectrum, outputs_first
from lazyrich.reports.weight_reports import LeftOut, MatrixReport, readings, shown

BLUE, ORANGE = "#0173B2", "#DE8F05"  # for the colour-blind


def plot_spectrum(W: Any, name: str = "weights", rows=outputs_first):
    """Draw the spectrum of a matrix over the law of random ones, and the tail over its power law.

    On the left a histogram of singular values, with the law of Marchenko and Pastur of the same
    bulk as a line; what lies beyond 1.2 times its edge is marked. On the right the share of
    eigenvalues above each, with the power law that fits best.

    Args:
        W: the weights, with two axes or more.
        name: how the picture calls them; as for :func:`~lazyrich.weight_report` it may tell the
            axes of the rows.
        rows: as there.

    Returns:
        A figure of matplotlib.

    Raises:
        ValueError: if there is no spectrum to draw, in the words of the report.
    """
    [(row, spectrum)] = readings([(name, W)], smallest=3, rows=rows)
    if isinstance(row, LeftOut):
        raise ValueError(f"W must be a matrix of floats with a spectrum, got: {row.why}")
    return drawn(row, spectrum)


def drawn(row: MatrixReport, spectrum: Spectrum):
    """The picture of a row."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.0), layout="constrained")
    _bulk(left, row, np.sqrt(spectrum.values) * spectrum.unit)
    _tail(right, row, spectrum.values[spectrum.values > 0] * spectrum.unit**2)
    name = shown(row.name).replace("$", r"\$")
    figure.suptitle(f"{name}, {row.matrix[0]}×{row.matrix[1]}: {row.form}", fontsize="medium")
    return figure


def _bulk(axes, row, singular):
    """Singular values over the law: s = σ √(h x) with x of the law has the density 2 s ρ(x)/(h σ²).

    The bins are those of the bulk, and go on to the largest value.
    """
    height, width = max(row.matrix), min(row.matrix)
    beyond = singular[singular**2 > 1.2 * row.edge**2]
    inside = singular[: len(singular) - len(beyond)]
    axes.hist(
        inside,
        bins="fd" if len(set(inside)) > 1 else 10,
        density=True,
        color=BLUE,
        alpha=0.5,
        label=f"{len(inside)} singular values",
    )
    if row.sigma > 0:
        low, high = (row.sigma * (height**0.5 + sign * width**0.5) for sign in (-1, 1))
        s = np.linspace(low, high, 400)
        scale = height * row.sigma**2
        density = (
            2
            * s
            / scale
            * np.asarray(spectra.marchenko_pastur_density(s**2 / scale, width / height))
        )
        axes.plot(s, density, color="black", label="random weights")
    if len(beyond):
        name = f"{len(beyond)} outlier{'s' * (len(beyond) > 1)}"
        style = {"linestyle": "none", "marker": "v", "color": ORANGE, "clip_on": False, "zorder": 3}
        axes.plot(beyond, np.zeros_like(beyond), label=name, **style)
    axes.set(xlabel="singular value", ylabel="density")
    axes.legend(frameon=False, fontsize="small")


def _tail(axes, row, values):
    """The share of eigenvalues at or above each, and the fitted law above its cut."""
    share = np.arange(len(values), 0, -1) / len(values)
    axes.plot(values, share, linestyle="none", marker=".", color=BLUE, label="eigenvalues")
    if np.isfinite(row.exponent):
        tail = values[-row.tail :]
        law = row.tail / len(values) * (tail / tail[0]) ** (1 - row.exponent)
        name = rf"power law, $\alpha$ = {row.exponent:.2f}, {row.tail} values"
        axes.plot(tail, law, color="black", label=name)
    axes.set(xscale="log", yscale="log", xlabel=r"eigenvalue of $W^\top W$", ylabel="share above")
    axes.legend(frameon=False, fontsize="small")
