import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lazyrich.book import figures
from lazyrich.book.estimates import Estimate

TABLE = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 1.0]})


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


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


def test_bars_reach_down_and_up_as_two_columns_say():
    _, axes = figures.panels()
    table = TABLE.assign(**{"y, error": 9.0, "y, below": [1.0, 0.5], "y, above": [2.0, 0.25]})
    figures.points(axes, table, "x", "y")
    [segments] = [bars.get_segments() for bars in axes.collections]
    ends = [[low, high] for (_, low), (_, high) in segments]
    np.testing.assert_allclose(ends, [[2, 5], [0.5, 1.25]])


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


def test_a_power_law_runs_through_the_last_point_of_its_group():
    _, axes = figures.panels()
    figures.power_laws(axes, GROUPS, "n", "loss", {"a": -1.0, "b": 2.0}, by="scheme")
    assert [line.get_ydata().tolist() for line in axes.lines] == [[4.0, 2.0], [0.25, 1.0]]


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
