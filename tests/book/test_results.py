from typing import NamedTuple

import numpy as np
import pytest

from lazyrich.book import estimates, sweeps
from lazyrich.book.results import Results


class Run(NamedTuple):
    loss: np.ndarray
    size: float


def results_of(points):
    """For each point a run whose losses hold its number."""
    return Results(points, [Run(np.array([n, n + 2.0]), float(n)) for n in range(len(points))])


GRID = sweeps.grid(width=[8, 16], scheme=["a", "b", "c"], seeds=[2])


def test_results_are_a_sequence_in_the_order_of_the_points():
    results = results_of(GRID)
    assert (
        len(results) == 6 and results[4].size == 4 and [run.size for run in results[1:3]] == [1, 2]
    )
    first, *_ = results
    assert first.size == 0


def test_the_axes_are_the_names_whose_values_differ():
    assert results_of(GRID).axes == {"width": [8, 16], "scheme": ["a", "b", "c"]}
    assert results_of(GRID[:1]).axes == {}
    uneven = [{"width": 8}, {"width": 8, "depth": 3}, {"width": 4, "depth": 3}]
    assert results_of(uneven).axes == {"width": [8, 4], "depth": [None, 3]}


def test_points_are_selected_by_name():
    results = results_of(GRID)
    assert [run.size for run in results.sel(scheme="b")] == [1, 4]
    assert results.sel(width=16).axes == {"scheme": ["a", "b", "c"]}
    assert results.at(width=16, scheme="a").size == 3
    rates = results_of(sweeps.grid(rate=np.r_[0.1:2:0.2]))
    assert rates.at(rate=1.5).size == 7
    shapes = results_of(sweeps.grid(shape=[(1, 2), (3,)]))
    assert shapes.at(shape=(3,)).size == 1


def test_a_selection_that_finds_none_or_too_many_says_what_there_is():
    results = results_of(GRID)
    with pytest.raises(ValueError, match=r"have {'width': 9}, but there are width in \[8, 16\]"):
        results.sel(width=9)
    with pytest.raises(ValueError, match="have {'wdith': 8}, but"):
        results.sel(wdith=8)
    with pytest.raises(ValueError, match=r"one point .*leave {'scheme': \['a', 'b', 'c'\]} open"):
        results.at(width=8)


def test_results_are_stacked_on_the_axes_of_the_grid():
    stacked = results_of(GRID).stack()
    assert isinstance(stacked, Run) and stacked.loss.shape == (2, 3, 2)
    assert stacked.size.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert results_of(GRID[:1]).stack().loss.shape == (2,)
    assert results_of(GRID[:5]).stack().size.tolist() == [0, 1, 2, 3, 4]
    assert results_of(GRID[::-1]).stack().loss.shape == (2, 3, 2)
    assert results_of([GRID[i] for i in (0, 3, 1, 4, 2, 5)]).stack().loss.shape == (6, 2)


def test_a_function_is_mapped_over_the_names_of_the_points():
    results = results_of(GRID)
    assert results.sel(width=16).map("size") == {"a": 3, "b": 4, "c": 5}
    assert results.map(lambda run: run.size)[16, "b"] == 4
    assert Results([{"n": 1}, {"n": 2}], [{"x": 3}, {"x": 4}]).map("x") == {1: 3, 2: 4}


def test_a_table_has_a_row_a_point_and_the_axes_as_columns():
    rows = results_of(GRID).table(size="size", loss=lambda run: estimates.mean(run.loss))
    assert list(rows) == ["width", "scheme", "size", "loss", "loss, error"] and len(rows) == 6
    assert rows.loc[4].tolist() == [16, "b", 4.0, 5.0, 1.0]


def test_a_table_of_arrays_has_a_row_an_entry_also_of_unequal_lengths():
    results = Results([{"n": 2}, {"n": 3}], [np.arange(2.0), np.arange(3.0)])
    rows = results.table(x=lambda one: one, index=lambda one: np.arange(len(one)))
    assert rows["n"].tolist() == [2, 2, 3, 3, 3] and rows["x"].tolist() == [0, 1, 0, 1, 2]
    assert rows.index.tolist() == [0, 1, 2, 3, 4]
