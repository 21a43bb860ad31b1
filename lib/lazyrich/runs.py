"""The folder of a run: whose it is, and what it holds so far, as its manifest says.

It is held by one run at a time, and nothing in it is touched before it is known to be a run's own.
"""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lazyrich import files

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


def write(out: Path, manifest: dict) -> None:
    """Put a manifest into its folder, whole or not at all."""
    files.replace(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
