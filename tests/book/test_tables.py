import numpy as np
import pytest

from lazyrich.book.estimates import Estimate
from lazyrich.book.tables import table


def test_columns_broadcast_to_a_row_an_entry():
    rows = table({"width": np.array([[1], [2]]), "seed": [3, 4, 5], "x": 0.5})
    assert list(rows["width"]) == [1, 1, 1, 2, 2, 2]
    assert list(rows["seed"]) == [3, 4, 5, 3, 4, 5] and set(rows["x"]) == {0.5}
    with pytest.raises(ValueError, match="broadcast"):
        table({"a": [1, 2], "b": [1, 2, 3]})


def test_an_estimate_is_two_columns():
    rows = table({"n": [1, 2], "slope": Estimate(np.array([3.0, 4.0]), np.array([0.1, 0.2]))})
    assert list(rows["slope"]) == [3.0, 4.0] and list(rows["slope, error"]) == [0.1, 0.2]
