"""Each guard lets a good notebook pass, and stops a copy that is broken in its one way."""

import copy
import getpass
import re
import socket

import pytest
from nbformat import v4

import guards
from lazyrich.book import checks, claims, notebooks

TITLE, PARAMETERS, TOOLS, PROSE, CLAIM, FIGURE = 0, 1, 3, 4, 5, 7
ERROR = v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
WARNING = v4.new_output("stream", name="stderr", text="a warning")


@pytest.fixture
def book(executed, tmp_path):
    """A folder with one good notebook."""
    notebooks.write(tmp_path / "good.ipynb", executed.notebook)
    (tmp_path / "references.bib").write_text("@article{known,\n  title = {Known}\n}\n")
    return tmp_path


@pytest.fixture
def break_copy(book):
    """A function that changes the cells of a copy of the good notebook and gives its path."""

    def write(change, name="good.ipynb"):
        notebook = notebooks.read(book / "good.ipynb")
        change(notebook.cells)
        notebooks.write(book / name, notebook)
        return book / name

    return write


@pytest.mark.parametrize("guard", guards.OF_A_NOTEBOOK)
def test_a_good_notebook_passes(guard, book):
    guard(book / "good.ipynb")


@pytest.mark.parametrize("guard", guards.OF_THE_BOOK)
def test_a_good_book_passes(guard, book):
    guard(book)


def change(number, **fields):
    return lambda cells: cells[number].update(fields)


def tag(number, *tags):
    return lambda cells: cells[number].metadata.update(tags=list(tags))


def drop(*numbers):
    return lambda cells: [cells.pop(number) for number in sorted(numbers, reverse=True)]


def add(output):
    return lambda cells: cells[CLAIM].outputs.append(output)


def say(words):
    return lambda cells: cells[TOOLS].outputs[0].update(text=words)


def picture(content):
    return lambda cells: cells[FIGURE].outputs[0].data.update({"image/png": content})


def about(key, **fields):
    return lambda cells: cells[FIGURE].metadata.mystnb[key].update(fields)


def record(**fields):
    """Change the record of the claim, and leave the text and HTML beside it."""
    return lambda cells: cells[CLAIM].outputs[0].data[claims.MIME].update(fields)


def judge(**fields):
    """Change the record of the claim, and the text and HTML with it."""

    def change(cells):
        data = cells[CLAIM].outputs[0].data
        changed = claims.Claim(copy.deepcopy(data[claims.MIME]) | fields, {})
        data.update(changed._repr_mimebundle_()[0])

    return change


@pytest.mark.parametrize(
    ("guard", "breaking", "message"),
    [
        ("every_cell_has_run", change(CLAIM, execution_count=None), "must be 1 to 4"),
        ("every_cell_has_run", drop(PARAMETERS, TOOLS, CLAIM, FIGURE), "has no code"),
        ("nothing_went_wrong", add(ERROR), "code cell 3 shows an error: ValueError"),
        ("nothing_went_wrong", add(WARNING), "code cell 3 prints to stderr: 'a warning'"),
        ("nothing_went_wrong", tag(TOOLS, "nbval-skip"), "'nbval-skip'"),
        ("nothing_went_wrong", tag(TOOLS, "raises-exception"), "'raises-exception'"),
        ("nothing_went_wrong", change(TOOLS, source="1\n# NBVAL_IGNORE_OUTPUT"), "'nbval-ignore"),
        ("tells_nothing_of_the_machine", say("in /home/someone/x"), "a path: '/home/someone/x'"),
        ("tells_nothing_of_the_machine", say(r"in C:\Users\me"), "a path: "),
        ("tells_nothing_of_the_machine", say("on 2026-11-22"), "a time: '2026-11-22'"),
        ("tells_nothing_of_the_machine", say("at 12:30:05"), "a time: '12:30:05'"),
        ("tells_nothing_of_the_machine", say("took 3.2 seconds"), "a time: '3.2 seconds'"),
        ("tells_nothing_of_the_machine", say("<x at 0x7f12ab34cd56>"), "an address: '0x7f1"),
        ("every_figure_is_complete", change(FIGURE, outputs=[]), "one PNG for fig-draws, got 0"),
        ("every_figure_is_complete", change(FIGURE, source="1"), "one figure by show, got []"),
        ("every_figure_is_complete", change(FIGURE, source="show(x)"), "written out"),
        ("every_figure_is_complete", change(FIGURE, metadata={}), "name must be 'fig-draws'"),
        ("every_figure_is_complete", about("figure", name="fig-x"), "got 'fig-x'"),
        ("every_figure_is_complete", about("figure", caption="Draws"), "must be a sentence"),
        ("every_figure_is_complete", about("image", alt=" "), "must have an alt text"),
        ("every_figure_is_complete", picture("iVBORw0KGgo="), "to 200000 bytes, got 8"),
        ("every_figure_is_complete", picture("AAAA" * 70_000), "to 200000 bytes, got 210000"),
        ("opens_with_parameters", tag(PARAMETERS), "alone must be tagged"),
        ("opens_with_parameters", tag(CLAIM, "parameters"), "alone must be tagged"),
        ("opens_with_parameters", lambda cells: cells.reverse(), "alone must be tagged"),
        ("opens_with_parameters", change(PARAMETERS, source='scale = "quick"'), "'quick'"),
        ("opens_with_parameters", change(PARAMETERS, source='scale = "book"\nseed = 1'), "got"),
        ("prose_stands_between", drop(PROSE), "between code cells 2 and 3"),
        ("prose_stands_between", drop(TITLE), "must begin with a title"),
        ("claims_are_what_they_show", record(verdict="fails"), "text/plain must follow"),
        ("claims_are_what_they_show", record(headline=True, reason="so"), "text/plain must"),
        ("claims_are_what_they_show", judge(verdict="fails"), "verdict must be 'holds'"),
        ("claims_are_what_they_show", judge(checks=[]), "verdict must be 'not attempted'"),
        ("claims_are_what_they_show", judge(scale="quick"), "judged at scale book"),
    ],
)
def test_a_broken_copy_is_stopped(guard, breaking, message, break_copy):
    path = break_copy(breaking)
    with pytest.raises(AssertionError, match=re.escape(message)):
        getattr(guards, guard)(path)


def test_a_claim_that_does_not_hold_and_gives_no_reason_is_stopped(break_copy):
    about = {"answers": "§1", "relation": "beyond", "kind": "law", "sources": ["paper"]}
    about |= {"read": {"paper": claims.Source("A paper")}, "scale": "book"}
    failing = claims.claim("M1", "One is two.", checks.exactly("x", 1, 2), **about)
    path = break_copy(
        lambda cells: cells[CLAIM].outputs[0].data.update(failing._repr_mimebundle_()[0])
    )
    with pytest.raises(AssertionError, match="must give its reason, since it does not hold: fails"):
        guards.claims_are_what_they_show(path)


def test_html_that_does_not_follow_from_the_record_is_stopped(break_copy):
    path = break_copy(lambda cells: cells[CLAIM].outputs[0].data.update({"text/html": "<p></p>"}))
    with pytest.raises(AssertionError, match="text/html must follow"):
        guards.claims_are_what_they_show(path)


@pytest.mark.parametrize("name", [socket.gethostname(), getpass.getuser()])
def test_a_host_or_user_is_stopped_unless_the_notebook_itself_writes_the_name(name, break_copy):
    path = break_copy(say(f"run by {name} today"))
    with pytest.raises(AssertionError, match="name of a host or a user"):
        guards.tells_nothing_of_the_machine(path)
    break_copy(change(TITLE, source=f"# About {name}"))
    guards.tells_nothing_of_the_machine(path)


@pytest.mark.parametrize("spoil", [lambda text: text + "\n", lambda text: text.replace("  ", " ")])
def test_a_file_that_is_not_in_normal_form_is_stopped(spoil, book):
    path = book / "good.ipynb"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(AssertionError, match="must be in normal form"):
        guards.is_in_normal_form(path)


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (judge(id="M3"), "without a gap, got [1, 3]"),
        (judge(id="M2"), "claims M must stand in one chapter"),
    ],
)
def test_claim_numbers_with_a_gap_or_over_two_chapters_are_stopped(
    breaking, message, break_copy, book
):
    break_copy(breaking, "second.ipynb")
    with pytest.raises(AssertionError, match=re.escape(message)):
        guards.claim_numbers_have_no_gap(book)


def test_a_book_without_claims_is_stopped(break_copy, book):
    break_copy(change(CLAIM, outputs=[]))
    with pytest.raises(AssertionError, match="must hold claims"):
        guards.claim_numbers_have_no_gap(book)


def test_a_figure_name_used_twice_is_stopped(break_copy, book):
    break_copy(lambda cells: None, "second.ipynb")
    with pytest.raises(AssertionError, match="fig-draws must occur once"):
        guards.figure_names_are_unique(book)


@pytest.mark.parametrize("role", ["cite", "cite:t", "cite:p"])
def test_a_citation_without_an_entry_is_stopped(role, break_copy, book):
    (book / "page.md").write_text(f"See {{{role}}}`known, other`.")
    with pytest.raises(AssertionError, match="page.md cites 'other'"):
        guards.citations_resolve(book)
    (book / "page.md").unlink()
    break_copy(change(TITLE, source=f"# Title {{{role}}}`unknown`"))
    with pytest.raises(AssertionError, match="good.ipynb cites 'unknown'"):
        guards.citations_resolve(book)
