"""Estimates over seeds, each with its standard error."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy  # whose parts are loaded at their first use

MEDIAN = partial(np.median, axis=0)
"""The median over seeds, the first axis."""


class Estimate(NamedTuple):
    """A value and its standard error over seeds."""

    value: np.ndarray | float
    """The statistic of all seeds."""
    error: np.ndarray | float
    """Its standard error."""

    def by(self, names: Iterable) -> dict[Any, "Estimate"]:
        """An estimate for each name, the entries along the first axis in their order.

        >>> Estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2])).by(["a", "b"])["b"].error
        np.float64(0.2)
        """
        entries = zip(names, self.value, self.error, strict=True)
        return {name: Estimate(value, error) for name, value, error in entries}


def mean(samples: np.ndarray) -> Estimate:
    """The mean over the first axis (seeds), with error std/√seeds.

    >>> mean(np.array([1.0, 2.0, 3.0, 4.0])).value
    np.float64(2.5)
    """
    samples = _samples(samples)
    return Estimate(samples.mean(0), samples.std(0, ddof=1) / np.sqrt(len(samples)))


def geometric_mean(samples: np.ndarray) -> Estimate:
    """The geometric mean over the first axis (seeds), its error that of the logarithm times it.

    >>> geometric_mean(np.array([1.0, 4.0])).value
    np.float64(2.0)
    """
    samples = _samples(samples)
    if not (samples > 0).all():
        raise ValueError("samples must be positive to have a geometric mean, got values ≤ 0")
    value, error = mean(np.log(samples))
    return Estimate(np.exp(value), np.exp(value) * error)


def over_seeds(statistic: Callable, samples: np.ndarray, draws: int = 400) -> Estimate:
    """Any statistic over the first axis (seeds), with its bootstrap error.

    Seeds are drawn with replacement; what belongs to one seed stays together, so that a slope over
    widths knows that a seed's widths are correlated. The draws are fixed.

    Args:
        statistic: a function of samples with seeds on the first axis, giving a number or an array.
        samples: shape (seeds, …).
        draws: number of bootstrap draws.
    """
    samples = _samples(samples)
    indices = np.arange(len(samples))

    def resampled(chosen):
        return np.asarray(statistic(samples[chosen]))

    errors = scipy.stats.bootstrap(
        (indices,),
        resampled,
        n_resamples=draws,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
    ).standard_error
    return Estimate(resampled(indices), errors)


def median(samples: np.ndarray) -> Estimate:
    """The median over the first axis (seeds), with its bootstrap error."""
    return over_seeds(lambda chosen: np.median(chosen, axis=0), samples)


def root_mean_square(samples: np.ndarray) -> Estimate:
    """The root mean square over the first axis (seeds), its error that of the mean square over it.

    >>> root_mean_square(np.array([3.0, -3.0])).value
    np.float64(3.0)
    """
    value, error = mean(_samples(samples) ** 2)
    root = np.sqrt(value)
    return Estimate(root, np.divide(error, 2 * root, out=np.zeros_like(error), where=root > 0)[()])


def power_law(x: np.ndarray, samples: np.ndarray, statistic: Callable = MEDIAN) -> Estimate:
    """The exponent of a power law: the least-squares slope of log median against log x.

    Args:
        x: the sizes, shape (sizes,), positive.
        samples: positive measurements, shape (seeds, …, sizes): an exponent for each case between.
        statistic: what to take over the seeds, the first axis, instead of the median.
    """
    x = np.asarray(x, dtype=float)
    samples = _samples(samples)
    if x.ndim != 1 or len(x) < 2 or samples.ndim < 2 or samples.shape[-1:] != x.shape:
        raise ValueError(f"samples must have shape (seeds, …, {len(x)}), got {samples.shape}")
    if not (np.isfinite(x) & (x > 0)).all() or not (samples > 0).all():
        raise ValueError("x and samples must be positive to have a power law, got values ≤ 0")
    if len(np.unique(x)) < len(x):
        raise ValueError(f"x must hold sizes that differ, got {x.tolist()}")

    def slope(chosen):
        y = np.log(statistic(chosen))
        return np.polyfit(np.log(x), y.reshape(-1, len(x)).T, 1)[0].reshape(y.shape[:-1])[()]

    return over_seeds(slope, samples)


def local_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The slopes between neighbours on log-log axes, one fewer than points, along the last axis."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if y.shape[-1:] != x.shape:
        raise ValueError(f"y must have as many points as x, got shapes {y.shape} and {x.shape}")
    return np.diff(np.log(y)) / np.diff(np.log(x))


def relative_error(measured: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The largest deviation of each case, in units of the largest entry of its reference.

    Args:
        measured: shape (cases, …).
        reference: broadcasts against it.

    Returns:
        Shape (cases,); 0 where both vanish, and never 0 where an entry is nan.
    """
    measured, reference = np.broadcast_arrays(measured, reference)
    deviation, size = (
        np.abs(array).reshape(len(array), -1).max(1) for array in (measured - reference, reference)
    )
    return np.divide(deviation, size, out=np.where(deviation == 0, 0, np.inf), where=size != 0)


def _samples(samples):
    samples = np.asarray(samples, dtype=float)
    if samples.ndim == 0 or len(samples) < 2:
        raise ValueError(f"samples must hold at least two seeds, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite, got nan or inf")
    return samples
