import jax
import numpy as np
import pytest

from lazyrich.linearization import meter_system

KEY = jax.random.key(0)


def test_the_meter_and_the_training_of_a_system_meet_at_a_small_rate():
    run = meter_system(KEY, "convolution", 16, 2, rate=0.05, steps=4)
    np.testing.assert_allclose(run.predicted_distance, run.distance, rtol=0.02)
    np.testing.assert_allclose(run.predicted_kernel, run.kernel, rtol=0.1)
    assert (np.abs(run.second_order / run.distance - 1) > 1e-4).all()


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="system must be one of 'convolution'"):
        meter_system(KEY, "none", 4, 1)
    with pytest.raises(ValueError, match="key must be one jax.random.key"):
        meter_system(jax.random.split(KEY), "convolution", 4, 1)
    with pytest.raises(ValueError, match="rate must be positive"):
        meter_system(KEY, "convolution", 4, 1, rate=0.0)
