"""How claims are shown: each as text and as HTML, and all of them as a scorecard.

A claim comes as the record that :func:`lazyrich.book.claims.claim` makes.
"""

import html
import re
from collections.abc import Sequence

VERDICTS = ("holds", "holds in part", "fails", "undecided", "measured", "not attempted")


def outcome(record: dict) -> str:
    """The verdict as it is shown, with the mark of a reduced scale where one is due."""
    reduced = record["scale"].endswith(", reduced") and record["verdict"] != "not attempted"
    return record["verdict"] + (" (at reduced scale)" if reduced else "")


def as_text(record: dict) -> str:
    """A claim as lines of text: the verdict, the statement, and each check."""
    lines = [f"{record['id']}  {outcome(record).upper()}", record["statement"]]
    for check in record["checks"]:
        parts = [check["measured"] + _plus_minus(check["error"])]
        if check["expected"]:
            parts.append(f"expected {_expectation(check)}: {check['verdict']}")
        lines.append(f"  {check['what']}: " + ", ".join(parts))
    lines += [record["reason"]] if record["reason"] else []
    lines.append(f"[{record['source']}; basis: {record['basis']}; scale: {record['scale']}]")
    return "\n".join(lines)


def as_html(record: dict) -> str:
    """A claim as HTML: the same, with the checks in a table."""
    slug = record["verdict"].replace(" ", "-")
    rows = "".join(
        f"<tr><td>{html.escape(check['what'])}</td>"
        f"<td>{_number(check['measured'] + _plus_minus(check['error']))}</td>"
        f"<td>{_number(_expectation(check)) or '–'}</td>"
        f'<td class="verdict {check["verdict"].replace(" ", "-")}">{check["verdict"]}</td></tr>'
        for check in record["checks"]
    )
    head = "<tr><th>check</th><th>measured</th><th>expected</th><th></th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""
    reason = f"<p>{html.escape(record['reason'])}</p>" if record["reason"] else ""
    return (
        f'<div class="claim {slug}" id="claim-{record["id"]}"><p><strong>{record["id"]}</strong> '
        f'<span class="verdict {slug}">{outcome(record)}</span> '
        f"{html.escape(record['statement'])}</p>{table}{reason}<p><small>"
        f"{html.escape(record['source'])} · basis: {record['basis']} · scale: {record['scale']}"
        "</small></p></div>"
    )


def scorecard(records: Sequence[dict]) -> str:
    """The verdicts as lines of text, a chapter at a time, with their count at the end."""
    lines = []
    for chapter in dict.fromkeys(record["chapter"] for record in records):
        lines += ["", chapter]
        for record in (one for one in records if one["chapter"] == chapter):
            lines.append(f"  {record['id']:<4} {outcome(record):<28} {record['statement']}")
    found = [record["verdict"] for record in records]
    counts = ", ".join(f"{found.count(one)} {one}" for one in VERDICTS if one in found)
    lines += ["", f"{len(records)} claim{'' if len(records) == 1 else 's'}: {counts}"]
    return "\n".join(lines).lstrip("\n")


def _expectation(check):
    tolerance = check["tolerance"]
    return check["expected"] + _plus_minus("" if tolerance == "0" else tolerance)


def _plus_minus(spread):
    return f" ± {spread}" if spread else ""


def _number(text):
    """Text for HTML, with a true minus sign in front of a number."""
    return re.sub(r"(?<![\w.])-(?=[\d.]|inf)|(?<=e)-(?=\d)", "−", html.escape(text))
