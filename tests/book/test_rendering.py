import pytest

from lazyrich.book import rendering
from lazyrich.book.checks import at_most, exactly, near, negligible
from lazyrich.book.claims import Source, claim
from lazyrich.book.estimates import Estimate


def record(*checks, identifier="M1", chapter="a", address="https://arxiv.org/abs/1", **options):
    read = {"paper": Source("A paper", address)}
    defaults = {"answers": "Theorem 1", "relation": "statement", "kind": "law", "read": read}
    defaults |= {"sources": ["paper"], "scale": "book"}
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
        "  a < b: -0.970 ± 0.020, expected -1 ± 0.15: holds (fails beyond 19 %)",
        "  c: 3.00, expected ≤ 2: fails",
        "So.",
        "[Theorem 1; statement, law; scale: book]",
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


def test_many_checks_stand_behind_a_click():
    checks = [exactly(f"check {i}", 1, 1) for i in range(rendering.AT_A_GLANCE + 1)]
    assert "<summary>5 checks: 5 hold</summary><table>" in rendering.as_html(record(*checks))
    checks[-1] = exactly("the last", 1, 2)
    assert "5 checks: 4 hold, 1 fails</summary>" in rendering.as_html(record(*checks))
    assert "checks</summary>" not in rendering.as_html(record(*checks[1:]))


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


def test_identities_are_counted_apart():
    held = exactly("x", 1, 1)
    some = record(held), record(held, identifier="M2", kind="identity")
    last = rendering.scorecard(some).splitlines()[-2:]
    assert last == ["2 claims: 2 holds", "of these, 1 identity: 1 holds"]
    assert rendering.scorecard(some[1:]).splitlines()[-1] == "1 claim: 1 holds"


def test_a_claim_says_on_one_line_what_it_stands_on():
    one = record(near("a", 1.0, 1.0, 0.05), near("a", 1.0, 1.0, 0.5), at_most("b", 2.0, 2.5))
    assert rendering.standing(one, None) == ["fails beyond 5–50 %"]
    assert rendering.standing(record(at_most("b", 2.0, 2.5)), None) == ["fails beyond 25 %"]
    evidence = {
        "seeds": {"agree": 19, "others": {"fails": 1}, "of": 20, "current": True},
        "paper": {"verdict": "holds in part", "current": False},
        "broken": {"by": ["spike.edge: × 1.1"], "current": True},
    }
    assert rendering.standing(one, evidence)[1:] == [
        "19 of 20 other seeds agree",
        "holds in part at the paper’s size, computed with an earlier state",
    ]
    without_paper = rendering.standing(record(exactly("x", 1, 1), address=""), evidence)
    assert without_paper[1] == "holds in part at scale paper, computed with an earlier state"
    fewer = {"seeds": evidence["seeds"] | {"agree": 17, "others": {"fails": 1, "undecided": 2}}}
    assert rendering.standing(one, fewer)[1] == (
        "depends on the seed: 17 of 20 other seeds agree, 1 fails, 2 undecided"
    )
    shown = rendering.as_html(one, evidence)
    assert "the paper’s statement · law · fails beyond 5–50 % · 19 of 20 other seeds" in shown
    assert "<li>turned when these were broken: spike.edge: × 1.1</li>" in shown
    assert "<li>no broken formula turned it</li>" in rendering.as_html(
        one, {"broken": {"by": [], "current": True}}
    )
    assert "broken" not in rendering.as_html(one, {})


def test_what_is_of_one_machine_is_told_beside_the_number():
    one = record(negligible("a", 3e-13, 1e-8))
    one["checks"][0]["here"] = "3.0e-13"
    assert '<td title="3.0e-13 on one machine">≤ 1e−9</td>' in rendering.as_html(one)
