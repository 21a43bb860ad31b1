"""Signals of networks along the knob, the floors that they have to leave, and where they do."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import kernels, lenses
from lazyrich import linearization as lin
from lazyrich.arithmetic import jit, matmul
from lazyrich.experiments.lenses import knob, setting
from lazyrich.training import each

CLOCKS = 2 ** np.arange(8)
"""The steps after which lazy networks are compared on equal clocks."""


class Floors(NamedTuple):
    """Standard deviations of lazy networks of one shape, on one task."""

    alignment: Float[Array, ""]
    """Of cos(v, Wβ)."""
    target: Float[Array, ""]
    """Of log yᵀKy."""
    trace: Float[Array, ""]
    """Of log tr K."""
    largest: Float[Array, ""]
    """Of log λ_max of K."""
    condition: Float[Array, ""]
    """Of log κ of K."""
    tail: Float[Array, ""]
    """Of log σ₁ of the first layer."""
    hill: Float[Array, ""]
    """Of Hill's exponent of the first layer."""
    clock: Float[Array, ""]
    """Of F_lin on training inputs after equal times, over the size of y; the largest."""
    function: Float[Array, ""]
    """Of F_lin on test inputs at equal loss, over the size of F_lin."""


def floors_at(
    key: jax.Array,
    inputs: int,
    width: int,
    starts: int,
    level: float = 0.1,
    activation: str = "erf",
    ratio: float = 4.0,
    draw: int = 0,
) -> Floors:
    """The floors, from starts that no network along the knob has, by their linear models alone.

    Args:
        key, inputs, width, activation, ratio, draw: as for
            :func:`~lazyrich.experiments.lenses.knob.at_knob`.
        starts: the number of networks.
        level: of the loss over that at the start.
    """
    task, shape = setting.sine_task(inputs, ratio, draw), setting.Shape(inputs, width, activation)
    # Not a pair's: the floors are those of networks that nobody has seen.
    params = setting.paired_starts(jax.random.fold_in(key, starts), shape, starts)
    params = jax.tree.map(lambda a: a[:starts], params)
    rate = knob.rate_of(shape, task, params)

    def of_start(params):
        start, _ = knob.before_training(shape, (level,), knob.read_two_layers, task, rate, params)
        return start.read, _on_clocks(shape, task, rate, params), start.function[0]

    read, clocks, function = jax.device_get(each(of_start, params))
    scatter = [np.std(reading, axis=0, ddof=1) for reading in of_readings(read)]
    apart = np.sqrt(clocks.var(0, ddof=1).mean(-1).max() / np.mean(task.y**2))
    there = np.sqrt(function.var(0, ddof=1).sum() / (function.mean(0) ** 2).sum())
    return Floors(*scatter, apart, there)


@jit(static_argnames=("shape",))
def _on_clocks(shape, task, rate, params):
    """F_lin on training inputs after ``CLOCKS`` steps."""
    values, vectors = jnp.linalg.eigh(kernels.empirical_ntk(shape.network(), params, task.x))
    learned = 1 - (1 - rate / len(task.y) * values) ** jnp.asarray(CLOCKS)[:, None]
    return matmul(learned * matmul(vectors.T, task.y), vectors.T)


def of_readings(read: knob.Instruments) -> list[np.ndarray]:
    """The readings whose differences count, as the first fields of :class:`Floors`."""
    logarithms = (read.target, read.trace, read.largest, read.largest / read.smallest, read.edge)
    return [read.cosine, *map(np.log, logarithms), read.hill]


def signals(found: knob.Knob) -> dict[str, np.ndarray]:
    """What each reading gained, by the names in :class:`Floors` but for the function.

    Averaged over both signs of a start; along (pairs, γ, levels).
    """
    ends, starts = of_readings(found.levels.read), of_readings(found.start.read)
    gained = [end - start[:, None, None] for end, start in zip(ends, starts, strict=True)]
    return dict(zip(Floors._fields, map(over_signs, [*gained, found.levels.clock]), strict=False))


def deviations(found: knob.Knob) -> np.ndarray:
    """F − F_lin on test inputs over the size of F_lin, along (pairs, γ, levels, tests)."""
    size = np.sqrt((found.start.function.mean(0) ** 2).mean(-1))
    return over_signs(found.levels.deviation) / size[:, None]


def over_signs(samples: np.ndarray) -> np.ndarray:
    """The means over the two halves of the first axis."""
    return samples.reshape(2, -1, *samples.shape[1:]).mean(0)


def alarms_of(found: knob.Knob, floors: Floors, level: int = 0) -> dict[str, tuple]:
    """What :func:`ring` needs of each reading, by its name: samples, R and the floor.

    Args:
        found: networks along the knob.
        floors: of their shape.
        level: which.
    """
    R = found.richness[..., level].mean(0)
    samples = {name: values[..., level] for name, values in signals(found).items()}
    samples["function"] = deviations(found)[:, :, level]
    return {name: (samples[name], R, float(getattr(floors, name))) for name in Floors._fields}


def ring(samples: np.ndarray, richness: np.ndarray, floor: float) -> float:
    """R* at which the :func:`size_of` samples is two floors.

    Where it does not ring on the grid of R, it is told by a factor of two beyond the grid's end, so
    that a resample of few starts has a number too.

    Args:
        samples: along (pairs, γ), or with the test inputs as a last axis.
        richness: R of each γ, increasing.
        floor: the standard deviation of lazy networks.
    """
    at = float(lenses.frontier(richness, size_of(samples), floor))
    return float(np.nan_to_num(at, nan=richness[0] / 2, posinf=2 * richness[-1]))


def share_of_floor(samples: np.ndarray, richness: np.ndarray, floor: float) -> float:
    """The slope d ln R*/d ln floor, by which an error of the floor is one of the alarm."""
    ends = [ring(samples, richness, by * floor) for by in (1.1, 1 / 1.1)]
    return float(np.log(ends[0] / ends[1]) / np.log(1.1**2))


def size_of(samples: np.ndarray) -> np.ndarray:
    """The size at each γ of the mean over the first axis; root mean square over test inputs."""
    mean = samples.mean(0)
    return np.sqrt((mean**2).mean(-1)) if mean.ndim > 1 else np.abs(mean)


def known_and_ended(
    found: knob.Knob, meters: np.ndarray, inputs: int, width: int, richness: tuple[float, ...]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What is known at the start, and what is read at the end, by their names: (networks, γ).

    Args:
        found: networks along the knob.
        meters: of the first pairs of these, by :func:`meters_at`.
        inputs: d.
        width: n.
        richness: nominal R, as of the networks.
    """
    some, pairs = len(meters) // 2, len(found.richness) // 2
    seeds = np.r_[:some, pairs : pairs + some]
    found = jax.tree.map(lambda a: a[seeds], found)
    start, end, R = found.start.read, found.levels, found.richness[..., 0]
    scales = setting.scales(setting.Shape(inputs, width), richness)[:, None]
    forecast = scales * meters[:, None, 0] + scales**2 * meters[:, None, 1]
    along = {name: np.repeat(reading[:, None], len(richness), 1) for name, reading in {
        "κ of the start": start.largest / start.smallest,
        "Hill of the start": start.hill,
        "angle of the start": start.cosine,
    }.items()}  # fmt: skip
    known = {
        "R": R,
        "outlier of R, d, n": lenses.outlier_signal(R, inputs, width).height
        * (width**0.5 + inputs**0.5) / lenses.edge_floor(inputs, width).mean,
        "meter": np.sqrt((forecast**2).mean(-1)),
    }  # fmt: skip
    ended = {
        "angle": end.read.cosine,
        "kernel": end.read.trace / start.trace[:, None, None],
        "σ₁ of W": end.read.edge / start.edge[:, None, None],
        "clock": end.clock,
        "function": end.change,
        "test error": end.error,
    }
    return known | along, {name: reading[..., 0] for name, reading in ended.items()}


def equivalents_at(
    key: jax.Array,
    inputs: int,
    width: int,
    richness: tuple[float, ...],
    pairs: int,
    level: float = 0.1,
    draw: int = 0,
) -> lenses.EquivalentReadings:
    """The equivalent linear networks of the same starts at the same γ, along (seeds, γ).

    What they gain, as the logarithm of a reading over that at the start, but for the cosine, which
    is itself. Arguments as for :func:`~lazyrich.experiments.lenses.knob.at_knob`.
    """
    task, shape = setting.sine_task(inputs, draw=draw), setting.Shape(inputs, width)
    params = setting.paired_starts(key, shape, pairs)
    rate = knob.rate_of(shape, task, params)
    scales = setting.scales(shape, richness)
    moments = lenses.gaussian_moments(setting.ACTIVATIONS[shape.activation])
    starts = [layer["weight"] for layer in params]
    return jax.device_get(each(partial(_equivalent, task, moments, rate, level, scales), *starts))


@jit
def _equivalent(task, moments, rate, level, scales, W, v):
    start, width = lenses.layer_moments(W, v[0]), W.shape[0]
    x, y, direction = task.x, task.y, task.direction

    def at(scale):
        run = lenses.train_equivalent(x, y, moments, scale, width, rate, level, start)
        return lenses.equivalent_readings(run.moments, x, y, direction, moments)

    ends, first = jax.vmap(at)(scales), lenses.equivalent_readings(start, x, y, direction, moments)
    gained = jax.tree.map(lambda end, begin: jnp.log(end / begin), ends, first)
    return gained._replace(cosine=ends.cosine)


def scale_of(found: knob.Knob, inputs: int, width: int, richness: tuple[float, ...]) -> float:
    """γ at which networks of a shape have R = 1, from those along the knob at nominal R."""
    scales = setting.scales(setting.Shape(inputs, width), richness)
    return float(np.mean(scales / found.richness[..., 0].mean(0)))


def meters_at(key: jax.Array, inputs: int, width: int, pairs: int, steps: int = 32) -> np.ndarray:
    """f_1 and f_2 of the meter of laziness at γ = 1, with which F − F_lin is γ f_1 + γ² f_2.

    Of the networks of :func:`~lazyrich.experiments.lenses.knob.at_knob`, after some steps; shape
    (seeds, 2, tests).
    """
    task, shape = setting.sine_task(inputs), setting.Shape(inputs, width)
    params = setting.paired_starts(key, shape, pairs)
    rate = knob.rate_of(shape, task, params)
    return jax.device_get(each(partial(_meter, shape, steps, task, rate), params))


@jit(static_argnames=("shape", "steps"))
def _meter(shape, steps, task, rate, first):
    network = shape.network()

    def apply(params, x):
        return network.apply(params, x) - network.apply(first, x)

    y = task.y[:, None]
    meter = lin.laziness(apply, first, task.x, y, rate, steps, task.x_test, kernel=False)
    return meter.terms[..., 0]


def usual_richness(
    shape: setting.Shape, task: setting.LearningTask, params: list[dict], level: float = 0.1
) -> float:
    """R at γ = 1, root mean square over networks."""

    def dimension(params):
        kernel = kernels.empirical_ntk(shape.network(), params, task.x)
        return lenses.linear_displacement(kernel, task.y, level).dimension

    mean = float(np.mean(each(jit(dimension), params)))
    return float(lenses.total_richness(mean, 1.0, shape.width))
