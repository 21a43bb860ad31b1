"""Figures: drawn from tidy tables, with one look for the whole book, and shown by one call.

A figure is drawn from the table of the numbers behind it, whose columns name what is drawn. Theory
is drawn as black lines, measurements as points with bars over seeds. A group of points has a colour
and a marker of its own, the same in all panels of a figure, which :func:`key` names. Fonts, sizes
and colours are set by the ``matplotlibrc`` beside the notebooks; for distributions, seaborn's own
functions draw into the axes.

>>> rows = {"width": [8, 16, 8, 16], "scheme": ["a", "a", "b", "b"], "loss": [4, 2, 3, 1]}
>>> measured = table(rows | {"loss, error": 0.1})
>>> figure, axes = panels(log="xy", x="width $n$", y="loss")
>>> points(axes, measured, "width", "loss", by="scheme")
>>> key(axes)
>>> plt.close(figure)
"""

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lazyrich import validation
from lazyrich.book.estimates import Estimate
from lazyrich.book.files import FIGURES, replace
from lazyrich.book.profiling import DRAWING
from lazyrich.book.tables import table

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
            write(axes, rows[x].iloc[-1], rows[y].iloc[-1], text)
    _label(axes, x, y)


def compare(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    law: str,
    by: str | None = None,
    **options,
) -> None:
    """Measurements over what the theory says: :func:`theory` of `law`, :func:`points` of `y`."""
    points(axes, table, x, y, by, **options)
    theory(axes, table, x, law, by)


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


def write(axes: Axes, x: float | np.number, y: float | np.number, text: str, **options) -> None:
    """A label beside a point, in place of a legend."""
    options = {"xytext": (5, 0), "ha": "left", "va": "center", "fontsize": "small", **options}
    axes.annotate(text, (x, y), textcoords="offset points", annotation_clip=False, **options)


def show(name: str, figure: Figure, table: pd.DataFrame) -> None:
    """Show a figure in the notebook, under its name and with the numbers behind it.

    The picture is a PNG of double density that is the same, byte by byte, when nothing changed.
    The figure is closed, so that it is shown once. If the environment variable
    ``LAZYRICH_FIGURES`` names a folder, the figure is also written there, as PNG, SVG and PDF, the
    table as CSV, and the lines that are drawn as a second CSV, ``name.curves.csv``.

    Args:
        name: ``"fig-…"``, the same as in the metadata of the cell.
        figure: the figure.
        table: the numbers behind it, a row an observation and a column a variable.

    Raises:
        ValueError: if the name does not begin with ``fig-``, or the table is empty.
    """
    if not (isinstance(name, str) and name.startswith("fig-")):
        raise ValueError(f"name must begin with 'fig-', got {name!r}")
    if not isinstance(table, pd.DataFrame) or table.empty:
        raise ValueError(f"table must be a data frame with rows, got {table!r} for {name}")
    began, picture = time.perf_counter(), io.BytesIO()
    figure.savefig(picture, format="png", dpi=2 * figure.dpi, metadata={"Software": None})
    figure.set_layout_engine("none")  # it is laid out now, and so in the other formats
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    if os.environ.get(FIGURES):
        files = {"png": picture.getvalue(), **_vectors(figure), "csv": table.to_csv(index=False)}
        if (lines := curves(figure)) is not None:
            files["curves.csv"] = lines.to_csv(index=False)
        for ending, content in files.items():
            replace(Path(os.environ[FIGURES], f"{name}.{ending}"), content)
    plt.close(figure)
    jax.monitoring.record_event_duration_secs(DRAWING, time.perf_counter() - began)
    display(
        {"image/png": picture.getvalue(), "text/plain": f"<figure {name}>"},
        metadata={"image/png": {"width": width, "height": height}},
        raw=True,
    )


def curves(figure: Figure) -> pd.DataFrame | None:
    """The lines of a figure, as those of the theory, a row a point; None if there are none.

    Panels are counted along the rows, and lines in the order in which they were drawn. A line from
    edge to edge has no x, or no y, there.
    """
    found = []
    for panel, axes in enumerate(figure.axes, start=1):
        lines = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
        for number, line in enumerate(lines, start=1):
            in_data = line.get_transform().contains_branch_seperately(axes.transData)
            columns = {"panel": panel, "curve": number, "style": line.get_linestyle()}
            # Without a "#", at which readers of the comments above would cut the row.
            red, green, blue = (round(255 * part) for part in to_rgb(line.get_color()))
            columns |= {"colour": f"rgb({red} {green} {blue})"}
            columns |= {"x axis": axes.get_xlabel(), "y axis": axes.get_ylabel()}
            for name, known, data in zip("xy", in_data, line.get_data(orig=False), strict=True):
                columns[name] = data if known else np.full(len(data), np.nan)
            found.append(table(columns))
    return pd.concat(found) if found else None


def _vectors(figure):
    """The figure as SVG and as PDF, without the date, so that they too are the same each time."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    pictures = {ending: io.BytesIO() for ending in undated}
    with plt.rc_context({"svg.hashsalt": FIGURES}):  # identifiers that are not drawn at random
        for ending, file in pictures.items():
            figure.savefig(file, format=ending, metadata=undated[ending])
    return {ending: file.getvalue() for ending, file in pictures.items()}


def _grouped(table: pd.DataFrame, by: str | None) -> Iterator:
    """The value and the rows of each group, in the order in which they stand."""
    return iter([("", table)]) if by is None else iter(table.groupby(by, sort=False))


def _label(axes, x, y):
    """Label what is not labelled yet, where a panel is not one of several that share the label."""
    if not axes.get_xlabel() and len(axes.get_shared_x_axes().get_siblings(axes)) == 1:
        axes.set_xlabel(x)
    if not axes.get_ylabel() and len(axes.get_shared_y_axes().get_siblings(axes)) == 1:
        axes.set_ylabel(y)
