"""What a page has besides its text: links to claims and figures that last, and its head.

A claim and a figure have a link that stays, and a button that copies how to cite it
(``_static/links.js``). A figure also says how to reproduce it, and leads to its cell and to the
files that a build left of it.
"""

import re
import shutil
from functools import lru_cache
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from lazyrich_api import SCRIPTS, scripted
from markupsafe import Markup
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from lazyrich.book import copies

HERE = Path(__file__).parent
FILES = ("svg", "pdf", "csv", "curves.csv")
CLAIM = re.compile(r'<div class="claim [-\w ]+" id="claim-(\w+)"')
PARAMETERS = re.compile(r'<dl>\s*<dd><em class="sig-param">.*?</dl>', re.DOTALL)
WORDS = 155  # what a search engine shows of a description, in characters


def claim_on_page(text, identifier):
    """The HTML of a claim with indices and powers, its link, its name, and the roles of its table.

    On a phone the rows of the table become cards, which would cost them their roles.
    """
    page = BeautifulSoup(text, "html.parser")
    claim = page.find(id=f"claim-{identifier}")
    claim["role"], claim["aria-label"] = "region", f"Claim {identifier}"
    claim.p.append(
        BeautifulSoup(
            f'<a class="headerlink" href="#claim-{identifier}" '
            f'title="Link to claim {identifier}">#</a>'
            + cite_button(f"Claim {identifier}", f"claim-{identifier}"),
            "html.parser",
        )
    )
    for text in page.find_all(string=SCRIPTS.search):
        text.replace_with(*(_tagged(page, part) for part in scripted(text)))
    for name, role in (("table", "table"), ("tr", "row"), ("td", "cell"), ("th", "columnheader")):
        for tag in page.find_all(name):
            tag["role"] = role
    for head in page.find_all("th"):
        head.string = head.string or "verdict"
    return str(page)


def _tagged(page, part):
    """A part of a text for HTML, where an index or a power is a tag."""
    name = {nodes.subscript: "sub", nodes.superscript: "sup"}.get(type(part))
    return page.new_tag(name, string=part.astext()) if name else part.astext()


def cite_button(name, anchor):
    return (
        f'<button type="button" class="cite" data-name="{name}" data-anchor="{anchor}" '
        f'aria-label="Cite {name[0].lower()}{name[1:]}">cite</button>'
    )


class Entries(SphinxTransform):
    """Put each claim into the index, where the search looks for its number."""

    default_priority = 500  # before the domains collect

    def apply(self, **options):
        for output in list(self.document.findall(nodes.raw)):
            if found := CLAIM.match(output.astext()):
                entries = [("single", found[1], f"claim-{found[1]}", "main", None)]
                # Before the cell, of whose outputs only one form is kept.
                place = ancestor(output, "cell") or output
                place.parent.insert(place.parent.index(place), addnodes.index(entries=entries))


def explain_figures(app, document):
    """Below each figure of a chapter: how to reproduce it, its cell, and its files."""
    chapter = app.env.docname
    for figure in list(document.findall(nodes.figure)):
        name = next((one for one in figure["ids"] if one.startswith("fig-")), None)
        cell = ancestor(figure, "cell")
        if name is None or cell is None:
            continue
        command = f".venv/bin/lazyrich reproduce '{chapter}#{name}' --out out"
        line = nodes.paragraph("", "", classes=["reproduce"])
        line += [nodes.literal("", command), raw(copy_button(command))]
        if code := next(iter(cell.findall(nodes.literal_block)), None):
            code["ids"].append(f"cell-{name}")
            line += nodes.reference("", "code", refid=f"cell-{name}", classes=["to-cell"])
        for ending in FILES:
            path = Path(copies.FIGURES, chapter, f"{name}.{ending}")
            if Path(app.srcdir, path).exists():
                shown = {"csv": "data (CSV)", "curves.csv": "curves (CSV)"}
                words = shown.get(ending, ending.upper())
                line += nodes.reference("", words, refuri=path.as_posix(), internal=True)
        line += raw(cite_button(f"Figure {name.removeprefix('fig-')}", name))
        figure += nodes.legend("", line)


def copy_button(command):
    return (
        f'<button type="button" class="copy" data-copy="{command}" '
        'aria-label="Copy the command that reproduces this figure">copy</button>'
    )


def raw(text):
    return nodes.raw("", text, format="html")


def ancestor(node, name):
    while node is not None and name not in node.get("classes", ()):
        node = node.parent
    return node


def copy_figures(app, error):
    """Leave the files of figures beside the pages that link to them."""
    folder = Path(app.srcdir, copies.FIGURES)
    if not error and app.builder.format == "html" and folder.is_dir():
        shutil.copytree(folder, Path(app.outdir, copies.FIGURES), dirs_exist_ok=True)


def describe(app, pagename, templatename, context, doctree):
    """What the head of a page says: title, description, citation; formulas only where some are."""
    about = citation()
    context["citation"] = {
        "title": about["title"],
        "author": about["authors"][0]["name"],
        "publication_date": app.config.copyright,
        "version": about["version"],
    }
    title = BeautifulSoup(context.get("title", ""), "html.parser").get_text()
    home = pagename == app.config.root_doc
    context["full_title"] = about["title"] if home else f"{title} — {app.config.html_title}"
    context["metatags"] = re.sub(
        r'<meta [^>]*name="viewport"[^>]*>', "", context.get("metatags", "")
    )
    context["description"] = description(doctree) or about["title"]
    if "body" in context:
        context["body"] = accessible(context["body"])


def accessible(body):
    """Outputs, folds and signatures as a screen reader should have them.

    The name of a fold is what stands on it, a corner of a table is no header, and the parameters of
    a signature are no definitions.
    """
    body = body.replace(' aria-label="Toggle hidden content"', "").replace("<th></th>", "<td></td>")
    body = re.sub(r' role="(doc-biblioentry|list)"', "", body)  # given to what may not have them
    return PARAMETERS.sub(lambda found: re.sub(r"(</?)d[dl]>", r"\1div>", found[0]), body)


@lru_cache
def citation():
    """What CITATION.cff says of the book."""
    return yaml.safe_load((HERE.parents[1] / "CITATION.cff").read_text(encoding="utf-8"))


def description(doctree):
    """The first sentences of a page, as many as a search engine shows."""
    first = next(iter(doctree.findall(nodes.paragraph)), None) if doctree is not None else None
    text = " ".join(first.astext().split()) if first is not None else ""
    if len(text) <= WORDS:
        return text
    return text[: WORDS - 1].rpartition(" ")[0].rstrip(",;:") + "…"


def set_up_templates(app):
    """Give the templates what they need, once they are there."""
    handlers = app.registry.translation_handlers
    if app.builder.name == "singlehtml":  # extensions that know it by name hide those that do not
        handlers["singlehtml"] = handlers["html"] | handlers.get("singlehtml", {})
    if app.builder.format == "html":
        app.builder.templates.environment.filters["without_icon_script"] = without_icon_script


def without_icon_script(head):
    """The head without 1.5 MB that draw the icons a second time, and without fonts fetched early.

    Fetched so, a browser refuses them where the pages are files.
    """
    head = re.sub(r'<script src="[^"]*fontawesome[^"]*"></script>', "", str(head))
    return Markup(re.sub(r'<link rel="preload" as="font"[^>]*>\s*', "", head))


def configure(app, config):
    config.templates_path = [*config.templates_path, str(HERE.parent / "_templates")]
    base = config.notfound_urls_prefix
    ways = {"index": "the first page", "scorecard": "the scorecard", "genindex": "the index"}
    links = "".join(
        f'<li><a href="{base}{page}.html">{text}</a></li>' for page, text in ways.items()
    )
    config.notfound_context = {
        "title": "No such page",
        "body": (
            "<h1>No such page</h1><p>The address leads nowhere; perhaps the page has another name "
            f"by now. From here lead on:</p><ul>{links}</ul>"
            f'<form class="filter" action="{base}search.html" role="search"><label>or search the '
            'book for <input type="search" name="q"></label><button>Search</button></form>'
        ),
    }


def setup(app):
    app.connect("config-inited", configure)
    app.connect("builder-inited", set_up_templates)
    app.add_transform(Entries)
    app.connect("doctree-read", explain_figures)
    app.connect("html-page-context", describe)
    app.connect("build-finished", copy_figures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
