"""The results of a sweep, which are found by the names of its axes.

>>> from lazyrich.book.estimates import mean
>>> points = [{"width": n, "scheme": s, "seeds": 2} for n in (8, 16) for s in ("a", "b")]
>>> results = Results(points, [{"loss": np.array([n, n + 2])} for n in range(4)])
>>> results.sel(width=16).stack()["loss"].tolist()
[[2, 4], [3, 5]]
>>> results.sel(scheme="a").map(lambda run: run["loss"].max().item())
{8: 2, 16: 4}
>>> results.table(loss=lambda run: mean(run["loss"]))
   width scheme  loss  loss, error
0      8      a   1.0          1.0
1      8      b   2.0          1.0
2     16      a   3.0          1.0
3     16      b   4.0          1.0
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import jax
import numpy as np
import pandas as pd

from lazyrich.book.estimates import MEDIAN, Estimate, power_law
from lazyrich.book.tables import table


class Results(Sequence):
    """The results of a sweep in the order of its points, with the scalars of each point.

    The points need not be a full grid. Their **axes** are the names whose values differ.
    """

    def __init__(self, points: Sequence[Mapping[str, Any]], values: Iterable):
        self.points, self._values = [dict(point) for point in points], list(values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index):
        return self._values[index]

    @property
    def axes(self) -> dict[str, list]:
        """The values of each axis, in the order in which they first occur."""
        names = dict.fromkeys(name for point in self.points for name in point)
        values = {name: _distinct(point.get(name) for point in self.points) for name in names}
        return {name: distinct for name, distinct in values.items() if len(distinct) > 1}

    def sel(self, **scalars) -> "Results":
        """The results at the points with these scalars; floats need only be close.

        Raises:
            ValueError: if there is none; the message names the values that there are.
        """
        chosen = [
            (point, result)
            for point, result in zip(self.points, self, strict=True)
            if all(name in point and _same(point[name], value) for name, value in scalars.items())
        ]
        if not chosen:
            known = "; ".join(f"{name} in {values}" for name, values in self.axes.items())
            raise ValueError(f"a point must have {scalars}, but there are {known or self.points}")
        return Results(*zip(*chosen, strict=True))

    def at(self, **scalars) -> Any:
        """The result at the one point with these scalars.

        Raises:
            ValueError: if there is none, or more than one.
        """
        chosen = self.sel(**scalars)
        if len(chosen) > 1:
            raise ValueError(f"one point must have {scalars}, but they leave {chosen.axes} open")
        return chosen[0]

    def stack(self) -> Any:
        """The results entry by entry, as arrays whose first axes are those of the sweep.

        Where the points are no full grid in its order, one axis runs over them.
        """
        axes = self.axes
        full = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        ordered = len(full) == len(self) and all(
            _same(point.get(name), value)
            for point, wanted in zip(self.points, full, strict=True)
            for name, value in wanted.items()
        )
        shape = tuple(map(len, axes.values())) if ordered else (len(self),)
        return jax.tree.map(
            lambda *entries: np.stack(entries).reshape((*shape, *np.shape(entries[0]))), *self
        )

    def map(self, function: Callable | str) -> dict:
        """What a function gives of each result, by the value of the axis, or a tuple of several.

        Args:
            function: of a result, or the name of one of its fields.
        """
        axes = list(self.axes)
        names = [tuple(point.get(name) for name in axes) for point in self.points]
        names = [name[0] if len(name) == 1 else name for name in names]
        return dict(zip(names, map(_reader(function), self), strict=True))

    def power_law(
        self, along: str, of: Callable | str, statistic: Callable = MEDIAN, by: str | None = None
    ) -> Estimate | dict[Any, Estimate]:
        """The exponent along an axis of the size of something, its samples with seeds in front.

        Args:
            along: the axis of the sizes, the only one unless there is `by`.
            of: a function of a result, or the name of one of its fields, that gives samples of
                shape (seeds, …), whose absolute values count; there is an exponent for each case.
            statistic: what to take over the seeds, the first axis.
            by: another axis: then there is an estimate for each of its values.
        """
        if by is not None:
            parts = {value: self.sel(**{by: value}) for value in self.axes[by]}
            return {value: part.power_law(along, of, statistic) for value, part in parts.items()}
        samples = np.stack([np.abs(_reader(of)(result)) for result in self], axis=-1)
        sizes = np.array([point[along] for point in self.points])
        return power_law(sizes, samples, statistic)

    def table(self, **columns: Callable | str) -> pd.DataFrame:
        """A tidy table with the axes as columns, and with what functions give of each result.

        Args:
            columns: for each, a function of a result or the name of one of its fields. It gives a
                number, an estimate, which becomes two columns, or arrays that broadcast against
                each other and give a row an entry.
        """
        axes = list(self.axes)
        return pd.concat(
            [
                table(
                    {name: _scalar(point.get(name)) for name in axes}
                    | {name: _reader(column)(result) for name, column in columns.items()}
                )
                for point, result in zip(self.points, self, strict=True)
            ],
            ignore_index=True,
        )


def _same(value, other):
    if isinstance(value, float | np.floating) and isinstance(other, float | int | np.number):
        return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(np.array_equal(value, other))


def _distinct(values):
    distinct: list = []
    for value in values:
        if not any(_same(value, other) for other in distinct):
            distinct.append(value)
    return distinct


def _reader(function):
    if callable(function):
        return function
    return lambda result: (
        result[function] if isinstance(result, Mapping) else getattr(result, function)
    )


def _scalar(value):
    """A point's scalar as a cell of a table: what is no number or text is written out."""
    return value if np.ndim(value) == 0 and value is not None else str(value)
