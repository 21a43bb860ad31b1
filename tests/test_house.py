"""Three wings on one foundation: imports only go down, read from the files themselves."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import lazyrich

LIBRARY = Path(lazyrich.__file__).parent
PAPERS = {"linearization", "conditioning", "mechanisms", "heavy_tails"}
SYNTHESIS = {"lenses"}  # which puts the papers' formulas beside each other
FORMULAS = PAPERS | SYNTHESIS


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
    for paper in PAPERS:
        assert not crossings(paper, FORMULAS - {paper} | {"experiments", "book"})


def test_the_synthesis_knows_papers_but_no_experiment_and_no_book():
    for room in SYNTHESIS:
        assert not crossings(room, {"experiments", "book"})


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
OF_THE_BOOK |= {"PIL", "flax", "pooch", "psutil", "safetensors", "seaborn", "sklearn", "tqdm"}
OF_THE_BOOK |= {"torch", "xarray"}


def test_formulas_and_foundation_need_nothing_that_only_the_book_needs():
    rooms = [path.relative_to(LIBRARY).with_suffix("") for path in LIBRARY.rglob("*.py")]
    names = ["lazyrich", *(".".join(("lazyrich", *room.parts)) for room in rooms)]
    names = sorted(name for name in names if not {"book", "__main__"} & set(name.split(".")))
    blocked = f"import sys; sys.modules.update(dict.fromkeys({sorted(OF_THE_BOOK)!r})); "
    code = f"{blocked}import importlib; [importlib.import_module(name) for name in {names!r}]"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not ran.returncode, ran.stderr


def test_what_one_calls_on_ones_own_network_is_shown_at_the_top():
    shown = dir(lazyrich)
    for name in ("empirical_ntk", "gauss_newton", "laziness", "power_law_fit", "mechanisms"):
        assert name in shown and getattr(lazyrich, name) is not None
    assert all(hasattr(lazyrich, name) for name in lazyrich.__all__)
    with pytest.raises(AttributeError, match="module 'lazyrich' has no attribute 'x'"):
        _ = lazyrich.x


def test_the_library_is_loaded_without_what_takes_long_to_load():
    code = "import sys, lazyrich.mechanisms, lazyrich.linearization, lazyrich.conditioning; "
    code += "import lazyrich.heavy_tails, lazyrich.lenses; "
    code += "print([m for m in sys.modules if m in set(sys.argv)])"
    late = ["diffrax", "scipy.stats", "scipy.sparse", "sklearn", "pandas", "matplotlib"]
    ran = subprocess.run([sys.executable, "-c", code, *late], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr


def alike(wing):
    """The names that a wing has twice, of its modules and of what their packages show of them."""
    paths = [path for room in wing for path in sorted((LIBRARY / room).rglob("*.py"))]
    names = [path.stem for path in paths if path.stem != "__init__"]
    for path in paths:
        body = ast.parse(path.read_text()).body
        if path.stem == "__init__":  # of formulas, whose modules share helpers
            shown = [node for node in body if isinstance(node, ast.ImportFrom)]
            names += [alias.name for node in shown for alias in node.names]
        elif wing not in (FORMULAS,):
            shown = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
            names += [node.name for node in shown if node.name[0] != "_"]
    return sorted(name for name, times in Counter(names).items() if times > 1)


@pytest.mark.parametrize("wing", [FORMULAS, {"experiments"}, {"book"}])
def test_no_two_names_of_a_wing_are_alike(wing):
    assert alike(wing) == []
