r"""Notebooks: how they are read, and the one normal form in which they are stored.

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
import re
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode, from_dict, v4

from lazyrich.book import files

EDITOR_MARKS = {"ExecuteTime", "collapsed", "execution", "jupyter", "scrolled", "trusted"}


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


def plain_code(notebook: NotebookNode) -> list[str]:
    """The source of each cell of code as Python has it, without what IPython adds."""
    return [plain(cell) for cell in code_cells(notebook)]


def plain(cell: NotebookNode) -> str:
    """The same of one cell."""
    return TransformerManager().transform_cell(cell.source)


def set_parameters(notebook: NotebookNode, scale: str, seed: int) -> NotebookNode:
    """A copy of a chapter whose ``parameters`` cell sets another scale and seed.

    Raises:
        ValueError: if there is not one cell tagged ``parameters`` with one line ``scale = "…"``
            and one line ``seed = …``.
    """
    notebook = copy.deepcopy(notebook)
    cells = [c for c in code_cells(notebook) if "parameters" in (c.metadata.get("tags") or [])]
    if len(cells) != 1:
        raise ValueError(f"one code cell must be tagged 'parameters', got {len(cells)}")
    [cell] = cells
    for name, old, new in (("scale", r'"\w*"', f'"{scale}"'), ("seed", r"\d+", str(seed))):
        cell.source, found = re.subn(rf"(?m)^{name} *= *{old}", f"{name} = {new}", cell.source)
        if found != 1:
            raise ValueError(f"one line of the parameters cell must set {name}, got {found}")
    return notebook


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
