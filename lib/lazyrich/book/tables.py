"""Tidy tables: a row an observation, a column a variable."""

import numpy as np
import pandas as pd

from lazyrich.book.estimates import Estimate


def table(columns: dict) -> pd.DataFrame:
    """A tidy table of columns that broadcast against each other, a row an entry.

    An estimate becomes two columns, ``name`` and ``name, error``.

    >>> table({"width": np.array([[1], [2]]), "seed": np.arange(2), "value": np.eye(2)}).shape
    (4, 3)
    >>> list(table({"width": [1, 2], "slope": Estimate(np.ones(2), np.zeros(2))}))
    ['width', 'slope', 'slope, error']
    """
    parts = {}
    for name, column in columns.items():
        if isinstance(column, Estimate):
            parts |= {name: column.value, f"{name}, error": column.error}
        else:
            parts[name] = column
    arrays = np.broadcast_arrays(*(np.asarray(part) for part in parts.values()))
    return pd.DataFrame({name: array.ravel() for name, array in zip(parts, arrays, strict=True)})
