import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lazyrich.book import figures, pictures

TABLE = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 1.0]})


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: a list of data and metadata."""
    bundles = []
    monkeypatch.setattr(
        pictures, "display", lambda data, **options: bundles.append((data, options))
    )
    return bundles


def draw():
    figure, axes = plt.subplots(figsize=(3, 2), dpi=80)
    axes.plot(TABLE.x, TABLE.y, "o")
    return figure


def test_a_figure_is_the_same_to_the_byte_when_nothing_changed(shown):
    pictures.show("fig-a", draw(), TABLE)
    pictures.show("fig-a", draw(), TABLE)
    (first, _), (second, _) = shown
    assert first["image/png"] == second["image/png"]


def test_the_picture_has_double_density_and_the_name_beside_it(shown):
    pictures.show("fig-a", draw(), TABLE)
    [(data, options)] = shown
    assert Image.open(io.BytesIO(data["image/png"])).size == (480, 320)
    assert options["metadata"] == {"image/png": {"width": 240, "height": 160}}
    assert data["text/plain"] == "<figure fig-a>"
    assert Image.open(io.BytesIO(data["image/png"])).info.keys() <= {"dpi"}


def test_a_figure_that_was_shown_is_closed(shown):
    figure = draw()
    pictures.show("fig-a", figure, TABLE)
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("name", ["a", "figure-a", "Fig-a", ""])
def test_a_name_begins_with_fig(name, shown):
    with pytest.raises(ValueError, match="name must begin with 'fig-', got "):
        pictures.show(name, draw(), TABLE)
    assert not shown


def test_a_figure_without_numbers_is_refused(shown):
    with pytest.raises(ValueError, match="table must be a data frame with rows, got Empty"):
        pictures.show("fig-a", draw(), TABLE.head(0))
    assert not shown


def test_the_lines_of_a_figure_are_a_table():
    figure, (left, right) = figures.panels(2)
    left.plot([1, 2], [3.0, 4.0], "o")
    left.plot([1, 2], [3.0, 5.0], color="black")
    left.set(xlabel="width", ylabel="value")
    right.axhline(2.0, color="red")
    right.axvline(3.0, color="red")
    lines = pictures.curves(figure)
    plt.close(figure)
    assert list(lines["panel"]) == [1, 1, 2, 2, 2, 2] and list(lines["curve"]) == [1, 1, 1, 1, 2, 2]
    assert set(lines["x axis"]) == {"width", ""}
    assert list(lines["colour"]) == ["rgb(0 0 0)"] * 2 + ["rgb(255 0 0)"] * 4
    assert set(lines["style"]) == {"-"}
    np.testing.assert_array_equal(lines["x"], [1, 2, np.nan, np.nan, 3, 3])
    np.testing.assert_array_equal(lines["y"], [3, 5, 2, 2, np.nan, np.nan])


def test_a_figure_without_lines_has_no_table_of_them():
    figure = draw()
    figure.axes[0].lines[0].set_linestyle("none")
    assert pictures.curves(figure) is None
    plt.close(figure)
