"""What must hold of a stored notebook, and of a folder of them, before anyone looks at it.

Each guard takes the path of a notebook, or the folder of the book, and raises an AssertionError
that says what is wrong and where.
"""

import ast
import base64
import getpass
import json
import re
import socket
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from lazyrich.book import checks, claims, files, notebooks

PNG_BYTES = (2_000, 200_000)
PATHS = r"(?<![\w.:/])/(?:home|root|Users|tmp|var|usr|opt|mnt|work|private)/\S+|\b[A-Z]:\\\S+"
TIMES = (
    r"\b20\d\d-\d\d-\d\d\b|\b\d{1,2}:\d\d:\d\d\b|CPU times|Wall time|per loop"
    r"|\b\d+(?:\.\d+)? ?(?:[mµn]s|secs?|seconds?|minutes?)\b"
)
ADDRESSES = r"\b0x[0-9a-f]{6,}\b"


def every_cell_has_run(path):
    """Each code cell was executed, once and in order."""
    counts = [cell.execution_count for cell in _code(path)]
    assert counts, f"{path.name} has no code"
    assert counts == list(range(1, len(counts) + 1)), (
        f"{path.name}: execution counts must be 1 to {len(counts)}, got {counts}"
    )


def nothing_went_wrong(path):
    """No error and no warning stands in an output, and no mark keeps an output from the checks."""
    for where, cell in _located(path):
        marks = cell.metadata.get("tags", []) + re.findall(r"(?m)^\s*#+ *(.*)$", cell.source)
        for mark in (mark.lower().replace("_", "-") for mark in marks):
            assert not mark.startswith(("nbval-", "pytest-validate-", "raises-exception")), (
                f"{where} is marked {mark!r}, which keeps its output from being checked"
            )
        for output in cell.outputs:
            assert output.output_type != "error", f"{where} shows an error: {output.ename}"
            assert output.get("name") != "stderr", f"{where} prints to stderr: {output.text[:80]!r}"


def tells_nothing_of_the_machine(path):
    """No path, time, address, host or user name stands in an output.

    A host's or a user's name that the notebook itself writes is a word like others ("root").
    """
    words = set(re.findall(r"\w+", " ".join(c.source for c in notebooks.read(path).cells).lower()))
    names = {socket.gethostname(), getpass.getuser()}
    places = {sys.prefix, tempfile.gettempdir(), str(Path.home()), str(path.resolve().parent)}
    for where, cell in _located(path):
        content = "\n".join(_texts(cell))
        for kind, pattern in (("a path", PATHS), ("a time", TIMES), ("an address", ADDRESSES)):
            found = re.search(pattern, content)
            assert not found, f"{where} shows {kind}: {found[0]!r}"
        for place in places:
            short = len(Path(place).parts) < 3  # as "/root", a part of "mean/root mean square"
            assert short or place not in content, f"{where} shows a path: {place!r}"
        for name in names:
            known = set(re.findall(r"\w+", name.lower())) <= words
            assert known or not re.search(rf"\b{re.escape(name)}\b", content, re.I), (
                f"{where} shows the name of a host or a user: {name!r}"
            )


def every_figure_is_complete(path):
    """Each ``show("fig-…")`` stands alone in its cell, with picture, name, caption and alt text."""
    for where, cell in _located(path):
        pictures = [output.data["image/png"] for output in cell.outputs if _is_picture(output)]
        names = _shown(cell, where)
        if not (names or pictures):
            continue
        assert len(names) == 1, f"{where} must show one figure by show, got {names}"
        [name] = names
        assert len(pictures) == 1, f"{where} must have one PNG for {name}, got {len(pictures)}"
        size, (least, most) = len(base64.b64decode(pictures[0])), PNG_BYTES
        assert least <= size <= most, (
            f"{where}: the PNG of {name} must have {least} to {most} bytes, got {size}"
        )
        about = cell.metadata.get("mystnb", {})
        figure, image = about.get("figure", {}), about.get("image", {})
        assert figure.get("name") == name, (
            f"{where}: mystnb.figure.name must be {name!r}, got {figure.get('name')!r}"
        )
        caption, alt = figure.get("caption", "").strip(), image.get("alt", "").strip()
        assert len(caption.split()) >= 5 and caption.endswith("."), (
            f"{where}: the caption of {name} must be a sentence, got {caption!r}"
        )
        assert len(alt.split()) >= 3, f"{where}: {name} must have an alt text, got {alt!r}"


def is_in_normal_form(path):
    """The file is as ``make notebooks`` writes it, to the byte."""
    content = path.read_text(encoding="utf-8")
    assert content == notebooks.text(notebooks.read(path)), (
        f"{path.name} must be in normal form, as make notebooks writes it"
    )


def opens_with_parameters(path):
    """The first code cell is the parameters cell, set as stored, and no other is tagged so."""
    code = _code(path)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert tagged and tagged == code[:1], (
        f"{path.name}: the first code cell alone must be tagged 'parameters'"
    )
    assignments = [node for node in ast.parse(code[0].source).body if isinstance(node, ast.Assign)]
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}
    assert values == {"scale": "book", "seed": 0}, (
        f'{path.name}: the parameters cell must set scale = "book" and seed = 0, got {values}'
    )


def prose_stands_between(path):
    """The notebook begins with its title, and no code cell follows on another."""
    cells = notebooks.read(path).cells
    title = cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    assert title, f"{path.name} must begin with a title"
    count = 0
    for before, cell in pairwise(cells):
        count += cell.cell_type == "code"
        assert not before.cell_type == cell.cell_type == "code", (
            f"{path.name}: prose must stand between code cells {count - 1} and {count}"
        )


def claims_are_what_they_show(path):
    """Each claim was judged at scale book; its text, HTML and verdict follow from its record.

    One that does not hold says why.
    """
    for where, cell in _located(path):
        for output in cell.outputs:
            record = output.get("data", {}).get(claims.MIME)
            if record is None:
                continue
            where = f"{where}, claim {record['id']}"
            shown, _ = claims.Claim(record, {})._repr_mimebundle_()
            for mime in ("text/plain", "text/html"):
                assert output.data.get(mime) == shown[mime], (
                    f"{where}: its {mime} must follow from its record"
                )
            judged = checks.verdict([checks.Check(**check) for check in record["checks"]])
            expected = judged if record["checks"] else "not attempted"
            assert record["verdict"] == expected, (
                f"{where}: the verdict must be {expected!r}, got {record['verdict']!r}"
            )
            assert record["verdict"] == "holds" or record["reason"], (
                f"{where} must give its reason, since it does not hold: {record['verdict']}"
            )
            assert record["scale"].split(",")[0] == "book", (
                f"{where} must be judged at scale book, got {record['scale']!r}"
            )


def claim_numbers_have_no_gap(folder):
    """The claims of a letter are numbered 1, 2, … and stand in one chapter."""
    records = claims.recorded(folder)
    assert records, f"{folder} must hold claims, got none"
    for letter in {record["id"][0] for record in records}:
        of_letter = [record for record in records if record["id"][0] == letter]
        numbers = [int(record["id"][1:]) for record in of_letter]
        assert numbers == list(range(1, len(numbers) + 1)), (
            f"claims {letter} must be numbered without a gap, got {numbers}"
        )
        chapters = {record["chapter"] for record in of_letter}
        assert len(chapters) == 1, f"claims {letter} must stand in one chapter, got {chapters}"


def figure_names_are_unique(folder):
    """No two figures of the book have the same name."""
    seen = {}
    for path in files.notebooks_of(folder):
        for where, cell in _located(path):
            for name in _shown(cell, where):
                assert name not in seen, f"{where}: {name} must occur once, also in {seen[name]}"
                seen[name] = where


def citations_resolve(folder):
    """Each key that is cited on a page or in a chapter stands in ``references.bib``."""
    entries = (folder / "references.bib").read_text(encoding="utf-8")
    known = set(re.findall(r"@\w+\s*\{\s*([^,\s]+)\s*,", entries))
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md"))}
    for path in files.notebooks_of(folder):
        prose = [cell for cell in notebooks.read(path).cells if cell.cell_type == "markdown"]
        pages[path] = "\n".join(cell.source for cell in prose)
    for path, content in pages.items():
        for cited in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", content):
            for key in (key.strip() for key in cited.split(",")):
                assert key in known, f"{path.name} cites {key!r}, which is not in references.bib"


OF_A_NOTEBOOK = (
    every_cell_has_run,
    nothing_went_wrong,
    tells_nothing_of_the_machine,
    every_figure_is_complete,
    is_in_normal_form,
    opens_with_parameters,
    prose_stands_between,
    claims_are_what_they_show,
)
OF_THE_BOOK = (claim_numbers_have_no_gap, figure_names_are_unique, citations_resolve)


def _code(path):
    return notebooks.code_cells(notebooks.read(path))


def _located(path):
    """The code cells, each with words that say where it is."""
    return [(f"{path.name}, code cell {n}", cell) for n, cell in enumerate(_code(path), start=1)]


def _is_picture(output):
    return "image/png" in output.get("data", {})


def _texts(cell):
    """All that a cell's outputs say, pictures aside."""
    for output in cell.outputs:
        yield output.get("text", "")
        for mime, content in output.get("data", {}).items():
            if not mime.startswith("image/png"):
                yield content if isinstance(content, str) else json.dumps(content)


def _shown(cell, where):
    """The names of the figures that a cell shows, each written out in the call."""
    names = []
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("show", "figures.show"):
            name = node.args[0] if node.args else None
            literal = isinstance(name, ast.Constant) and isinstance(name.value, str)
            assert literal, f"{where}: the name of a figure must be written out in the call of show"
            names.append(name.value)
    return names
