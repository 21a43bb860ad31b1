"""What the pages of the book weigh, and when a reader sees them, into the tables of the book.

The pages are read from their files, each in a new context of a headless Chromium, so with no cache
and no network: once as by a computer, and once as by a phone, that is at 390 pixels with a
processor four times as slow. Their weight is that of all files that a page loads.
"""

import argparse
import gzip
import json
import platform
import statistics
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlparse

from measuring import digits
from playwright.sync_api import sync_playwright
from tqdm import tqdm

from lazyrich.book import files, provenance
from lazyrich.book.printing import chromium

ROOT = Path(__file__).parents[1]
ROUNDS = 5
DEVICES = {"a computer": (1440, 1), "a phone": (390, 4)}
"""How wide they are, and by how much their processor is slower than the one that measures."""
PACKED = {".html", ".css", ".js", ".svg", ".json"}
"""What servers send packed."""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
TYPESET = """() => {
  const done = () => window.typeset = performance.now();
  document.addEventListener("DOMContentLoaded", () => {
    const wait = () => window.MathJax?.startup?.promise?.then ?
      MathJax.startup.promise.then(done) : requestAnimationFrame(wait);
    document.querySelector("article .math") ? wait() : done();
  });
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="the folder of the built pages")
    site = parser.parse_args().site.absolute()
    pages = sorted(path for path in site.glob("*.html") if 'class="bd-article"' in text(path))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--allow-file-access-from-files"]
        )
        version = browser.version
        rows = [row(browser, path) for path in tqdm(pages, unit="page", disable=None)]
        browser.close()
    columns = ["page", "files", "MB", "MB, packed"]
    columns += [f"{what} on {device}, s" for device in DEVICES for what in ("painted", "set")]
    about = {
        "machine": provenance.machine(),
        "date": date.today().isoformat(),
        "versions": {"python": platform.python_version(), "Chromium": version},
        "tables": [{"title": "The pages", "columns": columns, "rows": rows}],
    }
    path = ROOT / "book" / "pages.json"
    files.replace(path, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def row(browser, path):
    """Of a page: its name, what it loads, and when it is painted and its formulas are set."""
    times = []
    for width, slower in DEVICES.values():
        measured = [opened(browser, path, width, slower) for _ in range(ROUNDS)]
        loaded = measured[0][0]
        times += [
            statistics.median(one) / 1e3 for one in zip(*(m[1:] for m in measured), strict=True)
        ]
    sizes = [weight(one) for one in loaded]
    whole, packed = (sum(one) / 1e6 for one in zip(*sizes, strict=True))
    return [path.stem.replace("_", " "), str(len(sizes)), *map(digits, (whole, packed, *times))]


def opened(browser, path, width, slower):
    """The files that a page loads, and the milliseconds until it is painted and is set."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    loaded = set()
    page.on("requestfinished", lambda request: loaded.add(request.url.partition("#")[0]))
    page.add_init_script(f"({TYPESET})()")
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_function("() => window.typeset", timeout=0)
    result = loaded, page.evaluate(PAINTED), page.evaluate("window.typeset")
    context.close()
    return result


def weight(address):
    """The bytes of a file, whole and as it is sent."""
    path = Path(unquote(urlparse(address).path))
    content = path.read_bytes()
    return len(content), len(gzip.compress(content)) if path.suffix in PACKED else len(content)


def text(path):
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
