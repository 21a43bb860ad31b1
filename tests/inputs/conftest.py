"""A user may have told JAX to raise where ranks or dtypes are promoted: nothing is to change."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="package")
def against_promotion():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield
