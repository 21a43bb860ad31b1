"""The folder of a run: whose it is, and what it holds so far, as its manifest says.

It is held by one run at a time, and nothing in it is touched before it is known to be a run's own.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lazyrich.book import files

MANIFEST, LOCK, DRAFT = "manifest.json", ".lock", ".draft-"


def points(out: Path) -> Path:
    """Where the results of the sweeps of a run are kept."""
    return out.absolute() / ".points"


@contextmanager
def held(out: Path, run: dict) -> Iterator[dict]:
    """The manifest of a folder that holds this run or nothing; no other call gets it meanwhile."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        _check_ours(out)
        lock = (out / LOCK).open("a")
    except OSError as error:
        raise ValueError(
            f"out must be a folder that can be written, got {str(out)!r} ({error.strerror})"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"out must not be in use by another run, got {str(out)!r}") from None
        except OSError as error:
            raise ValueError(
                f"out must lie where files can be locked, got {str(out)!r} ({error.strerror})"
            ) from None
        manifest = _begun(out, run)
        _sweep_up(out)
        yield manifest


def _check_ours(out):
    """Refuse a folder that holds anything before there was a manifest: it is someone else's."""
    names = {path.name for path in out.iterdir()}
    drafts = {name for name in names if re.fullmatch(rf"{re.escape(MANIFEST)}\.\d+\.part", name)}
    if MANIFEST not in names and names - drafts - {LOCK}:
        raise ValueError(
            f"out must be a new folder, an empty one, or that of an earlier run, got {str(out)!r}"
        )
    if MANIFEST in names:
        _read(out / MANIFEST)


def _begun(out, run):
    """The manifest of a run in its folder, a new one if there is none yet."""
    if not (out / MANIFEST).exists():
        manifest = run | {"computed": {}}
        write(out, manifest)
        return manifest
    manifest = _read(out / MANIFEST)
    for name, value in run.items():
        if manifest.get(name) != value:
            raise ValueError(
                f"out must be another folder, got {str(out)!r}, which holds a run with another "
                f"{name}{_difference(manifest.get(name), value)}"
            )
    return manifest


def _difference(held, asked):
    """What differs in a value that a run holds and that is asked for, if it is short."""
    if not isinstance(asked, dict) or not isinstance(held, dict):
        return f" {held!r}, not {asked!r}"
    names = [name for name in asked if held.get(name) != asked[name]]
    return f": {', '.join(names)}"


def _sweep_up(out):
    """Remove what a run left that was killed while it wrote."""
    for draft in out.glob(f"{DRAFT}*"):
        shutil.rmtree(draft, ignore_errors=True)
    kept = [] if points(out).is_symlink() else points(out).rglob("*.part")
    for draft in [*out.glob(f"{MANIFEST}.*.part"), *kept]:
        draft.unlink(missing_ok=True)


def _read(path):
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        computed = dict(manifest["computed"])
        for target, entry in computed.items():
            names = [target.partition("#")[0], *entry["files"].keys(), entry["fingerprint"]]
            if not all(re.fullmatch(r"[^./\\\0][^/\\\0]*", name) for name in names):
                raise ValueError("only names of files may stand there")
        return manifest | {"computed": computed}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"out must hold a manifest that can be read, but {path} is not") from None


def stale(out: Path, manifest: dict, chapter: str, mark: str, targets: list[str]) -> list[str]:
    """The targets that are not there as they were computed, from the chapter as it is now."""

    def fresh(target):
        known = manifest["computed"].get(target)
        return (
            known is not None
            and known["fingerprint"] == mark
            and all(
                (out / chapter / name).is_file() and _hash(out / chapter / name) == content
                for name, content in known["files"].items()
            )
        )

    return [target for target in targets if not (fresh(target) or fresh(chapter))]


def outdated(manifest: dict, chapter: str, mark: str) -> list[str]:
    """The targets of a chapter that were computed from another state of it."""
    return [
        target
        for target, known in manifest["computed"].items()
        if target.partition("#")[0] == chapter and known["fingerprint"] != mark
    ]


def keep(
    out: Path, manifest: dict, chapter: str, about: dict, found: dict[str, list[Path]]
) -> None:
    """Move the files of targets into place and say so; what another state left there goes.

    Args:
        out: the folder.
        manifest: the one that :func:`held` gave.
        chapter: of the targets.
        about: from what they were computed, with the chapter's state as ``"fingerprint"``.
        found: the files of each target.
    """
    # Before anything of this state is there, so that the two do not mix.
    for target in outdated(manifest, chapter, about["fingerprint"]):
        for name in manifest["computed"].pop(target)["files"]:
            (out / chapter / name).unlink(missing_ok=True)
    (out / chapter).mkdir(exist_ok=True)
    for target, parts in found.items():
        hashes = {part.name: _hash(part) for part in parts}
        manifest["computed"][target] = about | {"files": hashes}
        for part in parts:
            os.replace(part, out / chapter / part.name)
    write(out, manifest)


def _hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(out: Path, manifest: dict) -> None:
    """Put a manifest into its folder, whole or not at all."""
    files.replace(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
