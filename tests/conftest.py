"""What holds for every test: float64, and the same examples always.

That annotated shapes are checked is a line of ``pyproject.toml``.
"""

import itertools

import hypothesis
import jax
import psutil
import pytest
from nbformat import v4

# It needs a tool that is installed for `make mutants` alone.
collect_ignore = ["mutants.py"]

jax.config.update("jax_enable_x64", True)

hypothesis.settings.register_profile(
    "reproducible",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # a first example compiles
)
hypothesis.settings.load_profile("reproducible")


def pytest_collection_modifyitems(items):
    """Chapters that are executed come first, so that in the end no process waits for one."""
    items.sort(key=lambda item: item.path.name != "test_book.py")


@pytest.fixture(scope="module", autouse=True)
def _programs_of_a_file():
    """Between files, what was compiled is given back where a process has grown beyond 3 GiB."""
    yield
    if psutil.Process().memory_info().rss > 3 * 2**30:
        jax.clear_caches()


@pytest.fixture
def key():
    """A function that hands out another random key at each call."""
    seeds = itertools.count()
    return lambda: jax.random.key(next(seeds))


@pytest.fixture(scope="session")
def network():
    """A layered network with its parameters, and samples."""
    import small_networks  # which imports the library: not before what checks annotations

    return small_networks.layered()


CHAPTER = (
    "# A chapter\n\nAsks whether the mean is zero {cite:p}`known`.",
    'scale = "book"  # or "quick", "paper"\nseed = 0',
    "The tools, and the sizes.",
    """
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lazyrich.book import checks, claims, estimates, figures

SAMPLES = {"quick": 10, "book": 1000, "paper": 100_000}[scale]
print(f"{SAMPLES} samples")
""",
    "The claim.",
    """
draws = np.random.default_rng(seed).normal(size=SAMPLES)
claims.claim(
    "M1",
    "The mean is zero.",
    checks.near("mean", estimates.mean(draws), 0, within=0.2),
    answers="§1",
    relation="beyond",
    kind="trend",
    sources=["paper"],
    read={"paper": claims.Source("A paper", "https://arxiv.org/abs/1")},
    scale=scale,
)
""",
    "The figure.",
    """
figure, axes = plt.subplots()
axes.plot(draws[:10], "o")
figures.show("fig-draws", figure, pd.DataFrame({"draw": draws}))
""",
    "The end.",
)


@pytest.fixture(scope="session")
def chapter():
    """A small chapter as an author leaves it, prose and code in turn, not executed."""
    new = (v4.new_markdown_cell, v4.new_code_cell)
    cells = [
        new[number % 2](source.strip(), id=f"cell-{number}")
        for number, source in enumerate(CHAPTER)
    ]
    cells[1].metadata.tags = ["parameters"]
    cells[7].metadata.mystnb = {
        "figure": {"name": "fig-draws", "caption": "The first ten draws, in their order."},
        "image": {"alt": "Ten points on both sides of zero."},
    }
    return v4.new_notebook(cells=cells)


@pytest.fixture(scope="session")
def executed(chapter, tmp_path_factory):
    """What it takes to execute the small chapter, and the notebook with its outputs."""
    from lazyrich.book import execution

    task = execution.Task(chapter, tmp_path_factory.mktemp("kernel"))
    return execution.execute(task, progress=False)
