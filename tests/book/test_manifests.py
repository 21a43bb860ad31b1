import json
import shutil

import pytest

from lazyrich.book import crates, manifests

RUN = {"scale": "quick", "seed": 0}


def test_a_folder_keeps_to_its_run(tmp_path):
    run = RUN | {"device": "cpu"}
    for name, other in (("scale", "book"), ("seed", 1), ("device", "another")):
        message = f"holds a run with another {name} {run[name]!r}, not {other!r}"
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        manifests.begun(tmp_path / "out", run)
        with pytest.raises(ValueError, match=message):
            manifests.begun(tmp_path / "out", run | {name: other})


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    manifests.begun(tmp_path / "out", RUN)
    for name in ("manifest.json.7.part", "mine.part"):
        (tmp_path / "out" / name).touch()
    manifests.begun(tmp_path / "out", RUN)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "ro-crate-metadata.json",
        "mine.part",
    }


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", ".lock", "a\0b", "a\\b"])
def test_a_manifest_names_files_of_its_own_folder_alone(name, tmp_path):
    entry = {"fingerprint": "a", "files": {name: "b"}}
    (tmp_path / manifests.MANIFEST).write_text(json.dumps({"computed": {"one": entry}}))
    with pytest.raises(ValueError, match="must hold a manifest"):
        manifests.begun(tmp_path, RUN)
    assert [path.name for path in tmp_path.iterdir()] == [manifests.MANIFEST]


def test_a_run_that_was_killed_before_its_manifest_was_there_begins_again(tmp_path):
    (tmp_path / "manifest.json.7.part").touch()
    assert manifests.begun(tmp_path, RUN) == RUN | {"computed": {}}
    assert {path.name for path in tmp_path.iterdir()} == {manifests.MANIFEST, crates.CRATE}


def test_files_are_put_once_and_those_of_another_state_go(tmp_path):
    manifest = manifests.begun(tmp_path, RUN)
    about = {"fingerprint": "first"}
    assert manifests.put(tmp_path, manifest, "one#fig-a", about, {"fig-a.svg": b"a"})
    assert manifests.there(tmp_path, manifest, "one#fig-a", "first")
    assert not manifests.there(tmp_path, manifest, "one", "first")
    assert not manifests.put(tmp_path, manifest, "one#fig-a", about, {"fig-a.svg": b"a"})
    (tmp_path / "one/fig-a.svg").write_bytes(b"damaged")
    assert manifests.put(tmp_path, manifest, "one#fig-a", about, {"fig-a.svg": b"a"})
    assert manifests.outdated(manifest, "one", "second") == ["one#fig-a"]
    manifests.put(tmp_path, manifest, "one", {"fingerprint": "second"}, {"fig-b.svg": b"b"})
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["fig-b.svg"]
    assert manifests.there(tmp_path, manifest, "one#fig-b", "second")
    assert manifests.begun(tmp_path, RUN) == manifest


def test_a_crate_describes_the_folder(tmp_path):
    run = RUN | {"device": "cpu", "software": {"python": "3.11.7"}}
    manifest = manifests.begun(tmp_path, run)
    about = {"fingerprint": "f", "commit": "c", "date": "2026-01-02", "seconds": 3.0}
    manifests.put(tmp_path, manifest, "one", about, {"one.ipynb": b"{}", "fig-a.svg": b"<svg>"})
    crate = json.loads((tmp_path / crates.CRATE).read_text(encoding="utf-8"))
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    files = ["manifest.json", "one/one.ipynb", "one/fig-a.svg"]
    assert [part["@id"] for part in entities["./"]["hasPart"]] == files
    assert all((tmp_path / name).is_file() and entities[name]["@type"] == "File" for name in files)
    assert entities["./"]["datePublished"] == "2026-01-02"
    action = entities["#computed-one"]
    assert action["description"] == "commit c, device cpu"
    used = [*action["instrument"], *action["result"], *entities["./"]["mentions"]]
    assert all(one["@id"] in entities for one in used)
    assert entities["one/fig-a.svg"]["encodingFormat"] == "image/svg+xml"
