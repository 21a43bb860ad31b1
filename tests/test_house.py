"""Three wings on one foundation: imports only go down, read from the files themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import lazyrich

LIBRARY = Path(lazyrich.__file__).parent
FORMULAS = {"linearization", "conditioning", "mechanisms", "heavy_tails"}


def imported(path):
    """The modules of the library that a file names in its import statements, without the root."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1:] for name in names if name.split(".")[0] == "lazyrich")


def crossings(room, forbidden):
    """The imports of a part of the library that lead where they must not."""
    paths = [LIBRARY / f"{room}.py", *(LIBRARY / room).rglob("*.py")]
    return [
        f"{path.relative_to(LIBRARY)}: {'.'.join(name)}"
        for path in paths
        if path.exists()
        for name in imported(path)
        if name[0] in forbidden
    ]


def test_a_papers_formulas_know_no_other_paper_no_experiment_and_no_book():
    for paper in FORMULAS:
        assert not crossings(paper, FORMULAS - {paper} | {"experiments", "book"})


def test_the_machinery_of_the_book_knows_no_paper():
    assert not crossings("book", FORMULAS | {"experiments"})


def test_experiments_know_no_book():
    assert not crossings("experiments", {"book"})


def test_the_foundation_knows_none_of_the_wings():
    wings = FORMULAS | {"experiments", "book"}
    rooms = {path.stem for path in LIBRARY.iterdir()} - wings - {"__init__", "__main__"}
    assert rooms >= {"derivatives", "networks", "spectra", "training", "validation"}
    assert not [crossing for room in rooms for crossing in crossings(room, wings)]


OF_THE_BOOK = {"IPython", "ipykernel", "joblib", "matplotlib", "nbclient", "nbformat", "pandas"}
OF_THE_BOOK |= {"PIL", "pooch", "psutil", "seaborn", "sklearn", "tqdm", "xarray"}


def test_formulas_and_foundation_need_nothing_that_only_the_book_needs():
    rooms = [path.relative_to(LIBRARY).with_suffix("") for path in LIBRARY.rglob("*.py")]
    names = ["lazyrich", *(".".join(("lazyrich", *room.parts)) for room in rooms)]
    names = sorted(name for name in names if not {"book", "__main__"} & set(name.split(".")))
    blocked = f"import sys; sys.modules.update(dict.fromkeys({sorted(OF_THE_BOOK)!r})); "
    code = f"{blocked}import importlib; [importlib.import_module(name) for name in {names!r}]"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not ran.returncode, ran.stderr
