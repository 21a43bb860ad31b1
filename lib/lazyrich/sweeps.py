"""Sweeps: the one call through which everything that takes more than a second goes.

A sweep evaluates a plain function of named scalars and a key at many points. It is a thin layer
over joblib, so `joblib.parallel_config` decides where the points run, and a chapter is the same
on one core and on a cluster.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from joblib import Parallel, delayed

from lazyrich import validation

SCALES = ("quick", "book", "paper")


def sizes(scale: str, **choices: tuple) -> SimpleNamespace:
    """The sizes of a chapter at a scale, each given as a triple (quick, book, paper).

    >>> sizes("book", seeds=(4, 24, 200), widths=([64], [64, 256], [64, 256, 1024])).widths
    [64, 256]
    """
    position = SCALES.index(validation.one_of("scale", scale, SCALES))
    for name, choice in choices.items():
        if not isinstance(choice, tuple) or len(choice) != len(SCALES):
            raise ValueError(f"{name} must be a triple (quick, book, paper), got {choice!r}")
    return SimpleNamespace(**{name: choice[position] for name, choice in choices.items()})


def grid(**axes: Sequence) -> list[dict[str, Any]]:
    """The points of a product of named axes, the last one running fastest.

    >>> grid(width=[64, 128], scheme=["ntk", "mean field"])[1]
    {'width': 64, 'scheme': 'mean field'}
    """
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def sweep(function: Callable, points: Sequence[Mapping[str, Any]], key: jax.Array) -> list:
    """``function(key, **point)`` at every point, in their order.

    Every point gets the same key, so that points which differ in one scalar are paired; a function
    that wants independent draws folds its scalars into the key. Results come back as NumPy arrays.
    The points run one after another unless ``joblib.parallel_config`` says otherwise. Take
    `function` from a module, not from ``__main__``, if they shall run in other processes.

    Args:
        function: any function ``(key, **scalars) -> pytree of arrays``.
        points: the named scalars of each point, as :func:`grid` gives them.
        key: a random key.

    Raises:
        ValueError: if there are no points.
    """
    points = [dict(point) for point in points]
    if not points:
        raise ValueError("points must hold at least one point, got none")
    data, kind = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
    return Parallel()(delayed(_evaluate)(function, data, kind, point) for point in points)


def stack(results: Sequence, *shape: int) -> Any:
    """The results of a sweep, entry by entry as arrays whose first axes are those of the grid.

    >>> stack([{"x": 1.0}, {"x": 2.0}, {"x": 3.0}, {"x": 4.0}], 2, 2)["x"].tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    shape = shape or (len(results),)
    return jax.tree.map(
        lambda *entries: np.stack(entries).reshape(*shape, *np.shape(entries[0])), *results
    )


def _evaluate(function, data, kind, point):
    result = function(jax.random.wrap_key_data(data, impl=kind), **point)
    return jax.tree.map(np.asarray, result)
