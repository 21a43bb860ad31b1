import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from lazyrich.book import checks, claims, notebooks, rendering
from lazyrich.book.checks import at_least, at_most, chaotic, exactly, measured, near, negligible
from lazyrich.book.estimates import Estimate

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
NUMBERS = st.floats(-1e6, 1e6)
ERRORS = st.floats(0, 1e3)


# One check. The numbers are sums of powers of two, so that the borders are met exactly.


@pytest.mark.parametrize(
    ("value", "within", "error", "verdict"),
    [
        (0.0, 0.0, 0.0, HOLDS),
        (0.5, 0.5, 0.0, HOLDS),  # |δ| = τ
        (math.nextafter(0.5, 1), 0.5, 0.0, FAILS),
        (0.5, 0.5, 0.25, HOLDS),  # |δ| = τ, 2s = τ
        (math.nextafter(0.5, 1), 0.5, 0.25, UNDECIDED),
        (1.0, 0.5, 0.25, UNDECIDED),  # |δ| = τ + 2s
        (math.nextafter(1.0, 2), 0.5, 0.25, FAILS),
        (0.0, 0.5, 0.25, HOLDS),  # 2s = τ
        (0.0, 0.5, math.nextafter(0.25, 1), UNDECIDED),
        (2.5, 0.5, 1.0, UNDECIDED),  # |δ| = τ + 2s, 2s > τ
        (2.75, 0.5, 1.0, FAILS),
        (0.0, 0.0, 0.125, UNDECIDED),
        (math.nan, 0.5, 0.0, FAILS),
        (math.nan, 0.5, 1.0, FAILS),
        (math.inf, 0.5, 1.0, FAILS),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_near_at_its_borders(value, within, error, verdict, sign):
    assert near("x", Estimate(sign * value, error), 0.0, within).verdict == verdict


@pytest.mark.parametrize("value", [1.0, 3.0])
def test_near_is_about_the_deviation_from_what_is_expected(value):
    assert near("x", value, 2.0, 1.0).verdict == HOLDS
    assert near("x", value, 2.0, 0.875).verdict == FAILS
    assert near("x", Estimate(value, 0.25), 2.0, 0.5).verdict == UNDECIDED
    assert near("x", Estimate(value, 0.125), 2.0, 0.5).verdict == FAILS


@pytest.mark.parametrize(
    ("excess", "error", "verdict"),
    [
        (0.0, 0.0, HOLDS),
        (-1.0, 0.0, HOLDS),
        (math.ulp(1.0), 0.0, FAILS),
        (0.5, 0.25, UNDECIDED),  # + 2s
        (0.5 + math.ulp(1.0), 0.25, FAILS),
        (0.0, 0.25, UNDECIDED),
        (-0.5 + math.ulp(1.0), 0.25, UNDECIDED),
        (-0.5, 0.25, HOLDS),  # − 2s
        (math.nan, 0.0, FAILS),
        (math.nan, 1.0, FAILS),
    ],
)
def test_one_sided_checks_at_their_borders(excess, error, verdict):
    assert at_most("x", Estimate(1 + excess, error), 1).verdict == verdict
    assert at_least("x", Estimate(1 - excess, error), 1).verdict == verdict


def test_one_sided_checks_of_infinite_values():
    assert at_most("x", math.inf, 1.0).verdict == FAILS
    assert at_most("x", -math.inf, 1.0).verdict == HOLDS
    assert at_least("x", math.inf, 1.0).verdict == HOLDS
    assert at_least("x", -math.inf, 1.0).verdict == FAILS


def test_exactly_is_met_or_not():
    assert exactly("count", 3, 3) == checks.Check("count", "3", "", "3", "0", HOLDS)
    assert exactly("count", 2, 3).verdict == FAILS
    assert exactly("phase", "kernel", "frozen").verdict == FAILS


def test_what_is_measured_expects_nothing():
    check = measured("rate", Estimate(0.123456, 0.01))
    assert check == checks.Check("rate", "0.123", "0.010", "", "", "measured")
    assert measured("form", "a straight line").measured == "a straight line"


@pytest.mark.parametrize("error", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "check",
    [
        lambda error: near("x", Estimate(0.0, error), 0.0, 1.0),
        lambda error: at_most("x", Estimate(0.0, error), 1.0),
        lambda error: at_least("x", Estimate(0.0, error), 1.0),
        lambda error: measured("x", Estimate(0.0, error)),
    ],
)
def test_an_error_that_is_none_is_refused(check, error):
    with pytest.raises(ValueError, match="error must be finite and not negative, got .* for 'x'"):
        check(error)


@pytest.mark.parametrize("within", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_none_is_refused(within):
    with pytest.raises(ValueError, match="within must be finite and not negative"):
        near("x", 0.0, 0.0, within)


# Noise.


@given(NUMBERS, NUMBERS, ERRORS, ERRORS, ERRORS)
def test_noise_never_helps_to_hold(value, expected, within, error, more):
    if near("x", Estimate(value, error), expected, within).verdict != HOLDS:
        assert near("x", Estimate(value, error + more), expected, within).verdict != HOLDS


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(0, 10))
def test_what_holds_lies_within_the_tolerance_and_is_known_to_it(value, within, error):
    if near("x", Estimate(value, error), 0.0, within).verdict == HOLDS:
        assert 2 * error <= within
        assert abs(value) <= within


@given(NUMBERS, NUMBERS, ERRORS, ERRORS)
@pytest.mark.parametrize("check", [at_most, at_least])
def test_noise_never_helps_a_one_sided_check_to_hold(check, value, bound, error, more):
    if check("x", Estimate(value, error + more), bound).verdict == HOLDS:
        assert check("x", Estimate(value, error), bound).verdict == HOLDS


@given(NUMBERS, NUMBERS, ERRORS, ERRORS)
def test_noise_never_makes_a_check_fail(value, expected, error, more):
    for check in (
        lambda s: near("x", Estimate(value, s), expected, 1.0),
        lambda s: at_most("x", Estimate(value, s), 1),
    ):
        if check(error).verdict != FAILS:
            assert check(error + more).verdict != FAILS


# How numbers are rounded in the record.


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.123456, 0.0, ("0.123", "")),
        (12345.6, 0.0, ("12346", "")),
        (123456789.0, 0.0, ("1.23e+8", "")),
        (0.0000123, 0.0, ("1.23e-5", "")),
        (0.0, 0.0, ("0", "")),
        (-1.0, 0.0, ("-1.00", "")),
        (0.123456, 0.0123, ("0.123", "0.012")),
        (0.123456, 0.4, ("0.12", "0.40")),
        (12.3456, 3.21, ("12.3", "3.2")),
        (1234.5, 321.0, ("1234", "321")),
        (1.0, 1e-9, ("1.00", "1.0e-9")),
        (2e7, 1e3, ("2.00e+7", "1000")),
        (math.nan, 0.5, ("nan", "")),
        (math.inf, 0.0, ("inf", "")),
    ],
)
def test_a_number_is_shown_to_two_digits_of_its_error_or_three_of_its_own(value, error, shown):
    check = measured("x", Estimate(value, error))
    assert (check.measured, check.error) == shown


def test_more_digits_can_be_shown():
    assert near("x", 1.234567, 1.2, 0.1, digits=5).measured == "1.2346"


# What is negligible: shown by a size that other machines reach too.


@pytest.mark.parametrize(
    ("deviations", "here", "verdict", "shown"),
    [
        (-1e-10, "1.0e-10", HOLDS, "≤ 1e-10"),
        (1.1e-10, "1.1e-10", FAILS, "not ≤ 1e-10"),
        ([0.0, -1e-10], "1.0e-10", HOLDS, "≤ 1e-10"),
        ([0.0, -2e-10], "2.0e-10", FAILS, "not ≤ 1e-10"),
        ([0.0, math.nan], "nan", FAILS, "not ≤ 1e-10"),
        ([0.0, math.inf], "inf", FAILS, "not ≤ 1e-10"),
    ],
)
def test_negligible_deviations_all_lie_within_the_bound(deviations, here, verdict, shown):
    check = negligible("x", deviations, 1e-10)
    strength = "1e-10" if verdict == HOLDS else ""
    expected = checks.Check("x", shown, "", "≤ 1e-10", "0", verdict, strength, here=here)
    assert check == expected


def test_no_deviations_at_all_are_refused():
    with pytest.raises(ValueError, match="deviations must hold at least one number"):
        negligible("x", [], 1e-10)


# The same of many cases.


def test_a_mapping_of_cases_gives_a_check_for_each():
    slopes = {"a": Estimate(1.0, 0.01), "b": 2.0}
    checks = near("slope of {}", slopes, {"b": 2.0, "a": 1.5}, within=0.1)
    assert checks == [
        near("slope of a", Estimate(1.0, 0.01), 1.5, 0.1),
        near("slope of b", 2.0, 2.0, 0.1),
    ]
    within, digits = {"a": 1.0, "b": 0.1}, {"a": 3, "b": 5}
    first, second = near("slope of {}", slopes, 1.5, within=within, digits=digits)
    assert (first.verdict, second.verdict, second.measured) == (HOLDS, FAILS, "2.0000")


@pytest.mark.parametrize("check", [at_most, at_least, negligible, exactly])
def test_every_check_takes_a_mapping(check):
    found = check("{:g} of {}", {(0.1, "a"): 3, (20.0, "b"): 4}, 3)
    assert found == [check("0.1 of a", 3, 3), check("20 of b", 4, 3)]
    assert measured("{}", {"a": 0.5, "b": "none"}) == [measured("a", 0.5), measured("b", "none")]


def test_the_name_of_one_case_may_hold_braces():
    assert near("slope {x}", 1.0, 1.0, 0.1).what == "slope {x}"


def test_a_claim_takes_checks_and_lists_of_them():
    one, many = near("a", 1.0, 1.0, 0.1), at_most("{}", {"b": 1, "c": 2}, 3)
    assert judge(one, many).record == judge(one, *many).record


# A claim.


def of(*verdicts):
    return checks.verdict([checks.Check("", "", "", "", "", verdict) for verdict in verdicts])


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ((HOLDS,), HOLDS),
        ((HOLDS, HOLDS), HOLDS),
        ((FAILS, FAILS), FAILS),
        ((UNDECIDED, UNDECIDED), UNDECIDED),
        ((HOLDS, FAILS), "holds in part"),
        ((HOLDS, UNDECIDED), UNDECIDED),
        ((FAILS, UNDECIDED), FAILS),
        ((HOLDS, FAILS, UNDECIDED), "holds in part"),
        (("measured",), "measured"),
        (("measured", HOLDS), HOLDS),
        (("measured", FAILS), FAILS),
        (("measured", UNDECIDED, HOLDS), UNDECIDED),
    ],
)
def test_the_verdict_of_a_claim_on_its_checks(checks, verdict):
    assert of(*checks) == of(*reversed(checks)) == verdict


def judge(*checks, identifier="M1", statement="A statement.", **options):
    read = {
        "paper": claims.Source("A paper", "https://arxiv.org/abs/1", "v2", "its abstract"),
        "code": claims.Source("Its code"),
    }
    defaults = {"answers": "Theorem 1", "relation": "statement", "kind": "law", "read": read}
    defaults |= {"sources": ["paper"], "scale": "book"}
    return claims.claim(identifier, statement, *checks, **(defaults | options))


def test_the_record_of_a_claim():
    check = near("slope", Estimate(-0.97, 0.02), -1.0, 0.15)
    assert judge(check, headline=True).record == {
        "id": "M1",
        "paper": "https://arxiv.org/abs/1",
        "answers": "Theorem 1",
        "relation": "statement",
        "kind": "law",
        "sources": [
            {
                "title": "A paper",
                "address": "https://arxiv.org/abs/1",
                "version": "v2",
                "how": "its abstract",
                "place": "",
            }
        ],
        "statement": "A statement.",
        "headline": True,
        "scale": "book",
        "verdict": "holds",
        "reason": "",
        "checks": [
            {
                "what": "slope",
                "measured": "-0.970",
                "error": "0.020",
                "expected": "-1",
                "tolerance": "0.15",
                "verdict": "holds",
                "strength": "0.19",
                "relative": "19 %",
            }
        ],
    }


def test_text_and_html_show_what_the_record_says():
    shown = judge(
        near("a < b", Estimate(-0.97, 0.02), -1.0, 0.15), at_most("c", 3.0, 2.0), reason="A & B."
    )
    bundle, beside = shown._repr_mimebundle_()
    assert beside == {}
    assert set(bundle) == {"application/vnd.lazyrich.claim+json", "text/html", "text/plain"}
    assert bundle[claims.MIME] == json.loads(json.dumps(shown.record))
    assert bundle["text/plain"].splitlines() == [
        "M1  HOLDS IN PART",
        "A statement.",
        "  a < b: -0.970 ± 0.020, expected -1 ± 0.15: holds (fails beyond 19 %)",
        "  c: 3.00, expected ≤ 2: fails",
        "A & B.",
        "[Theorem 1; statement, law; scale: book]",
    ]
    for part in (
        "a &lt; b",
        "A &amp; B.",
        'id="claim-M1"',
        "−0.970 ± 0.020",
        "≤ 2",
        "holds in part",
    ):
        assert part in bundle["text/html"]


def test_a_reason_is_owed_where_nothing_was_judged_and_dropped_where_all_holds():
    with pytest.raises(ValueError, match="reason must say why claim M1 is not attempted"):
        judge()
    with pytest.raises(ValueError, match="reason must say why claim M1 is measured"):
        judge(measured("x", 1.0))
    assert judge(reason="No data.").record["verdict"] == "not attempted"
    assert judge(exactly("x", 1, 1), reason="So.").record["reason"] == ""
    assert judge(exactly("x", 1, 2), reason="So.").record["reason"] == "So."


def test_the_mark_of_a_reduced_scale():
    record = judge(exactly("x", 1, 1), reduced=True).record
    assert record["scale"] == "book, reduced"
    assert judge(exactly("x", 1, 1)).record["scale"] == "book"


@pytest.mark.parametrize("identifier", ["", "M", "1", "MM1", "M1a", "1M", "m1", "M²"])
def test_an_identifier_is_a_letter_and_a_number(identifier):
    with pytest.raises(ValueError, match="identifier must be a capital letter and a number"):
        judge(exactly("x", 1, 1), identifier=identifier)


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("relation", "hearsay", "relation must be one of 'statement', .* got 'hearsay'"),
        ("kind", "rule", "kind must be one of 'identity', .* got 'rule'"),
        ("sources", ["paper", "blog"], "sources must be one of 'paper', 'code', got 'blog'"),
        ("sources", {}, "sources must name at least one of paper, code, got none"),
    ],
)
def test_what_a_claim_is_to_its_paper_is_one_of_few_words(option, value, match):
    with pytest.raises(ValueError, match=match):
        judge(exactly("x", 1, 1), **{option: value})


def test_a_source_may_have_a_place():
    record = judge(exactly("x", 1, 1), sources={"code": "train.py, line 3", "paper": ""}).record
    assert [source["place"] for source in record["sources"]] == ["train.py, line 3", ""]
    assert record["paper"] == "https://arxiv.org/abs/1"
    shown = rendering.as_html(record)
    assert '<a href="https://arxiv.org/abs/1">A paper</a>, v2, its abstract' in shown
    assert "<li>Its code, train.py, line 3</li>" in shown


# What is of one machine.


def test_numbers_of_one_machine_stand_beside_the_record():
    judged = judge(
        exactly("x", 1, 1),
        negligible("drift", 3e-13, 1e-8),
        chaotic(at_most("change", Estimate(-0.173, 0.02), 0)),
    )
    data, beside = judged._repr_mimebundle_()
    assert "e-13" not in json.dumps(data) and "0.173" not in json.dumps(data)
    assert beside == {claims.MIME: {"here": {"1": "3.0e-13", "2": "-0.173 ± 0.020"}}}


@pytest.mark.parametrize(
    ("deviation", "bound", "shown"),
    [
        (0.0, 1e-8, "≤ 1e-12"),
        (1e-13, 1e-8, "≤ 1e-12"),
        (2e-13, 1e-8, "≤ 1e-9"),
        (9e-9, 1e-8, "≤ 1e-8"),
        (1e-4, 1.0, "≤ 0.001"),
        (2e-4, 1.0, "≤ 1"),
        (2.0, 1.0, "not ≤ 1"),
    ],
)
def test_an_identity_shows_a_rung_that_other_machines_reach_too(deviation, bound, shown):
    assert negligible("x", [deviation, 0.0], bound).measured == shown


# How strong a check is.


@pytest.mark.parametrize(
    ("check", "strength", "relative"),
    [
        (near("x", 1.9, 2.0, 0.5), "0.5", "25 %"),
        (near("x", Estimate(-1.9, 0.1), -2.0, 0.5), "0.7", "35 %"),
        (near("x", 0.1, 0.0, 0.5), "0.5", ""),
        (near("x", 3.0, 2.0, 0.5), "", ""),
        (at_most("x", 3.0, 4.0), "1", "33 %"),
        (at_most("x", Estimate(3.0, 0.25), 4.0), "1.5", "50 %"),
        (at_least("x", 5.0, 4.0), "1", "20 %"),
        (at_least("x", 3.0, 4.0), "", ""),
        (at_most("x", 1e-9, 4.0), "4", ""),  # no share of what was measured means anything
        (at_most("x", -math.inf, 4.0), "", ""),
        (negligible("x", 0.0, 1e-8), "1e-8", ""),
        (exactly("x", 1, 1), "", ""),
        (measured("x", 1.0), "", ""),
    ],
)
def test_the_deviation_beyond_which_a_check_would_have_failed(check, strength, relative):
    assert (check.strength, check.relative) == (strength, relative)


@given(st.floats(-10, 10), st.floats(0.01, 10), st.floats(0, 10), st.floats(0.1, 10))
def test_a_check_fails_beyond_its_strength(value, within, error, expected):
    check = near("x", Estimate(value, error), expected, within)
    if check.strength:
        beyond = 1.1 * float(check.strength) + 0.1
        assert near("x", Estimate(expected + beyond, error), expected, within).verdict == FAILS


# Notebooks as the store.


@pytest.fixture
def save(tmp_path):
    """A function that writes a notebook with claims in its outputs."""

    def write(name, *shown):
        bundles = [one._repr_mimebundle_() for one in shown]
        outputs = [v4.new_output("display_data", data, metadata=more) for data, more in bundles]
        cells = [v4.new_markdown_cell("Prose."), v4.new_code_cell("1", outputs=outputs)]
        notebooks.write(tmp_path / f"{name}.ipynb", v4.new_notebook(cells=cells))
        return tmp_path

    return write


def test_claims_are_read_in_the_order_of_their_numbers(save):
    held = negligible("x", 1e-13, 1)
    save("waves", judge(held, identifier="W1"))
    folder = save("mechanisms", *(judge(held, identifier=name) for name in ("M10", "M9", "M2")))
    records = claims.recorded(folder)
    assert [record["id"] for record in records] == ["M2", "M9", "M10", "W1"]
    assert [record["chapter"] for record in records] == ["mechanisms"] * 3 + ["waves"]
    assert records == claims.recorded(str(folder))
    [check] = judge(held, identifier="W1").record["checks"]
    expected = {"chapter": "waves", **judge(held, identifier="W1").record}
    assert records[3] == expected | {"checks": [check | {"here": "1.0e-13"}]}


def test_what_is_read_is_what_the_schema_says(save):
    checks = near("a", 1.0, 1.0, 0.1), negligible("b", 1e-13, 1), measured("c", "word")
    records = claims.recorded(save("a", judge(*checks)))
    schema = json.loads(claims.SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(records)
    for name in records[0]:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate([{key: records[0][key] for key in records[0] if key != name}])


def test_a_claim_that_occurs_twice_is_refused(save):
    save("a", judge(exactly("x", 1, 1)))
    folder = save("b", judge(exactly("x", 1, 2)))
    with pytest.raises(ValueError, match="claim M1 must occur once, got it again in .*b.ipynb"):
        claims.recorded(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "1", '{"cells": 3}', '{"cells": [4]}'])
def test_a_file_that_is_no_notebook_is_refused(content, tmp_path):
    (tmp_path / "broken.ipynb").write_text(content)
    with pytest.raises(ValueError, match="broken.ipynb must be a notebook"):
        claims.recorded(tmp_path)


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_notebooks_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="folder must hold notebooks"):
        claims.recorded(tmp_path / name)


@pytest.mark.parametrize(
    "record", ["M1", {}, {"id": 1, "verdict": "holds"}, {"id": "M1"}, {"id": "m", "verdict": "x"}]
)
def test_a_record_that_is_no_claim_is_refused(record, tmp_path):
    cell = {"outputs": [{"data": {claims.MIME: record}}]}
    (tmp_path / "broken.ipynb").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ValueError, match="broken.ipynb must be a notebook"):
        claims.recorded(tmp_path)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_a_chaotic_check_keeps_its_verdict_and_hides_its_number(value):
    plain = at_most("change", Estimate(value, 0.1), 0)
    hidden = chaotic(plain)
    assert (hidden.measured, hidden.error) == ("chaotic", "")
    assert (hidden.verdict, hidden.expected, hidden.what) == (
        plain.verdict,
        plain.expected,
        plain.what,
    )
