"""A headless Chromium, and the pages as they were built.

`make test-browser` builds the pages and runs this folder; `make test` leaves it alone.
"""

import os
from pathlib import Path

import pytest

from lazyrich.book.printing import chromium

FOLDER = Path(__file__).parents[2]
SITE = Path(os.environ.get("LAZYRICH_SITE", FOLDER / "_build" / "html")).absolute()
# What a browser asks of the world by itself is no request of a page.
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")


def ours(said):
    """Whether an error is not one of the theme's, which from a file may not load its icons."""
    theirs = "Access to font", "net::ERR_FAILED"
    return said.type == "error" and not any(words in said.text for words in theirs)


@pytest.fixture(scope="session")
def browser():
    """Any Chromium or Chrome that is there, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="make test-browser installs it")
    found = chromium()
    if found is None:
        pytest.skip("no Chromium was found: on Debian, apt install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens a page of the book from its file, and holds what goes wrong there.

    Errors on the console and requests to other hosts fail the test at its end.
    """
    contexts, wrong = [], []

    def open_page(name, hash="", width=1440, theme="light", small=None):
        path = SITE / f"{name}.html"
        if not path.exists():
            pytest.skip(f"{path} is not there: make site builds it")
        if small:  # a copy in another folder, whose explorer is that of a chapter
            text = path.read_text(encoding="utf-8")
            text = text.replace("data-explorer=", "data-small data-explorer=", 1)
            path = small / path.name
            path.write_text(text.replace("<head>", f'<head><base href="{SITE.as_uri()}/">', 1))
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
        page.on("console", lambda said: ours(said) and wrong.append(f"{name}: {said.text}"))
        page.on("request", lambda asked: asked.url.startswith("http") and wrong.append(asked.url))
        page.add_init_script(f"localStorage.setItem('mode', '{theme}')")  # as the theme keeps it
        page.goto(f"{path.as_uri()}{hash}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
