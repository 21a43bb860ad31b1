import pytest

from lazyrich.book import runs


def test_a_folder_keeps_to_its_run(tmp_path):
    run = {"scale": "quick", "seed": 0, "device": "cpu"}
    for name, other in (("scale", "book"), ("seed", 1), ("device", "another")):
        message = f"holds a run with another {name} {run[name]!r}, not {other!r}"
        (tmp_path / "out/manifest.json").unlink(missing_ok=True)
        with runs.held(tmp_path / "out", run):
            pass
        with (
            pytest.raises(ValueError, match=message),
            runs.held(tmp_path / "out", run | {name: other}),
        ):
            pass


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    with runs.held(tmp_path / "out", {}):
        pass
    left = ["manifest.json.7.part", ".points/f/abc.7.part", ".draft-x/fig-a.svg"]
    for name in left:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).touch()
    (tmp_path / "out/mine.part").touch()
    with runs.held(tmp_path / "out", {}):
        assert not any((tmp_path / "out" / name).exists() for name in left)
        assert not (tmp_path / "out/.draft-x").exists() and (tmp_path / "out/mine.part").exists()


def test_what_a_link_leads_to_is_not_swept_up(tmp_path):
    with runs.held(tmp_path / "out", {}):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/film.part").touch()
    (tmp_path / "out/.points").symlink_to(tmp_path / "mine")
    with runs.held(tmp_path / "out", {}):
        assert (tmp_path / "mine/film.part").exists()


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", ".lock", "a\0b", "a\\b"])
def test_a_manifest_names_files_of_its_own_folder_alone(name, tmp_path):
    entry = {"fingerprint": "a", "files": {name: "b"}}
    runs.write(tmp_path, {"computed": {"one": entry}})
    with pytest.raises(ValueError, match="must hold a manifest"), runs.held(tmp_path, {}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [runs.MANIFEST]


def test_a_run_that_was_killed_before_its_manifest_was_there_begins_again(tmp_path):
    for name in (runs.LOCK, "manifest.json.7.part"):
        (tmp_path / name).touch()
    with runs.held(tmp_path, {"seed": 0}) as manifest:
        assert manifest == {"seed": 0, "computed": {}}
    assert {path.name for path in tmp_path.iterdir()} == {runs.LOCK, runs.MANIFEST}
