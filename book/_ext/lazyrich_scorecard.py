"""The scorecard: what the claims of the folder being built came to, in four forms.

Without an option the directive ``scorecard`` lists every claim, with a form that filters them
(``_static/pages/scorecard.js``). With ``numbers`` it counts, with ``chapters`` it counts in a
table, a chapter a row, and with ``lacking`` it tells what did not hold and why.
"""

import html
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from lazyrich_api import scripted
from lazyrich_book import badge, judged, link, page, paragraph, read, table, verdict
from sphinx.util.docutils import SphinxDirective

from lazyrich.book import claims, notebooks, rendering

PAGE = "scorecard"
LACKING = ("fails", "holds in part", "undecided", "not attempted")
MARKS = {
    "headline": "headline",
    "at-reduced-scale": "at reduced scale",
    "depends-on-seed": "depends on the seed",
}
KINDS = {"not-identity": "all but identities"} | {kind: kind for kind in claims.KINDS}


class Scorecard(SphinxDirective):
    """The verdicts of a chapter, or of all, in one of the forms above."""

    option_spec = {"chapter": directives.unchanged_required} | dict.fromkeys(
        ("numbers", "chapters", "lacking"), directives.flag
    )

    def run(self):
        folder, chapter = Path(self.env.srcdir), self.options.get("chapter")
        for file in judged(folder):
            self.env.note_dependency(str(file))
        if chapter is None:
            self.env.note_reread()  # a new chapter is no dependency yet
        try:
            records = in_order(self.env, read(folder))
        except ValueError as error:
            raise self.error(str(error)) from error
        records = [record for record in records if chapter in (None, record["chapter"])]
        if not records:
            return [paragraph("No claim has been judged here yet.")]
        if "numbers" in self.options:
            return numbers(records)
        if "chapters" in self.options:
            return [by_chapter(self.env, records)]
        if "lacking" in self.options:
            return lacking(self.env, records)
        if chapter is not None:
            return [tallies(records), every_of(records, reasons=True)]
        return [form(self.env, records), tallies(records), *every(self.env, records)]


def in_order(env, records):
    """The claims in the order of the book."""
    pages = list(getattr(env.config, "external_site_map", ()))
    place = {name: number for number, name in enumerate(pages)}
    return sorted(records, key=lambda one: place.get(one["chapter"], len(place)))


def of_chapters(records):
    """The claims of each chapter."""
    names = dict.fromkeys(one["chapter"] for one in records)
    return {name: [one for one in records if one["chapter"] == name] for name in names}


def apart(records):
    """The claims that are no identities, and those that are."""
    identities = [one for one in records if one["kind"] == "identity"]
    return [one for one in records if one["kind"] != "identity"], identities


def found(records):
    """How many claims have each verdict, of those that occur."""
    verdicts = [one["verdict"] for one in records]
    return {name: verdicts.count(name) for name in rendering.VERDICTS if name in verdicts}


def numbers(records):
    """How many claims hold and how many do not, each number a link to these claims."""
    others, identities = apart(records)
    items = []
    for name, count in found(others).items():
        word = rendering.in_number(name, count)
        text = [nodes.strong("", str(count)), nodes.Text(f" {word}")]
        chosen = nodes.inline("", "", *text, classes=["verdict", slug(name)])
        items.append(nodes.list_item("", paragraph("", filtered(name, "not-identity", chosen))))
    chapters = len(of_chapters(records))
    return [
        paragraph(f"Of {len(others)} claims in {chapters} chapters", classes=["numbers"]),
        nodes.bullet_list("", *items, classes=["numbers"]),
        *([of_identities(identities)] if identities else []),
    ]


def of_identities(identities):
    return paragraph(
        f"and of {len(identities)} identities, which are true unless a formula errs, the paper’s "
        f"or ours, {rendering.tally(found(identities))}.",
        classes=["numbers"],
    )


def filtered(verdict, kind, child, chapter="", base=f"{PAGE}.html"):
    """A link to the claims of a kind."""
    state = {"chapter": chapter, "verdict": slug(verdict), "kind": kind}
    state = "&".join(f"{name}={value}" for name, value in state.items() if value)
    return nodes.reference("", "", child, refuri=f"{base}#{state}", internal=True)


def by_chapter(env, records):
    """A table: a chapter a row, a verdict a column, and the identities in the last one."""
    names = [name for name in rendering.VERDICTS if name in found(apart(records)[0])]
    rows = []
    for chapter, those in of_chapters(records).items():
        others, identities = apart(those)
        count = found(others)
        cells = [page(env, chapter, chapter.replace("_", " ")), len(others)]
        for name in names:
            here = nodes.Text(str(count.get(name, 0)))
            cells.append(
                filtered(name, "not-identity", here, chapter, "") if name in count else "–"
            )
        hold = found(identities).get("holds", 0)
        text = f"{hold} of {len(identities)} hold"
        shown = filtered("", "identity", nodes.Text(text), chapter, "")
        rows.append([*cells, shown if identities else "–"])
    heads = [badge(name, name) for name in names]
    return table(["chapter", "claims", *heads, "identities"], rows, "totals")


def lacking(env, records):
    """What did not hold, with the reason, a chapter at a time."""
    records = [one for one in records if one["verdict"] in LACKING]
    if not records:
        return [paragraph("Nothing: all claims hold.")]
    count = rendering.tally(found(records))
    result = [paragraph(f"{len(records)} of the claims did not hold: {count}.")]
    for chapter, those in of_chapters(records).items():
        items = []
        for one in sorted(those, key=lambda one: LACKING.index(one["verdict"])):
            first = paragraph("", link(one), " ", *verdict(one), " ", *said(one))
            why = paragraph("", *worded(one["reason"] or "No reason is given."))
            items.append(nodes.list_item("", first, why, ids=[f"why-{one['id']}"]))
        body = nodes.bullet_list("", *items, classes=["lacking"])
        result.append(section(env, chapter, "lacking", body))
    return result


def every(env, records):
    """All claims, a chapter at a time; the classes of an item say what the form asks for."""
    return [
        section(env, chapter, "claims", every_of(those))
        for chapter, those in of_chapters(records).items()
    ]


def every_of(records, reasons=False):
    """The claims of a chapter; what did not hold gives its reason, or leads to it."""
    items = []
    for one in records:
        statement, reason = paragraph("", *said(one)), []
        if one["verdict"] in LACKING and not reasons:
            statement += [nodes.Text(" "), nodes.reference("", "Why", refid=f"why-{one['id']}")]
        elif one["reason"]:
            reason = [paragraph("", *worded(one["reason"]), classes=["reason"])]
        about = [rendering.in_short(one, one["evidence"]), one["answers"]]
        standing = paragraph("", *worded(" · ".join(about)), classes=["standing"])
        first = paragraph("", link(one), " ", *verdict(one))
        body = nodes.container("", statement, *reason, standing)
        classes = ["judged", f"chapter-{one['chapter']}", f"verdict-{slug(one['verdict'])}"]
        classes += [f"relation-{one['relation']}", f"kind-{one['kind']}"]
        classes += ["headline"] if one["headline"] else []
        classes += ["at-reduced-scale"] if rendering.outcome(one) != one["verdict"] else []
        seeds = one["evidence"].get("seeds")
        classes += ["depends-on-seed"] if seeds and rendering.depends_on_seed(seeds) else []
        items.append(nodes.list_item("", first, body, classes=classes))
    return nodes.bullet_list("", *items, classes=["claims"])


def said(one):
    return worded(one["statement"])


def worded(text):
    """Text as nodes: formulas, which stand between dollars, and indices and powers of symbols."""
    parts = text.split("$")
    if len(parts) % 2 == 0:  # a lone dollar is none of these
        parts = [text]
    return [
        node
        for index, part in enumerate(parts)
        for node in ([nodes.math(part, part)] if index % 2 else scripted(part))
    ]


def section(env, chapter, name, *children):
    """A section of the page for a chapter, under its title."""
    title = nodes.title("", title_of(env, chapter))
    return nodes.section("", title, *children, ids=[f"{name}-{chapter}".replace("_", "-")])


def title_of(env, chapter):
    """What a chapter calls itself."""
    cells = notebooks.read(Path(env.srcdir, f"{chapter}.ipynb")).cells
    first = cells[0].source.partition("\n")[0] if cells else ""
    return first.removeprefix("# ").strip() or chapter


def slug(name):
    return name.replace(" ", "-")


def tallies(records):
    """How many claims are shown, and how many of each verdict; identities apart."""
    result = []
    for these, name in zip(apart(records), ("claims", "identities"), strict=True):
        line = paragraph("", classes=["tally", name])
        line += nodes.strong("", str(len(these)))
        line += nodes.Text(f" {'claims, without identities' if name == 'claims' else name}: ")
        for one, count in found(these).items():
            text = [nodes.Text(f"{one} "), nodes.strong("", str(count))]
            line += [nodes.inline("", "", *text, classes=["verdict", slug(one)]), nodes.Text(" ")]
        result += [line] if these else []
    return nodes.container("", *result, classes=["tallies"])


def form(env, records):
    """The form that filters, which a script shows: without one it would do nothing."""
    verdicts = {slug(name): name for name in found(records)}
    chapters = {name: name.replace("_", " ") for name in of_chapters(records)}
    relations = {name: rendering.RELATION[name].replace("’", "'") for name in claims.RELATIONS}
    kinds = {one["kind"] for one in records} | {"not-identity"}
    fields = {
        "chapter": chapters,
        "verdict": verdicts,
        "relation": relations,
        "kind": {name: words for name, words in KINDS.items() if name in kinds},
    }
    parts = []
    for name, choices in fields.items():
        options = "".join(
            f'<option value="{value}">{html.escape(words)}</option>'
            for value, words in choices.items()
        )
        label = {"relation": "relation to the paper"}.get(name, name)
        parts.append(
            f'<span class="field"><label for="filter-{name}">{label}</label> <select name="{name}" '
            f'id="filter-{name}"><option value="">any</option>{options}</select></span>'
        )
    for name, words in MARKS.items():
        parts.append(f'<label><input type="checkbox" name="{name}"> {words}</label>')
    parts.append('<button type="reset">Show all</button>')
    opening = '<form id="filter" class="filter" aria-label="Filter the claims" hidden>'
    return nodes.raw("", f"{opening}{''.join(parts)}</form>", format="html")


def load_script(app, pagename, templatename, context, doctree):
    if pagename == PAGE:
        app.add_js_file("pages/scorecard.js", defer="defer")


def setup(app):
    app.add_directive("scorecard", Scorecard)
    app.connect("html-page-context", load_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
