"""What the book's own extensions make of claims, figures and docstrings, without building pages."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from nbformat import v4

from lazyrich.book import checks, claims, notebooks, rendering

sys.path.append(str(Path(__file__).parents[1] / "book" / "_ext"))

import lazyrich_api
import lazyrich_pages
import lazyrich_scorecard


def record(identifier, *made, chapter="demo", kind="law", statement="One is one.", reason=""):
    paper = {"paper": claims.Source("A paper", "https://example.org/1")}
    about = {"answers": "§1", "relation": "statement", "sources": ["paper"], "scale": "book"}
    made = made or (checks.exactly("x", 1, 1),)
    one = claims.claim(identifier, statement, *made, read=paper, kind=kind, reason=reason, **about)
    return one.record | {"chapter": chapter, "evidence": {}}


FAILING = checks.exactly("x", 1, 2)
RECORDS = [
    record("H1", chapter="tails"),
    record("M1"),
    record("M2", FAILING, reason="One is not two."),
    record("M3", kind="identity"),
]


@pytest.fixture
def env(tmp_path):
    """A book of two chapters, in whose contents the later letter comes first."""
    for name, title in (("demo", "A demo"), ("tails", "Long tails")):
        cells = [v4.new_markdown_cell(f"# {title}")]
        notebooks.write(tmp_path / f"{name}.ipynb", v4.new_notebook(cells=cells))
    config = SimpleNamespace(external_site_map=["index", "demo", "tails"])
    return SimpleNamespace(config=config, srcdir=tmp_path, found_docs={"demo"}, docname="index")


def text(parts):
    return " ".join(part.astext() for part in parts)


def test_the_claims_come_in_the_order_of_the_book(env):
    ordered = lazyrich_scorecard.in_order(env, RECORDS)
    assert [one["id"] for one in ordered] == ["M1", "M2", "M3", "H1"]


def test_identities_are_counted_apart():
    shown = text(lazyrich_scorecard.numbers(RECORDS))
    assert "Of 3 claims in 2 chapters" in shown and "2 hold" in shown and "1 fails" in shown
    assert "of 1 identities" in shown


def test_a_number_leads_to_its_claims():
    found = lazyrich_scorecard.numbers(RECORDS)[1].findall(nodes.reference)
    addresses = [one["refuri"] for one in found]
    assert "scorecard.html#verdict=fails&kind=not-identity" in addresses


def test_the_page_says_of_each_claim_what_the_filter_asks(env):
    items = [
        item
        for section in lazyrich_scorecard.every(env, RECORDS)
        for item in section.findall(nodes.list_item)
    ]
    assert len(items) == len(RECORDS)
    fields = set(re.findall(r'name="([\w-]+)"', lazyrich_scorecard.form(env, RECORDS).astext()))
    marks = {"headline", "at-reduced-scale", "depends-on-seed"}
    assert fields == {"chapter", "verdict", "relation", "kind", *marks}
    of_m2 = next(item for item in items if "M2" in item.astext())["classes"]
    assert {"chapter-demo", "verdict-fails", "relation-statement", "kind-law"} <= set(of_m2)


def test_what_did_not_hold_stands_with_its_reason_where_the_claim_leads(env):
    [summary, section] = lazyrich_scorecard.lacking(env, RECORDS)
    assert summary.astext() == "1 of the claims did not hold: 1 fails."
    assert section[0].astext() == "A demo"
    [item] = section.findall(nodes.list_item)
    assert item["ids"] == ["why-M2"] and "One is not two." in item.astext()
    leading = [
        reference["refid"]
        for part in lazyrich_scorecard.every(env, RECORDS)
        for reference in part.findall(nodes.reference)
    ]
    assert leading == ["why-M2"]


def test_where_all_holds_nothing_is_lacking(env):
    assert "all claims hold" in text(lazyrich_scorecard.lacking(env, RECORDS[:1]))


def test_formulas_in_statements_are_formulas_and_a_lone_dollar_is_none():
    kinds = [type(part) for part in lazyrich_scorecard.worded("It is $x^2$ there.")]
    assert kinds == [nodes.Text, nodes.math, nodes.Text]
    assert [type(part) for part in lazyrich_scorecard.worded("It costs 1 $.")] == [nodes.Text]
    power = lazyrich_scorecard.worded("It grows like d^1.5, or d^2.")
    assert [part.astext() for part in power] == ["It grows like d", "1.5", ", or d", "2", "."]


def test_a_claim_on_a_page_has_its_number_once_a_name_and_headers():
    one = RECORDS[2]
    page = lazyrich_pages.claim_on_page(rendering.as_html(one, {}), "M2")
    soup = BeautifulSoup(page, "html.parser")
    assert [tag["id"] for tag in soup.find_all(id=True)] == ["claim-M2"]
    assert soup.div["role"] == "region" and soup.div["aria-label"] == "Claim M2"
    assert soup.find("a", class_="headerlink")["href"] == "#claim-M2"
    assert soup.find("button")["data-anchor"] == "claim-M2"
    assert all(head.get_text() for head in soup.find_all("th"))
    assert soup.table["role"] == "table" and {tag["role"] for tag in soup.find_all("td")} == {
        "cell"
    }


def test_indices_and_powers_of_a_claim_are_set_on_its_page():
    one = RECORDS[2] | {"statement": "λ_max falls like n^−¾ & R_β < 1."}
    page = lazyrich_pages.claim_on_page(rendering.as_html(one, {}), "M2")
    assert "λ<sub>max</sub> falls like n<sup>−¾</sup> &amp; R<sub>β</sub> &lt; 1." in page


@pytest.mark.parametrize("drawn", [(), ("svg", "csv")])
def test_below_a_figure_stand_the_command_its_cell_and_the_files_that_there_are(tmp_path, drawn):
    for ending in drawn:
        file = tmp_path / "figures" / "demo" / f"fig-one.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    code = nodes.literal_block("", "show('fig-one')")
    figure = nodes.figure("", ids=["fig-one"])
    document = new_document("demo")
    document += nodes.container("", code, figure, classes=["cell"])
    app = SimpleNamespace(env=SimpleNamespace(docname="demo"), srcdir=tmp_path)
    lazyrich_pages.explain_figures(app, document)
    [command] = figure.findall(nodes.literal)
    assert command.astext() == ".venv/bin/lazyrich reproduce 'demo#fig-one' --out out"
    cell, *files = figure.findall(nodes.reference)
    assert cell["refid"] in code["ids"]
    assert [one["refuri"] for one in files] == [f"figures/demo/fig-one.{each}" for each in drawn]


def test_a_description_ends_at_a_word_and_is_short():
    document = new_document("page")
    document += nodes.paragraph("", "Some words, " * 40)
    found = lazyrich_pages.description(document)
    assert len(found) <= lazyrich_pages.WORDS and found.endswith("Some…")
    assert lazyrich_pages.description(None) == ""


def test_icons_come_from_the_style_sheet_alone():
    head = '<link href="css/fontawesome.css"/><link rel="preload" as="font" href="a.woff2" />\n'
    head += (
        '<script src="vendor/fontawesome/js/all.min.js?d=1"></script><script src="a.js"></script>'
    )
    assert lazyrich_pages.without_icon_script(head) == (
        '<link href="css/fontawesome.css"/><script src="a.js"></script>'
    )


@pytest.mark.parametrize(
    ("written", "set_as"),
    [
        ("x_1 and κ^{1/2}", ["x", "_1", " and κ", "^1/2"]),
        ("C^{0,d}·c^d", ["C", "^0,d", "·c", "^d"]),
        ("W^l_i", ["W", "^l", "_i"]),
        ("n^(−d/2) and F^(k)", ["n", "^−d/2", " and F", "^(k)"]),
        ("Σ_{d≥2} (a + b)^2", ["Σ", "_d≥2", " (a + b)", "^2"]),
        ("snake_case and __init__", ["snake_case and __init__"]),
    ],
)
def test_indices_and_powers_are_set(written, set_as):
    document = new_document("api")
    document += nodes.paragraph("", written)
    document += nodes.paragraph("", "", nodes.literal("", written))
    app = SimpleNamespace(env=SimpleNamespace(docname=lazyrich_api.PAGE))
    lazyrich_api.set_scripts(app, document)
    marks = {nodes.subscript: "_", nodes.superscript: "^"}
    shown = [marks.get(type(part), "") + part.astext() for part in document[0]]
    assert [part for part in shown if part] == set_as
    assert document[1].astext() == written and len(document[1].children) == 1
