"""The folder of a run: whose it is, and what it holds so far, as its manifest says."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from lazyrich.book import crates, files

MANIFEST = "manifest.json"


def begun(out: Path, run: dict) -> dict:
    """The manifest of a folder that holds this run or nothing, a new one if there is none yet.

    Raises:
        ValueError: if the folder is someone else's, holds another run, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        # A killed run may have left no more than the draft of its manifest.
        drafts = {
            draft for name in (MANIFEST, crates.CRATE) for draft in out.glob(f"{name}.*.part")
        }
        if (out / MANIFEST).exists():
            manifest = _read(out / MANIFEST)
        elif set(out.iterdir()) == drafts:
            manifest = run | {"computed": {}}
        else:
            raise ValueError(
                "out must be a new folder, an empty one, or that of an earlier run, got "
                f"{str(out)!r}"
            )
        for draft in drafts:
            draft.unlink()
        for name, asked in run.items():
            if (held := manifest.get(name)) != asked:
                differ = f" {held!r}, not {asked!r}"
                if isinstance(asked, dict) and held:
                    differ = f": {', '.join(key for key in asked if held.get(key) != asked[key])}"
                raise ValueError(
                    f"out must be another folder, got {str(out)!r}, which holds a run with another "
                    f"{name}{differ}"
                )
        _write(out, manifest)
    except OSError as error:
        raise ValueError(
            f"out must be a folder that can be written, got {str(out)!r} ({error.strerror})"
        ) from None
    return manifest


def _read(path):
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for target, entry in manifest["computed"].items():
            names = [target.partition("#")[0], *entry["files"].keys(), entry["fingerprint"]]
            if not all(re.fullmatch(r"[^./\\\0][^/\\\0]*", name) for name in names):
                raise ValueError("only names of files may stand there")
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"out must hold a manifest that can be read, but {path} is not") from None


def _write(out, manifest):
    # Chapters that are computed side by side end in any order.
    ordered = manifest | {"computed": dict(sorted(manifest["computed"].items()))}
    files.replace(out / MANIFEST, json.dumps(ordered, indent=1) + "\n")
    files.replace(out / crates.CRATE, crates.crate(ordered))


def entry(out: Path, target: str) -> tuple[dict, dict]:
    """The manifest of a folder, and what it says of a target that is all there.

    Raises:
        ValueError: if it holds no such thing.
    """
    manifest = _read(out / MANIFEST) if (out / MANIFEST).exists() else {"computed": {}}
    about = manifest["computed"].get(target)
    if about is None or not there(out, manifest, target, about["fingerprint"]):
        raise ValueError(f"out must hold all of {target}, got {str(out)!r}")
    return manifest, about


def outdated(manifest: dict, chapter: str, mark: str) -> list[str]:
    """The targets of a chapter that were computed from another state of it."""
    return [
        target
        for target, entry in manifest["computed"].items()
        if target.partition("#")[0] == chapter and entry["fingerprint"] != mark
    ]


def there(out: Path, manifest: dict, target: str, mark: str) -> bool:
    """Whether a folder has all files of a target, or of its chapter, as they were computed."""
    folder = out / target.partition("#")[0]
    entries = [manifest["computed"].get(one, {}) for one in (target, folder.name)]
    states = [entry["files"] for entry in entries if entry.get("fingerprint") == mark]
    return any(all(_hash(folder / name) == of[name] for name in of) for of in states)


def put(out: Path, manifest: dict, target: str, about: dict, parts: Mapping[str, bytes]) -> bool:
    """Put the files of a target into place, unless they are there; what another state left goes.

    Args:
        out: the folder.
        manifest: its manifest.
        target: a chapter, or a figure of it as ``"chapter#figure"``.
        about: from what it was computed, with the chapter's state as ``"fingerprint"``.
        parts: the files.

    Returns:
        Whether they were written now.
    """
    if there(out, manifest, target, about["fingerprint"]):
        return False
    folder = out / target.partition("#")[0]
    # Before anything of this state is there, so that the two do not mix.
    for old in outdated(manifest, folder.name, about["fingerprint"]):
        for name in manifest["computed"].pop(old)["files"]:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    for name, content in parts.items():
        files.replace(folder / name, content)
    manifest["computed"][target] = about | {"files": {name: _hash(folder / name) for name in parts}}
    _write(out, manifest)
    return True


def _hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
