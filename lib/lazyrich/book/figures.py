"""Figures: drawn from tidy tables, with one look for the whole book, and shown by one call.

A figure is drawn from the table of the numbers behind it, whose columns name what is drawn. Theory
is drawn as black lines, measurements as points with bars over seeds. A group of points has a colour
and a marker of its own, the same in all panels of a figure, which :func:`key` names. Fonts, sizes
and colours are set by the ``matplotlibrc`` beside the notebooks; seaborn has the palettes.

>>> rows = {"width": [8, 16, 8, 16], "scheme": ["a", "a", "b", "b"], "loss": [4, 2, 3, 1]}
>>> measured = table(rows | {"loss, error": 0.1})
>>> figure, axes = panels(log="xy", x="width $n$", y="loss")
>>> points(axes, measured, "width", "loss", by="scheme")
>>> key(axes)
>>> plt.close(figure)
"""

from collections.abc import Callable, Iterator, Sequence
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazyrich import validation
from lazyrich.book.estimates import Estimate
from lazyrich.book.pictures import show as show
from lazyrich.book.tables import table as table

COLOURS = sns.color_palette("colorblind")
"""The palette: seaborn's, safe for the colour-blind."""
MARKERS = "osD^vPX*<>"
"""The markers, which tell groups apart without colour."""

_WIDTHS = {1: 4.8, 2: 7.4, 3: 9.2}
# The groups that each figure has shown, in the order in which it did.
_GROUPS: WeakKeyDictionary = WeakKeyDictionary()


def panels(
    columns: int = 1,
    rows: int = 1,
    log: str | Sequence[str] = "",
    x: str | Sequence[str] = "",
    y: str | Sequence[str] = "",
    share: str = "",
    height: float = 3.0,
) -> tuple[Figure, Axes | np.ndarray]:
    """A figure of up to three equal panels in a row, as wide as a page.

    Args:
        columns, rows: how many panels.
        log: the logarithmic axes, of ``"x"``, ``"y"`` and ``"xy"``, of all panels or of each.
        x, y: the labels of the axes, of all panels or of each, along the rows.
        share: the axes that the panels have in common, likewise; they are labelled once.
        height: of a row, in inches.
    """
    validation.one_of("columns", columns, _WIDTHS)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(_WIDTHS[columns], height * rows),
        sharex="x" in share,
        sharey="y" in share,
    )
    for index, axes in enumerate(np.ravel(grid)):
        of_panel = [one if isinstance(one, str) else one[index] for one in (log, x, y)]
        axes.set(**{f"{axis}scale": "log" for axis in of_panel[0]})
        axes.set(xlabel=of_panel[1], ylabel=of_panel[2])
        if share:
            axes.label_outer()
    return figure, grid


def points(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str | None = None,
    name: str | Callable = "",
    every: int = 1,
    **options,
) -> None:
    """Measurements: points, with bars where the table has a column ``y, error``.

    Bars that reach down and up differently are two columns, ``y, below`` and ``y, above``.

    Args:
        axes: where to draw; labels that they lack are the names of the columns.
        table: a tidy table.
        x, y: its columns to draw.
        by: a column whose values are groups, each with a colour and a marker of its own.
        name: what the :func:`key` calls the points; with `by`, a function of the group's value.
        every: draw every so many points of a group.
        options: passed to ``Axes.errorbar``.
    """
    for group, rows in _grouped(table, by):
        rows = rows.iloc[::every]
        bars = rows.get(f"{y}, error")
        if f"{y}, below" in rows:
            bars = rows[[f"{y}, below", f"{y}, above"]].T
        shown = name(group) if callable(name) else name or str(group)
        style = {"linestyle": "none", "label": shown, **style_of(axes, shown), **options}
        axes.errorbar(rows[x], rows[y], yerr=bars, **style)
    _label(axes, x, y)


def style_of(axes: Axes, name: str) -> dict:
    """The colour and the marker of a group in the figure of these axes; new groups get new ones."""
    groups = _GROUPS.setdefault(axes.figure, [])
    if name not in groups:
        groups.append(name)
    index = groups.index(name)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def theory(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str | None = None,
    label: str | Callable = "",
    **options,
) -> None:
    """A prediction: a black line, or one for each group.

    Args:
        axes, table, x, y, by: as for :func:`points`.
        label: written at the right end of the line; with `by`, a function of the group's value.
        options: passed to ``Axes.plot``.
    """
    for group, rows in _grouped(table, by):
        axes.plot(rows[x], rows[y], **{"color": "black", "linewidth": 1, "zorder": 3, **options})
        if label:
            text = label(group) if callable(label) else label
            annotate(axes, rows[x].iloc[-1], rows[y].iloc[-1], text)
    _label(axes, x, y)


def compare(
    axes: Axes, table: pd.DataFrame, x: str, y: str, law: str, by: str | None = None, **options
) -> None:
    """Measurements over what the theory says: :func:`theory` of `law`, :func:`points` of `y`."""
    points(axes, table, x, y, by, **options)
    theory(axes, table, x, law, by)


def power_laws(
    axes: Axes, table: pd.DataFrame, x: str, y: str, exponents: float | dict, by: str | None = None
) -> None:
    """Black lines of power laws, each through the last of the points that it is to explain.

    Args:
        axes, table, x, y, by: as for :func:`points`.
        exponents: of all lines, or of each group.
    """
    for group, rows in _grouped(table, by):
        size = rows[x] / rows[x].iloc[-1]
        power = exponents[group] if isinstance(exponents, dict) else exponents
        theory(axes, rows.assign(**{y: rows[y].iloc[-1] * size**power}), x, y)


def key(of: Axes | Figure, title: str | None = None, **options) -> None:
    """A key of the names with their markers: in the axes, or of all panels below a figure.

    Args:
        of: axes or a figure.
        title: what the names are.
        options: passed to ``legend``.
    """
    panels = of.axes if isinstance(of, Figure) else [of]
    entries: dict = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    if isinstance(of, Figure):
        options = {"loc": "outside lower center", "ncols": min(4, len(entries)), **options}
    of.legend(entries.values(), entries.keys(), title=title, **options)


def mark(axes: Axes, x: float | None = None, y: float | None = None, **options) -> None:
    """A dashed line through the whole panel at a value of x or y, as a threshold or an edge."""
    options = {"color": "black", "linestyle": "--", "linewidth": 1, **options}
    if x is not None:
        axes.axvline(x, **options)
    if y is not None:
        axes.axhline(y, **options)


def concise(estimate: Estimate, digits: int = 2) -> str:
    """An estimate for a label, with the error of its last digit in brackets, rounded up.

    >>> concise(Estimate(-0.981, 0.0172)), concise(Estimate(0.5, 0.001), digits=1)
    ('−0.98(2)', '0.5(1)')
    """
    last = int(np.ceil(round(10**digits * float(estimate.error), 6)))
    return f"{float(estimate.value):z.{digits}f}({last})".replace("-", "−")


def heat_map(axes: Axes, table: pd.DataFrame, x: str, y: str, value: str, **options):
    """A quantity over a grid of two others, as colours; gives back the image for a colour bar.

    Args:
        axes: where to draw.
        table: a tidy table with a row for each point of the grid.
        x, y: the columns of the grid.
        value: the column to colour.
        options: passed to ``Axes.pcolormesh``, as ``norm="log"``.
    """
    wide = table.pivot(index=y, columns=x, values=value)
    _label(axes, x, y)
    options = {"cmap": "crest", "shading": "nearest", "rasterized": True, **options}
    return axes.pcolormesh(wide.columns, wide.index, wide, **options)


def ticks(axes: Axes, x: Sequence[float] = (), y: Sequence[float] = ()) -> None:
    """Ticks at these numbers alone, written out, on one axis or both; for short logarithmic axes.

    Args:
        axes: with its scales set.
        x, y: where the ticks stand; without numbers an axis keeps its ticks.
    """
    for axis, numbers in ((axes.xaxis, x), (axes.yaxis, y)):
        if len(numbers):
            axis.set_ticks(numbers, [f"{number:g}" for number in numbers])
            axis.set_ticks([], minor=True)


def annotate(axes: Axes, x: float | np.number, y: float | np.number, text: str, **options) -> None:
    """A label beside a point, in place of a legend."""
    options = {"xytext": (5, 0), "ha": "left", "va": "center", "fontsize": "small", **options}
    axes.annotate(text, (x, y), textcoords="offset points", annotation_clip=False, **options)


def _grouped(table: pd.DataFrame, by: str | None) -> Iterator:
    """The value and the rows of each group, in the order in which they stand."""
    return iter([("", table)]) if by is None else iter(table.groupby(by, sort=False))


def _label(axes, x, y):
    """Label what is not labelled yet, where a panel is not one of several that share the label."""
    if not axes.get_xlabel() and len(axes.get_shared_x_axes().get_siblings(axes)) == 1:
        axes.set_xlabel(x)
    if not axes.get_ylabel() and len(axes.get_shared_y_axes().get_siblings(axes)) == 1:
        axes.set_ylabel(y)
