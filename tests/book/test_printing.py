import pytest

from lazyrich.book import printing


def test_the_browser_is_the_one_that_is_named(monkeypatch):
    monkeypatch.setenv("CHROME", "one/of/ours")
    assert printing.chromium() == "one/of/ours"


def test_what_is_not_there_cannot_be_printed(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="page must be a built page, but .*none.html"):
        printing.to_pdf(tmp_path / "none.html", tmp_path / "book.pdf")
    monkeypatch.delenv("CHROME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "page.html").write_text("<p>A page.</p>")
    with pytest.raises(FileNotFoundError, match="apt install chromium"):
        printing.to_pdf(tmp_path / "page.html", tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()
