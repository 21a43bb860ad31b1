"""Claims: falsifiable statements, checked where they stand and recorded in the notebook.

A **check** compares what was measured with what the theory allows. A **claim** is a statement
with one or more checks. :func:`claim` judges it, shows it as text and HTML, and leaves the record
beside them in the cell's output; :func:`recorded` collects the records of a folder of notebooks,
which are the only store. The rule for verdicts is that of :func:`~lazyrich.book.checks.near` and
:func:`~lazyrich.book.checks.verdict`. What a record holds is said by ``claims.schema.json`` beside
this file.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from lazyrich import validation
from lazyrich.book import files, rendering
from lazyrich.book.checks import Check, verdict

MIME = "application/vnd.lazyrich.claim+json"
RELATIONS = ("statement", "code", "consequence", "beyond")
"""To the paper: its statement, what its code does, what follows from it, or beyond it."""
KINDS = ("identity", "law", "trend", "question")
"""What a statement is: true unless we erred, a law with numbers, a trend, or an open question."""
IDENTIFIER = r"[A-Z][0-9]+"
SCHEMA = Path(__file__).with_name("claims.schema.json")


class Source(NamedTuple):
    """Where a statement was read."""

    title: str
    """Of the text or the code."""
    address: str = ""
    """Of a page, in the web."""
    version: str = ""
    """Of the text, or the commit of the code."""
    how: str = ""
    """How it was read: itself, its abstract, as quoted by whom, derived here."""


class Claim:
    """The record of a judged claim, which a notebook shows as text and as HTML."""

    def __init__(self, record: dict, here: Mapping[str, str]):
        self.record, self.here = record, dict(here)

    def __repr__(self) -> str:
        return rendering.as_text(self.record)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """The claim in each form, and beside them what is of one machine."""
        data = {
            MIME: self.record,
            "text/html": rendering.as_html(self.record),
            "text/plain": repr(self),
        }
        return data, {MIME: {"here": self.here}} if self.here else {}


def claim(
    identifier: str,
    statement: str,
    *checks: Check | list[Check],
    answers: str,
    relation: str,
    kind: str,
    sources: Mapping[str, str] | Collection[str],
    read: Mapping[str, Source],
    scale: str,
    headline: bool = False,
    reduced: bool = False,
    reason: str = "",
) -> Claim:
    """Judge a claim on its checks; as the last line of a cell this shows and records it.

    Args:
        identifier: a letter and a number, as ``"M2"``; each occurs once in the book.
        statement: the claim, in one sentence, as the paper or whoever reports it makes it; the
            verdict is about that.
        checks: what was measured against what, one by one or in lists; none if the claim was not
            attempted.
        answers: the theorem, section or figure of the paper that it answers.
        relation: of the statement to the paper, one of ``RELATIONS``.
        kind: of the statement, one of ``KINDS``.
        sources: the names of those among `read` that make the statement, or a mapping of them to
            the place in each, as a file with lines.
        read: all sources of the chapter by name, the paper first.
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
    validation.one_of("relation", relation, RELATIONS)
    validation.one_of("kind", kind, KINDS)
    for name in sources:
        validation.one_of("sources", name, tuple(read))
    if not sources:
        raise ValueError(f"sources must name at least one of {', '.join(read)}, got none")
    checks = [one for each in checks for one in (each if isinstance(each, list) else [each])]
    outcome = verdict(checks) if checks else "not attempted"
    if outcome in ("measured", "not attempted") and not reason:
        raise ValueError(f"reason must say why claim {identifier} is {outcome}, got none")
    places = sources if isinstance(sources, Mapping) else dict.fromkeys(sources, "")
    record = {
        "id": identifier,
        "paper": next(iter(read.values())).address,
        "answers": answers,
        "relation": relation,
        "kind": kind,
        "sources": [read[name]._asdict() | {"place": place} for name, place in places.items()],
        "statement": statement,
        "headline": headline,
        "scale": f"{scale}, reduced" if reduced else scale,
        "verdict": outcome,
        "reason": "" if outcome == "holds" else reason,
        "checks": [_without_here(check) for check in checks],
    }
    return Claim(record, {str(n): one.here for n, one in enumerate(checks) if one.here})


def _without_here(check):
    return {name: value for name, value in check._asdict().items() if name != "here"}


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
            found = [_whole(output) for output in outputs if MIME in output.get("data", {})]
            if not all(re.fullmatch(IDENTIFIER, one["id"]) and one["verdict"] for one in found):
                raise ValueError("a claim without its number or verdict")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{path} must be a notebook, but cannot be read as one") from error
        for record in found:
            if record["id"] in records:
                raise ValueError(f"claim {record['id']} must occur once, got it again in {path}")
            records[record["id"]] = {"id": record["id"], "chapter": path.stem, **record}
    return sorted(records.values(), key=lambda record: (record["id"][0], int(record["id"][1:])))


def _whole(output):
    """A record with what its output says of one machine."""
    record = output["data"][MIME]
    here = output.get("metadata", {}).get(MIME, {}).get("here", {})
    checks = [
        check | {"here": here.get(str(n), "")} for n, check in enumerate(record.get("checks", []))
    ]
    return record | {"checks": checks}
