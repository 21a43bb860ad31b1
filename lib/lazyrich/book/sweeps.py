"""Sweeps: the one call through which everything that takes more than a second goes.

A sweep evaluates a plain function of named scalars and a key at many points. It is a thin layer
over joblib, so `joblib.parallel_config` decides where the points run, and a chapter is the same
on one core and on a cluster. With a store, an interrupted sweep goes on where it was.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import LokyBackend, get_active_backend
from tqdm import tqdm

from lazyrich import validation
from lazyrich.book import provenance, store
from lazyrich.book.results import Results

SCALES = ("quick", "book", "paper")
VARIABLE = "LAZYRICH_PROGRESS"
BAR = "point {n_fmt} of {total_fmt}, {remaining} to go"


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


def grid(**axes: Iterable) -> list[dict[str, Any]]:
    """The points of a product of named axes, the last one running fastest.

    >>> grid(width=[64, 128], scheme=["ntk", "mean field"])[1]
    {'width': 64, 'scheme': 'mean field'}
    """
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def threads(number: int) -> None:
    """Let the points of all further sweeps run in so many threads of this process.

    It pays where most of the time goes into one core at a time, as into LAPACK. Where joblib has
    been told already to run the points elsewhere, as on a cluster, they run there.
    """
    validation.whole("number", number, least=1)
    backend, processes = get_active_backend()
    if isinstance(backend, LokyBackend) and processes in (None, 1):  # as joblib starts
        parallel_config("threading", n_jobs=number)


class SweepError(RuntimeError):
    """Points of a sweep failed; the message names them, and the results of the others are kept."""


def sweep(function: Callable, points: Sequence[Mapping[str, Any]], key: jax.Array) -> Results:
    """``function(key, **point)`` at every point, in their order.

    Every point gets the same key, so that points which differ in one scalar are paired; a function
    that wants independent draws folds its scalars into the key. Results come back as NumPy arrays.
    The points run one after another unless ``joblib.parallel_config`` says otherwise. Take
    `function` from a module, not from ``__main__``, if they shall run in other processes.

    If the environment variable ``LAZYRICH_STORE`` names a folder, each result is kept there as soon
    as it is computed, by the process that computed it where that sees the folder, and none that is
    there is computed again (:mod:`lazyrich.book.store`). A point that fails then leaves the others
    to be completed.

    On a terminal a bar shows how many points are done.

    Args:
        function: any function ``(key, **scalars) -> pytree of arrays``.
        points: the named scalars of each point, as :func:`grid` gives them.
        key: a random key.

    Raises:
        ValueError: if there are no points, or with a store the function is not one of a module.
        SweepError: with a store, after all other points, if some failed; and at once if a process
            died. Without a store it is the first error itself that is raised, with a note that
            names the point.
    """
    points = [dict(point) for point in points]
    if not points:
        raise ValueError("points must hold at least one point, got none")
    random = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
    settings = provenance.settings()
    folder = store.prepared()
    if folder is None:
        tasks = (delayed(_evaluate)(function, random, settings, p) for p in points)
        computed = _parallel(function, return_as="generator", pre_dispatch="all")(tasks)
        return Results(points, _with_progress(computed, len(points)))
    return Results(points, _resumed(folder, function, random, settings, points))


def _parallel(function, **options):
    """joblib, where the processes that it starts on this machine end with this one.

    By themselves they would wait for work for some more minutes, and hold their memory, and what
    they have loaded: if the module of the function was loaded anew, joblib starts new ones.
    """
    if isinstance(get_active_backend()[0], LokyBackend):
        options |= {"initializer": _end_with, "initargs": (os.getpid(), _loaded(function))}
    return Parallel(**options)


def _loaded(function):
    """A mark of what is loaded of a module of the user's; the library is not loaded anew."""
    try:
        name, code = store.identity(function)
    except (OSError, SyntaxError, ValueError):  # not from a file of the user's
        return ""
    return "" if name.startswith("lazyrich.") else code


def _end_with(parent, loaded):
    """Let this process end when the one that started it does; by `loaded` joblib tells it apart."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _resumed(folder, function, random, settings, points):
    """The results of a sweep, those in the store read and the others computed and kept."""
    identity = store.identity(function)
    # What a result depends on is asked where it is computed, which may be another machine.
    [conditions] = _parallel(function)([delayed(_conditions)(settings)])
    _check_software(conditions)
    places = [store.path(folder, identity, (random, p), conditions) for p in points]
    results = {i: result for i, place in enumerate(places) for result in store.read(place)}
    missing = [i for i in range(len(points)) if i not in results]
    failures = []
    # One point at a time, and as they come, so that each is kept as soon as it is there.
    # All are handed over at once, so that a worker that comes later finds some.
    attempts = _parallel(
        function, return_as="generator_unordered", batch_size=1, pre_dispatch="all"
    )(
        delayed(_attempt)(i, folder, identity, function, random, settings, points[i])
        for i in missing
    )
    try:
        for i, packed, error, conditions in _with_progress(attempts, len(missing)):
            _check_software(conditions)
            if error is None:
                place = store.path(folder, identity, (random, points[i]), conditions)
                results[i] = _kept(place, packed)
            else:
                failures.append(f"  {_named(points[i])}: {error}")
    except TerminatedWorkerError:
        left = [f"  {_named(points[i])}" for i in missing if not store.read(places[i])]
        raise SweepError(
            f"a process that computed points of {identity[0]} died, as it does when memory is "
            f"short; {len(points) - len(left)} of {len(points)} are kept, and a second call takes "
            "up only the others, the first of which are:\n" + "\n".join(left[:8])
        ) from None
    if failures:
        raise SweepError(
            f"{len(failures)} of {len(points)} points of {identity[0]} failed; the others are "
            "kept, and a second call takes up only these:\n" + "\n".join(failures)
        )
    return [results[i] for i in range(len(points))]


def _kept(place, packed):
    """A result that is in the store, put there if whoever computed it could not."""
    if not store.read(place):
        store.write(place, packed)
    [result] = store.unpack(packed)
    return result


def stack(results: Sequence, *shape: int) -> Any:
    """The results of a sweep, entry by entry as arrays whose first axes are those of the grid.

    >>> stack([{"x": 1.0}, {"x": 2.0}, {"x": 3.0}, {"x": 4.0}], 2, 2)["x"].tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    shape = shape or (len(results),)
    return jax.tree.map(
        lambda *entries: np.stack(entries).reshape(*shape, *np.shape(entries[0])), *results
    )


def _with_progress(results, number):
    """The same results, with a bar: on a terminal, or in the file that a variable names."""
    file = os.environ.get(VARIABLE)
    with open(file or os.devnull, "w") as told:
        where = {"file": told, "disable": False} if file else {"disable": None}
        yield from tqdm(results, total=number, unit="point", bar_format=BAR, leave=False, **where)


def _attempt(index, folder, identity, function, random, settings, point):
    """A point's number, its result packed or what went wrong, and under which conditions."""
    if store.identity(function) != identity:
        raise ValueError(
            f"all processes of a sweep must have loaded the same {function.__module__}, and these "
            "differ: start the workers anew"
        )
    conditions = _conditions(settings)
    place = store.path(folder, identity, (random, point), conditions)
    with suppress(OSError):  # kept by another process, which could not tell any more
        if store.unpack(packed := place.read_bytes()):
            return index, packed, None, conditions
    try:
        packed = store.pack(_evaluate(function, random, settings, point))
    except (Exception, SystemExit) as raised:  # whatever it is, the other points go on
        return index, None, f"{type(raised).__name__}: {raised}", conditions
    # Kept here already, where the store is at hand, it is not lost with the process that asked;
    # what this one cannot write, that one will, or tells why not.
    with suppress(OSError):
        if folder.is_dir():
            store.write(place, packed)
    return index, packed, None, conditions


def _evaluate(function, random, settings, point):
    data, kind = random
    try:
        with _set(settings):
            result = function(jax.random.wrap_key_data(data, impl=kind), **point)
            return jax.tree.map(np.asarray, result)
    except Exception as error:
        error.add_note(f"at the point {_named(point)}")
        raise


def _check_software(conditions):
    if conditions[0] != provenance.software():
        raise ValueError("all processes of a sweep must run the same software, and these differ")


def _conditions(settings):
    with _set(settings):
        return store.conditions()


@contextmanager
def _set(settings):
    """JAX as it is set in the process that asked, since another process starts with its own."""
    with (
        jax.enable_x64(settings["jax_enable_x64"]),
        jax.default_matmul_precision(settings["jax_default_matmul_precision"]),
    ):
        here = provenance.settings()
        other = {name for name in provenance.SETTINGS if settings[name] != here[name]}
        for name in other:
            jax.config.update(name, settings[name])
        if other:  # what was compiled before is as it was set before
            jax.clear_caches()
        yield


def _named(point):
    return ", ".join(f"{name} {value!r}" for name, value in point.items()) or "without scalars"
