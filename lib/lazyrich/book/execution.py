"""Execution of notebooks, each in a kernel of its own, with a bar that tells what remains."""

import asyncio
import copy
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
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
from lazyrich.book import lacking, notebooks, store, sweeps
from lazyrich.book.files import FIGURES

BAR = "{desc}  {percentage:3.0f}%|{bar}| {elapsed}, {remaining} to go{postfix}"
# Without a name that the notebook would see.
_PROFILING = "__import__('lazyrich.book.profiling', fromlist=['start'])"
# What they print, as where no settings can be kept in HOME, is of the machine and none of a cell's.
_FIRST_IMPORTS = "__import__('matplotlib.pyplot')"


class CellError(RuntimeError):
    """A cell of a notebook failed; the message names the notebook, the cell and the error."""


class _MissingDataError(Exception):
    """A cell needs data that are not there; the message says what to do."""


class Task(NamedTuple):
    """A notebook to execute."""

    notebook: NotebookNode
    """Outputs that it has are dropped."""
    folder: Path | str
    """The working directory, whose ``matplotlibrc`` sets the look of the figures."""
    name: str = "notebook"
    """What to call it in the progress bar and in an error."""
    shares: Sequence[float] = ()
    """How long each cell takes, in any unit; the same if some are not known."""
    environment: Mapping[str, str] = MappingProxyType({})
    """Variables for the kernel, besides those of this process."""
    before: str = ""
    """Code that the kernel executes first, and that leaves no trace in the notebook."""
    figures: bool = False
    """Whether the figures also leave files."""


class Execution(NamedTuple):
    """An executed notebook, and what that took."""

    notebook: NotebookNode
    """With its outputs."""
    figures: dict[str, bytes]
    """The files that its figures left."""
    seconds: float
    """From the start of the kernel to the last cell."""
    cells: list[float]
    """The seconds of each cell of code that is not empty."""
    peak_memory_mib: int
    """Of the kernel."""
    spent: dict[str, float]
    """The seconds of tracing, lowering, compiling and drawing, and the number of programs."""
    settings: dict
    """JAX's settings at the end."""


def execute(task: Task, progress: bool = True) -> Execution:
    """Execute a copy of a notebook in a fresh kernel of this Python.

    What needs a data set that cannot be had is left out (:mod:`lazyrich.book.lacking`).

    Raises:
        CellError: at the first cell that fails, also where its failure is marked as expected.
    """
    done: list = []
    execute_all([task], 1, lambda _, result: done.append(result), progress)
    return done[0]


def execute_all(
    tasks: Sequence[Task],
    at_once: int,
    keep: Callable[[int, Execution], None],
    progress: bool = True,
) -> None:
    """Execute notebooks side by side.

    Args:
        tasks: the notebooks.
        at_once: how many run at a time.
        keep: is given the number of a task and its execution, as soon as it is done.
        progress: whether to show a bar for each on stderr, with the time that remains.

    Raises:
        CellError: after all others, if cells failed.
    """
    place, failures = asyncio.Semaphore(at_once), []

    async def one(number, task):
        async with place:
            try:
                keep(number, await _executed(task, progress, number))
            except CellError as error:
                failures.append(str(error))

    async def together():
        async with asyncio.TaskGroup() as group:
            for number, task in enumerate(tasks):
                group.create_task(one(number, task))

    try:
        asyncio.run(together())
    except* KeyboardInterrupt:
        raise KeyboardInterrupt from None
    except* Exception as errors:
        raise errors.exceptions[0] from None
    if failures:
        raise CellError("\n\n".join(failures))


async def _executed(task, progress, position):
    notebook = copy.deepcopy(task.notebook)
    for cell in notebooks.code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    cells = enumerate(notebook.cells)
    code = [index for index, cell in cells if cell.cell_type == "code" and cell.source.strip()]
    known = len(task.shares) >= len(code)
    shares = task.shares[: len(code)] if known else [1.0] * len(code)
    started, seconds = time.perf_counter(), []
    # It is None where the program has none. What remains is told from the whole so far, so that it
    # also moves within a long cell.
    shown = progress and sys.stderr is not None
    bar = tqdm(total=sum(shares), disable=not shown, bar_format=BAR, smoothing=0, position=position)
    with bar, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        bar.set_description_str(task.name)
        figures, points = Path(own, "figures"), Path(own, "points")
        figures.mkdir()
        points.touch()
        # Not the user's IPython, which may execute something first.
        variables = {"IPYTHONDIR": own, sweeps.VARIABLE: str(points)}
        variables |= {FIGURES: str(figures)} if task.figures else {}
        async with _kernel(notebook, task, variables) as client, _followed(bar, points):
            await _aside(client, f"{task.before}\n{_PROFILING}.start()\n{_FIRST_IMPORTS}")
            lost: dict[str, str] = {}  # names that are not there, and why
            for count, index in enumerate(code, start=1):
                bar.set_description_str(f"{task.name}, cell {count} of {len(code)}")
                began = time.perf_counter()
                await _run_with_data(client, index, task.name, count, lost)
                seconds.append(time.perf_counter() - began)
                bar.update(shares[count - 1])
            whole = time.perf_counter() - started
            report = json.loads(await _aside(client, f"print({_PROFILING}.report())"))
        drawn = {file.name: file.read_bytes() for file in sorted(figures.iterdir())}
    return Execution(notebook, drawn, whole, seconds, **report)


@asynccontextmanager
async def _kernel(notebook, task, variables):
    """A client of a fresh kernel, that ends with the context."""
    # With no folder to search, "python3" is the interpreter that runs this, whatever kernels are
    # registered on the machine.
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[])),
        timeout=None,
        record_timing=False,
        force_raise_errors=True,
        extra_arguments=["--log-level=CRITICAL"],
        resources={"metadata": {"path": str(task.folder)}},
    )
    # XLA has threads of its own; those of BLAS would only wait for them, spinning.
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, **task.environment, **variables}
    for variable in (downloads.VARIABLE, store.VARIABLE):  # from here, where no kernel runs
        if place := places.named(variable, environment):
            environment[variable] = str(place)
    try:
        await client.async_start_new_kernel(env=environment)
        await client.async_start_new_kernel_client()
    except RuntimeError as error:
        raise CellError(f"{task.name}: its kernel did not start: {error}") from None
    try:
        yield client
    finally:
        await client._async_cleanup_kernel()


@asynccontextmanager
async def _followed(bar, points):
    """A bar that also shows what a file of progress says last, as that of a sweep in a cell."""

    async def follow():
        while True:
            await asyncio.sleep(1)
            bar.set_postfix_str(re.split(r"[\r\n]", points.read_text())[-1].strip())

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _run_with_data(client, index, name, count, lost):
    """Run a cell, or leave it out where it lacks data, itself or a cell that it builds upon.

    Then its claims are recorded as not attempted, and the names that it gives are `lost`.
    """
    cell = client.nb.cells[index]
    used, given = lacking.names(notebooks.plain(cell)) if lost else ((), ())
    reason = next((lost[gone] for gone in lost if gone in used), None)
    if reason is None:
        try:
            await _run(client, index, name, count)
        except _MissingDataError as missing:
            reason = str(missing)
        else:
            for name in given:
                lost.pop(name, None)
            return
    lost.update(dict.fromkeys(lacking.names(notebooks.plain(cell)).given, reason))
    source, cell.outputs = cell.source, []
    cell.source = lacking.not_attempted(notebooks.plain(cell), reason, lost.keys())
    await _run(client, index, name, count)
    cell.source = source


async def _run(client, index, name, count):
    cell = client.nb.cells[index]
    try:
        await client.async_execute_cell(cell, index, execution_count=count)
    except (CellExecutionError, DeadKernelError) as error:
        if missing := lacking.what(_message(error)):
            raise _MissingDataError(missing) from None
        raise CellError(_explain(error, name, cell, count)) from None


async def _aside(client, code):
    """What code prints that the kernel executes, and that leaves no trace in the notebook."""
    cells = client.nb.cells
    cells.append(v4.new_code_cell(code))
    await _run(client, len(cells) - 1, "the kernel", 0)
    return "".join(output.text for output in cells.pop().outputs if output.get("name") == "stdout")


def _explain(error, name, cell, count):
    """What failed, in a few lines: the cell, the lines of code on the way, and the error."""
    first = cell.source.lstrip().splitlines()[0]
    title = f"{name}: code cell {count} failed, which begins {first!r}"
    if isinstance(error, DeadKernelError):
        return f"{title}\n  its kernel died, perhaps because there was not enough memory"
    plain = re.sub(r"\x1b\[[\d;]*m", "", error.traceback)
    steps = [line.rstrip() for line in plain.splitlines() if re.match(r"-+> *\d+ ", line)][-4:]
    message = _message(error).splitlines()
    if len(message) > 20:
        message[20:] = [f"and {len(message) - 20} more lines"]
    return "\n".join([title, *(f"  {line}" for line in steps + message)])


def _message(error):
    """The error of a cell as Python shows it, without the way to it."""
    dead = isinstance(error, DeadKernelError)
    return str(error) if dead else f"{error.ename}: {error.evalue}"
