import jax
import numpy as np

from lazyrich.experiments.linearization.beside_linear import gradient_descent
from lazyrich.experiments.linearization.meters import meter_run, meter_system

KEY = jax.random.key(0)


def test_the_meter_and_the_training_of_a_system_meet_at_a_small_rate():
    run = meter_system(KEY, "convolution", 16, 2, rate=0.05, steps=4)
    np.testing.assert_allclose(run.predicted_distance, run.distance, rtol=0.02)
    np.testing.assert_allclose(run.predicted_kernel, run.kernel, rtol=0.1)


def test_a_run_has_what_training_did_beside_the_reading_and_they_meet_as_the_width_grows():
    off = []
    for width in (32, 512):
        run = meter_run(jax.random.key(0), width, 3, steps=20)
        trained = gradient_descent(jax.random.key(0), width, 3, (20,))
        np.testing.assert_allclose(run.distance, trained.output[:, 0], rtol=1e-12)
        np.testing.assert_allclose(run.kernel, trained.kernel[:, 0], rtol=1e-12)
        off.append(np.abs(np.log(run.predicted_distance / run.distance)).mean())
    assert off[1] < off[0] / 4 and off[1] < 0.02
    np.testing.assert_allclose(run.predicted_kernel, run.kernel, rtol=0.1)
