import copy
import json

import pytest
from nbformat import v4

from lazyrich.book import chapters, engines, execution, notebooks, provenance

ENGINE = engines.Engine({}, "", "cpu", {})


@pytest.fixture
def book(chapter, tmp_path):
    """A book of one small chapter and a page."""
    folder = tmp_path / "book"
    folder.mkdir()
    notebooks.write(folder / "demo.ipynb", chapter)
    (folder / "page.md").write_text("# A page\n")
    return folder


@pytest.fixture
def run(monkeypatch, executed):
    """Executing takes no kernel: the outputs of the small chapter, and a list of what was run."""
    names = []

    def execute_all(tasks, at_once, keep, progress=True):
        failing = []
        for number, task in enumerate(tasks):
            names.append(task.name)
            result = copy.deepcopy(executed)
            for cell, source in zip(result.notebook.cells, task.notebook.cells, strict=True):
                cell.source = source.source
            if any(cell.source == "1 / 0" for cell in task.notebook.cells):
                failing.append(task.name)
            else:
                keep(number, result)
        if failing:
            raise execution.CellError(f"{failing[0]}: code cell 3 failed")

    monkeypatch.setattr(execution, "execute_all", execute_all)
    return names


def edit(path, number, source):
    notebook = notebooks.read(path)
    notebook.cells[number].source = source
    notebooks.write(path, notebook)


def computed(book, store, names=()):
    """The names of the chapters that were executed now, and what came out of all, by name."""
    asked = [chapters.at_scale(path, "book") for path in chapters.find(book, names)]
    done = {}

    def keep(one, what):
        done[one.name] = what

    now = chapters.compute(asked, ENGINE, store, keep)
    return now, done


def test_chapters_are_found_by_name_in_their_order(book, chapter):
    notebooks.write(book / "another.ipynb", chapter)
    assert [path.stem for path in chapters.find(book)] == ["another", "demo"]
    assert chapters.find(book, ["demo"]) == [book / "demo.ipynb"]
    with pytest.raises(ValueError, match="chapter must be one of another, demo, got 'x'"):
        chapters.find(book, ["x"])
    with pytest.raises(ValueError, match="folder must hold notebooks"):
        chapters.find(book / "none")


def test_hidden_notebooks_are_none_of_the_book(book):
    for name in (".~demo.ipynb", "._demo.ipynb", "...ipynb"):
        (book / name).write_text("no notebook")
    assert [path.name for path in chapters.find(book)] == ["demo.ipynb"]
    (book / "a#b.ipynb").write_text("")
    with pytest.raises(ValueError, match="name of a notebook must be without '#', got 'a#b.ipynb'"):
        chapters.find(book)


def test_the_fingerprint_follows_code_style_and_versions_but_not_prose(book, monkeypatch):
    def mark():
        return chapters.fingerprint(chapters.at_scale(book / "demo.ipynb", "book"))

    first = mark()
    edit(book / "demo.ipynb", 0, "# Another title")
    notebook = notebooks.read(book / "demo.ipynb")
    notebook.cells[7].metadata.mystnb.figure.caption = "Another caption."
    notebooks.write(book / "demo.ipynb", notebook)
    assert mark() == first
    edit(book / "demo.ipynb", 5, "1 + 1")
    code = mark()
    (book / "matplotlibrc").write_text("figure.dpi: 93\n")
    styled = mark()
    assert len({first, code, styled}) == 3
    for part in ("packages", "python"):
        software = provenance.software() | {part: "another"}
        monkeypatch.setattr(provenance, "software", lambda software=software: software)
        assert mark() != styled
        monkeypatch.undo()


def test_a_module_beside_the_chapters_counts_where_a_cell_imports_it(book):
    def mark():
        return chapters.fingerprint(chapters.at_scale(book / "demo.ipynb", "book"))

    first = mark()
    (book / "helper.py").write_text("C = 1")
    assert mark() == first
    edit(book / "demo.ipynb", 5, "%time 1\ndef late():\n    import helper")
    marks = [mark()]
    for content in ("C = 2", "import other", "from other import C"):
        (book / "helper.py").write_text(content)
        marks.append(mark())
    (book / "other.py").write_text("C = 3")
    marks.append(mark())
    assert len(set(marks)) == len(marks)


def test_what_is_in_the_store_is_not_executed_again(book, run, tmp_path, chapter):
    notebooks.write(book / "other.ipynb", chapter)
    now, first = computed(book, tmp_path / "store")
    assert sorted(run) == now == ["demo", "other"]
    now, again = computed(book, tmp_path / "store")
    assert len(run) == 2 and now == []
    for name, one in again.items():
        assert notebooks.text(one.notebook) == notebooks.text(first[name].notebook)
        assert one[1:] == first[name][1:]
    edit(book / "demo.ipynb", 5, "1 + 1")
    now, third = computed(book, tmp_path / "store")
    assert run[2:] == now == ["demo"] and sorted(third) == ["demo", "other"]


def test_new_prose_and_captions_keep_the_outputs(book, run, tmp_path):
    first = computed(book, tmp_path)[1]["demo"]
    edit(book / "demo.ipynb", 0, "# Another title")
    again = computed(book, tmp_path)[1]["demo"]
    assert run == ["demo"] and again.notebook.cells[0].source == "# Another title"
    assert [one.get("outputs") for one in again.notebook.cells] == [
        one.get("outputs") for one in first.notebook.cells
    ]


def test_another_scale_seed_or_engine_is_another_result(book, run, tmp_path):
    def execute(scale="book", seed=0, engine=ENGINE):
        asked = [chapters.at_scale(book / "demo.ipynb", scale, seed)]
        chapters.compute(asked, engine, tmp_path, lambda *_: None)

    for _ in range(2):
        execute()
        execute("quick")
        execute(seed=1)
        execute(engine=ENGINE._replace(device="another"))
        execute(engine=ENGINE._replace(settings={"jax_enable_x64": True}))
    assert run == ["demo", "demo", "demo at seed 1", "demo", "demo"]


def test_a_failing_chapter_is_told_after_the_others(book, run, chapter, tmp_path):
    notebooks.write(book / "another.ipynb", chapter)
    edit(book / "demo.ipynb", 5, "1 / 0")
    done = {}
    asked = [chapters.at_scale(path, "book") for path in chapters.find(book)]
    with pytest.raises(execution.CellError, match="^demo: code cell 3 failed$"):
        chapters.compute(asked, ENGINE, tmp_path, lambda one, what: done.update({one.name: what}))
    assert list(done) == ["another"]
    edit(book / "demo.ipynb", 5, "1 + 1")
    now, done = computed(book, tmp_path)
    assert now == ["demo"] and sorted(done) == ["another", "demo"]


def test_what_was_changed_while_it_was_executed_is_not_kept(book, run, tmp_path, monkeypatch):
    marks = iter("ab")
    monkeypatch.setattr(chapters, "fingerprint", lambda _: next(marks))
    with pytest.raises(ValueError, match="code must stay as it is while it computes"):
        computed(book, tmp_path / "store")
    assert not list((tmp_path / "store").rglob("*.*"))


def test_a_notebook_that_is_no_chapter_is_named(book):
    notebooks.write(book / "Untitled.ipynb", v4.new_notebook())
    with pytest.raises(ValueError, match="Untitled.ipynb is not a chapter: one code cell must"):
        chapters.at_scale(book / "Untitled.ipynb", "book")


def test_an_unknown_scale_is_refused(book):
    with pytest.raises(
        ValueError, match="scale must be one of 'quick', 'book', 'paper', got 'huge'"
    ):
        chapters.at_scale(book / "demo.ipynb", "huge")


@pytest.mark.parametrize("table", [None, "", "[]", "{", '{"chapters": {"demo": {}}}'])
def test_the_times_of_the_cells_may_not_be_known(book, table):
    if table is not None:
        (book / "performance.json").write_text(table)
    assert chapters.shares(book / "demo.ipynb") == []


def test_the_longest_chapters_begin_first(book, run, chapter, tmp_path):
    for name in ("long", "short"):
        notebooks.write(book / f"{name}.ipynb", chapter)
    cells = {"long": [9.0], "short": [1.0]}
    table = {"chapters": {name: {"cells": seconds} for name, seconds in cells.items()}}
    (book / "performance.json").write_text(json.dumps(table))
    computed(book, tmp_path / "store")
    assert run == ["long", "short", "demo"]


def test_as_many_chapters_run_at_once_as_there_is_room_for(monkeypatch):
    class Memory:
        available = 5.5 * 2**30

    monkeypatch.setattr(chapters.psutil, "virtual_memory", Memory)
    monkeypatch.setattr(chapters, "cpu_count", lambda: 8)
    assert chapters.at_once() == 2
    Memory.available = 2**20
    assert chapters.at_once() == 1
    Memory.available = 2**40
    assert chapters.at_once() == 8


def test_the_small_chapter_end_to_end(book, tmp_path):
    done = computed(book, tmp_path / "store")[1]["demo"]
    assert sorted(done.figures) == [f"fig-draws.{end}" for end in ("csv", "pdf", "png", "svg")]
    assert done.settings["jax_enable_x64"] is False and done.seconds > 0
    assert done.notebook.cells[5].outputs[0].data["text/plain"].startswith("M1  HOLDS")
