"""The forms of a report: a table to read, JSON and CSV for programs, and pictures."""

import csv
import io
import json
import math
import re
from pathlib import Path

from lazyrich.reports.matrices import Spectrum
from lazyrich.reports.spectrum_figures import drawn
from lazyrich.reports.weight_reports import MatrixReport, WeightReport


def as_table(report: WeightReport) -> str:
    """A line a matrix, and a line for each array that was left out."""
    return str(report)


def as_json(report: WeightReport) -> str:
    """An object with the lists ``matrices`` and ``left_out``; what is no number of JSON's is null.

    >>> as_json(WeightReport([], []))
    '{"matrices": [], "left_out": []}'
    """

    def plain(row):
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row._asdict().items()
        }

    lists = {name: [plain(row) for row in rows] for name, rows in report._asdict().items()}
    return json.dumps(lists)


def as_csv(report: WeightReport) -> str:
    """The matrices alone, a line each, under the names of their fields."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MatrixReport._fields)
    for row in report.matrices:
        writer.writerow("x".join(map(str, v)) if isinstance(v, tuple) else v for v in row)
    return text.getvalue().rstrip("\n")


def picture(folder: Path, number: int, row: MatrixReport, spectrum: Spectrum) -> None:
    """The picture of a row as a PNG, under a name that has no path in it, in a folder."""
    import matplotlib.pyplot as plt

    name = re.sub(r"[^\w.-]+", "_", row.name).strip("_.")[-80:]
    folder.mkdir(parents=True, exist_ok=True)
    figure = drawn(row, spectrum)
    figure.savefig(folder / f"{number:03d}-{name}.png", dpi=200, metadata={"Software": None})
    plt.close(figure)
