"""What a kernel spends its time and memory on, asked of the kernel itself."""

import json
import os
import re
import resource
import sys
from collections import Counter
from pathlib import Path

import jax

from lazyrich.book import provenance

DRAWING = "/lazyrich/drawing"
"""The event that :func:`lazyrich.book.figures.show` records."""
_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
    DRAWING: "drawing",
}
_SPENT: Counter = Counter()


def start() -> None:
    """Count from now on what JAX compiles and what is drawn."""
    jax.monitoring.register_event_duration_secs_listener(_count)


def _count(event, seconds, **_):
    if event in _EVENTS:
        _SPENT[_EVENTS[event]] += seconds
        _SPENT["programs"] += _EVENTS[event] == "compiling"


def report() -> str:
    """What was spent since the start, the peak of memory and JAX's settings, as JSON."""
    spent = {name: round(number, 2) for name, number in _SPENT.items()}
    known = {"spent": spent, "peak_memory_mib": _peak(), "settings": provenance.settings()}
    return json.dumps(known)


def _peak():
    """The peak of memory of this process in MiB."""
    # Linux's own record, since there getrusage also counts what the parent had used.
    if os.path.exists("/proc/self/status"):
        return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
