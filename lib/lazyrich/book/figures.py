"""Figures: drawn from tidy tables, with one look for the whole book, and shown by one call.

A figure is drawn from the table of the numbers behind it, whose columns name the axes. Theory is
drawn as black lines, measurements as coloured points with bars over seeds, and labels stand beside
what they name. Fonts, sizes and colours are set by the ``matplotlibrc`` beside the notebooks.
"""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lazyrich import validation
from lazyrich.book.files import FIGURES, replace

COLOURS = sns.color_palette("colorblind")
"""The palette: seaborn's, safe for the colour-blind."""


_WIDTHS = {1: 4.8, 2: 7.4, 3: 9.2}


def table(columns: dict) -> pd.DataFrame:
    """A tidy table of columns that broadcast against each other, a row an entry.

    >>> table({"width": np.array([[1], [2]]), "seed": np.arange(2), "value": np.eye(2)}).shape
    (4, 3)
    """
    arrays = np.broadcast_arrays(*(np.asarray(column) for column in columns.values()))
    return pd.DataFrame({name: array.ravel() for name, array in zip(columns, arrays, strict=True)})


def panels(columns: int = 1, rows: int = 1) -> tuple[Figure, Axes | np.ndarray]:
    """A figure of up to three equal panels in a row, as wide as a page."""
    validation.one_of("columns", columns, _WIDTHS)
    return plt.subplots(rows, columns, figsize=(_WIDTHS[columns], 3.0 * rows))


def points(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str | None = None,
    error: str | tuple[str, str] | None = None,
    label: str | None = None,
    every: int = 1,
    **options,
) -> None:
    """Measurements: coloured points, with bars where there is a standard error.

    Args:
        axes: where to draw.
        table: a tidy table.
        x, y: its columns to draw; they become the labels of the axes.
        by: a column whose values become groups, each of one colour.
        error: the column of standard errors, or two columns: how far the bars reach down and up.
        label: written beside each group's last point, with the group in place of ``{}``.
        every: draw every so many points of a group.
        options: passed to ``Axes.errorbar``.
    """
    options = {"marker": "o", "linestyle": "none", **options}
    for colour, name, group in _groups(table, by):
        group = group.iloc[::every]
        bars = None if error is None else group[error if isinstance(error, str) else [*error]].T
        axes.errorbar(group[x], group[y], yerr=bars, **{"color": colour, **options})
        if label:
            colour = options.get("color", colour)
            write(
                axes,
                group[x].iloc[-1],
                group[y].iloc[-1],
                label.replace("{}", str(name)),
                color=colour,
            )
    axes.set(xlabel=x, ylabel=y)


def theory(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str | None = None,
    label: str | None = None,
    **options,
) -> None:
    """A prediction: a black line for each group, with arguments as of :func:`points`."""
    for _, name, group in _groups(table, by):
        axes.plot(group[x], group[y], **{"color": "black", "linewidth": 1, "zorder": 3, **options})
        if label:
            write(axes, group[x].iloc[-1], group[y].iloc[-1], label.replace("{}", str(name)))


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
    theory(axes, table, x, law, by)
    points(axes, table, x, y, by, **options)


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
    axes.set(xlabel=x, ylabel=y)
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


def write(axes: Axes, x: float, y: float, text: str, **options) -> None:
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
    picture = io.BytesIO()
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


def _groups(table: pd.DataFrame, by: str | None) -> Iterator:
    """Colour, name and rows of each group, in the order in which they stand."""
    groups = [("", table)] if by is None else table.groupby(by, sort=False)
    for index, (name, group) in enumerate(groups):
        yield COLOURS[index % len(COLOURS)], name, group
