"""A sweep, and a chapter, on a Dask cluster whose workers are processes; one is killed in mid-run.

Run by its test in a process of its own.
"""

import os
import sys
from pathlib import Path

import jax
import joblib
from distributed import Client, LocalCluster

import points
import small_book
from lazyrich import reproduction, sweeps


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
        reproduction.reproduce(
            place / "book", place / "out", scale="quick", dask=address, progress=False
        )
    here = sweeps.sweep(points.noted, grid, key)
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and (a == b).all(), here, there)
    assert jax.tree.all(same)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
