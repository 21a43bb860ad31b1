"""A page on paper, as `make pdf` prints the whole book."""

import subprocess
import sys

import pytest

from lazyrich.book import printing

pytest.importorskip("playwright.sync_api", reason="make test-browser installs it")


@pytest.mark.skipif(printing.chromium() is None, reason="no Chromium was found")
def test_a_page_is_printed(tmp_path):
    page, file = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text("<h1>A page</h1><details><summary>A fold</summary>What it says.</details>")
    # In a process of its own: Playwright's browser of the other tests is open in this one.
    subprocess.run([sys.executable, "-m", "lazyrich.book.printing", page, file], check=True)
    assert file.read_bytes().startswith(b"%PDF")
