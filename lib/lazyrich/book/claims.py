"""Claims: falsifiable statements, checked where they stand and recorded in the notebook.

A **check** compares what was measured with what the theory allows. A **claim** is a statement
with one or more checks. :func:`claim` judges it, shows it as text and HTML, and leaves the record
beside them in the cell's output; :func:`read` collects the records of a folder of notebooks, which
are the only store. The rule for verdicts is that of :func:`near` and :func:`claim`.

>>> check = near("slope", Estimate(-0.97, 0.02), -1.0, within=0.15)
>>> check.verdict, check.measured, check.error, check.expected, check.tolerance
('holds', '-0.970', '0.020', '-1', '0.15')

What was measured is a number, or an :class:`~lazyrich.book.estimates.Estimate` with its standard
error. Where a claim asks the same of many cases, it is a mapping of their names to these, and there
is one check for each; what is expected may then be a mapping of the same names.

>>> for check in at_most("loss at η = {:g}", {0.1: 0.25, 0.2: 0.5}, 0.3):
...     print(check.what, check.verdict)
loss at η = 0.1 holds
loss at η = 0.2 fails
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lazyrich.book import rendering
from lazyrich.book.estimates import Estimate

MIME = "application/vnd.lazyrich.claim+json"
BASES = ("paper", "code", "second-hand", "derived")
IDENTIFIER = r"[A-Z][0-9]+"


@dataclass(frozen=True)
class Check:
    """What was measured, its standard error, what is expected, the tolerance, and the verdict.

    All are strings, rounded as shown, so that the record equals what the reader sees.
    """

    what: str
    measured: str
    error: str
    expected: str
    tolerance: str
    verdict: str


def _of_many(check: Callable) -> Callable:
    """A check that gives a list of checks, one a case, of a mapping of the cases' names."""

    @wraps(check)
    def checks(what, measured, *expectations, **options):
        if not isinstance(measured, Mapping):
            return check(what, measured, *expectations, **options)

        def of(name, given):
            return given[name] if isinstance(given, Mapping) else given

        return [
            check(
                what.format(*name if isinstance(name, tuple) else (name,)),
                value,
                *(of(name, given) for given in expectations),
                **{option: of(name, given) for option, given in options.items()},
            )
            for name, value in measured.items()
        ]

    return checks


@_of_many
def near(
    what: str, measured: float | Estimate, expected: float, within: float, digits: int = 3
) -> Check:
    """A quantity that the theory predicts up to a tolerance.

    With deviation δ = measured − expected, standard error s and tolerance τ = `within`, the check
    *fails* if |δ| > τ + 2s, *holds* if |δ| ≤ τ and 2s ≤ τ, and is *undecided* otherwise. So noise
    never helps a claim to pass: it turns *holds* and *fails* into *undecided*.

    Args:
        what: the quantity, in words; for many cases with ``{}`` where their names go.
        measured: its value, or an estimate with its error s ≥ 0. A value that is not finite fails.
        expected: what the theory predicts.
        within: the tolerance τ ≥ 0, from the theory, never from the run.
        digits: significant digits to show of a value without error.
    """
    value, error = _value_and_error(what, measured)
    if not within >= 0 or math.isinf(within):
        raise ValueError(f"within must be finite and not negative, got {within} for {what!r}")
    deviation = abs(value - expected)
    if not deviation <= within + 2 * error:
        verdict = "fails"
    else:
        verdict = "holds" if deviation <= within and 2 * error <= within else "undecided"
    return Check(what, *_shown(value, error, digits), _short(expected), _short(within), verdict)


@_of_many
def at_most(what: str, measured: float | Estimate, bound: float, digits: int = 3) -> Check:
    """A quantity that must not exceed a bound.

    It *fails* if measured > bound + 2s, is *undecided* if it lies within 2s of the bound (s > 0),
    else *holds*.
    """
    return _one_sided(what, measured, bound, digits, 1, "≤")


@_of_many
def at_least(what: str, measured: float | Estimate, bound: float, digits: int = 3) -> Check:
    """A quantity that must reach a bound; as :func:`at_most`, mirrored."""
    return _one_sided(what, measured, bound, digits, -1, "≥")


@_of_many
def negligible(what: str, deviations: ArrayLike, bound: float) -> Check:
    """Deviations that must all vanish, up to the error of rounding or of an integrator.

    As :func:`at_most` for the largest of them, but the record shows the bound in place of the
    number, whose digits are those of a machine. A deviation that is not a number fails.

    Args:
        what: what deviates from what, in words.
        deviations: one or many; their absolute values count.
        bound: the largest that may come from rounding or integration.

    Raises:
        ValueError: if there are no deviations.
    """
    sizes = np.abs(np.asarray(deviations, dtype=float))
    if sizes.size == 0:
        raise ValueError(f"deviations must hold at least one number, got none for {what!r}")
    holds = bool((sizes <= bound).all())
    sign = "≤" if holds else "not ≤"
    outcome = "holds" if holds else "fails"
    return Check(what, f"{sign} {_short(bound)}", "", f"≤ {_short(bound)}", "0", outcome)


@_of_many
def exactly(what: str, measured: int | str, expected: int | str) -> Check:
    """A count, a name or a yes-or-no that must be just so."""
    verdict = "holds" if measured == expected else "fails"
    return Check(what, str(measured), "", str(expected), "0", verdict)


@_of_many
def measured(what: str, value: float | str | Estimate, digits: int = 3) -> Check:
    """A quantity for which the theory has no expectation."""
    if isinstance(value, str):
        return Check(what, value, "", "", "", "measured")
    return Check(what, *_shown(*_value_and_error(what, value), digits), "", "", "measured")


def chaotic(check: Check) -> Check:
    """The same check of a run so chaotic that its digits are those of a machine.

    The record says whether it holds, and what was expected, in place of the number.

    >>> chaotic(at_most("change", Estimate(-0.173, 0.02), 0)).measured
    'chaotic'
    """
    return replace(check, measured="chaotic", error="")


def verdict(checks: Sequence[Check]) -> str:
    """The verdict of a claim on its checks.

    It *holds* if all of them do, *fails* if none does, *holds in part* if they differ, and is
    *undecided* if what does not hold is only undecided. Checks without expectation do not count,
    unless there are no others: then the claim is *measured*.
    """
    judged = [check.verdict for check in checks if check.verdict != "measured"]
    if not judged:
        return "measured"
    if all(one == "holds" for one in judged):
        return "holds"
    if "fails" not in judged:
        return "undecided"
    return "holds in part" if "holds" in judged else "fails"


class Claim:
    """The record of a judged claim, which a notebook shows as text and as HTML."""

    def __init__(self, record: dict):
        self.record = record

    def __repr__(self) -> str:
        return rendering.text(self.record)

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
            "checks": [asdict(check) for check in checks],
        }
    )


def read(folder: Path | str) -> list[dict]:
    """The claims recorded in the outputs of a folder's notebooks, each with its ``chapter``.

    Sorted by the letter and the number. Reads only files, and runs nothing.

    Raises:
        ValueError: if the folder has no notebooks, a file is no notebook, or an identifier
            occurs twice.
    """
    folder = Path(folder)
    notebooks = sorted(folder.glob("*.ipynb"))
    if not notebooks:
        raise ValueError(f"folder must hold notebooks (*.ipynb), got {str(folder)!r}")
    records = {}
    for path in notebooks:
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
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


def _value_and_error(what, measured):
    value, error = map(float, measured if isinstance(measured, Estimate) else (measured, 0.0))
    if not error >= 0 or math.isinf(error):
        raise ValueError(f"error must be finite and not negative, got {error} for {what!r}")
    return value, error


def _one_sided(what, measured, bound, digits, sign, symbol):
    value, error = _value_and_error(what, measured)
    excess = sign * (value - bound)
    if not excess <= 2 * error:
        verdict = "fails"
    else:
        verdict = "undecided" if error > 0 and excess > -2 * error else "holds"
    return Check(what, *_shown(value, error, digits), f"{symbol} {_short(bound)}", "0", verdict)


def _shown(value, error, digits):
    """Value and error as strings: to two digits of the error, or to `digits` of the value."""
    if not math.isfinite(value) or error == 0:
        return _significant(value, digits), ""
    places = max(0, 1 - math.floor(math.log10(error)))
    if places > 6 or abs(value) >= 1e6:
        return _significant(value, digits), _significant(error, 2)
    return f"{value:z.{places}f}", f"{error:.{places}f}"


def _significant(value, digits):
    if value == 0 or not math.isfinite(value):
        return _short(value)
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return re.sub(r"e([+-])0", r"e\1", f"{value:.{digits - 1}e}")


def _short(value):
    return re.sub(r"e([+-])0", r"e\1", f"{value:.4g}")
