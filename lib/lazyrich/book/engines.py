"""Engines: on what a chapter computes, as the kernel that executes it is told.

The device is JAX's, and with several of them an ensemble is spread over all. The points of a sweep
go to joblib: one after another, to processes of this machine, or to the workers of a Dask cluster.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import joblib

from lazyrich import validation

_A_DAY = 24 * 60 * 60

# A process whose memory has grown, as by compiling, ends and another takes its place; loky warns.
_PROCESSES = """import joblib, warnings
joblib.parallel_config("loky", n_jobs={jobs})
warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
"""

DEVICES = {"auto": None, "cpu": "cpu", "gpu": "cuda,cpu"}
"""What may be asked for, and the backends of JAX that it means."""


class Engine(NamedTuple):
    """On what chapters are computed."""

    environment: dict[str, str]
    """Variables of a kernel, besides those of this process."""
    code: str
    """What a kernel executes first."""
    device: str
    """The kind of device, as ``"cpu"`` or ``"NVIDIA H100"``."""
    settings: dict
    """JAX's settings at the start of a kernel."""


def engine(
    scale: str,
    device: str = "auto",
    jobs: int = 1,
    dask: str | None = None,
    programs: Path | None = None,
) -> Engine:
    """The engine for a scale on a device.

    At ``"quick"`` tracing and compiling take longer than all the rest. So the compiler optimises
    less, and Python looks more rarely for garbage, of which they leave little.

    Args:
        scale: at which the chapters run.
        device: one of ``DEVICES``; JAX chooses at ``"auto"``.
        jobs: the number of processes on this machine that take the points of a sweep.
        dask: the address of a scheduler, whose workers take the points instead.
        programs: a folder in which compiled programs are kept, where it can be written.

    Raises:
        ValueError: if there is no such device, or the cluster cannot be reached.
    """
    platforms = DEVICES[validation.one_of("device", device, DEVICES)]
    validation.whole("jobs", jobs, least=1)
    environment = {"JAX_PLATFORMS": platforms} if platforms else {}
    code = _points_elsewhere(jobs, dask)
    if scale == "quick":
        environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
        code += "import gc\ngc.set_threshold(50_000, 20, 1000)\n"
    known = _asked(device, environment)
    return Engine(environment | _keeping(programs), code, **known)


def _keeping(programs):
    """The variables that let JAX keep what it compiles, unless the user has named another place."""
    if programs is None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return {}
    folder = programs / platform.node()  # a program is for one kind of processor
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        return {}
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "EQX_ON_ERROR": "nan",  # a program that could call Python to raise an error is not kept
    }


def _asked(device, environment):
    """The device and the settings that JAX has where a device is asked for."""
    # Asked in a process of its own, since whoever opens a GPU keeps its memory.
    asking = (
        "import json, jax; from lazyrich.book import provenance; "
        "known = {'device': provenance.device(), 'settings': provenance.settings()}; "
        "print(json.dumps([jax.default_backend(), known]))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", asking],
        env=os.environ | environment | {"JAX_TRACEBACK_FILTERING": "off"},
        capture_output=True,
        text=True,
    )
    backend, known = json.loads(asked.stdout) if not asked.returncode else (None, {})
    # Without its plugin JAX passes over the GPU, and takes the CPU.
    if asked.returncode or device not in ("auto", backend):
        why = "".join(f"; JAX says: {line}" for line in asked.stderr.strip().splitlines()[-1:])
        named = os.environ.get("JAX_PLATFORMS")
        where = f" with JAX_PLATFORMS={named!r}" if named and device == "auto" else ""
        raise ValueError(
            f"device must be one that JAX finds on this machine, got {device!r}{where}; for a GPU, "
            f"install lazyrich with its extra: pip install '.[cuda]'{why}"
        )
    return known


def _points_elsewhere(jobs, dask):
    """What a kernel executes first, so that the points of its sweeps are computed elsewhere."""
    if dask is None:
        return _PROCESSES.format(jobs=jobs) if jobs > 1 else ""
    if jobs > 1:
        raise ValueError(f"jobs must be 1 where a Dask cluster takes the points, got {jobs}")
    if importlib.util.find_spec("distributed") is None:
        raise ValueError("dask needs the extra for clusters: pip install '.[distributed]'")
    from distributed import Client

    try:
        with Client(dask, timeout="10s") as client:
            if not client.ncores():
                print(f"Waiting for a worker of {dask}", file=sys.stderr)
                client.wait_for_workers(1)
    except (OSError, ValueError):
        raise ValueError(f"dask must be the address of a running scheduler, got {dask!r}") from None
    return f"from lazyrich.book import engines\nengines.cluster({dask!r})\n"


def cluster(address: str) -> None:
    """Let the workers of a Dask cluster take the points of the sweeps of this process.

    Args:
        address: of the scheduler.
    """
    from distributed import Client
    from joblib._dask import DaskDistributedBackend

    class Workers(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs):
            # Where there is one core, joblib would compute in this process.
            return max(2, super().effective_n_jobs(n_jobs))

    joblib.parallel_config(Workers(client=Client(address), wait_for_workers_timeout=_A_DAY))
