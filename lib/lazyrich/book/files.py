"""Files that are whole or not there: what was written survives a crash at any moment.

>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp(), "note.txt")
>>> replace(path, "new")
>>> path.read_text()
'new'
"""

import os
from pathlib import Path

from lazyrich import places

FIGURES = "LAZYRICH_FIGURES"
"""The environment variable that names the folder into which figures are also written."""


def notebooks_of(folder: Path | str) -> list[Path]:
    """The notebooks of a folder, in the order of their names.

    Hidden ones, which editors and systems leave beside them, are none of a book.
    """
    found = places.place("folder", folder).glob("[!.]*.ipynb")
    return sorted(path for path in found if path.is_file())


def replace(path: Path, content: str | bytes) -> None:
    """Write a file, so that whoever reads it finds the old content or the new, and all of it.

    The content goes to a draft beside it, this process's own, whose name ends in ``.part``. The
    draft takes the name when the disk has all of it, so that also a power cut leaves one of the
    two.

    Raises:
        OSError: if the file cannot be written, as on a full disk; the old one is then untouched.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    content = content.encode() if isinstance(content, str) else content
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno and not error.filename:  # as the system leaves it where a disk is full
            error.filename = str(path)
        raise
    _keep_names(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, which a power cut does not take away again."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _keep_names(path.parent)


def _keep_names(folder):
    """Wait until the disk has the names in a folder, where the system can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
