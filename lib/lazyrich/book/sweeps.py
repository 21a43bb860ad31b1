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
from typing import Any

import jax
import numpy as np
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import LokyBackend, get_active_backend
from tqdm import tqdm

from lazyrich import validation
from lazyrich.book import provenance, sources, store
from lazyrich.book.results import Results

VARIABLE = "LAZYRICH_PROGRESS"
BAR = "point {n_fmt} of {total_fmt}, {remaining} to go"


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
        function: any function ``(key, **scalars) -> pytree of arrays``; with a store, one of dicts,
            lists, tuples and named tuples.
        points: the named scalars of each point, as :func:`grid` gives them.
        key: a random key.

    Raises:
        ValueError: if there are no points, or with a store the function is not one of a module, or
            the processes have not all loaded the same.
        SweepError: with a store, after all other points, if some failed; and at once if a process
            died. Without a store it is the first error itself that is raised, with a note that
            names the point.
    """
    points = [dict(point) for point in points]
    if not points:
        raise ValueError("points must hold at least one point, got none")
    random = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
    settings, folder = provenance.settings(), store.prepared()
    if folder is not None:
        return Results(points, _kept(folder, function, random, settings, points))
    computed = _parallel(_evaluate, [(function, random, settings, point) for point in points])
    return Results(points, computed)


def _parallel(function, calls, **options):
    """What a function gives of each call, by joblib and with a bar.

    The processes that joblib starts on this machine end with this one. By themselves they would
    wait for work for some more minutes, and hold their memory.
    """
    if isinstance(get_active_backend()[0], LokyBackend):
        options |= {"initializer": _end_with, "initargs": (os.getpid(),)}
    # All are handed over at once, so that a worker that comes later finds some.
    parallel = Parallel(pre_dispatch="all", **{"return_as": "generator"} | options)
    return _with_progress(parallel(delayed(function)(*call) for call in calls), len(calls))


def _end_with(parent):
    """Let this process end when the one that started it does."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _kept(folder, function, random, settings, points):
    """The results of a sweep, each read from the store, or computed and kept there."""
    name, needed = sources.identity(function)
    results, failures = {}, []
    given = folder, _loaded(needed), function, random, settings
    calls = [(i, *given, point) for i, point in enumerate(points)]
    # One point at a time, and as they come, so that each is kept as soon as it is there.
    one_by_one = {"return_as": "generator_unordered", "batch_size": 1}
    try:
        for i, place, packed, error in _parallel(_attempt, calls, **one_by_one):
            if error is not None:
                failures.append(f"  {_named(points[i])}: {error}")
                continue
            if not place.exists():  # computed where this folder is not seen
                store.keep(place, packed)
            results[i] = store.unpack(packed, {*needed.files, *needed.versions})
    except TerminatedWorkerError:
        left = [f"  {_named(point)}" for i, point in enumerate(points) if i not in results]
        raise SweepError(
            f"a process that computed points of {name} died, as it does when memory is short; "
            f"{len(results)} of {len(points)} are kept, and a second call takes up only the "
            "others, the first of which are:\n" + "\n".join(left[:8])
        ) from None
    if failures:
        raise SweepError(
            f"{len(failures)} of {len(points)} points of {name} failed; the others are kept, and "
            "a second call takes up only these:\n" + "\n".join(failures)
        )
    return [results[i] for i in range(len(points))]


def _loaded(needed):
    """What all processes of a sweep must have alike: the code and the software."""
    return needed.mark(), provenance.software()


def _attempt(index, folder, loaded, function, random, settings, point):
    """A point's number, the place of its result, and the result packed or what went wrong."""
    name, needed = sources.identity(function)
    if _loaded(needed) != loaded:
        raise ValueError(
            f"all processes of a sweep must have loaded the same {function.__module__} and run "
            "the same software, and these differ: start the workers anew"
        )
    with _set(settings):
        conditions = provenance.settings(), provenance.device()
    place = store.path(folder, name, loaded, random, point, conditions)
    with suppress(LookupError):
        return index, place, store.load(place), None
    try:
        packed = store.pack(_evaluate(function, random, settings, point))
    except (Exception, SystemExit) as raised:  # whatever it is, the other points go on
        return index, place, None, f"{type(raised).__name__}: {raised}"
    # Kept here already, where the store is at hand, it is not lost with the process that asked;
    # what this one cannot write, that one will, or tells why not.
    with suppress(OSError):
        if folder.is_dir():
            store.keep(place, packed)
    return index, place, packed, None


def _evaluate(function, random, settings, point):
    data, kind = random
    try:
        with _set(settings):
            result = function(jax.random.wrap_key_data(data, impl=kind), **point)
            return jax.tree.map(np.asarray, result)
    except Exception as error:
        error.add_note(f"at the point {_named(point)}")
        raise


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


def _with_progress(results, number):
    """The same results, with a bar: on a terminal, or in the file that a variable names."""
    file = os.environ.get(VARIABLE)
    with open(file or os.devnull, "w") as told:
        where = {"file": told, "disable": False} if file else {"disable": None}
        yield from tqdm(results, total=number, unit="point", bar_format=BAR, leave=False, **where)


def _named(point):
    return ", ".join(f"{name} {value!r}" for name, value in point.items()) or "without scalars"
