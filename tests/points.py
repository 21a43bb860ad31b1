"""Functions for sweeps that run in other processes, which can import them from here."""

import os
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from lazyrich import downloads

NOTES = "NOTES_OF_POINTS"


def noted(key, number, failing=()):
    """A draw scaled by a number, after a note in a file that it was computed."""
    if number in failing and not Path(os.environ[NOTES], "mended").exists():
        raise ArithmeticError(f"no {number}")
    result = {"draw": number * jax.random.normal(key, (3,)), "count": jnp.arange(number)}
    # One write of a few bytes to a file in append mode is never mixed with another's.
    with Path(os.environ[NOTES], "notes").open("a") as notes:
        notes.write(f"{number}\n")
    return jax.device_get(result)


def refused(key, number):
    """As :func:`noted`, but the result for number two is nothing that can be kept."""
    return (lambda: 0) if number == 2 else noted(key, number)


def lacking_data(key, number):
    """A point for which a data set is missing."""
    raise downloads.MissingData("mnist is not here\nfrom any place")


def waiting(key, number):
    """As :func:`noted`, but number one waits until another's result is in the store."""
    end = time.perf_counter() + 5
    while number == 1 and not list(Path(os.environ["LAZYRICH_STORE"]).glob("points.waiting/*")):
        if time.perf_counter() > end:
            raise TimeoutError("nothing is kept")
        time.sleep(0.01)
    return noted(key, number)


def slow(key, number):
    """As :func:`noted`, and it takes a while."""
    end = time.perf_counter() + 0.03
    while time.perf_counter() < end:
        pass
    return noted(key, number)


def ending(key, number):
    """As :func:`noted`, but number two ends the program."""
    return sys.exit("enough") if number == 2 else noted(key, number)


def killing(key, number):
    """As :func:`noted`, but the first process that gets the number three dies."""
    mark = Path(os.environ[NOTES], "died")
    if number == 3 and not mark.exists():
        mark.touch()
        os._exit(1)
    return noted(key, number)


def where(key, number):
    """The process, and whether its compiler optimises."""
    optimised = not jax.config.values["jax_disable_most_optimizations"]
    return {"process": os.getpid(), "optimised": optimised}
