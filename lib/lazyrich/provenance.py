"""Provenance: what a number depends on besides its arguments.

That is the software, the precision, and the kind of device. The machine and the commit are told
for the reader.
"""

import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import jax

LIBRARY = Path(__file__).parent


@functools.cache
def software() -> dict:
    """The versions of Python and of what the library needs, and a hash of the library's code."""
    needed = importlib.metadata.requires("lazyrich") or []
    packages = [re.match(r"[\w.-]+", line)[0] for line in needed if "extra ==" not in line]
    packages = sorted({*packages, "jaxlib", "lazyrich"})
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "library": digest(sorted(LIBRARY.rglob("*.py"))),
    }


def digest(files: list[Path]) -> str:
    """A hash of the names and contents of files."""
    mark = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        mark.update(f"{file.name} {len(content)} ".encode() + content)
    return mark.hexdigest()


def precision() -> dict:
    """The settings of JAX on which the precision of a computation depends."""
    return {
        "double": bool(jax.config.jax_enable_x64),
        "matrix products": jax.config.jax_default_matmul_precision or "default",
    }


def compiler() -> dict:
    """The settings of the compiler, on which the rounding of a computation depends."""
    return {
        "optimised": not jax.config.read("jax_disable_most_optimizations"),
        "flags": os.environ.get("XLA_FLAGS", ""),
    }


def device() -> str:
    """The kind of device on which JAX computes by default, as ``"cpu"`` or ``"NVIDIA H100"``."""
    return jax.devices()[0].device_kind


def machine() -> str:
    """The processor and how many of its cores can be used; nothing that tells whose it is."""
    model, cores = platform.processor() or platform.machine(), os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    if os.path.exists("/proc/cpuinfo"):
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = (re.findall(r"(?m)^model name\s*: (.*)$", info) or [model])[0]
    return f"{model}, {cores} core{'' if cores == 1 else 's'}"


def commit(folder: Path | str) -> str | None:
    """The commit of the repository that holds a folder; with ``+`` if its files differ from it.

    New files do not count: what is computed may well be written there.
    """

    def git(*arguments):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
