"""What the benchmarks share: CPU seconds, memory, and numbers as text."""

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path


def seconds(calls, rounds=7, block=0.03):
    """The median CPU seconds of each call in a dictionary.

    They take turns: in each round every one is called once to warm up, and then for at least
    `block` seconds. So what slows the machine for a while slows all of them. A call that takes
    longer than a second warms up in the first round only.
    """
    medians = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if max(medians[name], default=0.0) < 1.0:
                call()
            times = [once(call)]
            while sum(times) < block:
                times.append(once(call))
            medians[name].append(statistics.median(times))
    return {name: statistics.median(times) for name, times in medians.items()}


def once(call):
    """The CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def peak_memory():
    """The most memory that this process has held so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # there getrusage would count the process that started this one
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def first_call(call):
    """The seconds of a first call, by how many MiB it raises the peak, and those of later calls."""
    before = peak_memory()
    first = once(call)
    memory = peak_memory() - before
    later = statistics.median(once(call) for _ in range(5))
    return {"first": first, "memory": memory, "later": later}


def apart(script, *arguments):
    """What a script prints, as JSON, in a process of its own where memory is allocated as usual."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env={key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def digits(value, count=2):
    """A number as text, with `count` significant digits."""
    return format(Decimal(f"{value:.{count - 1}e}"), "f")


def milliseconds(value):
    """Seconds as text, in ms."""
    return digits(1e3 * value)


def ratio(value):
    """A ratio of times as text; within 1.5 either way it is no difference."""
    return "≈ 1" if 2 / 3 < value < 3 / 2 else digits(value)
