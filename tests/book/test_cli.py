import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

from lazyrich.__main__ import main
from lazyrich.book import authoring, copies, execution, notebooks


@pytest.fixture
def book(executed, tmp_path, monkeypatch):
    """A folder ``book`` with one executed chapter, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    notebooks.write(tmp_path / "book" / "demo.ipynb", executed.notebook)
    return tmp_path / "book"


def test_claims_shows_the_scorecard_of_the_book(book, capsys):
    assert main(["claims"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "demo",
        "  M1   holds                        The mean is zero.",
        "",
        "1 claim: 1 holds",
    ]


def test_claims_as_json_has_every_field(book, capsys):
    assert main(["claims", str(book), "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)
    assert set(record) == {
        "id", "chapter", "paper", "answers", "relation", "kind", "sources", "statement",
        "headline", "scale", "verdict", "reason", "checks", "evidence",
    }  # fmt: skip
    assert set(record["checks"][0]) == {
        "what", "measured", "error", "expected", "tolerance", "verdict", "strength", "relative",
        "here",
    }  # fmt: skip
    assert main(["claims", "--schema"]) == 0
    jsonschema.validate([record], json.loads(capsys.readouterr().out))


def test_hidden_files_beside_the_notebooks_are_none_of_the_book(
    book, monkeypatch, capsys, executed
):
    for name in ("._demo.ipynb", ".~x.ipynb"):
        (book / name).write_bytes(b"\0no notebook")
    assert main(["claims"]) == 0
    assert capsys.readouterr().out.endswith("1 claim: 1 holds\n")
    assert main(["figures"]) == 0
    assert capsys.readouterr().out.startswith("demo#fig-draws\n")
    compute = lambda tasks, at_once, keep: keep(0, executed)  # noqa: E731
    monkeypatch.setattr(execution, "execute_all", compute)
    assert main(["build"]) == 0
    assert {path.name for path in Path("_build/book").iterdir()} == {"demo.ipynb", copies.MARK}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_cannot_show_is_replaced(encoding, book):
    notebook = notebooks.read(book / "demo.ipynb")
    notebook.cells[7].metadata.mystnb.figure.caption = "It tests Theorem η ≤ 1: a bound."
    notebooks.write(book / "demo.ipynb", notebook)
    text = (book / "demo.ipynb").read_text().replace("The mean is zero.", "|μ| ≤ η – so")
    (book / "demo.ipynb").write_text(text)

    def shown(*arguments):
        command = [sys.executable, "-m", "lazyrich", *arguments]
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert not done.stderr
        return done.stdout.decode(encoding)

    assert "1 claim: 1 holds" in shown("claims") and "M1   holds" in shown("claims")
    assert "It tests Theorem" in shown("figures")
    assert "usage: lazyrich" in shown("--help")
    assert json.loads(shown("claims", "--json"))[0]["statement"] == "|μ| ≤ η – so"


@pytest.mark.parametrize("command", ["claims", "figures", "reproduce", "build", "execute", "seeds"])
def test_without_the_packages_of_the_book_they_are_asked_for(command, book):
    missing = [
        "nbformat",
        "pandas",
        "IPython",
        "matplotlib",
        "joblib",
        "tqdm",
        "psutil",
        "nbclient",
    ]
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); "
    code += f"from lazyrich.__main__ import main; sys.exit(main([{command!r}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if command == "claims":  # which needs none of them
        assert done.returncode == 0 and "1 claim: 1 holds" in done.stdout
        return
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    needed = f"{command} needs the packages of the book: pip install 'lazyrich[book]'"
    assert line.startswith("lazyrich: ") and line.endswith(needed)


@pytest.mark.parametrize("arguments", [["claims"], ["build"], ["execute"], ["seeds"]])
def test_a_missing_folder_is_an_error_in_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("lazyrich: ") and "'book'" in line


@pytest.mark.parametrize("command", ["execute", "seeds"])
def test_an_unknown_chapter_is_an_error_in_one_line(command, book, capsys):
    assert main([command, "other"]) == 2
    assert capsys.readouterr().err == "lazyrich: chapter must be one of demo, got 'other'\n"


def test_a_failing_cell_is_told_without_a_traceback(book, monkeypatch, capsys):
    def fail(tasks, at_once, keep):
        raise execution.CellError("demo.ipynb: code cell 3 failed\n  ZeroDivisionError: no")

    monkeypatch.setattr(execution, "execute_all", fail)
    assert main(["build"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "\ndemo.ipynb: code cell 3 failed\n  ZeroDivisionError: no\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "out/one"), "out/one: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("the archive is damaged"), "the archive is damaged"),
    ],
)
def test_what_the_system_refuses_is_told_in_a_line(error, line, book, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr(copies, "refresh", fail)
    assert main(["build"]) == 2
    assert capsys.readouterr().err == f"lazyrich: {line}\n"


def test_an_error_of_our_own_is_not_hidden(book, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(copies, "refresh", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["build"])


def test_build_says_what_it_executed(book, monkeypatch, capsys, executed):
    def execute_all(tasks, at_once, keep):
        for number, _ in enumerate(tasks):
            keep(number, executed)

    monkeypatch.setattr(execution, "execute_all", execute_all)
    assert main(["build", "book", "--into", "work/book"]) == 0
    assert capsys.readouterr().out == "Executed: demo.\n"
    assert main(["build", "--into", "work/book"]) == 0
    assert capsys.readouterr().out == "Executed: nothing, every output is up to date.\n"
    assert main(["claims", "work/book"]) == 0


@pytest.mark.parametrize(
    ("verdicts", "code", "line", "end"),
    [
        (["holds", "holds"], 0, "  M1   holds          the same", "none"),
        (["holds", "fails"], 1, "  M1   holds          holds, fails", "M1"),
        (["fails", "fails"], 1, "  M1   holds          fails, fails", "M1"),
    ],
)
def test_seeds_fails_where_a_verdict_differs(verdicts, code, line, end, book, monkeypatch, capsys):
    monkeypatch.setattr(authoring, "verdicts_at_seeds", lambda *_: ({"M1": verdicts}, 72.0))
    assert main(["seeds", "--seeds", "2"]) == code
    shown = capsys.readouterr().out.splitlines()
    assert shown[2] == line
    assert shown[-1] == f"Depends on the seed: {end}."
    kept = json.loads((book / "evidence/demo.json").read_text())["seeds"]
    assert kept["found"] == {"M1": verdicts} and kept["hours"] == 0.02


def test_seeds_are_others_than_the_stored_one(book, monkeypatch):
    seen = []
    monkeypatch.setattr(
        authoring, "verdicts_at_seeds", lambda *given: seen.append(given) or ({}, 0)
    )
    assert main(["seeds", "demo", "--seeds", "3", "--scale", "quick"]) == 0
    [(path, seeds, scale, _)] = seen
    assert (str(path), list(seeds), scale) == ("book/demo.ipynb", [1, 2, 3], "quick")
    assert main(["seeds", "--seeds", "0"]) == 2


@pytest.mark.parametrize(
    "arguments", [[], ["claims"], ["build"], ["execute"], ["seeds"], ["figures"], ["reproduce"]]
)
def test_help_is_there_for_each_command(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--help"])
    assert stopped.value.code == 0
    assert "usage: lazyrich" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"lazyrich {version('lazyrich')}\n"


def test_a_tilde_is_the_home_of_the_user(book, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(Path("book").absolute()))
    assert main(["claims", "~"]) == 0
    assert "claim" in capsys.readouterr().out


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2


def test_the_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "lazyrich", "claims", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "lazyrich: folder must hold notebooks (*.ipynb), got 'nowhere'\n"


def test_a_reader_that_has_seen_enough_is_no_error(book):
    command = [sys.executable, "-m", "lazyrich", "claims", "--json", str(book)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
