"""The explorers, as far as no browser is needed: names, scripts and the draws that pages hold."""

import importlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from lazyrich import mechanisms

BOOK = Path(__file__).parents[1] / "book"
SCRIPTS = BOOK / "_static" / "explorers"
# What the scripts have besides formulas of the library.
OWN = {"mechanisms.layers", "heavy_tails.normal_mean", "lenses.ERF"}


@pytest.fixture(scope="module")
def extension():
    place = BOOK / "_ext" / "lazyrich_explorers.py"
    spec = importlib.util.spec_from_file_location("lazyrich_explorers", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_formula_has_the_name_of_one_of_the_library():
    text = (SCRIPTS / "formulas.js").read_text(encoding="utf-8")
    found = set(
        re.findall(r"^  ((?:mechanisms|heavy_tails|conditioning|lenses)\.\w+) =", text, re.M)
    )
    found |= set(re.findall(r"^  (spectra\.\w+) =", text, re.M))
    assert len(found) > 40
    for name in sorted(found - OWN - {"spectra.eigenvalues"}):
        module, _, formula = name.partition(".")
        assert hasattr(importlib.import_module(f"lazyrich.{module}"), formula), name


def test_every_explorer_has_its_script_and_its_page(extension):
    for name in extension.LABELS:
        script = (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")
        assert f'register("{name}"' in script
        page = (BOOK / f"explore_{name}.md").read_text(encoding="utf-8")
        assert f"```{{explorer}} {name}\n```" in page
        assert f":link: explore_{name}\n" in (BOOK / "explore.md").read_text(encoding="utf-8")
    for file in (*extension.STYLES, *extension.BEFORE):
        assert (BOOK / "_static" / file).exists()


def test_the_starts_of_a_page_are_those_that_its_code_draws(extension):
    ((u_length, v_length, cosine, sine),) = extension.starts((9,), 1)["starts"][9]
    u, v = np.random.default_rng(0).normal(size=(2, 9))
    state = mechanisms.state(mechanisms.Setting(), u, v)
    found = [u_length, v_length, cosine, cosine**2 + sine**2]
    expected = [np.linalg.norm(u), np.linalg.norm(v), float(state.cosine), 1]
    np.testing.assert_allclose(found, expected, 1e-12)
