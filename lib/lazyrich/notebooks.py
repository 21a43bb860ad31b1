r"""Notebooks: how they are executed, and the one normal form in which they are stored.

A chapter is a notebook with one cell tagged ``parameters``, which sets ``scale`` and ``seed``.

>>> from nbformat import v4
>>> cell = v4.new_code_cell('scale = "book"\nseed = 0', metadata={"tags": ["parameters"]})
>>> chapter = set_parameters(v4.new_notebook(cells=[cell]), scale="quick", seed=3)
>>> print(chapter.cells[0].source)
scale = "quick"
seed = 3
"""

import copy
import hashlib
import json
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
from nbformat import NotebookNode, from_dict, v4
from tqdm import tqdm

from lazyrich import files, validation
from lazyrich.downloads import VARIABLE as DATA
from lazyrich.store import VARIABLE as STORE
from lazyrich.sweeps import SCALES
from lazyrich.sweeps import VARIABLE as POINTS

EDITOR_MARKS = {"ExecuteTime", "collapsed", "execution", "jupyter", "scrolled", "trusted"}
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


def read(path: Path | str) -> NotebookNode:
    """A notebook from its file.

    Raises:
        ValueError: if the file is not a notebook of format 4.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["nbformat"] != 4:
            raise ValueError(f"format {content['nbformat']}")
        return v4.to_notebook(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} must be a notebook of format 4, but is not") from error


def write(path: Path | str, notebook: NotebookNode) -> None:
    """Write a notebook in normal form; the file is the old one until the new one is whole."""
    files.replace(Path(path), text(notebook))


def text(notebook: NotebookNode) -> str:
    """The content of the file of a notebook in normal form."""
    return v4.writes(normalise(notebook)) + "\n"


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that hold code, in their order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def set_parameters(notebook: NotebookNode, scale: str, seed: int) -> NotebookNode:
    """A copy of a chapter whose ``parameters`` cell sets another scale and seed.

    Raises:
        ValueError: if the scale is unknown, or there is not one cell tagged ``parameters`` with
            one line ``scale = "…"`` and one line ``seed = …``.
    """
    validation.one_of("scale", scale, SCALES)
    validation.whole("seed", seed)
    notebook = copy.deepcopy(notebook)
    cells = [c for c in code_cells(notebook) if "parameters" in (c.metadata.get("tags") or [])]
    if len(cells) != 1:
        raise ValueError(f"one code cell must be tagged 'parameters', got {len(cells)}")
    for name, old, new in (("scale", r'"\w*"', f'"{scale}"'), ("seed", r"\d+", str(seed))):
        cells[0].source, found = re.subn(
            rf"(?m)^{name} *= *{old}", f"{name} = {new}", cells[0].source
        )
        if found != 1:
            raise ValueError(f"one line of the parameters cell must set {name}, got {found}")
    return notebook


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
    for cell in code_cells(notebook):
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
    for folders in (DATA, STORE):  # from here, where the kernel does not run
        if environment.get(folders):
            environment[folders] = str(files.place(folders, environment[folders]).absolute())
    shown = progress and sys.stderr is not None  # it is None where the program has none
    # What remains is told from the whole so far, so that it also moves within a long cell.
    bar = tqdm(total=sum(shares), disable=not shown, bar_format=BAR, smoothing=0)
    with (
        tempfile.NamedTemporaryFile("r") as points,
        _kernel(client, name, {**environment, POINTS: points.name}),
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


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The normal form of a notebook: a copy in which nothing is left to chance or to the editor.

    Executed cells are counted 1, 2, …; ids are unique; text that was printed in pieces is one
    piece; times, the editor's marks and the version of Python are gone. A cell that was never
    executed stays so. Normalising a second time changes nothing.
    """
    notebook = copy.deepcopy(notebook)
    metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.update(metadata=from_dict(metadata), nbformat=4, nbformat_minor=5)
    ids, count = set(), 0
    for index, cell in enumerate(notebook.cells):
        for key in [key for key in cell.metadata if key in EDITOR_MARKS or not cell.metadata[key]]:
            del cell.metadata[key]
        if cell.get("id") in ids | {None}:
            cell.id = hashlib.sha256(f"{index} {cell.source}".encode()).hexdigest()[:8]
        ids.add(cell.id)
        if cell.cell_type != "code":
            continue
        cell.outputs = _merged(cell.outputs)
        if cell.execution_count is not None:
            count += 1
            for counted in (cell, *cell.outputs):
                if "execution_count" in counted:
                    counted.execution_count = count
    return notebook


def _merged(outputs):
    """Outputs in which consecutive pieces of the same stream are one."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


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
