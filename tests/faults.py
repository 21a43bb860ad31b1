"""Kill what computes, again and again at random moments: is anything lost or computed twice?

Run by ``make test-faults``; it takes a quarter of an hour. The moments are drawn from a fixed seed,
but what happens at them is up to the machine.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import points
import processes
import small_book
from book.test_reproduction import contents
from lazyrich.book import store

HERE = Path(__file__).parent
SWEEP = """
import sys
import jax
import joblib
import points
from lazyrich.book import sweeps

joblib.parallel_config("loky", n_jobs=int(sys.argv[1]))
for one in sweeps.sweep(points.slow, sweeps.grid(number=list(range(60))), jax.random.key(0)):
    print(one["draw"].tolist())
"""


@pytest.fixture
def environment(tmp_path):
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        points.NOTES: str(tmp_path),
    }


def noted(place):
    file = place / "notes"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def killed(command, environment, after):
    """Whether a command was killed, by a signal that cannot be caught, before it had ended.

    What it had started sees that it is alone, and ends as well.
    """
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    finally:
        assert processes.end(process.pid, within=30)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_loses_no_point_and_computes_none_twice(jobs, tmp_path, environment):
    draw, kills = random.Random(jobs), 0
    command, kept = [sys.executable, "-c", SWEEP, str(jobs)], tmp_path / "store" / "points.slow"
    start = time.perf_counter()
    whole = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    span = time.perf_counter() - start
    (tmp_path / "notes").unlink()
    environment = environment | {store.VARIABLE: str(tmp_path / "store")}
    while kills < 30:
        before, count = set(kept.glob("*")) if kept.exists() else set(), len(noted(tmp_path))
        died = killed(command, environment, draw.uniform(0.3 * span, span))
        after = set(kept.glob("*")) if kept.exists() else set()
        whole_files = {path for path in after if path.suffix != ".part"}
        assert all(store.load(path) for path in whole_files)
        assert {path for path in before if path.suffix != ".part"} <= whole_files
        # Each process may have been between computing a point and keeping it.
        lost = len(noted(tmp_path)) - count - len(whole_files - before)
        assert 0 <= lost <= (jobs if died else 0)
        kills += died
        if not died:  # all is there: take a part of it away
            for path in draw.sample(sorted(whole_files), 45):
                path.unlink()
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout == whole
    print(f"{kills} kills")


@pytest.mark.timeout(1800)
def test_a_reproduction_goes_on_where_it_was(tmp_path, environment):
    small_book.write(tmp_path / "book", ("one", "two"))
    draw, kills, finished = random.Random(0), 0, 0
    command = [
        sys.executable, "-m", "lazyrich", "reproduce", "--scale", "quick",
        "--folder", str(tmp_path / "book"), "--out",
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "first")], env=environment, check=True)
    span, out = time.perf_counter() - start, tmp_path / "out"
    expected = contents(tmp_path / "first")
    (tmp_path / "notes").unlink()
    shutil.rmtree(tmp_path / "_build/store")
    while kills < 25:
        died = killed([*command, str(out)], environment, draw.uniform(0.1, 1.1) * span)
        kills += died
        if not died:
            assert contents(out) == expected
            finished += 1
            shutil.rmtree(out)
            shutil.rmtree(tmp_path / "_build/store")
    subprocess.run([*command, str(out)], env=environment, check=True)
    assert contents(out) == expected
    print(f"{kills} kills, {finished} runs that came to their end between them")
