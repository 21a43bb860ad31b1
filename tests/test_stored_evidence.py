"""A sample of the stored evidence, computed anew: a claim of each paper at another seed."""

import ast
from pathlib import Path

import pytest

from lazyrich.book import chapters, claims, engines, evidence, execution, lacking, notebooks

BOOK = Path(__file__).parents[1] / "book"
# Claims that few cells judge, in some seconds; if there is one, a claim that depends on the seed.
SAMPLE = {"linearization": "W9", "conditioning": "G25", "mechanisms": "M17", "heavy_tails": "H17"}


def judging(cell, claim):
    """Whether a cell judges a claim: its identifier comes first in what judges."""
    calls = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    return any(call.args and ast.unparse(call.args[0]) == repr(claim) for call in calls)


def needed(code, claim):
    """The numbers of the cells on which the verdict of a claim hangs."""
    [last] = [number for number, cell in enumerate(code) if judging(cell, claim)]
    kept, open_names = {last}, lacking.names(code[last]).used
    for number in reversed(range(last)):
        used, given = lacking.names(code[number])
        if given & open_names:
            kept.add(number)
            open_names = (open_names - given) | used
    return kept


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "claim"), SAMPLE.items())
def test_a_claim_has_the_stored_verdict_at_another_seed(name, claim):
    path = BOOK / f"{name}.ipynb"
    kept = evidence.stored(path)["seeds"]
    if kept["state"] != evidence.state(path):
        pytest.skip("the evidence is from an earlier state of the code, and says so")
    [at_book] = [one["verdict"] for one in claims.recorded(BOOK) if one["id"] == claim]
    stored = kept["found"][claim]
    differ = [number for number, verdict in enumerate(stored) if verdict != at_book]
    number = differ[0] if differ else 0  # from seed 1 on

    notebook = chapters.at_scale(path, "book", seed=1 + number).notebook
    code, cells = notebooks.plain_code(notebook), notebooks.code_cells(notebook)
    notebook.cells = [cells[one] for one in sorted(needed(code, claim))]
    engine = engines.engine("book")
    task = execution.Task(notebook, BOOK, name, (), engine.environment, engine.code)
    text = notebooks.text(execution.execute(task, progress=False).notebook)
    found = {one["id"]: one["verdict"] for one in claims.recorded_in({path: text})}
    assert found[claim] == stored[number]
