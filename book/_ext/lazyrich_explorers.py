"""The directive ``explorer``: a closed form that a reader moves by hand, in the page.

    ```{explorer} training
    :small:
    ```

puts the explorer of that name, with ``small`` only its first controls and one plot, as a chapter
needs it. What it shows is computed by the scripts in _static/explorers, which only pages with an
explorer load; what they need of the library's draws is computed here, and stands in the page.
"""

import json

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

LABELS = {
    "training": "a linear network in training, solved exactly",
    "spike": "the spike that one step makes",
    "conditioning": "the condition number over depth and width",
    "knob": "from lazy to rich, with four lenses",
}
"""The explorers by name, and what each is called for those who cannot see it."""

STYLES = ("vendor/uPlot.min.css", "explorers/explorers.css")
BEFORE = ("vendor/uPlot.iife.min.js", "explorers/formulas.js", "explorers/ui.js")
WAITING = "<p class='explorer-waiting'>This explorer needs JavaScript.</p>"


class Explorer(SphinxDirective):
    """An explorer by its name."""

    required_arguments = 1
    option_spec = {"small": directives.flag}

    def run(self):
        name = self.arguments[0]
        if name not in LABELS:
            raise self.error(f"there is no explorer {name!r}, only {', '.join(LABELS)}")
        small = " data-small" if "small" in self.options else ""
        opening = f'<div class="explorer" role="group" data-explorer="{name}"{small}'
        opening += f' aria-label="Explorer: {LABELS[name]}">'
        values = starts() if name == "training" else None
        data = f"<script type='application/json'>{json.dumps(values)}</script>" if values else ""
        return [nodes.raw("", f"{opening}{WAITING}{data}</div>", format="html", explorer=name)]


def starts(widths=tuple(2**i for i in range(13)), draws=6):
    """|u|, |v|, cosine and sine of the angle between, of NumPy's draws of two layers, by width.

    Of a start the exact solution takes no more than these.
    """
    return {
        "starts": {
            n: [
                of_layers(*np.random.default_rng(draw).normal(size=(2, n))) for draw in range(draws)
            ]
            for n in widths
        }
    }


def of_layers(u, v):
    """In NumPy, which has double precision however JAX is set."""
    lengths = np.linalg.norm(u), np.linalg.norm(v)
    along = u @ v / lengths[0]
    across = np.linalg.norm(v - along / lengths[0] * u)  # 1 − cos² would lose digits
    return [float(x) for x in (*lengths, along / lengths[1], across / lengths[1])]


def elsewhere(app, config):
    """Leave styles and scripts to the pages that need them; Jupyter Book puts all on every page."""
    config.html_css_files = [one for one in config.html_css_files if one not in STYLES]
    config.html_js_files = [
        one for one in config.html_js_files if not str(one).startswith(("explorers/", "vendor/"))
    ]


def load(app, page, template, context, doctree):
    """Load what the explorers of a page need."""
    found = doctree.findall(nodes.raw) if doctree else []
    names = dict.fromkeys(one["explorer"] for one in found if "explorer" in one)
    if not names:
        return
    for style in STYLES:
        app.add_css_file(style)
    for script in (*BEFORE, *(f"explorers/{name}.js" for name in names)):
        app.add_js_file(script, loading_method="defer")


def setup(app):
    app.add_directive("explorer", Explorer)
    app.connect("config-inited", elsewhere)
    app.connect("html-page-context", load)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
