import re
import sys
from ast import literal_eval
from pathlib import Path

import pytest
from nbformat import v4

import points
from lazyrich.book import claims, execution, notebooks


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
    again = execution.execute(execution.Task(executed.notebook, tmp_path), progress=False)
    assert notebooks.text(again.notebook) == notebooks.text(executed.notebook)


def test_what_it_took_is_told(executed):
    assert 0 < executed.seconds < 300
    assert 50 < executed.peak_memory_mib < 5000
    assert executed.settings["jax_enable_x64"] is False
    assert 0 < executed.spent["drawing"] < executed.seconds


def test_what_is_compiled_is_counted(tmp_path):
    code = "import jax\njax.jit(lambda x: x + 1)(1.0).block_until_ready();"
    spent = run([code], tmp_path).spent
    assert spent["programs"] >= 1 and {"compiling", "tracing"} <= spent.keys()


def task_of(sources, folder, **options):
    cells = [v4.new_code_cell(source) for source in sources]
    return execution.Task(v4.new_notebook(cells=cells), folder, **options)


def run(sources, folder, progress=False, **options):
    return execution.execute(task_of(sources, folder, **options), progress)


def test_the_kernel_is_of_this_python_and_starts_in_the_folder(tmp_path, monkeypatch):
    registered = tmp_path / "kernels" / "python3"
    registered.mkdir(parents=True)
    (registered / "kernel.json").write_text('{"argv": ["false"], "display_name": "Other"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 93\n")
    look = "print(sys.prefix, os.getcwd(), matplotlib.rcParams['figure.dpi'])"
    [cell] = run([f"import matplotlib, os, sys\n{look}"], tmp_path).notebook.cells
    assert cell.outputs[0].text.split() == [sys.prefix, str(tmp_path.resolve()), "93.0"]


def test_what_a_first_import_says_stands_in_no_output(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    for variable in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    code = "import os, matplotlib.pyplot\nfrom lazyrich.book import figures\nos.environ['HOME']"
    [cell] = run([code], tmp_path).notebook.cells
    [output] = cell.outputs
    assert output.data["text/plain"] == repr(str(tmp_path / "file"))


def test_the_peak_of_memory_is_that_of_the_kernel(tmp_path):
    least = run(["pass"], tmp_path).peak_memory_mib
    more = run(["block = b'x' * 2**28\ndel block"], tmp_path).peak_memory_mib
    assert 200 < more - least < 320


def test_the_first_failing_cell_stops_and_is_named(tmp_path):
    failing = "def inverse(x):\n    return 1 / x\ninverse(0)"
    with pytest.raises(execution.CellError) as caught:
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
    with pytest.raises(execution.CellError) as caught:
        run(["raise ValueError('\\n'.join(map(str, range(30))))"], tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[2] == "  ValueError: 0" and lines[-2:] == ["  19", "  and 10 more lines"]


def test_a_failure_marked_as_expected_stops_too(tmp_path):
    cell = v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    with pytest.raises(execution.CellError, match="code cell 1 failed"):
        execution.execute(execution.Task(v4.new_notebook(cells=[cell]), tmp_path), progress=False)


def test_a_syntax_error_and_a_kernel_that_dies_are_explained(tmp_path):
    with pytest.raises(execution.CellError, match="begins 'a = '\n  SyntaxError: invalid syntax"):
        run(["a = "], tmp_path)
    with pytest.raises(execution.CellError, match="its kernel died"):
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


def test_code_before_leaves_no_trace(tmp_path):
    result = run(
        ["hidden + 1", "import os; os.environ['GIVEN']"],
        tmp_path,
        before="hidden = 2",
        environment={"GIVEN": "a variable"},
    )
    values = [cell.outputs[0].data["text/plain"] for cell in result.notebook.cells]
    assert values == ["3", "'a variable'"]
    assert [cell.execution_count for cell in result.notebook.cells] == [1, 2]
    assert len(result.cells) == 2 and 0 < sum(result.cells) < result.seconds
    with pytest.raises(execution.CellError, match="the kernel.*\n.*\n.*ZeroDivisionError"):
        run(["1"], tmp_path, before="1 / 0")


def test_what_the_user_lets_ipython_execute_first_is_not(tmp_path, monkeypatch):
    startup = tmp_path / "mine/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "first.py").write_text("hidden = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "mine"))
    [cell] = run(["'hidden' in globals()"], tmp_path).notebook.cells
    assert cell.outputs[0].data["text/plain"] == "False"


def test_a_folder_that_a_variable_names_is_the_same_in_the_kernel(tmp_path, monkeypatch):
    for variable in ("LAZYRICH_DATA", "LAZYRICH_STORE"):
        monkeypatch.setenv(variable, "mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    asked = "import os; [os.environ[f'LAZYRICH_{one}'] for one in ('DATA', 'STORE')]"
    result = run([asked], tmp_path / "book")
    named = result.notebook.cells[0].outputs[0].data["text/plain"]
    assert literal_eval(named) == [f"{tmp_path}/mine"] * 2


def test_notebooks_run_side_by_side_and_one_that_fails_leaves_the_others(tmp_path):
    wait = """
import pathlib, time
pathlib.Path("{}").touch()
end = time.perf_counter() + 60
while not pathlib.Path("{}").exists() and time.perf_counter() < end:
    time.sleep(0.01)
print(pathlib.Path("{}").exists())
"""
    tasks = [
        task_of([wait.format("a", "b", "b")], tmp_path),
        task_of(["1 / 0"], tmp_path, name="bad"),
        task_of([wait.format("b", "a", "a")], tmp_path),
    ]
    done = {}
    with pytest.raises(execution.CellError, match="^bad: code cell 1"):
        execution.execute_all(tasks, 3, lambda n, one: done.update({n: one}), progress=False)
    assert sorted(done) == [0, 2]
    assert [one.notebook.cells[0].outputs[0].text for one in done.values()] == ["True\n"] * 2


def test_what_keeps_the_results_may_fail(tmp_path):
    def full(number, result):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        execution.execute_all([task_of(["1"], tmp_path)], 1, full, progress=False)


LACKING = """\
from lazyrich import downloads
from lazyrich.book.checks import exactly
from lazyrich.book.claims import Source, claim
def judge(*given, **about):
    read = {"paper": Source("A paper")}
    options = {"relation": "beyond", "kind": "law", "sources": ["paper"], "scale": "paper"}
    return claim(*given, **about, **options, read=read)
def fetch():
    raise downloads.MissingData("mnist is not here: fetch it\\nfrom /a/place")"""


def test_what_lacks_data_is_left_out_and_its_claims_say_so(tmp_path):
    sources = [
        LACKING,
        "x, y = 1, 2",
        "x = fetch()\njudge('G1', 'It is one.', exactly('x', x, 1), answers='Figure 1')",
        "z = x + 1",
        "judge('G2', 'It is two.', exactly('z', z, 2), answers='Figure 2', reason='no')",
        "x = 3\nprint(x, y)",
        "print(x)",
    ]
    cells = run(sources, tmp_path).notebook.cells
    assert [cell.source for cell in cells] == sources
    records = claims.recorded_in(
        {tmp_path / "a.ipynb": notebooks.text(v4.new_notebook(cells=cells))}
    )
    assert [(one["id"], one["statement"], one["answers"]) for one in records] == [
        ("G1", "It is one.", "Figure 1"),
        ("G2", "It is two.", "Figure 2"),
    ]
    for one in records:
        assert one["verdict"] == "not attempted" and not one["checks"]
        assert one["reason"] == "mnist is not here: fetch it"
    assert cells[3].outputs == []
    assert [cell.outputs[0].text for cell in cells[5:]] == ["3 2\n", "3\n"]


def test_a_point_of_a_sweep_that_lacks_data_is_told_too(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYRICH_STORE", str(tmp_path / "store"))
    code = """\
import jax, points
from lazyrich.book.sweeps import sweep
images = sweep(points.lacking_data, [{"number": 1}, {"number": 2}], jax.random.key(0))"""
    environment = {"PYTHONPATH": str(Path(points.__file__).parent)}
    cells = run([code, "images"], tmp_path, environment=environment).notebook.cells
    assert [cell.outputs for cell in cells] == [[], []]
