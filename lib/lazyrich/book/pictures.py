"""Pictures: how a figure is shown in a notebook, and the files that it leaves."""

import io
import os
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lazyrich.book.files import FIGURES, replace
from lazyrich.book.profiling import DRAWING
from lazyrich.book.tables import table


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
