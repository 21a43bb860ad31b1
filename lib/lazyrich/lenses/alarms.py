"""Where the instruments ring: predictions, written before any run of the chapter.

An alarm is the richness R* at which the mean signal is two standard deviations of lazy networks.
For c = d/n below about 0.2 and N = 4d samples the order is

    alignment < target kernel < trace < λ_max < tail < clock < Hill < function,

and in the width, at fixed data,

    R*: n^(−½) for alignment, n^(−¼) for all others in the limit,
    γ*: n⁰ for alignment, n^¼ for the others, n^½ for richness itself, R = 1;

in the dimension, at fixed width and N = 4d, γ* goes as d^(−½) for alignment and kernel, d^(−¼) for
the tail and d⁰ for the function. The tail rings before R = 1 if and only if c < (√2 − 1)² = 0.172,
for large n. The condition number falls, by a share ½(1 + o²) − κ_w/(κ_v + κ_w) of ℓ − 1 for small
R and by less for large R: the more the first principal direction of the inputs has of β, the later
its alarm, which has no place of its own in the order and may be missing. The table at d = 16,
N = 64, with n = 65,536, and what would refute it, stand in ``tests/lenses/test_alarms.py``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit
from lazyrich.lenses import equivalent
from lazyrich.lenses.constants import GaussianMoments
from lazyrich.lenses.floors import CLOCK_FLOOR, edge_floor
from lazyrich.lenses.signals import CLOCK_PEAK, FUNCTION_PILOT, clock_deviation
from lazyrich.spectra.power_law import hill_of_sorted
from lazyrich.validation import ArrayLike

LOUDNESS = 2.0
"""How many standard deviations a signal is where its alarm rings."""
GRID = tuple(np.geomspace(0.003, 8, 40))
"""The nominal R, those of a linear teacher and many samples, between which alarms are sought."""
STEP = 0.05
"""The rate of training over 2N/λ_max of the mean kernel at the start."""
FLOORS = 32
"""How many times more starts the floors have, which take no training."""


class Alarms(NamedTuple):
    """R* of each instrument, inf where it does not ring."""

    alignment: np.ndarray
    """cos(v, Wβ)."""
    target: np.ndarray
    """log yᵀKy."""
    trace: np.ndarray
    """log tr K."""
    largest: np.ndarray
    """log λ_max of K."""
    condition: np.ndarray
    """log κ of K."""
    tail: np.ndarray
    """log σ₁ of W."""
    hill: np.ndarray
    """Hill's exponent of W."""
    clock: np.ndarray
    """F − F_lin on training inputs after equal times, the largest; see :func:`clock_alarm`."""
    function: np.ndarray
    """F − F_lin on test inputs at equal loss; see :func:`function_alarm`."""


def frontier(grid: ArrayLike, signals: ArrayLike, floor: ArrayLike) -> np.ndarray:
    """The place on a grid at which the size of a signal first is two standard deviations.

    By a power law between two points of the grid. It is ``inf`` where none is so loud, and nan
    where the first one already is: the place is then not on the grid.

    Args:
        grid: positive and increasing, shape (points,).
        signals: shape (…, points).
        floor: standard deviations, positive, shape (…) or one for all.

    Raises:
        ValueError: if the grid is not increasing, or shapes do not fit.

    >>> float(frontier([1.0, 2.0, 4.0], [0.1, 0.4, 1.6], 0.4))
    2.828
    """
    grid = validation.vector("grid", validation.positive("grid", grid))
    grid = np.asarray(validation.increasing("grid", grid), float)
    signals = np.abs(validation.known("signals", signals))
    floor = validation.known("floor", floor)
    validation.positive("floor", floor)
    if signals.shape[-1:] != grid.shape:
        raise ValueError(
            f"signals must have shape (…, {grid.size}) as grid has, got {signals.shape}"
        )
    validation.broadcasting(floor=floor, signals=signals[..., 0])
    return _frontier(grid, signals, floor)


def _frontier(grid, signals, floor):
    """:func:`frontier` of sizes that fit."""
    with np.errstate(all="ignore"):
        log_grid, loud = np.log(grid), np.log(signals) - np.log(LOUDNESS * floor)[..., None]
        first = np.argmax(loud >= 0, axis=-1)
        after = np.take_along_axis(loud, first[..., None], -1)[..., 0]
        before = np.take_along_axis(loud, np.maximum(first - 1, 0)[..., None], -1)[..., 0]
        # A signal that was exactly zero before leaves no power law: it rings where it is seen.
        share = np.where(np.isfinite(before), -before / (after - before), 1)
        at = log_grid[first - 1] + share * (log_grid[first] - log_grid[first - 1])
    rings, early = (loud >= 0).any(-1), loud[..., 0] >= 0
    return np.where(early, np.nan, np.where(rings, np.exp(np.where(rings, at, 0)), np.inf))


def alignment_alarm(width: ArrayLike) -> Float[Array, "..."]:
    """R* = 2/√(n − 4) of the cosine R/√(1 + R²) over the floor 1/√n; inf up to n = 4.

    >>> float(alignment_alarm(104.0))
    0.2
    """
    width = validation.between("width", width, 1, 1e18)
    room = width - LOUDNESS**2
    return jnp.where(room > 0, LOUDNESS / jnp.sqrt(jnp.where(room > 0, room, 1)), jnp.inf)


def growth_alarm(share: ArrayLike, floor: ArrayLike, width: ArrayLike) -> Float[Array, "..."]:
    """R* of a reading that grows by a share of ℓ − 1 = √(1 + R²) − 1.

        ℓ* − 1 = 2 C/(|share| √n),   R* = √(ℓ*² − 1) ∝ n^(−¼) for large n.

    Args:
        share: of :func:`~lazyrich.lenses.signals.kernel_shares`, or a difference of two, not zero.
        floor: C, √n times the standard deviation.
        width: n; all broadcast.

    >>> round(float(growth_alarm(0.5507, 0.7788, 256.0)), 2)
    0.62
    """
    share = validation.positive("the size of share", abs(validation.floating("share", share)))
    share = validation.between("the size of share", share, 1e-9, 1)
    floor = validation.between("floor", floor, 1e-9, 1e9)
    width = validation.between("width", width, 1, 1e18)
    validation.broadcasting(share=share, floor=floor, width=width)
    growth = LOUDNESS * floor / (share * jnp.sqrt(width))
    return jnp.sqrt(growth * (2 + growth))


def tail_alarm(inputs: int, width: int) -> float:
    """R* at which the spike's σ₁ is two standard deviations above that of random weights.

    σ₁² = n (1 + θ²)(c + θ²)/θ² is solved for θ² = ℓ − 1, which is √c at the edge and more beyond
    it. Good where c = d/n is small: it is a third too early at c = ½.

    Args:
        inputs: d.
        width: n, at least 2.

    >>> round(tail_alarm(16, 4096), 2)
    0.46
    """
    floor = edge_floor(inputs, width)
    c = inputs / width
    middle = (floor.mean + LOUDNESS * floor.sd) ** 2 / width - 1 - c
    growth = (middle + max(middle**2 - 4 * c, 0) ** 0.5) / 2
    return float((growth * (2 + growth)) ** 0.5)


def clock_alarm(width: ArrayLike) -> Float[Array, "..."]:
    """R* of the deviation on equal clocks, 5.6 n^(−¼).

    Args:
        width: n, from 1 to 1e18.

    >>> round(float(clock_alarm(1024.0)), 2)
    1.0
    """
    width = validation.between("width", width, 1, 1e18)
    per_square = float(clock_deviation(1.0, CLOCK_PEAK))
    return (LOUDNESS * CLOCK_FLOOR / per_square) ** 0.5 * width**-0.25


def function_alarm(width: ArrayLike, floor: ArrayLike) -> Float[Array, "..."]:
    """R* of the function at d = 16, N = 64 and ε = 0.1, where the pilot's D is 2 C/√n.

    Args:
        width: n, from 1 to 1e18.
        floor: C of :func:`~lazyrich.lenses.floors.function_floor`.

    >>> round(float(function_alarm(1024.0, 1.084)), 1)
    2.2
    """
    width = validation.between("width", width, 1, 1e18)
    floor = validation.between("floor", floor, 1e-3, 1e3)
    validation.broadcasting(width=width, floor=floor)
    R, D = map(np.log, FUNCTION_PILOT)
    wanted = jnp.log(LOUDNESS * floor) - jnp.log(width) / 2
    part = jnp.clip(jnp.searchsorted(D, wanted) - 1, 0, len(D) - 2)
    inverse = jnp.asarray(np.diff(R) / np.diff(D))[part]
    return jnp.exp(jnp.asarray(R)[part] + inverse * (wanted - jnp.asarray(D)[part]))


def predicted_alarms(
    key: jax.Array,
    x: ArrayLike,
    y: ArrayLike,
    direction: ArrayLike,
    moments: GaussianMoments,
    widths: tuple[int, ...],
    level: ArrayLike = 0.1,
    function_floor: ArrayLike = 1.084,
    starts: int = 24,
) -> Alarms:
    """R* of all instruments at some widths, by the equivalent linear network.

    From Wishart starts, each with both signs of the output weights, which are as likely and whose
    mean signal has no term of first order in R. R is that of the linear models of the starts, with
    what does not lie along β, on which the drawn inputs decide. Clock and function are not seen by
    the linear network: see :func:`clock_alarm` and :func:`function_alarm`, whose constants are
    those of one shape.

    Args:
        key: a random key, for the starts.
        x: inputs.
        y: labels.
        direction: β, of length one.
        moments: of the activation.
        widths: the n.
        level: ε, the loss over that at the start, from 0.001 to 0.999.
        function_floor: C.
        starts: how many are trained for each width.

    Returns:
        R*, each of shape (widths,); inf where nothing rings, and nan where it rings from R = 0.003
        on.

    Raises:
        ValueError: if β has another length, shapes do not fit, or a number is out of range.
    """
    key = validation.random_key("key", key)
    direction = validation.unit("direction", direction)
    x, y, direction = validation.fitting(x=(x, "n d"), y=(y, "n"), direction=(direction, "d"))
    validation.instance("moments", moments, GaussianMoments)
    level = validation.scalar("level", validation.between("level", level, 1e-3, 0.999))
    widths = validation.widths("widths", widths, least=1)
    starts = validation.whole("starts", starts, least=2)
    function = np.asarray(function_alarm(np.array(widths, float), function_floor))
    clock = np.asarray(clock_alarm(np.array(widths, float)))
    task = (x, y, direction, moments, level)
    keys = jax.random.split(key, len(widths))
    found = [_equivalent_alarms(*pair, task, starts) for pair in zip(keys, widths, strict=True)]
    return Alarms(*np.array(found).T, clock, function)


def alarm_table(alarms: Alarms, widths: tuple[int, ...]) -> str:
    """Alarms as lines of text, one a width.

    >>> print(alarm_table(Alarms(*np.full((9, 1), 0.5)), (64,)).splitlines()[1])
             64      0.500      0.500 ...
    """
    validation.instance("alarms", alarms, Alarms)
    widths = validation.widths("widths", tuple(widths), least=1)
    columns = [np.asarray(column) for column in np.broadcast_arrays(*alarms)]
    if columns[0].shape != (len(widths),):
        raise ValueError(f"alarms must be of {len(widths)} widths, got shape {columns[0].shape}")
    lines = [("n", *Alarms._fields)]
    lines += [
        (f"{n}", *(f"{R:.3f}" for R in row)) for n, *row in zip(widths, *columns, strict=True)
    ]
    return "\n".join("".join(f"{entry:>11}" for entry in line) for line in lines)


def _equivalent_alarms(key, width, task, starts):
    """R* of the seven readings that an equivalent linear network has."""
    x, y, direction, moments, level = task
    keys = jax.random.split(key, FLOORS * starts)
    lazy = jax.vmap(lambda key: equivalent.drawn_start(key, x.shape[1], width))(keys)
    lazy = jax.tree.map(lambda a: a.astype(x.dtype), lazy)
    scatter = np.asarray(_logarithms(lazy, x, y, direction, moments)).std(0, ddof=1)
    first = jax.tree.map(lambda a: a[:starts], lazy)
    other = first._replace(cross=-first.cross)
    both = jax.tree.map(lambda *a: jnp.concatenate(a), first, other)
    scales = np.array([0, *GRID]) * moments.slope * (width / x.shape[1]) ** 0.5
    scales = scales / np.sqrt(np.mean(np.asarray(y) ** 2))
    mean_kernel = equivalent.kernel_of(equivalent.infinite_start(x.shape[1]), x, moments)
    rate = STEP * 2 * len(y) / np.linalg.eigvalsh(mean_kernel)[-1]
    dimension, signals = _along_the_knob(
        both, scales, x, y, direction, moments, float(width), rate, level
    )
    richness = scales[1:] * np.sqrt(2 / width * np.asarray(dimension)).mean()
    return _frontier(richness, np.abs(signals).T, np.where(scatter > 0, scatter, np.inf))


@jit
def _along_the_knob(starts, scales, x, y, direction, moments, width, rate, level):
    """αᵀKα of each start, and the mean change of each reading at each γ but the first, 0."""

    def at(scale, start):
        return equivalent.trained(x, y, start, scale, width, rate, level, moments)

    runs = jax.vmap(jax.vmap(at, (None, 0)), (0, None))(scales, starts)
    read = jax.vmap(_logarithms, (0, None, None, None, None))(
        runs.moments, x, y, direction, moments
    ).mean(1)
    return (runs.residual[0] * runs.outputs[0]).sum(-1), read[1:] - read[0]


@jit
def _logarithms(states, x, y, direction, moments):
    """The seven readings of each state, whose differences are relative changes; one in a row."""

    def of_state(state):
        cosine, trace, target, ends, spectrum = equivalent.readings(state, x, y, direction, moments)
        spectrum = jnp.maximum(spectrum, 0)
        logs = jnp.log(jnp.stack([target, trace, ends[1], ends[1] / ends[0], spectrum[-1] ** 0.5]))
        return jnp.concatenate([cosine[None], logs, hill_of_sorted(jnp, spectrum)[None]])

    return jax.vmap(of_state)(states)
