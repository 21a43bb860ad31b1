import pytest

from lazyrich.book import rendering
from lazyrich.book.checks import at_most, exactly, near
from lazyrich.book.claims import claim
from lazyrich.book.estimates import Estimate


def record(*checks, identifier="M1", chapter="a", **options):
    defaults = {"source": "Theorem 1", "basis": "paper", "scale": "book"}
    judged = claim(identifier, "A statement.", *checks, **(defaults | options))
    return {"chapter": chapter, **judged.record}


def test_the_mark_of_a_reduced_scale_is_shown_where_something_was_done():
    held = exactly("x", 1, 1)
    assert rendering.outcome(record(held)) == "holds"
    assert rendering.outcome(record(held, reduced=True)) == "holds (at reduced scale)"
    assert rendering.outcome(record(reduced=True, reason="No.")) == "not attempted"


def test_text_has_a_line_for_each_check():
    shown = record(
        near("a < b", Estimate(-0.97, 0.02), -1.0, 0.15), at_most("c", 3.0, 2.0), reason="So."
    )
    assert rendering.as_text(shown).splitlines() == [
        "M1  HOLDS IN PART",
        "A statement.",
        "  a < b: -0.970 ± 0.020, expected -1 ± 0.15: holds",
        "  c: 3.00, expected ≤ 2: fails",
        "So.",
        "[Theorem 1; basis: paper; scale: book]",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1.5, "−1.50"), (1.5e-7, "1.50e−7"), (float("-inf"), "−inf")],
)
def test_html_has_a_true_minus_sign(value, shown):
    assert f"<td>{shown}</td>" in rendering.as_html(record(at_most("a-1 & b", value, 2.0)))
    assert "<td>a-1 &amp; b</td>" in rendering.as_html(record(at_most("a-1 & b", value, 2.0)))


def test_a_claim_without_checks_has_no_table():
    assert "<table>" not in rendering.as_html(record(reason="No data."))


def test_the_scorecard_lists_chapters_and_counts_verdicts():
    records = [
        record(exactly("x", 1, 1), chapter="mechanisms", reduced=True),
        record(identifier="M2", chapter="mechanisms", reason="No."),
        record(exactly("x", 1, 2), identifier="W1", chapter="waves"),
    ]
    assert rendering.scorecard(records).splitlines() == [
        "mechanisms",
        "  M1   holds (at reduced scale)     A statement.",
        "  M2   not attempted                A statement.",
        "",
        "waves",
        "  W1   fails                        A statement.",
        "",
        "3 claims: 1 holds, 1 fails, 1 not attempted",
    ]
