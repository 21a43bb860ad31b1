"""The first page, the scorecard, and what stands beside claims and figures, in a browser."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="make test-browser installs it")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe

WIDTHS = {"light": (1440, 390, 320), "dark": (390, 1440, 320)}  # first as the page is opened
TOC = Path(__file__).parents[2].joinpath("_toc.yml").read_text(encoding="utf-8")
PAGES = [*re.findall(r"(?:root|file): (\w+)", TOC), "genindex"]
# What axe cannot see: whether a formula, which it is not shown for the sake of time, is a header.
UNSEEN = {"rules": {"empty-table-header": {"enabled": False}}, "preload": False}
COLOURS = {"runOnly": ["color-contrast"], "preload": False}  # what the dark changes
DUPLICATES = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}"""


def shown(page):
    return page.locator("li.judged:visible").count()


def tally(page):
    """The numbers above the list: of all that are shown, and of each verdict."""
    parts = page.locator(".tallies .tally:visible").all()
    return [[int(n) for n in re.findall(r"\d+", part.inner_text())] for part in parts]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("theme", WIDTHS)
def test_a_page_is_whole_and_can_be_used_by_all(open_page, name, theme):
    page = open_page(name, width=WIDTHS[theme][0], theme=theme)
    page.wait_for_function(
        "() => [...document.querySelectorAll('article .math')]"
        ".every((one) => one.querySelector('mjx-container'))"
    )
    assert page.evaluate(DUPLICATES) == []
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("meta[name=viewport]").count() == 1
    assert page.locator("meta[name=description]").count() == 1
    if name != "api":  # whose signatures take axe minutes
        rules = UNSEEN if theme == "light" else COLOURS
        found = Axe().run(page, context={"exclude": [["mjx-container"]]}, options=rules)
        wrong = [(one["id"], one["nodes"][0]["target"]) for one in found.response["violations"]]
        assert wrong == []
    for width in WIDTHS[theme]:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        within = page.locator("mjx-container[tabindex='0']:not(.scrolls)")
        assert within.count() == 0, "a formula that fits is no stop of the Tab key"


@pytest.mark.parametrize("name", ["running", "performance"])
def test_a_page_without_formulas_loads_no_mathjax(open_page, name):
    page = open_page(name)
    assert page.locator("article .math").count() == 0
    assert page.evaluate("window.MathJax === undefined")


def test_the_numbers_of_the_first_page_lead_to_as_many_claims(open_page):
    page = open_page("index")
    for link in page.locator("ul.numbers a").all():
        count, address = (
            int(re.match(r"\D*(\d+)", link.inner_text())[1]),
            link.get_attribute("href"),
        )
        listed = open_page("scorecard", address.partition("scorecard.html")[2])
        assert shown(listed) == count


def test_filters_count_stand_in_the_address_and_go(open_page):
    page = open_page("scorecard")
    total = shown(page)
    assert total == page.locator("li.judged").count() > 100
    page.get_by_label("verdict", exact=True).select_option("holds in part")
    assert 0 < shown(page) < total
    assert sum(numbers[0] for numbers in tally(page)) == shown(page)
    assert page.evaluate("location.hash") == "#verdict=holds-in-part"
    page.get_by_label("headline").check()
    chosen = shown(page)
    assert (
        open_page("scorecard", page.evaluate("location.hash")).locator("li.judged:visible").count()
        == chosen
    )
    page.get_by_role("button", name="Show all").press("Enter")
    page.wait_for_function("location.hash === ''")
    assert shown(page) == total


def test_a_choice_that_there_is_not_shows_all(open_page):
    page = open_page("scorecard", "#verdict=marvellous")
    assert shown(page) == page.locator("li.judged").count()


def test_each_claim_leads_to_its_line(open_page):
    page = open_page("scorecard")
    for chapter in ("linearization", "mechanisms"):
        found = page.locator(f"li.judged.chapter-{chapter} > p:first-child a.reference").all()
        targets = {link.get_attribute("href") for link in found}
        there = open_page(chapter)
        for target in targets:
            name, _, anchor = target.partition("#")
            assert name == f"{chapter}.html" and there.locator(f"[id='{anchor}']").count() == 1
    page.locator("li.judged a", has_text="Why").first.click()
    assert page.locator(":target").count() == 1


@pytest.mark.parametrize("number", ["M17", "W3", "G5"])
def test_the_search_finds_a_claim_by_its_number(open_page, number):
    page = open_page("search", f"?q={number}")
    first = page.locator("#search-results li a").first
    first.wait_for()
    assert first.get_attribute("href").endswith(f"#claim-{number}")


def test_a_claim_is_a_region_and_its_citation_is_copied(open_page):
    page = open_page("mechanisms", "#claim-M2")
    claim = page.get_by_role("region", name="Claim M2", exact=True)
    assert claim.count() == 1
    claim.hover()
    claim.get_by_role("button", name="Cite claim M2").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("@misc{lazyrich:claim-M2,") and "mechanisms.html#claim-M2" in copied
    assert "file:" not in copied
    assert page.get_by_role("status").filter(has_text="BibTeX").count() == 1


def test_under_a_figure_stands_what_reproduces_it(open_page):
    page = open_page("mechanisms", "#fig-angle")
    figure = page.locator("#fig-angle")
    assert ".venv/bin/lazyrich reproduce 'mechanisms#fig-angle' --out out" in figure.inner_text()
    figure.hover()
    figure.get_by_role("button", name="Copy the command").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == ".venv/bin/lazyrich reproduce 'mechanisms#fig-angle' --out out"
    figure.get_by_role("link", name="code", exact=True).click()
    assert 'figures.show("fig-angle"' in page.locator(":target").inner_text().replace("'", '"')


@pytest.mark.parametrize("reach", ["hover", "focus"])
def test_escape_closes_a_preview(open_page, reach):
    page = open_page("index")
    page.evaluate("MathJax.startup.promise")  # formulas move what stands after them
    getattr(page.locator("article a", has_text="W3").first, reach)()
    tip = page.locator(".tippy-box")
    tip.wait_for()
    assert "W3" in tip.inner_text()
    page.keyboard.press("Escape")
    tip.wait_for(state="detached")


@pytest.mark.parametrize("name", ["index", "scorecard", "mechanisms"])
def test_links_within_the_book_resolve(open_page, name):
    page = open_page(name)
    folder, known = Path(page.url.removeprefix("file://").partition("#")[0]).parent, {}
    links = page.evaluate(
        "() => [...document.querySelectorAll('article a[href]')].map((a) => a.getAttribute('href'))"
    )
    for link in {one for one in links if not re.match(r"\w+:", one)}:
        path, _, anchor = link.partition("#")
        file = folder / path if path else folder / f"{name}.html"
        assert file.exists(), link
        if anchor and "=" not in anchor and file.suffix == ".html":
            text = known.setdefault(file, file.read_text(encoding="utf-8"))
            assert re.search(rf"id={json.dumps(anchor)}", text), link
