"""How the API page reads the library's docstrings.

They are written to be read as they stand: formulas in plain Unicode, indented, with |x| for a
norm, x_i and x^2. Here they become reStructuredText, and indices and powers are set as such.
"""

import pydoc
import re
import sys
from inspect import isfunction

from docutils import nodes
from jax.typing import ArrayLike
from sphinx import addnodes
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import stringify_annotation

PAGE = "api"
# Of one symbol, or of what a bracket closes; so a name with an underscore stays as it is.
UNIT = r"(?:\{[^{}]*\}|[-−]?\d+\.\d+|[-−]?[^\W_²³⁴]+[*′⊥]?|[*⊥+]|\([^()]*\))"
SCRIPTS = re.compile(rf"(?:(?<=\b[^\W\d_])|(?<=[)\]∇Σ∏∂′‖|]))((?:[_^]{UNIT})+)")
AS_WRITTEN = (nodes.literal, nodes.literal_block, nodes.doctest_block, nodes.title_reference)
AS_WRITTEN += (nodes.math, nodes.math_block, nodes.raw, addnodes.desc_signature)
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


def set_scripts(app, document):
    """Set what stands behind _ and ^ as an index and a power."""
    if app.env.docname != PAGE:
        return
    for text in list(document.findall(nodes.Text)):
        if not SCRIPTS.search(text) or within(text, AS_WRITTEN):
            continue
        text.parent.replace(text, scripted(text))


def scripted(text):
    """A text as nodes, with its indices and powers."""
    parts = []
    for index, part in enumerate(SCRIPTS.split(text)):
        if index % 2 == 0:
            parts += [nodes.Text(part)] if part else []
            continue
        for mark, unit in re.findall(rf"([_^])({UNIT})", part):
            kind = nodes.subscript if mark == "_" else nodes.superscript
            grouped = unit[0] == "{" or (unit[0] == "(" and re.search("[/+−]", unit))
            parts.append(kind("", unit[1:-1] if grouped else unit))
    return parts


def within(node, kinds):
    while node is not None and not isinstance(node, kinds):
        node = node.parent
    return node is not None


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
    app.connect("doctree-read", set_scripts)
    app.connect("missing-reference", resolve_exported)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
