import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import from_dict, v4, validate

from lazyrich.book import notebooks
from lazyrich.book.scales import SCALES


def edited(chapter, number, source):
    """A copy of a chapter with another source in one cell."""
    chapter = copy.deepcopy(chapter)
    chapter.cells[number].source = source
    return chapter


@pytest.mark.parametrize("scale", SCALES)
def test_parameters_are_set_and_the_rest_is_kept(scale, chapter):
    changed = notebooks.set_parameters(chapter, scale, 3)
    assert changed.cells[1].source == f'scale = "{scale}"  # or "quick", "paper"\nseed = 3'
    changed.cells[1].source = chapter.cells[1].source
    assert changed == chapter


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

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        notebooks.write(path, v4.new_notebook())
    assert path.read_text(encoding="utf-8") == before
