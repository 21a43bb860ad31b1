"""Run the benchmarks, each in its own process, and write the tables of the book.

All but that of scaling run on one core.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

from lazyrich.book import files, provenance

KERNELS = (
    "trajectories",
    "kernels",
    "linear_models",
    "gauss_newton",
    "tails",
    "students",
    "own_networks",
    "scaling",
)
ENVIRONMENT = {
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "JAX_ENABLE_X64": "true",
    "JAX_PLATFORMS": "cpu",
    # With glibc, memory once had is kept: fresh pages would take longer than what fills them.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def main():
    here = Path(__file__).parent
    measured = {"machine": provenance.machine(), "date": date.today().isoformat()}
    measured |= {"versions": {"python": platform.python_version()}, "tables": []}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for kernel in KERNELS:
        command = [sys.executable, str(here / f"{kernel}.py")]
        done = subprocess.run(
            command, env=os.environ | ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
        )
        result = json.loads(done.stdout)
        packages = {name: installed(name) for name in result["packages"] if installed(name)}
        measured["versions"] |= packages
        measured["tables"] += result["tables"]
    text = json.dumps(measured, indent=1, ensure_ascii=False) + "\n"
    files.replace(here.parent / "book" / "benchmarks.json", text)


def installed(name):
    """The version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
