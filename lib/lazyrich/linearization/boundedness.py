"""Boundedness in probability: the sense in which a random tensor is O(f).

M_n = O(f) if |M_n|/f(n) is tight, so its exponent is the largest of those of its quantiles. A mean
square or a maximum over draws is another matter: it may grow faster, or not settle at all. And a
tightest f need not exist: for M_n = n^X with X exponential of mean one, the quantile q is
n^(−ln(1 − q)), so that f bounds M_n if it beats every power of n, and then √f does too.
"""

import jax
import numpy as np

from lazyrich import validation


def student_norms(key: jax.Array, n: int, nu: float, draws: int) -> np.ndarray:
    """Norms of n independent Student-t numbers with ν degrees of freedom.

    They are O(n^max(1/2, 1/ν)), but at ν = 2, where their squares have a mean that just diverges,
    O(√(n ln n)).

    Args:
        key: the draws.
        n: how many numbers.
        nu: ν.
        draws: the number of norms.

    Returns:
        Shape (draws,).
    """
    [nu] = validation.positives(nu=nu)
    rng = _generator(key)
    return np.array([np.linalg.norm(rng.standard_t(float(nu), n)) for _ in range(draws)])


def random_powers(key: jax.Array, n: int, draws: int) -> np.ndarray:
    """Draws of n^X, X exponential of mean one, the same X for every n.

    Args:
        key: the draws.
        n: the size.
        draws: their number.

    Returns:
        Shape (draws,).
    """
    n = validation.whole("n", n, least=1)
    return float(n) ** _generator(key).exponential(size=draws)


def _generator(key):
    return np.random.default_rng(np.asarray(jax.random.key_data(validation.random_key("key", key))))
