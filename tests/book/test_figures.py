import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lazyrich.book import figures
from lazyrich.book.estimates import Estimate

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
    monkeypatch.setattr(figures, "display", lambda data, **options: bundles.append((data, options)))
    return bundles


def draw():
    figure, axes = plt.subplots(figsize=(3, 2), dpi=80)
    axes.plot(TABLE.x, TABLE.y, "o")
    return figure


def test_a_figure_is_the_same_to_the_byte_when_nothing_changed(shown):
    figures.show("fig-a", draw(), TABLE)
    figures.show("fig-a", draw(), TABLE)
    (first, _), (second, _) = shown
    assert first["image/png"] == second["image/png"]


def test_the_picture_has_double_density_and_the_name_beside_it(shown):
    figures.show("fig-a", draw(), TABLE)
    [(data, options)] = shown
    assert Image.open(io.BytesIO(data["image/png"])).size == (480, 320)
    assert options["metadata"] == {"image/png": {"width": 240, "height": 160}}
    assert data["text/plain"] == "<figure fig-a>"
    assert Image.open(io.BytesIO(data["image/png"])).info.keys() <= {"dpi"}


def test_a_figure_that_was_shown_is_closed(shown):
    figure = draw()
    figures.show("fig-a", figure, TABLE)
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("name", ["a", "figure-a", "Fig-a", ""])
def test_a_name_begins_with_fig(name, shown):
    with pytest.raises(ValueError, match="name must begin with 'fig-', got "):
        figures.show(name, draw(), TABLE)
    assert not shown


def test_a_figure_without_numbers_is_refused(shown):
    with pytest.raises(ValueError, match="table must be a data frame with rows, got Empty"):
        figures.show("fig-a", draw(), TABLE.head(0))
    assert not shown


def test_the_lines_of_a_figure_are_a_table():
    figure, (left, right) = figures.panels(2)
    left.plot([1, 2], [3.0, 4.0], "o")
    left.plot([1, 2], [3.0, 5.0], color="black")
    left.set(xlabel="width", ylabel="value")
    right.axhline(2.0, color="red")
    right.axvline(3.0, color="red")
    lines = figures.curves(figure)
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
    assert figures.curves(figure) is None
    plt.close(figure)


ROWS = {"n": [1, 2, 1, 2], "scheme": ["a", "a", "b", "b"], "loss": [4.0, 2, 3, 1]}
GROUPS = figures.table(ROWS | {"loss, error": 0.1, "law": [4.0, 2, 3, 1]})


def drawn(axes):
    """The colour, the marker and the name of each series of points, and whether it has bars."""
    return [
        (line.get_color(), line.get_marker(), container.get_label(), bool(bars))
        for container in axes.containers
        for line, _, bars in [container]
    ]


def test_panels_have_their_scales_and_labels():
    _, (left, right) = figures.panels(2, log=["x", "xy"], x="$n$", y=["loss", "rate"])
    assert (left.get_xscale(), left.get_yscale()) == ("log", "linear")
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    assert [axes.get_xlabel() for axes in (left, right)] == ["$n$", "$n$"]
    assert [axes.get_ylabel() for axes in (left, right)] == ["loss", "rate"]


def test_shared_axes_are_labelled_once():
    _, grid = figures.panels(2, rows=2, x="n", y="loss", share="xy")
    assert [axes.get_xlabel() for axes in grid.flat] == ["", "", "n", "n"]
    assert [axes.get_ylabel() for axes in grid.flat] == ["loss", "", "loss", ""]
    figures.points(grid[0, 1], GROUPS, "n", "loss")
    assert grid[0, 1].get_xlabel() == grid[0, 1].get_ylabel() == ""


def test_each_group_has_a_colour_and_a_marker_of_its_own_in_all_panels():
    _, (left, right) = figures.panels(2)
    figures.points(left, GROUPS, "n", "loss", by="scheme")
    figures.points(right, GROUPS[GROUPS["scheme"] == "b"], "n", "loss", by="scheme")
    figures.points(right, GROUPS, "n", "law", name="all")
    a, b = drawn(left)
    assert a[2:] == ("a", True) and b[2:] == ("b", True)
    assert a[0] != b[0] and a[1] != b[1]
    again, other = drawn(right)
    assert again == b and other[2:] == ("all", False)
    assert len({a[1], b[1], other[1]}) == 3
    assert left.get_xlabel() == "n" and left.get_ylabel() == "loss"


def test_a_key_names_what_was_drawn():
    figure, (left, right) = figures.panels(2)
    figures.compare(left, GROUPS, "n", "loss", "law", by="scheme", name=lambda one: f"scheme {one}")
    figures.points(right, GROUPS, "n", "loss", by="scheme", name=lambda one: f"scheme {one}")
    figures.key(left, "schemes")
    figures.key(figure)
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["scheme a", "scheme b"]
    assert left.get_legend().get_title().get_text() == "schemes"
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["scheme a", "scheme b"]


def test_theory_is_a_black_line_with_its_name_at_the_end():
    _, axes = figures.panels()
    figures.theory(axes, GROUPS, "n", "law", by="scheme", label=lambda one: f"law of {one}")
    assert [line.get_color() for line in axes.lines] == ["black", "black"]
    assert [text.get_text() for text in axes.texts] == ["law of a", "law of b"]
    assert axes.texts[1].xy == (2, 1.0)


def test_a_mark_is_a_dashed_line():
    _, axes = figures.panels()
    figures.mark(axes, x=2.0)
    figures.mark(axes, y=3.0, color="red")
    assert [line.get_linestyle() for line in axes.lines] == ["--", "--"]
    assert axes.lines[0].get_xdata() == [2, 2] and axes.lines[1].get_color() == "red"


def test_an_estimate_is_written_with_the_error_of_its_last_digit():
    for value, error, text in (
        (-0.981, 0.0172, "−0.98(2)"),
        (1.0, 0.02, "1.00(2)"),
        (0, 0, "0.00(0)"),
    ):
        assert figures.concise(Estimate(value, error)) == text
