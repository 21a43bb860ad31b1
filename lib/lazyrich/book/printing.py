"""Printing: the whole book as one PDF, by the Chromium that is installed.

What the paper shows, and what not, is said by the rules for print among the book's styles.
"""

import argparse
import os
import shutil
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""The names under which a Chromium or a Chrome is looked for."""
_MARGINS = dict.fromkeys(("top", "bottom", "left", "right"), "16mm")
_NUMBERS = (
    '<div style="width: 100%; font-size: 8px; text-align: center">'
    '<span class="pageNumber"></span></div>'
)


def chromium() -> str | None:
    """The Chromium or Chrome that ``CHROME`` names or that is on the path, or None."""
    return os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)


def to_pdf(page: Path | str, file: Path | str) -> None:
    """Print a page as a PDF with an outline, once all its formulas are set.

    Raises:
        FileNotFoundError: if there is no such page, or no browser.
    """
    page, browser = Path(page).absolute(), chromium()
    if not page.exists():
        raise FileNotFoundError(f"page must be a built page, but {page} is not there")
    if browser is None:
        raise FileNotFoundError("no Chromium was found: on Debian, apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = shown.new_page()
        tab.set_default_timeout(0)  # thousands of formulas take minutes
        tab.goto(page.as_uri())
        tab.evaluate("window.MathJax?.startup?.promise")
        tab.pdf(
            path=file,
            format="A4",
            scale=0.8,
            margin=_MARGINS,
            outline=True,
            tagged=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=_NUMBERS,
        )
        shown.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print a page as a PDF.")
    parser.add_argument("page", type=Path, help="a built page")
    parser.add_argument("file", type=Path, help="where the PDF goes")
    options = parser.parse_args()
    to_pdf(options.page, options.file)
