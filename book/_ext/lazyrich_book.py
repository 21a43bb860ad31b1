"""The book's own directives: what the notebooks and the measurements say, as pages.

``measured`` shows a JSON file of measurements as tables, ``experiment`` the source of a function
of the library, folded, and the role ``claim`` links to a claim wherever it stands. The scorecard
has a module of its own. All but the sources are computed from the folder being built and from
nothing else.
"""

import inspect
import json
import pydoc
import shutil
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from lazyrich_pages import CLAIM, claim_on_page
from sphinx import addnodes
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from lazyrich.book import claims, evidence, files, rendering

NAMES = {"python": "Python", "jax": "JAX", "numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}
NAMES |= {"curvlinops-for-pytorch": "curvlinops"}


class Measured(SphinxDirective):
    """The measurements in a JSON file beside the page, named without its ending."""

    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir, self.arguments[0] + ".json")
        self.env.note_dependency(str(path))
        if not path.exists():
            return [paragraph("Not measured yet.")]
        data = json.loads(path.read_text(encoding="utf-8"))
        result = [paragraph(circumstances(data))]
        if "chapters" in data:
            columns = ["chapter", "seconds", "tracing", "compiling", "programs", "drawing"]
            columns += ["all else", "peak MiB", "measured on"]
            rows = [
                [page(self.env, chapter, chapter.replace("_", " ")), *spent(one)]
                + [f"{one['peak_memory_mib']:.0f}", one["date"]]
                for chapter, one in data["chapters"].items()
            ]
            result.append(table(columns, rows, "measured"))
        for one in data.get("tables", []):
            result += [nodes.rubric("", one["title"]), paragraph(one.get("note", ""))]
            result.append(table(one["columns"], one["rows"], "measured"))
        return result


class Experiment(SphinxDirective):
    """The source of a function of the library, which a reader unfolds."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        thing = pydoc.locate(name)
        if thing is None:
            raise self.error(f"{name} is nothing that the library has")
        thing = inspect.unwrap(thing)
        self.env.note_dependency(inspect.getsourcefile(thing))
        code = nodes.literal_block("", inspect.getsource(thing), language="python")
        summary = f"The experiment: <code>{name.removeprefix('lazyrich.')}</code>"
        opening = f'<details class="experiment"><summary>{summary}</summary>'
        return [
            nodes.raw("", opening, format="html"),
            code,
            nodes.raw("", "</details>", format="html"),
        ]


def spent(chapter):
    """The seconds of a chapter, where they went, and the number of programs that were compiled."""
    known, whole = chapter["spent"], chapter["seconds"]
    tracing = known.get("tracing", 0) + known.get("lowering", 0)
    compiling, drawing = known.get("compiling", 0), known.get("drawing", 0)
    rest = whole - tracing - compiling - drawing
    programs = f"{known.get('programs', 0):.0f}"
    seconds = [f"{part:.0f}" for part in (whole, tracing, compiling, drawing, rest)]
    return [*seconds[:3], programs, *seconds[3:]]


def read(folder):
    """The claims of a folder with their evidence, read again only when a file has changed."""
    return _read(folder, tuple((path, path.stat().st_mtime_ns) for path in judged(folder)))


def judged(folder):
    """The files that the claims of a folder and their evidence stand in."""
    return [*files.notebooks_of(folder), *sorted(Path(folder, evidence.FOLDER).glob("*.json"))]


@lru_cache(maxsize=1)
def _read(folder, paths):
    return evidence.with_evidence(folder) if paths else []


def link(record):
    """A reference to the place where the claim is judged."""
    return addnodes.pending_xref(
        "", nodes.inline("", record["id"]), refdomain="", reftype="claim", reftarget=record["id"]
    )


def verdict(record):
    """The badge, and beside it the mark of a reduced scale where one is due."""
    name = record["verdict"]
    mark = rendering.outcome(record).removeprefix(name).strip(" ()")
    marks = [nodes.Text(" "), nodes.inline("", mark, classes=["reduced"])] if mark else []
    return [badge(name, name), *marks]


def badge(name, text):
    return nodes.inline("", text, classes=["verdict", name.replace(" ", "-")])


def circumstances(data):
    """On what, when and with what the numbers were measured."""
    versions = [f"{NAMES.get(name, name)} {version}" for name, version in data["versions"].items()]
    *most, last = versions
    on = f", on {data['date']}" if "date" in data else ""  # the chapters have a day each
    with_all = " and ".join(filter(None, [", ".join(most), last]))
    return f"Measured on {data['machine']}{on}, with {with_all}."


def page(env, name, text=None):
    """A link to a page by its title or by a text; its bare name where there is no such page."""
    if name not in env.found_docs:
        return nodes.inline("", name)
    return addnodes.pending_xref(
        "", nodes.inline("", text or name), refdomain="std", reftype="doc", reftarget=f"/{name}",
        refexplicit=text is not None, refdoc=env.docname,
    )  # fmt: skip


def paragraph(text, *children, classes=()):
    children = [nodes.Text(one) if isinstance(one, str) else one for one in (text, *children)]
    return nodes.paragraph("", "", *children, classes=list(classes))


def table(columns, rows, name):
    """A table; a cell is a value, a text node, or a list of paragraphs."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in columns), cols=len(columns))
    group += nodes.thead("", row(columns))
    group += nodes.tbody("", *map(row, rows))
    return nodes.table("", group, classes=["colwidths-auto", name])


def row(cells):
    return nodes.row("", *(nodes.entry("", *content(cell)) for cell in cells))


def content(cell):
    if isinstance(cell, list):
        return cell
    if isinstance(cell, nodes.paragraph):
        return [cell]
    return [paragraph("", cell if isinstance(cell, nodes.Node) else str(cell))]


def resolve_claim(app, env, node, text):
    """Make a reference to a claim a link to the chapter that judges it."""
    if node["reftype"] != "claim":
        return None
    for record in read(env.srcdir):
        if record["id"] == node["reftarget"] and record["chapter"] in env.found_docs:
            place = record["chapter"], f"claim-{record['id']}"
            return make_refnode(app.builder, node.get("refdoc", env.docname), *place, text)
    return None


def tidy(app, document):
    """Prepare a page for the extensions that look at it next."""
    # The body of a theorem or an exercise comes as a section without a title, all with one
    # identifier; sphinx-codeautolink stumbles over these.
    for section in list(document.findall(nodes.section)):
        if not isinstance(section[0], nodes.title):
            block = nodes.compound("", *section.children, classes=section["classes"])
            section.replace_self(block)
            block["ids"].clear()
    for proof in document.findall(nodes.admonition):
        if proof["ids"] == ["proof"]:  # as all of them are called
            proof["ids"].clear()
    # A claim is an output in HTML, to which its evidence comes here; sphinx-tippy previews what has
    # its identifier on the page.
    known = None
    for output in list(document.findall(nodes.raw)):
        if found := CLAIM.match(output.astext()):
            known = known or {one["id"]: one for one in read(app.env.srcdir)}
            one = known.get(found[1])
            text = rendering.as_html(one, one["evidence"]) if one else output.astext()
            # Without classes it is written as it is, so that its identifier occurs once.
            shown = claim_on_page(text, found[1])
            new = nodes.raw("", shown, format="html", ids=[f"claim-{found[1]}"])
            output.parent.replace(output, new)


def keep_in_search(app):
    """Give the search the numbers of the claims on pages that were not written anew.

    Sphinx forgets index entries of these, and then finds a claim's page but not its line.
    """
    known = getattr(getattr(app.builder, "indexer", None), "_index_entries", None)
    for one in read(app.srcdir) if known is not None else ():
        entry = one["id"], f"claim-{one['id']}", "main"
        if one["chapter"] in app.env.found_docs and entry not in known.get(one["chapter"], ()):
            known[one["chapter"]] = [*known.get(one["chapter"], ()), entry]
    return []


def serve(app, error):
    """Leave the claims as JSON beside the pages, all and one by one, with the schema of both."""
    if error or app.builder.format != "html":
        return
    records, out = read(app.env.srcdir), Path(app.outdir)
    for name, content in [("claims", records), *((address(one), one) for one in records)]:
        path = out / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    shutil.copy(claims.SCHEMA, out)


def address(record):
    """Where a claim stands as JSON: by the number of its paper and its own."""
    number = record["paper"].rstrip("/").rpartition("/")[2] or record["chapter"]
    return f"claims/{number}/{record['id']}"


def load_scripts_once(app, config):
    """Leave the scripts in the folders of _static to the extensions that load them where needed.

    Jupyter Book would put every script of _static on every page.
    """
    config.html_js_files = [one for one in config.html_js_files if "/" not in one]


def publish(app):
    """Turn on what needs the public address, if ``repository.url`` in _config.yml gives one."""
    theme = app.config.html_theme_options
    address = urlsplit(theme.get("repository_url", "").rstrip("/"))
    if not address.netloc:
        return
    theme |= {"use_repository_button": True, "use_source_button": True}
    theme["launch_buttons"] = {
        "binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab",
    }  # fmt: skip
    if address.netloc != "github.com":
        return  # only there does the address of the pages follow from that of the repository
    owner, name = address.path.strip("/").removesuffix(".git").split("/")
    for extension in ("sphinx_sitemap", "sphinxext.opengraph"):
        app.setup_extension(extension)
    site = f"https://{owner.lower()}.github.io/{name}/"
    app.config.html_baseurl = app.config.ogp_site_url = site
    app.config.notfound_urls_prefix = f"/{name}/"
    app.config.sitemap_url_scheme = "{link}"
    app.config.ogp_site_name = app.config.html_title
    app.config.ogp_social_cards = {"enable": False}


def setup(app):
    publish(app)
    app.add_directive("measured", Measured)
    app.add_directive("experiment", Experiment)
    app.add_role("claim", XRefRole(innernodeclass=nodes.inline, warn_dangling=True))
    app.connect("config-inited", load_scripts_once)
    app.connect("doctree-read", tidy, priority=400)  # before the others
    app.connect("missing-reference", resolve_claim)
    app.connect("html-collect-pages", keep_in_search)
    app.connect("build-finished", serve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
