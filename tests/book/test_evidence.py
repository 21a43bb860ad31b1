import json

import jsonschema
import pytest

from lazyrich.book import claims, evidence, manifests, notebooks, rendering

ABOUT = {"commit": "c", "machine": "m", "date": "2026-01-01", "hours": 1.0}


@pytest.fixture
def path(executed, tmp_path):
    """An executed chapter that judges M1, which holds."""
    notebooks.write(tmp_path / "demo.ipynb", executed.notebook)
    return tmp_path / "demo.ipynb"


def of(folder):
    """The evidence of each claim."""
    return {one["id"]: one["evidence"] for one in evidence.with_evidence(folder)}


def rewrite(path, old, new):
    content = path.read_text(encoding="utf-8")
    assert content.count(old) >= 1
    path.write_text(content.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Asks whether", "Does it matter whether", True),  # prose
        ("The mean is zero.", "Zero is the mean.", True),  # a statement
        ("print(f", "print( f", True),  # the form of a line
        ("axes.plot(draws[:10]", "axes.plot(draws[:9]", True),  # a figure
        (
            "figure, axes = plt.subplots()",
            "bound = 0.1\\nfigure, axes = plt.subplots()",
            False,
        ),  # a number that a cell with a figure gives
        ("within=0.2", "within=0.3", False),
        ("1000, ", "1001, ", False),
        ("np.random.default_rng(seed)", "np.random.default_rng(seed + 1)", False),
    ],
)
def test_the_state_is_that_of_what_makes_numbers(path, old, new, same):
    before = evidence.state(path)
    rewrite(path, old, new)
    assert (evidence.state(path) == before) is same


def test_the_state_is_that_of_the_modules_that_the_cells_reach(path, tmp_path):
    rewrite(path, "import pandas as pd", "import pandas as pd\\nimport own")
    own = tmp_path / "own.py"
    own.write_text('def f(x):\n    """Twice."""\n    return 2 * x\n')
    before = evidence.state(path)
    own.write_text('def f(x):\n    """Twice x."""\n    # As said.\n    return 2 * x\n')
    assert evidence.state(path) == before
    own.write_text("def f(x):\n    return 3 * x\n")
    assert evidence.state(path) != before


def test_evidence_is_kept_a_part_at_a_time_and_read_by_claim(path):
    assert of(path.parent) == {"M1": {}} and evidence.stored(path) == {}
    now = evidence.state(path)
    evidence.add(path, "broken", {"spike.edge: × 1.1": ["M1"], "spike.rate: sign": []}, now, ABOUT)
    evidence.add(path, "seeds", {"M1": ["fails", "holds"]}, "earlier", ABOUT)
    evidence.add(path, "seeds", {"M1": ["holds"] * 19 + ["fails"]}, now, ABOUT)
    assert list(evidence.stored(path)) == ["seeds", "broken"]
    assert of(path.parent)["M1"] == {
        "seeds": {"agree": 19, "others": {"fails": 1}, "of": 20, "current": True},
        "broken": {"by": ["spike.edge: × 1.1"], "current": True},
    }
    rewrite(path, "within=0.2", "within=0.3")
    assert not of(path.parent)["M1"]["seeds"]["current"]


def test_evidence_of_a_claim_that_is_new_is_not_there(path):
    evidence.add(path, "seeds", {"M2": ["holds"]}, "", ABOUT)
    assert of(path.parent)["M1"] == {}


def test_evidence_fits_the_schema(path):
    evidence.add(path, "seeds", {"M1": ["holds"]}, "", ABOUT)
    evidence.add(path, "paper", {"M1": {"verdict": "holds in part"}}, "", ABOUT)
    records = evidence.with_evidence(path.parent)
    jsonschema.validate(records, json.loads(claims.SCHEMA.read_text(encoding="utf-8")))
    assert "holds in part at the paper’s size" in rendering.as_html(
        records[0], records[0]["evidence"]
    )


def test_a_file_that_cannot_be_read_is_named(path):
    evidence.add(path, "seeds", {}, "", ABOUT)
    (path.parent / "evidence/demo.json").write_text("{")
    with pytest.raises(ValueError, match=r"demo\.json must be JSON"):
        of(path.parent)


@pytest.fixture
def run(path, tmp_path):
    """The folder of a reproduction of the chapter at scale paper."""
    out = tmp_path / "out"
    manifest = manifests.begun(out, {"scale": "paper", "seed": 3})
    records = json.dumps(claims.recorded(path.parent)).encode()
    about = {"fingerprint": "f", "state": evidence.state(path), "seconds": 7200.0}
    about |= {"commit": "c", "machine": "a large one", "date": "2026-01-01"}
    manifests.put(out, manifest, "demo", about, {"claims.json": records})
    return out


def test_a_reproduction_at_the_papers_size_becomes_evidence(run, path):
    evidence.add_reproduction(run, path)
    assert of(path.parent)["M1"] == {"paper": {"verdict": "holds", "current": True}}
    kept = evidence.stored(path)["paper"]
    assert (kept["hours"], kept["seed"], kept["machine"]) == (2.0, 3, "a large one")
    assert kept["found"]["M1"]["checks"] == claims.recorded(path.parent)[0]["checks"]


@pytest.mark.parametrize(
    ("breaking", "match"),
    [
        (lambda out: rewrite(out / "manifest.json", "paper", "quick"), "scale paper, got quick"),
        (lambda out: (out / "demo/claims.json").unlink(), "must hold all of demo"),
        (lambda out: (out / "manifest.json").unlink(), "must hold all of demo"),
    ],
)
def test_what_is_no_such_reproduction_is_refused(breaking, match, run, path):
    breaking(run)
    with pytest.raises(ValueError, match=match):
        evidence.add_reproduction(run, path)
