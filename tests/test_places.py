import inspect
from pathlib import Path

import pytest

from lazyrich import places


def test_a_folder_is_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = {"HERE": "a/b", "THERE": "/c", "EMPTY": "", "HOME": str(tmp_path), "MINE": "~/d"}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    found = [places.named(name) for name in ("HERE", "THERE", "MINE", "EMPTY", "MISSING")]
    assert found == [tmp_path / "a/b", Path("/c"), tmp_path / "d", None, None]
    assert places.named("HERE", {"HERE": "other"}) == tmp_path / "other"
    with pytest.raises(ValueError, match="out must name a place, got ''"):
        places.place("out", "")
    with pytest.raises(ValueError, match="out must name a place, got None"):
        inspect.unwrap(places.place)("out", None)
    with pytest.raises(ValueError, match="HERE must begin with the name of a user, got '~nobody9'"):
        places.named("HERE", {"HERE": "~nobody9"})
