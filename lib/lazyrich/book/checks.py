"""Checks: what was measured against what the theory allows, which noise never widens.

>>> check = near("slope", Estimate(-0.97, 0.02), -1.0, within=0.15)
>>> check.verdict, check.measured, check.error, check.expected, check.tolerance
('holds', '-0.970', '0.020', '-1', '0.15')

How strong it is stands beside it: the deviation beyond which it would have failed, here τ + 2s.

>>> check.strength, check.relative
('0.19', '19 %')

What was measured is a number, or an :class:`~lazyrich.book.estimates.Estimate` with its standard
error. Where a claim asks the same of many cases, it is a mapping of their names to these, and there
is one check for each; what is expected may then be a mapping of the same names.

>>> for check in at_most("loss at η = {:g}", {0.1: 0.25, 0.2: 0.5}, 0.3):
...     print(check.what, check.verdict)
loss at η = 0.1 holds
loss at η = 0.2 fails
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lazyrich.book.estimates import Estimate

LADDER = (1e-12, 1e-9, 1e-6, 1e-3)
"""The sizes to which identities are said to hold."""


class Check(NamedTuple):
    """What was measured, its standard error, what is expected, the tolerance, and the verdict.

    All are strings, rounded as shown, so that the record equals what the reader sees.
    """

    what: str
    measured: str
    error: str
    expected: str
    tolerance: str
    verdict: str
    strength: str = ""
    """The deviation beyond which it would have failed; empty unless it holds."""
    relative: str = ""
    """The same over what is expected, or for a bound over what was measured."""
    here: str = ""
    """What was measured on one machine, where the digits of another are others."""


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
    widens no tolerance: where it is large, *holds* and *fails* become *undecided*.

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
    check = Check(what, *_shown(value, error, digits), _short(expected), _short(within), verdict)
    return _with_strength(check, within, float(expected))


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

    As :func:`at_most` for the largest of them, whose digits are those of a machine. So the record
    shows the rung of :data:`LADDER` that is at least ten times as large, or the bound if that is
    less. A deviation that is not a number fails.

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
    here = f"{sizes.max():.1e}"
    if not (sizes <= bound).all():
        return Check(
            what, f"not ≤ {_short(bound)}", "", f"≤ {_short(bound)}", "0", "fails", here=here
        )
    rung = min([bound, *(rung for rung in LADDER if rung >= 10 * sizes.max())])
    expected = f"≤ {_short(bound)}"
    return Check(what, f"≤ {_short(rung)}", "", expected, "0", "holds", _short(bound), here=here)


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

    The record says whether it holds, and what was expected; the number is that of one machine.

    >>> check = chaotic(at_most("change", Estimate(-0.173, 0.02), 0))
    >>> check.measured, check.here
    ('chaotic', '-0.173 ± 0.020')
    """
    here = " ± ".join(filter(None, check[1:3]))
    return check._replace(measured="chaotic", error="", strength="", relative="", here=here)


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
    expected = f"{symbol} {_short(bound)}"
    check = Check(what, *_shown(value, error, digits), expected, "0", verdict)
    room = sign * (bound - float(check.measured))
    return _with_strength(check, room, float(check.measured) if bound else 0.0)


def _with_strength(check, room, size):
    """A check with the deviation beyond which it would have failed, from the numbers it shows.

    What is only undecided has none. A share says nothing of a bound at zero, whose own size is all
    there is, nor of what differs by rounding alone.
    """
    beyond = room + 2 * float(check.error or 0)
    if check.verdict != "holds" or not math.isfinite(beyond):
        return check
    share = 100 * beyond / abs(size) if size and math.isfinite(size) else math.nan
    relative = f"{_short(share, max(2, len(f'{share:.0f}')))} %" if 1e-4 < share < 1000 else ""
    return check._replace(strength=_short(beyond, 2), relative=relative)


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


def _short(value, digits=4):
    return re.sub(r"e([+-])0", r"e\1", f"{value:.{digits}g}")
