"""How claims are shown: each as text and as HTML, and all of them as a scorecard.

A claim comes as the record that :func:`lazyrich.book.claims.claim` makes. What stands beside it of
other seeds, sizes and broken formulas is its evidence (:mod:`lazyrich.book.evidence`).
"""

import html
import re
from collections.abc import Sequence

VERDICTS = ("holds", "holds in part", "fails", "undecided", "measured", "not attempted")
RELATION = {
    "statement": "the paper’s statement",
    "code": "what the paper’s code does",
    "consequence": "follows from the paper",
    "beyond": "beyond the paper",
}
"""The relations of claims to their papers, in words."""
AT_A_GLANCE = 4
"""How many checks of a claim are shown at once."""


def outcome(record: dict) -> str:
    """The verdict as it is shown, with the mark of a reduced scale where one is due."""
    reduced = record["scale"].endswith(", reduced") and record["verdict"] != "not attempted"
    return record["verdict"] + (" (at reduced scale)" if reduced else "")


def in_number(verdict: str, count: int) -> str:
    """A verdict as it is said of so many.

    >>> in_number("fails", 1), in_number("fails", 2), in_number("undecided", 2)
    ('fails', 'fail', 'undecided')
    """
    plural = {"holds": "hold", "holds in part": "hold in part", "fails": "fail"}
    return plural.get(verdict, verdict) if count > 1 else verdict


def tally(count: dict[str, int]) -> str:
    """How many have each verdict, in words.

    >>> tally({"holds": 4, "fails": 1})
    '4 hold, 1 fails'
    """
    return ", ".join(f"{number} {in_number(name, number)}" for name, number in count.items())


def strength(record: dict) -> str:
    """By how much what is expected would have to be off for the checks to fail, in per cent.

    The least and the most among the predictions that have such a share, or else among the bounds;
    empty if none has.
    """
    with_share = [check for check in record["checks"] if check["relative"]]
    predictions = [check for check in with_share if check["expected"][0] not in "≤≥"]
    shares = [check["relative"].split()[0] for check in predictions or with_share]
    shares = sorted(dict.fromkeys(shares), key=float)
    return f"fails beyond {'–'.join(shares[:1] + shares[1:][-1:])} %" if shares else ""


def as_text(record: dict) -> str:
    """A claim as lines of text: the verdict, the statement, and each check."""
    lines = [f"{record['id']}  {outcome(record).upper()}", record["statement"]]
    for check in record["checks"]:
        parts = [check["measured"] + _plus_minus(check["error"])]
        if check["expected"]:
            beyond = f" (fails beyond {beyond_of(check)})" if check["relative"] else ""
            parts.append(f"expected {_expectation(check)}: {check['verdict']}{beyond}")
        lines.append(f"  {check['what']}: " + ", ".join(parts))
    lines += [record["reason"]] if record["reason"] else []
    about = f"{record['relation']}, {record['kind']}; scale: {record['scale']}"
    lines.append(f"[{record['answers']}; {about}]")
    return "\n".join(lines)


def beyond_of(check: dict) -> str:
    """The deviation beyond which a check would have failed, relative where that makes sense."""
    return check["relative"] or check["strength"]


def as_html(record: dict, evidence: dict | None = None) -> str:
    """A claim as HTML: the same, with the checks in a table and its sources behind a click.

    Args:
        record: the claim, perhaps with what is of one machine (``here``) in its checks.
        evidence: of the claim, or nothing.
    """
    slug = record["verdict"].replace(" ", "-")
    reason = f"<p>{html.escape(record['reason'])}</p>" if record["reason"] else ""
    sources = "".join(f"<li>{_source(one)}</li>" for one in record["sources"])
    return (
        f'<div class="claim {slug}" id="claim-{record["id"]}"><p><strong>{record["id"]}</strong> '
        f'<span class="verdict {slug}">{outcome(record)}</span> '
        f"{html.escape(record['statement'])}</p>{_table(record['checks'])}{reason}"
        f"<details><summary>{html.escape(in_short(record, evidence))}</summary><ul>"
        f"<li>answers: {html.escape(record['answers'])}; scale: {record['scale']}</li>"
        f"{sources}{''.join(f'<li>{html.escape(line)}</li>' for line in broken(evidence))}"
        "</ul></details></div>"
    )


def in_short(record: dict, evidence: dict | None) -> str:
    """What a claim is to its paper, of which kind, and what it stands on, in one line."""
    about = RELATION[record["relation"]], record["kind"], *standing(record, evidence)
    return " · ".join(about)


def standing(record: dict, evidence: dict | None) -> list[str]:
    """What a claim stands on, in a few words each: strength, other seeds, the paper's own size."""
    words = [strength(record)] if strength(record) else []
    evidence = evidence or {}
    if about := evidence.get("seeds"):
        words.append(_at_seeds(about) + _earlier(about))
    if about := evidence.get("paper"):
        where = "at the paper’s size" if record["paper"] else "at scale paper"
        words.append(f"{about['verdict']} {where}{_earlier(about)}")
    return words


def _earlier(about):
    return "" if about["current"] else ", computed with an earlier state"


def depends_on_seed(seeds: dict) -> bool:
    """Whether fewer than nineteen in twenty other seeds come to the verdict of a claim."""
    return seeds["agree"] < 0.95 * seeds["of"]


def _at_seeds(about):
    words = f"{about['agree']} of {about['of']} other seeds agree"
    return (
        f"depends on the seed: {words}, {tally(about['others'])}"
        if depends_on_seed(about)
        else words
    )


def broken(evidence: dict | None) -> list[str]:
    """Which broken formulas a claim has seen, as a line of text, if that was tried."""
    if evidence is None or "broken" not in evidence:
        return []
    seen = ", ".join(evidence["broken"]["by"])
    line = f"turned when these were broken: {seen}" if seen else "no broken formula turned it"
    return [line + _earlier(evidence["broken"])]


def scorecard(records: Sequence[dict]) -> str:
    """The verdicts as lines of text, a chapter at a time, with their count at the end."""
    lines = []
    for chapter in dict.fromkeys(record["chapter"] for record in records):
        lines += ["", chapter]
        for record in (one for one in records if one["chapter"] == chapter):
            lines.append(f"  {record['id']:<4} {outcome(record):<28} {record['statement']}")
    lines += ["", counts(records)]
    identities = [record for record in records if record["kind"] == "identity"]
    if identities and len(identities) < len(records):
        lines.append(f"of these, {counts(identities, 'identity', 'identities')}")
    return "\n".join(lines).lstrip("\n")


def counts(records: Sequence[dict], one: str = "claim", many: str = "claims") -> str:
    """How many claims there are, and how many of each verdict."""
    found = [record["verdict"] for record in records]
    each = ", ".join(f"{found.count(name)} {name}" for name in VERDICTS if name in found)
    return f"{len(found)} {one if len(found) == 1 else many}: {each}"


def _table(checks):
    """The checks, behind a click where they are more than a reader takes in at a glance."""
    titles = ("check", "measured", "expected", "fails beyond", "")
    head = "".join(f"<th>{title}</th>" for title in titles)
    rows = "".join(map(_row, checks))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    if len(checks) <= AT_A_GLANCE:
        return table
    found = [check["verdict"] for check in checks]
    count = {name: found.count(name) for name in dict.fromkeys(found)}
    return f"<details><summary>{len(checks)} checks: {tally(count)}</summary>{table}</details>"


def _row(check):
    here = f' title="{html.escape(check["here"])} on one machine"' if check.get("here") else ""
    measured = _number(check["measured"] + _plus_minus(check["error"]))
    return (
        f"<tr><td>{html.escape(check['what'])}</td><td{here}>{measured}</td>"
        f"<td>{_number(_expectation(check)) or '–'}</td><td>{_number(beyond_of(check)) or '–'}</td>"
        f'<td class="verdict {check["verdict"].replace(" ", "-")}">{check["verdict"]}</td></tr>'
    )


def _source(source):
    title = html.escape(source["title"])
    if source["address"]:
        title = f'<a href="{html.escape(source["address"])}">{title}</a>'
    rest = filter(None, (source["version"], source["place"], source["how"]))
    return ", ".join([title, *map(html.escape, rest)])


def _expectation(check):
    tolerance = check["tolerance"]
    return check["expected"] + _plus_minus("" if tolerance == "0" else tolerance)


def _plus_minus(spread):
    return f" ± {spread}" if spread else ""


def _number(text):
    """Text for HTML, with a true minus sign in front of a number."""
    return re.sub(r"(?<![\w.])-(?=[\d.]|inf)|(?<=e)-(?=\d)", "−", html.escape(text))
