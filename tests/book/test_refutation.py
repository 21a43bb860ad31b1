import ast
import json
from pathlib import Path

import pytest
from nbformat import v4

from lazyrich.book import claims, notebooks, refutation

JUDGE = """
check = checks.near("stable rank", float(spectra.stable_rank(values)), {expected}, within=0.01)
read = {{"paper": claims.Source("A paper")}}
about = {{"relation": "beyond", "kind": "law", "sources": ["paper"], "read": read}}
claims.claim("M1", "It is 1.75.", check, answers="§1", scale="book", **about)
"""
CODE = """
import numpy as np
import matplotlib.pyplot as plt
from lazyrich import spectra
from lazyrich.book import checks, claims

values = np.array([1.0, 4.0, 2.0])
figure, axes = plt.subplots()
axes.plot(values)
print("what is printed is none of a verdict")
"""


@pytest.fixture
def path(tmp_path):
    """A chapter with one claim, on the stable rank of a spectrum."""

    def write(expected=1.75):
        sources = ('scale = "book"\nseed = 0', CODE, JUDGE.format(expected=expected))
        cells = [v4.new_code_cell(source.strip()) for source in sources]
        shown = claims.claim(
            "M1", "It is 1.75.", claims_check(), answers="§1", relation="beyond", kind="law",
            sources=["paper"], read={"paper": claims.Source("A paper")}, scale="book",
        )  # fmt: skip
        data, metadata = shown._repr_mimebundle_()
        cells[2].outputs = [v4.new_output("display_data", data, metadata=metadata)]
        notebooks.write(tmp_path / "demo.ipynb", v4.new_notebook(cells=cells))
        return tmp_path / "demo.ipynb"

    return write


def claims_check():
    from lazyrich.book.checks import near

    return near("stable rank", 1.75, 1.75, within=0.01)


def test_a_verdict_sees_a_broken_formula(path, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    path().rename(tmp_path / "elsewhere/demo.ipynb")
    monkeypatch.chdir(tmp_path)  # places may be given from here
    path, kept = Path("elsewhere/demo.ipynb"), Path("kept.json")
    assert refutation.formulas(path) == ["lazyrich.spectra.weights._stable_rank"]
    found = refutation.refute(path, Path("store"), kept, number=2)
    assert found.seen == {
        # In any unit it is the same.
        "spectra.weights._stable_rank: values / binary_unit(xp, values[..., -1:]) "
        "with a factor of 1.1": [],
        "spectra.weights._stable_rank: values.sum(axis=-1) / values[..., -1] "
        "with a factor of 1.1": ["M1"],
    }
    assert found.formulas == {"spectra.weights._stable_rank": True}
    assert found.seconds > 0 and len(json.loads(kept.read_text())) == 2


def test_a_chapter_that_does_not_give_its_verdicts_is_refused(path, tmp_path):
    with pytest.raises(ValueError, match="must give its own verdicts .* but not of M1"):
        refutation.refute(path(expected=2.5), tmp_path / "store", tmp_path / "kept.json")


@pytest.mark.parametrize(
    ("code", "how", "expected"),
    [
        ("a + b", "another sign", "a - b"),
        ("a - b", "another sign", "a + b"),
        ("a - b", "a missing term", "a"),
        ("a * b", "a factor of 1.1", "1.1 * (a * b)"),
        ("a / b", "a factor of 1.1", "1.1 * (a / b)"),
        ("a ** 2", "another power", "a ** (2 + 1)"),
    ],
)
def test_an_operation_is_broken(code, how, expected):
    tree = ast.parse(code)
    [node] = refutation._operations(tree)
    assert how in refutation.HOW[type(node.op)]
    assert ast.unparse(refutation._Breaking(node, how).visit(tree)) == expected


def test_indices_messages_and_defaults_are_not_broken():
    code = 'def f(x, n=2 * 3):\n    if n:\n        raise ValueError(f"{n + 1}" + "a")\n'
    assert list(refutation._operations(ast.parse(code + "    return x[n - 1]"))) == []
