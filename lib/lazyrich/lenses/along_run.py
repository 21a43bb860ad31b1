"""Four lenses on a network of one's own: what each instrument reads along a run of training.

Training comes first and stores its parameters where it is to be looked at; the instruments look at
these afterwards. So training is the same, bit for bit, whatever looks at it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from lazyrich import curvature, linearization, reports, spectra, validation
from lazyrich.arithmetic import jit, root_mean_square
from lazyrich.training import mean_squared_error, train
from lazyrich.validation import ArrayLike


class LensReading(NamedTuple):
    """One number that an instrument reads of a checkpoint."""

    step: int
    """After how many steps."""
    loss: float
    """The training loss there."""
    lens: str
    """The instrument, by its chapter: one of :data:`LENSES`."""
    what: str
    """What is read."""
    of: str
    """Of which weights, where there are several; else empty."""
    value: float
    """The number."""
    reference: float
    """What a lazy network would read: the number at the start, or that of random weights."""


class LensTable(NamedTuple):
    """A run of training as the instruments saw it."""

    readings: list[LensReading]
    """In the order of the instruments, and then of the steps."""
    params: Any
    """The trained parameters."""

    def table(self) -> dict[str, list]:
        """The readings as columns, as ``pandas.DataFrame`` takes them."""
        columns = zip(*self.readings, strict=True)
        return dict(zip(LensReading._fields, map(list, columns), strict=True))

    def __str__(self) -> str:
        """A line a reading at the last step, beside its reference."""
        last = max(reading.step for reading in self.readings)
        lines = [f"after {last} steps"]
        lines += [
            f"  {one.lens:<14} {f'{one.what} {one.of}'.strip():<44} {one.value:>10.3g}"
            + ("" if np.isnan(one.reference) else f"  (lazy: {one.reference:.3g})")
            for one in self.readings
            if one.step == last
        ]
        return "\n".join(lines)

    def plot(self):
        """A panel a lens: each reading over the steps, its reference dashed; needs Matplotlib."""
        import matplotlib.pyplot as plt

        names = list(dict.fromkeys(one.lens for one in self.readings))
        columns = min(2, len(names))
        rows = -(-len(names) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(3.6 * columns, 3 * rows), layout="constrained", squeeze=False
        )
        for panel in axes.flat[len(names) :]:
            panel.remove()
        for panel, name in zip(axes.flat, names, strict=False):
            of_lens = [one for one in self.readings if one.lens == name]
            for what in dict.fromkeys((one.what, one.of) for one in of_lens):
                rows = [one for one in of_lens if (one.what, one.of) == what]
                steps, values = [one.step for one in rows], [one.value for one in rows]
                [line] = panel.plot(steps, values, marker=".", label=" ".join(what).strip())
                references = [one.reference for one in rows]
                panel.plot(steps, references, "--", color=line.get_color(), linewidth=0.8)
            panel.set(title=name, xlabel="step", xscale="symlog", yscale="log")
            panel.legend(fontsize="x-small")
        return figure


def lenses(
    apply: Callable,
    params: Any,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: optax.GradientTransformation,
    schedule: Sequence[int],
    loss: Callable | None = None,
    x_test: ArrayLike | None = None,
    readout: Callable | None = None,
    looking: Iterable[str] = ("linearization", "conditioning", "mechanisms", "heavy tails"),
    smallest: int = 20,
) -> LensTable:
    """Train a network, and look at it through the instruments of all four theories.

    What each lens reads of a checkpoint, and what that costs in training steps:

    * *linearization*: the distance ‖F − F_lin‖/‖F_lin − F_0‖ on test inputs, after as many steps
      of the linear model. Three steps for each step of the run.
    * *conditioning*: λ_max and κ of the Gauss-Newton matrix for the squared loss, κ at the rank of
      the start. One step for each output, and products of as many rows as outputs in all.
    * *mechanisms*: cos ζ between output weights and representation, the product of their lengths,
      and how far the representation has turned. One forward pass.
    * *heavy tails*: σ₁ over the edge of random weights, Hill's exponent, and the stable rank of the
      update, of each matrix. A product and its eigenvalues for each.

    Args:
        apply: ``apply(params, x) -> outputs``, inputs along the first axis.
        params: any pytree of floats.
        x, y: training inputs, and the targets that the loss takes.
        optimizer: of optax; the linear model learns by the same.
        schedule: after how many steps to look, increasing; 0, the start, is always looked at.
        loss: ``loss(outputs, y) -> number``; by default ½ mean (F − y)².
        x_test: inputs for the distance and the angle; by default the training inputs.
        readout: ``readout(params, x) -> (h, U)``, the last hidden representation (samples, width)
            and the output weights (outputs, width). Without it there is no mechanisms' lens.
        looking: the instruments, names of :data:`LENSES`; each can be left out.
        smallest: matrices with fewer rows or columns are left out.

    Raises:
        ValueError: if there is no such instrument or none that can look, the schedule does not
            increase, params are not finite floats, shapes do not fit, or training diverges.

    >>> x = np.linspace(-1.0, 1.0, 8)[:, None]
    >>> apply = lambda w, x: jax.numpy.tanh(x @ w[0]) @ w[1]
    >>> params = [jax.random.normal(jax.random.key(i), shape) for i, shape in
    ...           enumerate([(1, 30), (30, 1)])]
    >>> seen = lenses(apply, params, x, x**2, optax.sgd(0.01), [5], looking=["conditioning"])
    >>> [(one.step, one.what) for one in seen.readings][-1]
    (5, 'κ')
    """
    looking = (looking,) if isinstance(looking, str) else looking
    looking = dict.fromkeys(validation.one_of("looking", name, tuple(LENSES)) for name in looking)
    able = [name for name in looking if name != "mechanisms" or readout is not None]
    if not able:
        raise ValueError(
            f"looking must name a lens that can look, got {list(looking)} without a readout"
        )
    if readout is not None:
        validation.function("readout", readout)
    steps = sorted({0, *validation.schedule("schedule", schedule)})
    params, x, outputs = validation.network(apply, params, x)
    if loss is None:
        loss, y = mean_squared_error, validation.as_outputs("y", y, outputs)
    _, x_test, _ = validation.network(apply, params, x if x_test is None else x_test, "x_test")

    def run(apply):
        def of(params, _):
            return loss(apply(params, x), y)

        def observe(params, _):
            return params, of(params, 0)

        return train(of, params, optimizer, steps, observe)

    given = _Given(apply, run, x, x_test, readout, smallest)
    for name in able:
        CHECKS.get(name, lambda *_: None)(given, params)
    trained = run(apply)
    states, losses = trained.observed
    if not np.isfinite(losses).all():
        step = steps[int(np.argmin(np.isfinite(losses)))]
        raise ValueError(f"optimizer must not diverge, but the loss is not finite at step {step}")
    checkpoints = [jax.tree.map(lambda a, i=i: a[i], states) for i in range(len(steps))]
    readings = [
        LensReading(step, float(size), name, *reading)
        for name in able
        for step, size, seen in zip(steps, losses, LENSES[name](given, checkpoints), strict=True)
        for reading in seen
    ]
    return LensTable(readings, trained.params)


class _Given(NamedTuple):
    """What the instruments are given besides checkpoints."""

    apply: Callable
    run: Callable
    x: Any
    x_test: Any
    readout: Callable | None
    smallest: int


def _beside_linear(given, checkpoints):
    """How far the outputs are from those of the linear model after as many steps."""
    start, linear = checkpoints[0], linearization.linearize(given.apply, checkpoints[0])
    outputs = jit(given.apply)
    first = outputs(start, given.x_test)
    states, _ = given.run(linear).observed
    for i, params in enumerate(checkpoints):
        there = jax.tree.map(lambda a, i=i: a[i], states)
        of_linear = jit(linear)(there, given.x_test)
        moved = float(root_mean_square(of_linear - first))
        apart = float(root_mean_square(outputs(params, given.x_test) - of_linear))
        yield [("‖F − F_lin‖/‖F_lin − F₀‖", "", apart / moved if moved else 0.0, 0.0)]


def _curvature(given, checkpoints):
    """Both ends of the Gauss-Newton spectrum."""
    start = curvature.condition_number(given.apply, checkpoints[0], given.x)
    spectrum = partial(curvature.gauss_newton_spectrum, given.apply, x=given.x)
    values = [np.asarray(spectrum(params)) for params in checkpoints]
    for of_params in values:
        condition = spectra.pseudo_condition_number(of_params, start.rank)
        yield [
            ("λ_max", "", float(of_params[-1]), float(values[0][-1])),
            ("κ", "", float(condition), start.value),
        ]


def _angles(given, checkpoints):
    """The angle between output weights and the last hidden representation, and its turn."""

    def read(params):
        hidden, weights = _read_out(given, params)
        lengths, sizes = np.linalg.norm(hidden, axis=1), np.linalg.norm(weights, axis=1)
        scale = np.outer(lengths, sizes)
        cosine = hidden @ weights.T / np.where(scale == 0, 1, scale)
        unit = hidden / np.where(lengths == 0, 1, lengths)[:, None]
        return np.sqrt((cosine**2).mean()), scale.mean(), unit

    seen = [read(params) for params in checkpoints]
    first = seen[0]
    for cosine, scale, unit in seen:
        turned = float((unit * first[2]).sum(1).mean())
        yield [
            ("cos ζ (RMS)", "", float(cosine), float(first[0])),
            ("scale |u||h|", "", float(scale), float(first[1])),
            ("cos between h and h₀", "", turned, 1.0),
        ]


def _read_out(given, params):
    """Representation and output weights, of shapes that fit."""
    pair = given.readout(params, given.x_test)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(
            f"readout must give two arrays, representation and output weights, got {type(pair)}"
        )
    hidden, weights = map(np.asarray, pair)
    if hidden.ndim != 2 or weights.ndim != 2 or hidden.shape[1] != weights.shape[1]:
        raise ValueError(
            "readout must give (samples, width) and (outputs, width), got shapes "
            f"{hidden.shape} and {weights.shape}"
        )
    if len(hidden) != len(given.x_test):
        raise ValueError(
            f"readout must give a row for each of {len(given.x_test)} samples, got {len(hidden)}"
        )
    return hidden, weights


def _matrices(given, params):
    """That there is a matrix to report on."""
    if not reports.weight_report(params, smallest=given.smallest).matrices:
        raise ValueError(
            f"params must have a matrix with {given.smallest} rows and columns for the lens of "
            "heavy tails: take a smaller smallest, or leave it out"
        )


def _spectra(given, checkpoints):
    """The spectra of all matrices, and the stable rank of what training added to each."""
    report = partial(reports.weight_report, smallest=given.smallest)
    first, ranks = report(checkpoints[0]), {}
    for number, params in enumerate(checkpoints):
        seen = report(params) if number else first
        if number:
            update = jax.tree.map(
                lambda a, b: np.asarray(a) - np.asarray(b), params, checkpoints[0]
            )
            ranks = {row.name: row.stable_rank for row in report(update).matrices}
        yield [
            reading
            for row, start in zip(seen.matrices, first.matrices, strict=True)
            for reading in (
                ("σ₁ over the edge", row.name, row.largest / row.edge, start.largest / start.edge),
                ("Hill's exponent", row.name, row.hill, row.hill_random),
                ("stable rank of the update", row.name, ranks.get(row.name, np.nan), np.nan),
            )
        ]


LENSES = {
    "linearization": _beside_linear,
    "conditioning": _curvature,
    "mechanisms": _angles,
    "heavy tails": _spectra,
}
"""The instruments by the names of their chapters."""

# What can be told before training.
CHECKS = {"mechanisms": _read_out, "heavy tails": _matrices}
