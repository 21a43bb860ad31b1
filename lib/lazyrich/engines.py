"""Engines: on what a chapter computes, as the kernel that executes it is told.

The device is JAX's, and with several of them an ensemble is spread over all. The points of a sweep
go to joblib: one after another, to processes of this machine, or to the workers of a Dask cluster.
"""

import importlib.util
import os
import subprocess
import sys

from lazyrich import validation

DEVICES = {"auto": None, "cpu": "cpu", "gpu": "cuda,cpu"}
"""What may be asked for, and the backends of JAX that it means."""


def backends(device: str) -> dict[str, str]:
    """The environment that makes JAX take a device, one of ``DEVICES``; JAX chooses at "auto"."""
    platforms = DEVICES[validation.one_of("device", device, DEVICES)]
    return {"JAX_PLATFORMS": platforms} if platforms else {}


def compiler(scale: str) -> dict[str, str]:
    """The environment in which JAX compiles for a scale.

    At ``"quick"`` compiling takes longer than all the rest, so the compiler optimises less.
    """
    return {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if scale == "quick" else {}


def device(name: str) -> str:
    """The kind of the device, as ``"cpu"`` or ``"NVIDIA H100"``, that this name means here.

    Raises:
        ValueError: if there is none.
    """
    # Asked in a process of its own, since whoever opens a GPU keeps its memory.
    asking = (
        "import jax; from lazyrich import provenance; "
        "print(jax.default_backend(), provenance.device())"
    )
    asked = subprocess.run(
        [sys.executable, "-c", asking],
        env=os.environ | backends(name),
        capture_output=True,
        text=True,
    )
    backend, _, kind = asked.stdout.strip().partition(" ")
    # Without its plugin JAX passes over the GPU, and takes the CPU.
    if asked.returncode or name not in ("auto", backend):
        raise ValueError(
            f"device must be one that JAX finds on this machine, got {name!r}; for a GPU, install "
            "lazyrich with its extra: pip install '.[cuda]'"
        )
    return kind


def code(jobs: int = 1, dask: str | None = None) -> str:
    """What a kernel executes first, so that the points of its sweeps are computed there.

    Args:
        jobs: the number of processes on this machine.
        dask: the address of a scheduler, whose workers take the points instead.

    Raises:
        ValueError: if both are asked for, or the cluster cannot be reached.
    """
    if dask is None:
        return f"import joblib\njoblib.parallel_config('loky', n_jobs={jobs})" if jobs > 1 else ""
    if jobs > 1:
        raise ValueError(f"jobs must be 1 where a Dask cluster takes the points, got {jobs}")
    if importlib.util.find_spec("distributed") is None:
        raise ValueError("dask needs the extra for clusters: pip install '.[distributed]'")
    from distributed import Client

    try:
        Client(dask, timeout="10s").close()
    except (OSError, ValueError):
        raise ValueError(f"dask must be the address of a running scheduler, got {dask!r}") from None
    return (
        "import distributed, joblib\n"
        f"_client = distributed.Client({dask!r})\njoblib.parallel_config('dask')"
    )
