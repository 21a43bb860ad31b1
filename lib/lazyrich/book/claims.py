"""Claims: falsifiable statements, checked where they stand and recorded in the notebook.

A **check** compares what was measured with what the theory allows. A **claim** is a statement
with one or more checks. :func:`claim` judges it, shows it as text and HTML, and leaves the record
beside them in the cell's output; :func:`recorded` collects the records of a folder of notebooks,
which are the only store. The rule for verdicts is that of :func:`~lazyrich.book.checks.near` and
:func:`~lazyrich.book.checks.verdict`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from lazyrich.book import files, rendering
from lazyrich.book.checks import Check, verdict

MIME = "application/vnd.lazyrich.claim+json"
BASES = ("paper", "code", "second-hand", "derived")
IDENTIFIER = r"[A-Z][0-9]+"


class Claim:
    """The record of a judged claim, which a notebook shows as text and as HTML."""

    def __init__(self, record: dict):
        self.record = record

    def __repr__(self) -> str:
        return rendering.as_text(self.record)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            MIME: self.record,
            "text/html": rendering.as_html(self.record),
            "text/plain": repr(self),
        }


def claim(
    identifier: str,
    statement: str,
    *checks: Check | list[Check],
    source: str,
    basis: str,
    scale: str,
    headline: bool = False,
    reduced: bool = False,
    reason: str = "",
) -> Claim:
    """Judge a claim on its checks; as the last line of a cell this shows and records it.

    Args:
        identifier: a letter and a number, as ``"M2"``; each occurs once in the book.
        statement: the claim, in one sentence.
        checks: what was measured against what, one by one or in lists; none if the claim was not
            attempted.
        source: the theorem, section or figure of the paper that it answers.
        basis: how well founded the statement is, one of ``BASES``.
        scale: the scale at which the chapter runs.
        headline: whether it is one of the claims that carry the chapter.
        reduced: whether sizes or data are known to be smaller than the paper's own.
        reason: why, if the claim does not hold, is only measured or was not attempted. Shown
            and recorded only then.

    Raises:
        ValueError: if an argument is not of these, or a reason is missing where one is owed
            (checks that lack an expectation, or no checks at all).
    """
    if not re.fullmatch(IDENTIFIER, identifier):
        raise ValueError(f"identifier must be a capital letter and a number, got {identifier!r}")
    if basis not in BASES:
        raise ValueError(f"basis must be one of {', '.join(map(repr, BASES))}, got {basis!r}")
    checks = [one for each in checks for one in (each if isinstance(each, list) else [each])]
    outcome = verdict(checks) if checks else "not attempted"
    if outcome in ("measured", "not attempted") and not reason:
        raise ValueError(f"reason must say why claim {identifier} is {outcome}, got none")
    return Claim(
        {
            "id": identifier,
            "source": source,
            "basis": basis,
            "statement": statement,
            "headline": headline,
            "scale": f"{scale}, reduced" if reduced else scale,
            "verdict": outcome,
            "reason": "" if outcome == "holds" else reason,
            "checks": [check._asdict() for check in checks],
        }
    )


def recorded(folder: Path | str) -> list[dict]:
    """The claims recorded in the outputs of a folder's notebooks, each with its ``chapter``.

    Sorted by the letter and the number. Reads only files, and runs nothing.

    Raises:
        ValueError: if the folder has no notebooks, a file is no notebook, or an identifier
            occurs twice.
    """
    paths = files.notebooks_of(folder)
    if not paths:
        raise ValueError(f"folder must hold notebooks (*.ipynb), got {str(folder)!r}")
    return recorded_in({path: path.read_bytes() for path in paths})


def recorded_in(notebooks: Mapping[Path, bytes | str]) -> list[dict]:
    """The same from the contents of notebooks, by their files."""
    records = {}
    for path, content in notebooks.items():
        try:
            cells = json.loads(content)["cells"]
            outputs = [output for cell in cells for output in cell.get("outputs", [])]
            found = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
            if not all(re.fullmatch(IDENTIFIER, one["id"]) and one["verdict"] for one in found):
                raise ValueError("a claim without its number or verdict")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} must be a notebook, but cannot be read as one") from error
        for record in found:
            if record["id"] in records:
                raise ValueError(f"claim {record['id']} must occur once, got it again in {path}")
            records[record["id"]] = {"id": record["id"], "chapter": path.stem, **record}
    return sorted(records.values(), key=lambda record: (record["id"][0], int(record["id"][1:])))
