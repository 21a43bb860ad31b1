import copy
import json
import re
import sys
from ast import literal_eval

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import from_dict, v4, validate

from lazyrich import notebooks


def edited(chapter, number, source):
    """A copy of a chapter with another source in one cell."""
    chapter = copy.deepcopy(chapter)
    chapter.cells[number].source = source
    return chapter


@pytest.mark.parametrize("scale", notebooks.SCALES)
def test_parameters_are_set_and_the_rest_is_kept(scale, chapter):
    changed = notebooks.set_parameters(chapter, scale, 3)
    assert changed.cells[1].source == f'scale = "{scale}"  # or "quick", "paper"\nseed = 3'
    changed.cells[1].source = chapter.cells[1].source
    assert changed == chapter


def test_an_unknown_scale_is_refused(chapter):
    with pytest.raises(
        ValueError, match="scale must be one of 'quick', 'book', 'paper', got 'huge'"
    ):
        notebooks.set_parameters(chapter, "huge", 0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('scale = "book"', "must set seed, got 0"),
        ("scale = size\nseed = 0", "must set scale, got 0"),
        ('scale = "book"\nscale = "paper"\nseed = 0', "must set scale, got 2"),
        ('if True:\n    scale = "book"\nseed = 0', "must set scale, got 0"),
    ],
)
def test_a_parameters_cell_that_cannot_be_set_is_refused(source, message, chapter):
    with pytest.raises(ValueError, match=message):
        notebooks.set_parameters(edited(chapter, 1, source), "quick", 0)


@pytest.mark.parametrize("tags", [([], []), (["parameters"], ["parameters"])])
def test_just_one_cell_is_the_parameters_cell(tags, chapter):
    chapter = copy.deepcopy(chapter)
    chapter.cells[1].metadata.tags, chapter.cells[3].metadata.tags = tags
    with pytest.raises(ValueError, match=f"tagged 'parameters', got {len(tags[0]) * 2}"):
        notebooks.set_parameters(chapter, "quick", 0)


def test_an_executed_notebook_has_its_outputs_and_no_times(executed):
    cells = notebooks.code_cells(executed.notebook)
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert cells[1].outputs[0].text == "1000 samples\n"
    assert [output.output_type for output in cells[3].outputs] == ["display_data"]
    assert not any("execution" in cell.metadata for cell in cells)


def test_executing_leaves_the_notebook_and_adds_nothing_to_the_copy(chapter, executed):
    assert all(not cell.outputs for cell in notebooks.code_cells(chapter))
    assert len(executed.notebook.cells) == len(chapter.cells)


def test_executing_twice_gives_the_same_file(chapter, executed, tmp_path):
    again = notebooks.execute(executed.notebook, tmp_path, progress=False)
    assert notebooks.text(again.notebook) == notebooks.text(executed.notebook)


def test_what_it_took_is_told(executed):
    assert 0 < executed.seconds < 300
    assert 50 < executed.peak_memory_mib < 5000


def run(sources, folder, **options):
    cells = [v4.new_code_cell(source) for source in sources]
    return notebooks.execute(v4.new_notebook(cells=cells), folder, **{"progress": False} | options)


def test_the_kernel_is_of_this_python_and_starts_in_the_folder(tmp_path, monkeypatch):
    registered = tmp_path / "kernels" / "python3"
    registered.mkdir(parents=True)
    (registered / "kernel.json").write_text('{"argv": ["false"], "display_name": "Other"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 93\n")
    look = "print(sys.prefix, os.getcwd(), matplotlib.rcParams['figure.dpi'])"
    [cell] = run([f"import matplotlib, os, sys\n{look}"], tmp_path).notebook.cells
    assert cell.outputs[0].text.split() == [sys.prefix, str(tmp_path.resolve()), "93.0"]


def test_the_peak_of_memory_is_that_of_the_kernel(tmp_path):
    least = run(["pass"], tmp_path).peak_memory_mib
    more = run(["block = b'x' * 2**28\ndel block"], tmp_path).peak_memory_mib
    assert 200 < more - least < 320


def test_the_first_failing_cell_stops_and_is_named(tmp_path):
    failing = "def inverse(x):\n    return 1 / x\ninverse(0)"
    with pytest.raises(notebooks.CellError) as caught:
        run(["a = 1", "", failing, "open('reached', 'w')"], tmp_path, name="demo.ipynb")
    assert str(caught.value).splitlines() == [
        "demo.ipynb: code cell 2 failed, which begins 'def inverse(x):'",
        "  ----> 3 inverse(0)",
        "  ----> 2     return 1 / x",
        "  ZeroDivisionError: division by zero",
    ]
    assert not (tmp_path / "reached").exists()


def test_without_a_place_for_progress_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    [cell] = run(["print(1)"], tmp_path, progress=True).notebook.cells
    assert cell.outputs[0].text == "1\n"


def test_a_long_error_is_cut_and_says_so(tmp_path):
    with pytest.raises(notebooks.CellError) as caught:
        run(["raise ValueError('\\n'.join(map(str, range(30))))"], tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[2] == "  ValueError: 0" and lines[-2:] == ["  19", "  and 10 more lines"]


def test_a_failure_marked_as_expected_stops_too(tmp_path):
    cell = v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    with pytest.raises(notebooks.CellError, match="code cell 1 failed"):
        notebooks.execute(v4.new_notebook(cells=[cell]), tmp_path, progress=False)


def test_a_syntax_error_and_a_kernel_that_dies_are_explained(tmp_path):
    with pytest.raises(notebooks.CellError, match="begins 'a = '\n  SyntaxError: invalid syntax"):
        run(["a = "], tmp_path)
    with pytest.raises(notebooks.CellError, match="its kernel died"):
        run(["import os; os._exit(1)"], tmp_path)


def test_progress_is_shown_with_the_name_and_the_cells(tmp_path, capsys):
    run(["1", "2"], tmp_path, name="demo.ipynb", progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"demo\.ipynb, cell 1 of 2 +0%.*demo\.ipynb, cell 2 of 2 +50%", shown.err)
    assert re.search(r"cell 2 of 2 +100%.* to go\n$", shown.err)


def test_progress_goes_by_the_time_that_cells_take(tmp_path, capsys):
    run(["1", "2"], tmp_path, progress=True, shares=[1.0, 9.0, 5.0])
    assert re.search(r"cell 2 of 2 +10%.*cell 2 of 2 +100%", capsys.readouterr().err)
    run(["1", "2"], tmp_path, progress=True, shares=[1.0])
    assert re.search(r"cell 2 of 2 +50%", capsys.readouterr().err)


def test_progress_shows_the_points_of_a_sweep(tmp_path, capsys):
    code = """
import os, threading
with open(os.environ["LAZYRICH_PROGRESS"], "w") as file:
    file.write("\\rpoint 1 of 9, 00:05 to go\\rpoint 2 of 9, 00:04 to go")
threading.Event().wait(1.5);
"""
    result = run([code], tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "point 2 of 9, 00:04 to go" in shown and "point 1 of 9" not in shown
    assert result.notebook.cells[0].outputs == []


def test_code_before_and_after_leaves_no_trace(tmp_path):
    result = run(
        ["hidden + 1", "import os; os.environ['GIVEN']"],
        tmp_path,
        before="hidden = 2",
        after="print(hidden, 'after')",
        environment={"GIVEN": "a variable"},
    )
    values = [cell.outputs[0].data["text/plain"] for cell in result.notebook.cells]
    assert values == ["3", "'a variable'"] and result.told == "2 after\n"
    assert [cell.execution_count for cell in result.notebook.cells] == [1, 2]
    assert len(result.cells) == 2 and 0 < sum(result.cells) < result.seconds
    with pytest.raises(notebooks.CellError, match="the kernel.*\n.*\n.*ZeroDivisionError"):
        run(["1"], tmp_path, before="1 / 0")


def test_a_folder_that_a_variable_names_is_the_same_in_the_kernel(tmp_path, monkeypatch):
    for variable in ("LAZYRICH_DATA", "LAZYRICH_STORE"):
        monkeypatch.setenv(variable, "mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    asked = "import os; [os.environ[f'LAZYRICH_{one}'] for one in ('DATA', 'STORE')]"
    result = run([asked], tmp_path / "book")
    named = result.notebook.cells[0].outputs[0].data["text/plain"]
    assert literal_eval(named) == [f"{tmp_path}/mine"] * 2


def untidy():
    """A notebook with all that an editor may leave."""
    cell = v4.new_code_cell("print(1)", id="same", execution_count=7)
    cell.metadata = from_dict(
        {
            "tags": [],
            "collapsed": True,
            "scrolled": False,
            "execution": {"iopub.execute_input": "2026-11-22T10:00:00Z"},
            "jupyter": {"outputs_hidden": True},
            "mystnb": {"figure": {"name": "fig-x"}},
        }
    )
    pieces = [("stdout", "1"), ("stdout", "2\n"), ("stderr", "no"), ("stdout", "3")]
    cell.outputs = [v4.new_output("stream", name=name, text=text) for name, text in pieces]
    cell.outputs.append(v4.new_output("execute_result", {"text/plain": "1"}, execution_count=7))
    other = v4.new_code_cell("2", id="same", execution_count=9)
    fresh = v4.new_code_cell("3")
    del fresh["id"]
    metadata = {
        "kernelspec": {"name": "mine", "display_name": "Mine"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "widgets": {"state": {}},
        "mystnb": {"number_source_lines": True},
    }
    return from_dict(v4.new_notebook(metadata=metadata) | {"cells": [cell, other, fresh]})


def test_the_normal_form_keeps_what_matters_and_drops_the_rest():
    notebook = notebooks.normalise(untidy())
    first, second, fresh = notebook.cells
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, None]
    assert [out.get("text") for out in first.outputs] == ["12\n", "no", "3", None]
    assert first.outputs[3].execution_count == 1
    assert first.metadata == {"mystnb": {"figure": {"name": "fig-x"}}}
    assert first.id == "same" and len({cell.id for cell in notebook.cells}) == 3
    assert fresh.outputs == []
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        "mystnb": {"number_source_lines": True},
    }
    validate(notebook)


def test_normalising_changes_a_copy_and_a_second_time_nothing():
    notebook = untidy()
    once = notebooks.normalise(notebook)
    assert notebook == untidy()
    assert notebooks.text(once) == notebooks.text(notebook)


SOURCES = st.lists(st.tuples(st.booleans(), st.sampled_from(["", "a", "a\nb\n"])), max_size=5)


@given(SOURCES, st.lists(st.sampled_from([None, 1, 5]), min_size=5, max_size=5))
def test_the_normal_form_is_read_back_as_it_was_written(sources, counts):
    cells = [
        v4.new_code_cell(source, id="x", execution_count=count)
        if is_code
        else v4.new_markdown_cell(source, id="x")
        for (is_code, source), count in zip(sources, counts, strict=False)
    ]
    text = notebooks.text(from_dict(v4.new_notebook() | {"cells": cells}))
    assert notebooks.text(v4.reads(text)) == text


@pytest.mark.parametrize(
    "content", ["", "not json", "[]", "{}", '{"nbformat": 3, "worksheets": []}', b"\xff\xfe"]
)
def test_a_file_that_is_no_notebook_is_refused(content, tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="broken.ipynb must be a notebook of format 4"):
        notebooks.read(path)


def test_a_notebook_is_written_whole_or_not_at_all(executed, tmp_path, monkeypatch):
    path = tmp_path / "demo.ipynb"
    notebooks.write(path, executed.notebook)
    before = path.read_text(encoding="utf-8")
    assert json.loads(before)["nbformat"] == 4

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(notebooks.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        notebooks.write(path, v4.new_notebook())
    assert path.read_text(encoding="utf-8") == before
