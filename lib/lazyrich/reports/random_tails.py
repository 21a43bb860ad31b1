"""How heavy the tail of a random matrix looks, at its own finite size."""

from functools import cache

import numpy as np
import scipy

from lazyrich import spectra, validation

DRAWS = 20
"""Random matrices of a shape, of which Hill's exponent is taken for comparison."""


def random_hill(rows: int, columns: int, draws: int = DRAWS) -> tuple[float, float]:
    """The mean and the standard deviation of Hill's exponent of random matrices of a shape.

    The spectrum of WᵀW of a Gaussian matrix W is that of B Bᵀ with B bidiagonal and independent χ
    numbers, of falling degrees of freedom, on both diagonals (Dumitriu & Edelman 2002): so a draw
    takes columns² operations. The draws are fixed.

    Args:
        rows: h, at least the number of columns.
        columns: d, at least 3.
        draws: how many matrices, at least 2.

    Raises:
        ValueError: if one of these is out of range.

    >>> mean, deviation = random_hill(300, 200)
    >>> 2 < mean < 3, deviation < 0.1
    (True, True)
    """
    columns = validation.whole("columns", columns, least=3)
    rows = validation.whole("rows", rows, least=columns)
    return _random_hill(rows, columns, validation.whole("draws", draws, least=2))


@cache
def _random_hill(rows, columns, draws):
    random = np.random.default_rng(0)
    exponents = [float(spectra.hill(_eigenvalues(random, rows, columns))) for _ in range(draws)]
    return float(np.mean(exponents)), float(np.std(exponents, ddof=1))


def _eigenvalues(random, rows, columns):
    """Those of WᵀW of one Gaussian matrix W."""
    diagonal = random.chisquare(rows - np.arange(columns))
    below = random.chisquare(np.arange(columns - 1, 0, -1))
    squares = diagonal + np.concatenate([[0.0], below])
    values = scipy.linalg.eigvalsh_tridiagonal(squares, np.sqrt(diagonal[:-1] * below))
    return np.maximum(values, 0)
