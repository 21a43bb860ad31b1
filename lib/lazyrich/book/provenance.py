"""Provenance: what a number depends on besides its arguments.

That is the software, the settings of JAX, and the kind of device. The machine and the commit are
told for the reader.
"""

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import joblib

BELOW = ("jaxlib", "equinox", "lineax", "optimistix", "ml_dtypes")
"""What computes for the packages that the library needs."""
_KNOWN = """
jax_enable_x64 jax_explicit_x64_dtypes jax_default_matmul_precision
jax_numpy_dtype_promotion jax_default_prng_impl jax_threefry_partitionable
jax_random_seed_offset jax_high_dynamic_range_gumbel jax_disable_jit
jax_disable_most_optimizations jax_optimization_level jax_exec_time_optimization_effort
jax_memory_fitting_effort jax_accurate_erf_inv jax_use_hlo_logistic_lowering
"""
SETTINGS = tuple(name for name in _KNOWN.split() if name in jax.config.values)
"""The settings of JAX on which numbers depend: precision, random numbers, the compiler.

Those that this version of JAX has; some came late, others are gone.
"""


@functools.cache
def software() -> dict:
    """The versions of Python and of what the library and the book need."""
    needed = importlib.metadata.requires("lazyrich") or []
    needed = [line for line in needed if "extra ==" not in line or "extra == 'book'" in line]
    packages = {*(re.match(r"[\w.-]+", line)[0] for line in needed), *BELOW, "lazyrich"}
    versions = {name: version(name) for name in sorted(packages)}
    return {"python": platform.python_version(), "packages": versions}


@functools.cache
def version(package: str) -> str:
    """The version of a package; empty if it has none, or another name than its distribution."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def settings() -> dict:
    """What JAX is set to here, of :data:`SETTINGS`, and the flags of its compiler."""
    found = {name: getattr(jax.config, name, jax.config.values[name]) for name in SETTINGS}
    # Some are members of an Enum.
    found = {name: getattr(value, "value", value) for name, value in found.items()}
    return found | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}


def device() -> str:
    """The kind of device on which JAX computes by default, as ``"cpu"`` or ``"NVIDIA H100"``."""
    [used] = jnp.zeros(()).devices()
    return used.device_kind


def machine() -> str:
    """The processor and how many of its cores can be used; nothing that tells whose it is."""
    model, cores = platform.processor() or platform.machine(), joblib.cpu_count()
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
