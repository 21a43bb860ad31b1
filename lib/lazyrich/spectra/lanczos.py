"""Both ends of the spectrum of a symmetric matrix that is known by its products alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh_tridiagonal

CHECKED = 10  # steps between two looks at the residuals


class Ends(NamedTuple):
    """The two ends of a spectrum, with what certifies them."""

    smallest: float
    """λ_min."""
    largest: float
    """λ_max."""
    residuals: tuple[float, float]
    """|A z − λ z|/|λ| of each with its unit vector z: so close to each is an eigenvalue."""
    steps: int
    """How many products with A were taken."""


def ends_by_lanczos(product: Callable, number: int, tolerance: float, most: int) -> Ends:
    """The smallest and the largest eigenvalue of A from one Krylov space, by Lanczos' iteration.

    Each new vector is made orthogonal to all others, twice, so that the space is what it should be
    and both ends come out of it; after `number` steps it is the whole one. It stops once both
    residuals are below the tolerance, or after so many steps at most. The start is a fixed random
    vector, and that no eigenvalue lies beyond the two found is as certain as that it has a part
    along its vector.

    Args:
        product: ``product(v) -> A v``, in NumPy's double precision.
        number: of rows of A.
        tolerance: of the residuals, relative to each end.
        most: how many steps at most; so many vectors are kept.

    >>> ends = ends_by_lanczos(lambda v: np.arange(1.0, 51) * v, 50, 1e-6, 50)
    >>> ends.smallest, ends.largest
    (1.0, 50.0)
    """
    most = min(most, number)
    V, start = np.empty((most, number)), np.random.default_rng(0).normal(size=number)
    diagonal, beside = [], []
    new, length = start, np.linalg.norm(start)
    for step in range(most):
        V[step] = new / length
        new = product(V[step])
        diagonal.append(V[step] @ new)
        for _ in range(2):
            new = new - V[: step + 1].T @ (V[: step + 1] @ new)
        length = np.linalg.norm(new)
        last = step + 1 == most or length <= np.finfo(float).eps * max(diagonal)
        if last or step % CHECKED == CHECKED - 1:
            pairs = [_end(diagonal, beside, at) for at in (0, step)]
            if last or all(length * abs(s[-1]) <= tolerance * abs(v) / 2 for v, s in pairs):
                break
        beside.append(length)
    found = [_with_residual(product, V[: step + 1].T @ s) for _, s in pairs]
    (smallest, low), (largest, high) = found
    return Ends(smallest, largest, (low, high), step + 1)


def _end(diagonal, beside, at):
    """An eigenvalue of the tridiagonal matrix, counted from below, and its vector."""
    value, vector = eigh_tridiagonal(diagonal, beside, select="i", select_range=(at, at))
    return value[0], vector[:, 0]


def _with_residual(product, z):
    z = z / np.linalg.norm(z)
    image = product(z)
    value = float(z @ image)
    off = float(np.linalg.norm(image - value * z))
    return value, off / abs(value) if value else np.inf
