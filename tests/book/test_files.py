import errno
import importlib
import os
from pathlib import Path

import pytest

from lazyrich.book import files


def test_a_file_is_replaced_and_no_draft_is_left(tmp_path):
    for content in ("text, café\n", b"\x00bytes", ""):
        files.replace(tmp_path / "a", content)
        expected = content.encode() if isinstance(content, str) else content
        assert (tmp_path / "a").read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_cannot_be_written_leaves_the_old_file(step, tmp_path, monkeypatch):
    files.replace(tmp_path / "a", "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left on device: '.*a'$"):
        files.replace(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_disk_has_the_content_before_the_file_has_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    files.replace(tmp_path / "a", "new")
    assert order == ["fsync", "replace", "fsync"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    (tmp_path / "a.1.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        files.replace(tmp_path / "a", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_on_the_disk_with_all_above_it(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(files, "_keep_names", kept.append)
    for _ in range(2):
        files.make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir() and kept == [tmp_path, tmp_path / "a"]
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_folder(tmp_path / "file")


def test_hidden_notebooks_are_those_of_editors_and_systems(tmp_path, monkeypatch):
    for name in ("b.ipynb", "a.ipynb", "._a.ipynb", ".~x.ipynb", "...ipynb", "page.md"):
        (tmp_path / name).write_text('{"cells": []}')
    assert [path.name for path in files.notebooks_of(tmp_path)] == ["a.ipynb", "b.ipynb"]
    (tmp_path / "._a.ipynb").write_bytes(b"\0no notebook")
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "book/_ext")
    assert importlib.import_module("lazyrich_book").read(tmp_path) == []
