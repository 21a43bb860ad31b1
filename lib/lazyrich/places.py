"""Places on the disk that a user names, in an argument or in an environment variable."""

import os
from collections.abc import Mapping
from pathlib import Path


def place(name: str, path: Path | str) -> Path:
    """A path that an argument names, in which ``~`` is a user's home.

    Raises:
        ValueError: if it is empty or no path, or there is no such user.
    """
    if not str(path):
        raise ValueError(f"{name} must name a place, got ''")
    try:
        return Path(path).expanduser()
    except TypeError:
        raise ValueError(f"{name} must name a place, got {path!r}") from None
    except RuntimeError:
        raise ValueError(f"{name} must begin with the name of a user, got {str(path)!r}") from None


def named(variable: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The absolute path of the folder that an environment variable names, or None.

    Raises:
        ValueError: as :func:`place`.
    """
    path = environment.get(variable)
    return place(variable, path).absolute() if path else None
