"""What a second worker is worth: processes that share a sweep, devices that share an ensemble.

A sweep hands its points to the processes of joblib: networks trained beside their linear models,
as in the chapter on linearization. An ensemble hands its members to the devices of one process:
networks that learn digits, as in the chapter on conditioning. The devices are simulated here, as
threads of the CPU, each with its own program. Unlike the other benchmarks this takes wall-clock
time, on all cores. What else runs on the machine can only add to it, so the least of many calls
counts.
"""

import json
import os
import sys
import time

import measuring
from measuring import digits

WORKERS = (1, 2)
WIDTH, STEPS, RATES = 1024, 500, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
ROUNDS, CALLS = 3, 8
FLAGS = "--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count="


def sweep(workers):
    """A network at each rate, by as many processes."""
    import jax
    import joblib
    import numpy as np

    from lazyrich.book import sweeps
    from lazyrich.experiments.linearization.beside_linear import gradient_descent

    points = sweeps.grid(width=[WIDTH], seeds=[1], schedule=[(0, STEPS)], rate=RATES)

    def call():
        with joblib.parallel_config("loky", n_jobs=workers):
            results = sweeps.sweep(gradient_descent, points, jax.random.key(0))
        return float(np.sum([result.output[:, 1] for result in results]))

    return call


def ensemble(workers):
    """As many networks at once, by as many devices."""
    import jax
    import numpy as np

    from lazyrich.experiments.conditioning import descents

    if len(jax.devices()) != workers:
        raise RuntimeError(f"there must be {workers} devices, got {jax.devices()}")

    def call():
        run = descents.descend_to_fit(
            jax.random.key(0), WIDTH, len(RATES), share=1e-12, limit=STEPS
        )
        return float(np.sum(run.loss))

    return call


KINDS = {"processes, a sweep of": sweep, "devices, an ensemble of": ensemble}


# The measurement, a process for each kind and number of workers.


def timed(kind, workers):
    """The seconds of the first call and of the fastest later one, and the sum of its results."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count()))
    os.environ["XLA_FLAGS"] = FLAGS + str(workers if KINDS[kind] is ensemble else 1)
    call = KINDS[kind](workers)
    times, found = [], None
    for _ in range(1 + CALLS):
        start = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - start)
    return {"first": times[0], "later": min(times[1:]), "found": found}


def agree(name, found, expected):
    off = abs(found / expected - 1)
    if not off < 1e-9:
        raise ArithmeticError(f"{name} is {off:.1e} off")


def measured(kind):
    """The best of the rounds for each number of workers, which take turns."""
    rounds = [
        {workers: measuring.apart(__file__, kind, workers) for workers in WORKERS}
        for _ in range(ROUNDS)
    ]
    for workers in WORKERS:
        agree(f"{kind}, {workers}", rounds[0][workers]["found"], rounds[0][WORKERS[0]]["found"])
    return {
        workers: {name: min(each[workers][name] for each in rounds) for name in ("first", "later")}
        for workers in WORKERS
    }


# The table.


def main():
    rows = []
    for kind in KINDS:
        print(f"scaling: {kind}", file=sys.stderr)
        took = measured(kind)
        least = took[WORKERS[0]]["later"]
        rows.append(
            [f"{kind} {len(RATES)}"]
            + [digits(took[workers]["later"]) for workers in WORKERS]
            + [digits(least / took[workers]["later"]) for workers in WORKERS[1:]]
            + [digits(took[workers]["first"]) for workers in WORKERS]
        )
    table = {
        "title": "Several workers",
        "note": f"Networks of width {WIDTH:,} trained for {STEPS} steps, shared by the processes "
        "of joblib, or by devices of one process that are simulated on the CPU. Wall-clock seconds "
        f"on {os.cpu_count()} cores, the least of {ROUNDS} × {CALLS} calls; the first call starts "
        "the processes and compiles. The results are the same for any number of workers.",
        "columns": ["work", *(f"{workers}, s" for workers in WORKERS)]
        + [f"{workers} workers are faster by" for workers in WORKERS[1:]]
        + [f"{workers}, first call, s" for workers in WORKERS],
        "rows": rows,
    }
    print(json.dumps({"packages": ["jax", "joblib"], "tables": [table]}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(timed(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
