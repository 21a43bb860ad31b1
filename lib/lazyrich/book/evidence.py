"""Evidence: what stands behind a verdict besides the run at scale ``book``.

Verdicts at that scale stand in the notebooks. A file a chapter, ``evidence/<chapter>.json`` beside
them, keeps what takes hours: the verdicts at other seeds, those at the paper's own size, and which
of them turned when a formula was broken on purpose. Each says from which state of the code it
comes, and so whether that is today's.
"""

import ast
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from lazyrich.book import claims, files, manifests, notebooks, provenance, sources

FOLDER = "evidence"
PARTS = ("seeds", "paper", "broken")
# The texts for readers in front of the arguments of what judges.
_TEXTS = {"judge": 2, "claim": 2, "Source": 4}
_TEXTS |= dict.fromkeys(("near", "at_most", "at_least", "exactly", "negligible", "measured"), 1)
_DRAWING = {"figures", "plt", "sns"}
_JUDGING = {"lazyrich.book.checks", "lazyrich.book.estimates", "lazyrich.book.results"}


def state(path: Path) -> str:
    """A mark of the code from which the numbers of a chapter come; prose and drawing do not count.

    That are its cells without what they draw, and the modules of the library that these reach,
    without the machinery of the book but for what judges. Comments, docstrings and the texts of
    claims do not count, nor do versions of other packages.
    """
    code = notebooks.plain_code(notebooks.read(path))
    names = {name for cell in code for name in sources.imports(cell)}
    reached = sources.of_modules(sorted(names), beside=path.parent).files
    cells = _without_drawing(map(ast.parse, code))
    mark = hashlib.sha256("\n".join(map(_meaning, cells)).encode())
    for name, file in sorted(reached.items()):
        if name.startswith("lazyrich.book") and name not in _JUDGING:
            continue
        mark.update(f"{name} {_meaning(ast.parse(file.read_text(encoding='utf-8')))}".encode())
    return mark.hexdigest()


def _meaning(tree):
    """Code without what is there for readers: comments, the form of lines, docstrings, texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
        called = getattr(node, "func", None)
        name = getattr(called, "id", getattr(called, "attr", None))
        if name in _TEXTS:
            texts = node.args[: _TEXTS[name]] + [word.value for word in node.keywords]
            for text in texts:
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    text.value = ""
    return ast.dump(tree)


def _without_drawing(cells):
    """The same cells without the statements that draw, and those that use what these give."""
    drawn, rest = set(_DRAWING), []
    for cell in cells:
        body = []
        for statement in cell.body:
            given, used = _names(statement)
            imports = isinstance(statement, ast.Import | ast.ImportFrom)
            if not imports and drawn & used:
                drawn |= given
            else:
                drawn -= given
                body.append(statement)
        rest.append(ast.Module(body, []))
    return rest


def _names(statement):
    """The names that a statement gives, and those that it uses; a table draws nothing."""
    tables = [
        node.value
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and node.attr == "table"
    ]
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    given = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return given, {node.id for node in names if node not in tables} - given


def stored(path: Path) -> dict:
    """The evidence of a chapter by its parts; empty if there is none.

    Raises:
        ValueError: if the file is there and cannot be read.
    """
    file = _file(path)
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError:
        raise ValueError(f"{file} must be JSON, but cannot be read") from None


def add(path: Path, part: str, found: Mapping, state: str, about: Mapping) -> None:
    """Store a part of the evidence of a chapter, in place of what was there of it.

    Args:
        path: of the chapter.
        part: one of ``PARTS``.
        found: the verdicts.
        state: of the code from which they come.
        about: what took how long, on what, and when.
    """
    known = stored(path) | {part: {"state": state, **about, "found": found}}
    ordered = {name: known[name] for name in PARTS if name in known}
    files.make_folder(_file(path).parent)
    files.replace(_file(path), json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def circumstances(path: Path, seconds: float) -> dict:
    """On what something was computed here, when, from which commit, and how long it took."""
    return {
        "commit": provenance.commit(path.parent),
        "machine": provenance.machine(),
        "date": date.today().isoformat(),
        "hours": round(seconds / 3600, 2),
    }


def add_reproduction(folder: Path, path: Path) -> None:
    """Store as evidence at the paper's own size what ``lazyrich reproduce`` left in a folder.

    Raises:
        ValueError: if the folder holds no such run of the chapter at scale ``paper``.
    """
    manifest, entry = manifests.entry(folder, path.stem)
    if manifest["scale"] != "paper":
        raise ValueError(f"{folder} must hold a run at scale paper, got {manifest['scale']}")
    records = json.loads((folder / path.stem / "claims.json").read_text(encoding="utf-8"))
    about = {
        "commit": entry["commit"],
        "machine": entry["machine"],
        "date": entry["date"],
        "hours": round(entry["seconds"] / 3600, 2),
        "seed": manifest["seed"],
    }
    found = {
        record["id"]: {name: record[name] for name in ("verdict", "reason", "checks")}
        for record in records
    }
    add(path, "paper", found, entry["state"], about)


def with_evidence(folder: Path | str) -> list[dict]:
    """The claims of a folder, each with its ``evidence``, in the form of ``claims.schema.json``.

    Raises:
        ValueError: as :func:`~lazyrich.book.claims.recorded`, or if a file of evidence cannot be
            read.
    """
    records = claims.recorded(folder)
    known = {path.stem: stored(path) for path in files.notebooks_of(folder)}
    now = {path.stem: state(path) for path in files.notebooks_of(folder) if known[path.stem]}
    return [
        one | {"evidence": _of_claim(one, known[one["chapter"]], now.get(one["chapter"]))}
        for one in records
    ]


def _of_claim(record, known, now):
    evidence, name = {}, record["id"]
    current = {part: about["state"] == now for part, about in known.items()}
    if verdicts := known.get("seeds", {}).get("found", {}).get(name):
        count = Counter(verdicts)
        evidence["seeds"] = {
            "agree": count.pop(record["verdict"], 0), "others": dict(sorted(count.items())),
            "of": len(verdicts), "current": current["seeds"],
        }  # fmt: skip
    if about := known.get("paper", {}).get("found", {}).get(name):
        evidence["paper"] = {"verdict": about["verdict"], "current": current["paper"]}
    if record["verdict"] == "holds" and (breaks := known.get("broken", {}).get("found")):
        by = [each for each, seen in breaks.items() if name in seen]
        evidence["broken"] = {"by": by, "current": current["broken"]}
    return evidence


def _file(path):
    return path.parent / FOLDER / f"{path.stem}.json"
