"""A sweep, and a chapter, on a Dask cluster whose workers are processes; one is killed in mid-run.

Run by its test in a process of its own.
"""

import os
import sys
from pathlib import Path
from threading import Timer

import jax
import joblib
from distributed import Client, LocalCluster

import points
import small_book
from lazyrich.__main__ import main as lazyrich
from lazyrich.book import engines, sweeps


def main(place):
    jax.config.update("jax_enable_x64", True)
    grid, key = sweeps.grid(number=list(range(1, 9))), jax.random.key(0)
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        with joblib.parallel_config("dask"):
            there = sweeps.sweep(points.killing, grid, key)
        assert (place / "died").exists()
        small_book.write(place / "book")
        os.environ.pop("LAZYRICH_STORE")
        address = client.scheduler_info()["address"]
        arguments = ["--folder", str(place / "book"), "--out", str(place / "out")]
        assert not lazyrich(["reproduce", "--scale", "quick", "--dask", address, *arguments])
    one_core(place)
    here = sweeps.sweep(points.noted, grid, key)
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and (a == b).all(), [*here], [*there])
    assert jax.tree.all(same)


def one_core(place):
    """One worker with one core, which comes late: it still takes the points, set as asked."""
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None) as cluster:
        Timer(2.0, cluster.scale, [1]).start()
        with joblib.parallel_config():
            engines.cluster(cluster.scheduler_address)
            grid = sweeps.grid(number=[1, 2])
            jax.config.update("jax_disable_most_optimizations", True)
            found = sweeps.sweep(points.where, grid, jax.random.key(0))
            jax.config.update("jax_disable_most_optimizations", False)
            joblib.parallel.get_active_backend()[0].client.close()
    [(process, optimised)] = {(int(one["process"]), bool(one["optimised"])) for one in found}
    assert process != os.getpid() and not optimised


if __name__ == "__main__":
    main(Path(sys.argv[1]))
