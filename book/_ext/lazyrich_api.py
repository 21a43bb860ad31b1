"""How the API page reads the library's docstrings.

They are written to be read as they stand: formulas in plain Unicode, indented, with |x| for a
norm. Here they become reStructuredText.
"""

import pydoc
import re
import sys
from inspect import isfunction

from jax.typing import ArrayLike
from sphinx import addnodes
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import stringify_annotation

UNION = stringify_annotation(ArrayLike, "smart")


def formulas(app, what, name, thing, options, lines):
    """Keep the lines of an indented formula, and take |x| for a norm, not for a substitution."""
    formula, before = False, ""
    for index, line in enumerate(lines):
        indented = line.startswith("    ")
        if not line.strip():
            continue
        if not indented:
            formula, before = False, line
        elif index and not lines[index - 1].strip() and not before.endswith("::"):
            formula = formula or not before.startswith(("..", ">>>"))
        if not line.lstrip().startswith((">>>", "...")):
            line = outside_literals(line)
        lines[index] = f"    | {line.strip()}" if formula else line
    if what in ("attribute", "data"):
        lines.insert(0, "\\")  # else napoleon takes what stands before a colon for a type


def outside_literals(line):
    parts = re.split(r"(``.*?``)", line)
    return "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


def short_types(app, what, name, thing, options, *signature):
    """Write the types of arrays as the source does."""

    def short(text):
        text = text.replace(UNION, "~jax.typing.ArrayLike")
        return re.sub(r"~?[.\w]*\bjaxlib[.\w]*\.Array", "~jax.Array", text)

    return tuple(text and short(text) for text in signature)


def fields_without_types(app, domain, kind, content):
    """Leave out the type of a field: it stands in the signature of its class."""
    if kind == "attribute":
        for annotation in list(content.parent.findall(addnodes.desc_annotation)):
            annotation.parent.remove(annotation)


def only_exported(app, what, name, thing, skip, options):
    """Of the functions in the modules of formulas show those that the package exports."""
    home = getattr(thing, "__module__", "").rpartition(".")[0]
    shown = [key for key, one in vars(sys.modules.get(home, object)).items() if isfunction(one)]
    exports = home.count(".") == 1 and shown  # neither the library itself nor what has no doors
    return (
        True if what == "module" and isfunction(thing) and exports and name not in shown else None
    )


def resolve_exported(app, env, node, text):
    """Link a name to the module that defines it, from wherever it was imported."""
    if node.get("refdomain") != "py":
        return None
    for target in (node["reftarget"], f"{node.get('py:module')}.{node['reftarget']}"):
        thing = pydoc.locate(target) if target.startswith("lazyrich") else None
        home = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
        if entry := env.get_domain("py").objects.get(home):
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text)
    return None


def setup(app):
    app.connect("autodoc-process-docstring", formulas, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-skip-member", only_exported)
    app.connect("object-description-transform", fields_without_types)
    app.connect("missing-reference", resolve_exported)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
