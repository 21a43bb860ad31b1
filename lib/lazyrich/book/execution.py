"""Execution of notebooks in a kernel, with a bar that tells what remains."""

import copy
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode, v4
from tqdm import tqdm

from lazyrich import downloads, places
from lazyrich.book import notebooks, store, sweeps

BAR = "{desc}  {percentage:3.0f}%|{bar}| {elapsed}, {remaining} to go{postfix}"
# In MiB. Linux's own record, since there getrusage also counts what the parent had used.
PEAK_MEMORY = """
import os, re, resource, sys
if os.path.exists("/proc/self/status"):
    print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 2**10)
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak // (2**20 if sys.platform == "darwin" else 2**10))
"""


class CellError(RuntimeError):
    """A cell of a notebook failed; the message names the notebook, the cell and the error."""


class Execution(NamedTuple):
    """An executed notebook, and what that took."""

    notebook: NotebookNode
    seconds: float
    """From the start of the kernel to the last cell."""
    peak_memory_mib: int
    """Of the kernel."""
    cells: list[float]
    """The seconds of each cell of code that is not empty."""
    told: str
    """What the code given as `after` printed."""


def execute(
    notebook: NotebookNode,
    folder: Path | str,
    name: str = "notebook",
    progress: bool = True,
    shares: Sequence[float] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    before: str = "",
    after: str = "",
) -> Execution:
    """Execute a copy of a notebook in a fresh kernel of this Python.

    Args:
        notebook: the notebook; outputs that it has are dropped.
        folder: the working directory, whose ``matplotlibrc`` sets the look of the figures.
        name: what to call the notebook in the progress bar and in an error.
        progress: whether to show a progress bar on stderr, with the time that remains.
        shares: how long each cell takes, in any unit; the same if some are not known.
        environment: variables for the kernel, besides those of this process.
        before, after: code that the kernel executes first and last, and that leaves no trace in
            the notebook.

    Raises:
        CellError: at the first cell that fails, also where its failure is marked as expected.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebooks.code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    code = [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    shares = shares[: len(code)] if len(shares) >= len(code) else [1.0] * len(code)
    # With no folder to search, "python3" is the interpreter that runs this, whatever kernels are
    # registered on the machine.
    kernel = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=None,
        record_timing=False,
        force_raise_errors=True,
        extra_arguments=["--log-level=CRITICAL"],
        resources={"metadata": {"path": str(folder)}},
    )
    started = time.perf_counter()
    seconds = []
    # XLA has threads of its own; those of BLAS would only wait for them, spinning.
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, **environment}
    for variable in (downloads.VARIABLE, store.VARIABLE):  # from here, where no kernel runs
        if place := places.named(variable, environment):
            environment[variable] = str(place)
    shown = progress and sys.stderr is not None  # it is None where the program has none
    # What remains is told from the whole so far, so that it also moves within a long cell.
    bar = tqdm(total=sum(shares), disable=not shown, bar_format=BAR, smoothing=0)
    with (
        tempfile.NamedTemporaryFile("r") as points,
        # Not the user's, which may execute something first.
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as ipython,
        _kernel(client, name, environment | {sweeps.VARIABLE: points.name, "IPYTHONDIR": ipython}),
        bar,
        _followed(bar, points),
    ):
        bar.set_description_str(name)
        _aside(client, before)
        for count, (index, cell) in enumerate(code, start=1):
            bar.set_description_str(f"{name}, cell {count} of {len(code)}")
            began = time.perf_counter()
            try:
                client.execute_cell(cell, index, execution_count=count)
            except (CellExecutionError, DeadKernelError) as error:
                bar.close()
                raise CellError(_explain(error, name, cell, count)) from None
            seconds.append(time.perf_counter() - began)
            bar.update(shares[count - 1])
        total = time.perf_counter() - started
        peak = int(_aside(client, PEAK_MEMORY))
        told = _aside(client, after)
    return Execution(notebook, total, peak, seconds, told)


@contextmanager
def _kernel(client, name, environment):
    """A kernel for a notebook, that ends with the context."""
    with ExitStack() as running:
        try:
            running.enter_context(client.setup_kernel(cleanup_kc=True, env=environment))
        except RuntimeError as error:
            raise CellError(f"{name}: its kernel did not start: {error}") from None
        yield


@contextmanager
def _followed(bar, points):
    """A bar that also shows what a file of progress says last, as that of a sweep in a cell."""
    ended = threading.Event()

    def follow():
        while not ended.wait(1.0):
            points.seek(0)
            bar.set_postfix_str(re.split(r"[\r\n]", points.read())[-1].strip())

    follower = threading.Thread(target=follow, daemon=True)
    if not bar.disable:
        follower.start()
    try:
        yield
    finally:
        ended.set()
        if follower.is_alive():
            follower.join()


def _aside(client, code):
    """What code prints that the kernel executes, and that leaves no trace in the notebook."""
    if not code:
        return ""
    cells = client.nb.cells
    cells.append(v4.new_code_cell(code))
    try:
        client.execute_cell(cells[-1], len(cells) - 1)
    except (CellExecutionError, DeadKernelError) as error:
        raise CellError(_explain(error, "the kernel", cells[-1], 0)) from None
    return "".join(output.text for output in cells.pop().outputs if output.get("name") == "stdout")


def _explain(error, name, cell, count):
    """What failed, in a few lines: the cell, the lines of code on the way, and the error."""
    title = (
        f"{name}: code cell {count} failed, which begins {cell.source.lstrip().splitlines()[0]!r}"
    )
    if isinstance(error, DeadKernelError):
        return f"{title}\n  its kernel died, perhaps because there was not enough memory"
    plain = re.sub(r"\x1b\[[\d;]*m", "", error.traceback)
    steps = [line.rstrip() for line in plain.splitlines() if re.match(r"-+> *\d+ ", line)][-4:]
    message = f"{error.ename}: {error.evalue}".splitlines()
    if len(message) > 20:
        message[20:] = [f"and {len(message) - 20} more lines"]
    return "\n".join([title, *(f"  {line}" for line in steps + message)])
