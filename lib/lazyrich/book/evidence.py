"""Evidence: what stands behind a verdict besides the run at scale ``book``.

Verdicts at that scale stand in the notebooks. A file a chapter, ``evidence/<chapter>.json`` beside
them, keeps what takes hours: the verdicts at other seeds, those at the paper's own size, and which
of them turned when a formula was broken on purpose. Each says from which state of the code it
comes, and so whether that is today's.
"""

import ast
import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from lazyrich.book import claims, files, manifests, notebooks, provenance, sources

FOLDER = "evidence"
PARTS = ("seeds", "paper", "broken")
_JUDGING = {"lazyrich.book.checks", "lazyrich.book.estimates", "lazyrich.book.results"}


def state(path: Path) -> str:
    """A mark of the code from which the numbers of a chapter come; prose and figures do not count.

    That are its cells without those that show a figure, and the modules of the library that these
    reach, without the machinery of the book but for what judges. Comments, docstrings and sentences
    do not count, nor do versions of other packages.
    """
    plain = TransformerManager()
    shown = [
        cell.source
        for cell in notebooks.code_cells(notebooks.read(path))
        if "figure" not in cell.metadata.get("mystnb", {})
    ]
    cells = [plain.transform_cell(source) for source in shown]
    names = {name for cell in cells for name in sources.imports(cell)}
    reached = sources.of_modules(sorted(names), beside=path.parent).files
    mark = hashlib.sha256("\n".join(map(_meaning, cells)).encode())
    for name, file in sorted(reached.items()):
        if name.startswith("lazyrich.book") and name not in _JUDGING:
            continue
        mark.update(f"{name} {_meaning(file.read_text(encoding='utf-8'))}".encode())
    return mark.hexdigest()


def _meaning(code):
    """Code without what is there for readers: comments, the form of lines, and sentences."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""  # a docstring
    return ast.dump(tree)


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


def of(folder: Path | str) -> dict[str, dict]:
    """The evidence of each claim of a folder, in the form of ``claims.schema.json``."""
    records, found = claims.recorded(folder), {}
    for path in files.notebooks_of(folder):
        known = stored(path)
        if not known:
            continue
        now = state(path)
        for record in (one for one in records if one["chapter"] == path.stem):
            found[record["id"]] = _of_claim(record, known, now)
    return found


def _of_claim(record, known, now):
    evidence, name = {}, record["id"]
    current = {part: about["state"] == now for part, about in known.items()}
    if verdicts := known.get("seeds", {}).get("found", {}).get(name):
        agree = verdicts.count(record["verdict"])
        evidence["seeds"] = {
            "agree": agree, "of": len(verdicts), "current": current["seeds"],
        }  # fmt: skip
    if about := known.get("paper", {}).get("found", {}).get(name):
        evidence["paper"] = {"verdict": about["verdict"], "current": current["paper"]}
    if breaks := known.get("broken", {}).get("found"):
        evidence["broken"] = [each for each, seen in breaks.items() if name in seen]
    return evidence


def _file(path):
    return path.parent / FOLDER / f"{path.stem}.json"
