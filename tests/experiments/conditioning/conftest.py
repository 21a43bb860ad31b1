"""A data set of a few images, on which the experiments are small."""

import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import data
from lazyrich.experiments.conditioning import data_sets


@pytest.fixture(scope="session", autouse=True)
def few():
    """Among the data sets, thirty images of ten classes, by six pixels, one of them always 0."""
    x = np.random.default_rng(0).random((30, 6)) * np.linspace(0.4, 1.0, 6)
    x[:, 2] = 0
    few = data.Images(jnp.asarray(x), jnp.arange(30) % 10)
    data_sets.DATA_SETS["few"] = lambda: few
    yield few
    del data_sets.DATA_SETS["few"]
    for kept in (data_sets.images, data_sets.moment, data_sets.whole_moment):
        kept.cache_clear()
