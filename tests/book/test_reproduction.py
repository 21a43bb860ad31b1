import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from nbformat import v4

import points
import small_book
from lazyrich.__main__ import main
from lazyrich.book import chapters, engines, notebooks, reproduction, store


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a small book; kernels find the functions of its sweeps."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    monkeypatch.setenv(points.NOTES, str(tmp_path))
    small_book.write(tmp_path / "book")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(place):
    """The points that were computed, in their order."""
    return [int(line) for line in (place / "notes").read_text().split()]


def contents(out):
    """The files of a folder, without the one thing that differs from run to run."""
    manifest = re.sub(r'"seconds": [\d.]+', "", (out / "manifest.json").read_text())
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*[a-z0-9]")
             if path.is_file()}  # fmt: skip
    return files | {"manifest.json": manifest.encode()}


def reproduce(*arguments):
    return main(["reproduce", *arguments, "--scale", "quick", "--out", "out"])


def test_a_chapter_leaves_all_that_was_promised(place, capsys):
    assert reproduce() == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "Computed: one."
    assert re.search(r"one, cell 4 of 4 +100%.* to go", shown.err)
    names = [f"{figure}.{end}" for figure in ("fig-maxima", "fig-means")
             for end in ("csv", "pdf", "png", "svg")]  # fmt: skip
    assert sorted(path.name for path in (place / "out/one").iterdir()) == [
        "claims.json", *sorted([*names, "fig-maxima.curves.csv"]), "one.ipynb",
    ]  # fmt: skip
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "manifest.json", "one", "ro-crate-metadata.json",
    ]  # fmt: skip
    table = (place / "out/one/fig-means.csv").read_text()
    assert table.startswith("# fig-means of the chapter one, at scale quick and seed 0.\n# Draws")
    assert pd.read_csv(place / "out/one/fig-means.csv", comment="#")["number"].tolist() == [
        3, 4, 5, 6, 7, 8,
    ]  # fmt: skip
    curves = place / "out/one/fig-maxima.curves.csv"
    assert "# A row is a point of a line;" in curves.read_text()
    assert pd.read_csv(curves, comment="#")["y"].tolist() == [0, 0]
    [claim] = json.loads((place / "out/one/claims.json").read_text())
    assert (claim["id"], claim["scale"], claim["verdict"]) == ("M1", "quick", "holds")
    done = notebooks.read(place / "out/one/one.ipynb")
    assert 'scale = "quick"' in done.cells[1].source and done.cells[5].outputs
    manifest = json.loads((place / "out/manifest.json").read_text())
    assert {"scale", "seed", "device", "settings", "software", "computed"} == set(manifest)
    settings = manifest["computed"]["one"]["settings"]
    assert manifest["device"] == "cpu" and settings["jax_enable_x64"]
    assert manifest["settings"] | {"jax_enable_x64": True} == settings
    assert settings["jax_disable_most_optimizations"]  # at scale quick
    assert not done.cells[5].outputs[0].data["text/plain"].startswith("/")
    assert notebooks.read(place / "book/one.ipynb").cells[5].outputs == []


def test_nothing_is_computed_twice_and_two_runs_are_the_same(place, capsys):
    assert reproduce() == 0
    first = contents(place / "out")
    assert reproduce() == 0
    assert "Computed: nothing, all is there already." in capsys.readouterr().out
    assert contents(place / "out") == first
    (place / "out/one/fig-means.svg").write_text("damaged")
    assert reproduce("one") == 0 and contents(place / "out") == first
    assert numbers(place) == [3, 4, 5, 6, 7, 8]
    (place / "out").rename(place / "before")
    assert reproduce() == 0 and contents(place / "out") == first
    shutil.rmtree(place / "_build/store")
    (place / "out").rename(place / "second")
    assert reproduce("--jobs", "2") == 0
    assert contents(place / "out") == first and len(numbers(place)) == 12


def test_a_figure_alone_runs_the_cells_before_it_and_writes_only_itself(place):
    notebook = notebooks.read(place / "book/one.ipynb")
    notebook.cells[7].source += "\n1 / 0"
    notebooks.write(place / "book/one.ipynb", notebook)
    assert reproduce("one#fig-means") == 0
    assert {path.name for path in (place / "out/one").iterdir()} == {
        f"fig-means.{end}" for end in ("csv", "pdf", "png", "svg")
    }
    computed = json.loads((place / "out/manifest.json").read_text())["computed"]
    assert list(computed) == ["one#fig-means"]


def test_a_failing_cell_ends_it_and_what_was_computed_is_kept(place, capsys):
    notebook = notebooks.read(place / "book/one.ipynb")
    whole = notebook.cells[7].source
    notebook.cells[7].source = "1 / 0"
    notebooks.write(place / "book/one.ipynb", notebook)
    assert reproduce() == 1
    assert "code cell 4 failed" in capsys.readouterr().err
    notebook.cells[7].source = whole
    notebooks.write(place / "book/one.ipynb", notebook)
    assert reproduce() == 0 and numbers(place) == [3, 4, 5, 6, 7, 8]


def test_killed_it_goes_on_where_it_was(place):
    assert reproduce() == 0
    first = contents(place / "out")
    (place / "out").rename(place / "before")
    shutil.rmtree(place / "_build/store")
    (place / "notes").unlink()
    command = [sys.executable, "-m", "lazyrich", "reproduce", "--scale", "quick", "--out", "out"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    kept = place / "_build/store/points.slow"
    while not kept.exists() or len(list(kept.iterdir())) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert reproduce() == 0
    assert contents(place / "out") == first
    # The kernel may end a little later than the process that was killed.
    assert sorted(set(numbers(place))) == [3, 4, 5, 6, 7, 8] and len(numbers(place)) <= 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["two"], "chapter must be one of one, got 'two'"),
        (["one#fig-x"], "figure must be one of one#fig-means, one#fig-maxima, got 'one#fig-x'"),
        (["--scale", "huge"], "scale must be one of 'quick', 'book', 'paper', got 'huge'"),
        (["--device", "tpu"], "device must be one of 'auto', 'cpu', 'gpu', got 'tpu'"),
        (["--seed", "-1"], "seed must be an integer of at least 0, got -1"),
        (["--seed", str(2**63)], "seed must be an integer below 2**31, got about 2**63"),
        (["--out", "~nobody at all/x"], "out must begin with the name of a user, got '~nobody"),
        (["--jobs", "0"], "jobs must be an integer of at least 1, got 0"),
        (["--jobs", "2", "--dask", "a"], "jobs must be 1 where a Dask cluster takes the points"),
        (["--dask", "nowhere"], "dask must be the address of a running scheduler, got 'nowhere'"),
        (["--folder", "none"], "folder must hold notebooks (*.ipynb), got 'none'"),
        (["--out", "book"], "out must be a new folder, an empty one, or that of an earlier run"),
        (["--out", "file/x"], "out must be a folder that can be written, got 'file/x' (Not a"),
        (["--out", "file"], "out must be a folder that can be written, got 'file' (File exists)"),
        (["--out", "odd"], "out must hold a manifest that can be read, but odd/manifest.json"),
        (["--out", "foreign"], "out must hold a manifest that can be read, but foreign/manifest"),
        (["--out", "torn"], "out must hold a manifest that can be read, but torn/manifest.json"),
        (["--out", "list"], "out must hold a manifest that can be read, but list/manifest.json"),
        (["--out", ""], "out must name a place, got ''"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(arguments, message, place, capsys):
    (place / "file").write_text("mine")
    (place / "torn").mkdir()
    (place / "torn/manifest.json").write_text("{")
    (place / "foreign").mkdir()
    foreign = {"one": {"fingerprint": "a", "files": {"../../file": "b"}}}
    (place / "foreign/manifest.json").write_text(json.dumps({"computed": foreign}))
    (place / "odd").mkdir()
    (place / "odd/manifest.json").write_text('{"computed": {"one": {"files": {}}}}')
    (place / "list").mkdir()
    (place / "list/manifest.json").write_text(
        '{"computed": {"one": {"fingerprint": "a", "files": ["a"]}}}'
    )
    before = sorted(place.rglob("*"))
    assert main(["reproduce", *arguments]) == 2
    shown = capsys.readouterr()
    [line] = shown.err.splitlines()
    assert line.startswith(f"lazyrich: {message}") and shown.out == ""
    assert (place / "file").read_text() == "mine"
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("backends", ["none", "cpu"])  # the second is what JAX falls back to
def test_a_device_that_is_not_there_is_told(backends, place, monkeypatch, capsys):
    monkeypatch.setitem(engines.DEVICES, "gpu", backends)
    assert reproduce("--device", "gpu") == 2
    assert capsys.readouterr().err.startswith(
        "lazyrich: device must be one that JAX finds on this machine, got 'gpu'; for a GPU"
    )


def test_a_platform_or_a_store_that_is_not_there_is_told(place, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setenv("JAX_PLATFORMS", "banana")
        assert reproduce() == 2
    told = capsys.readouterr().err
    assert "got 'auto' with JAX_PLATFORMS='banana'" in told and "backend 'banana'" in told
    (place / "file").write_text("mine")
    monkeypatch.setenv(store.VARIABLE, "file")
    assert reproduce() == 2
    assert f"{store.VARIABLE} must name a folder that can be written" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_in_a_folder_of_someone_else_nothing_is_touched(place, capsys):
    mine = ["file", "folder/a", "manifest.json.7.part"]
    for name in mine:
        (place / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "home" / name).write_text("mine")
    assert main(["reproduce", "--out", "home"]) == 2
    assert "out must be a new folder" in capsys.readouterr().err
    assert all((place / "home" / name).read_text() == "mine" for name in mine)
    assert len([path for path in (place / "home").rglob("*") if path.is_file()]) == len(mine)


def edit(place, cell, change):
    """Change a cell of the small book."""
    notebook = notebooks.read(place / "book/one.ipynb")
    change(notebook.cells[cell])
    notebooks.write(place / "book/one.ipynb", notebook)


def test_prose_and_captions_are_never_stale(place, capsys):
    assert reproduce() == 0
    edit(place, 5, lambda cell: cell.metadata.mystnb.figure.update(caption="It goes beyond."))
    assert reproduce() == 0
    assert "# It goes beyond." in (place / "out/one/fig-means.csv").read_text()
    edit(place, 0, lambda cell: cell.update(source="New prose."))
    assert reproduce() == 0
    assert notebooks.read(place / "out/one/one.ipynb").cells[0].source == "New prose."
    assert numbers(place) == [3, 4, 5, 6, 7, 8]


def test_a_figure_of_a_chapter_that_is_there_is_not_computed_again(place, capsys):
    assert reproduce() == 0
    assert reproduce("one#fig-means") == 0
    assert "Computed: nothing, all is there already." in capsys.readouterr().out


def test_a_figure_with_two_names_is_told(place, capsys):
    edit(place, 5, lambda cell: cell.metadata.mystnb.figure.update(name="fig-other"))
    for target, names in (("one", "fig-means, fig-other"), ("one#fig-other", "fig-other")):
        assert reproduce(target) == 1
        told = capsys.readouterr().err
        assert told.endswith(f"metadata give it, but does not: {names}\n")


def test_a_figure_of_a_changed_chapter_does_not_stand_beside_what_was_before(place, capsys):
    assert reproduce() == 0
    before = contents(place / "out")
    edit(place, 7, lambda cell: cell.update(source=cell.source + "\nassert True"))
    assert reproduce("one#fig-means") == 2
    assert "which holds one from before one.ipynb was changed" in capsys.readouterr().err
    assert contents(place / "out") == before
    # Told before another chapter, which comes first, is computed.
    shutil.copy(place / "book/one.ipynb", place / "book/a.ipynb")
    assert reproduce("a", "one#fig-means") == 2
    assert contents(place / "out") == before
    (place / "book/a.ipynb").unlink()
    assert reproduce("one") == 0


def test_a_notebook_that_is_no_chapter_is_named_before_anything_is_computed(place, capsys):
    notebooks.write(place / "book/Untitled.ipynb", v4.new_notebook())
    assert reproduce() == 2
    assert capsys.readouterr().err.startswith("lazyrich: Untitled.ipynb is not a chapter: one code")
    assert not (place / "out").exists()


def test_another_compiler_or_other_random_numbers_are_another_run(place, monkeypatch, capsys):
    assert reproduce() == 0
    monkeypatch.setenv("JAX_THREEFRY_PARTITIONABLE", "0")
    assert reproduce() == 2
    told = "which holds a run with another settings: jax_threefry_partitionable\n"
    assert capsys.readouterr().err.endswith(told)


def test_a_failing_chapter_does_not_keep_the_others_from_being_computed(place, capsys):
    small_book.write(place / "both", ("one", "two"))
    broken = notebooks.read(place / "both/one.ipynb")
    broken.cells[7].source = "1 / 0"
    notebooks.write(place / "both/one.ipynb", broken)
    assert reproduce("--folder", "both") == 1
    assert "one: code cell 4 failed" in capsys.readouterr().err
    assert list(json.loads((place / "out/manifest.json").read_text())["computed"]) == ["two"]


def test_what_a_changed_chapter_no_longer_shows_goes(place):
    assert reproduce("one#fig-means") == 0 and reproduce() == 0
    edit(place, 5, lambda cell: cell.update(source=cell.source.replace("fig-means", "fig-x")))
    edit(place, 5, lambda cell: cell.metadata.mystnb.figure.update(name="fig-x"))
    assert reproduce() == 0
    assert {path.stem for path in (place / "out/one").glob("fig-*.svg")} == {"fig-maxima", "fig-x"}
    assert list(json.loads((place / "out/manifest.json").read_text())["computed"]) == ["one"]


def test_a_figure_without_a_caption_answers_nothing(place, capsys):
    edit(place, 5, lambda cell: cell.metadata.mystnb.figure.pop("caption"))
    assert main(["figures"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["one#fig-means", "    "]


def test_a_tilde_is_the_home_of_the_user(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    assert (
        main(["reproduce", "one#fig-means", "--scale=quick", "--out=~/x", "--folder=~/book"]) == 0
    )
    assert (place / "x/one/fig-means.csv").exists()


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_it_ends_in_order(request_, place):
    command = [sys.executable, "-m", "lazyrich", "reproduce", "--scale", "quick", "--jobs", "2"]
    # Whoever runs the tests may have it ignored, as nohup does, and so would the process.
    before = signal.signal(request_, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    signal.signal(request_, before)
    kept = place / "_build/store/points.slow"
    while not kept.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(request_)
    shown = process.communicate()[1]
    assert process.returncode == 130
    assert shown.endswith("\nlazyrich: interrupted\n") and "Error" not in shown


def test_code_that_was_changed_meanwhile_leaves_nothing(place, capsys):
    (place / "book/helper.py").write_text("SIZE = 1\n")
    change = "\nimport helper\nwith open(helper.__file__, 'a') as file:\n    _ = file.write('#')"
    edit(place, 7, lambda cell: cell.update(source=cell.source + change))
    assert reproduce() == 2
    assert "the code must stay as it is while it computes" in capsys.readouterr().err
    assert not (place / "out/one").exists()


def test_a_store_named_by_a_relative_path_stands_where_it_was_asked_for(place, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, "mine")
    assert reproduce("one#fig-means") == 0
    assert len(list((place / "mine/points.slow").iterdir())) == 6
    assert not (place / "book/mine").exists() and not (place / "_build/store").exists()


def test_targets_are_grouped_by_chapter(place):
    path = place / "book/one.ipynb"
    select = reproduction.select
    assert select("book") == select("book", ["one"]) == {Path("book/one.ipynb"): ["one"]}
    both = ["one#fig-maxima", "one#fig-means", "one#fig-maxima"]
    assert select(place / "book", both) == {path: ["one#fig-maxima", "one#fig-means"]}
    assert select(place / "book", [*both, "one"]) == {path: ["one"]}


def test_figures_are_listed_with_what_they_answer(place, capsys):
    assert main(["figures"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one#fig-means",
        "    It tests the paper's Figure 2 at n < 20.",
        "one#fig-maxima",
        "    It tests the paper's Figure 2 at n < 20.",
    ]


def test_every_figure_of_the_book_says_what_it_answers():
    book = Path(__file__).parents[2] / "book"
    found = reproduction.known_figures(book)
    assert len(found) > 40 and all(figure.answers for figure in found)
    assert len(chapters.find(book)) == len({figure.chapter for figure in found})
