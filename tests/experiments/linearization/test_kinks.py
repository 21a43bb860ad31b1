import jax
import numpy as np

from lazyrich.experiments.linearization.family import TRAIN, seed_keys, toy_task, weights_of_one
from lazyrich.experiments.linearization.kinks import crossing_at_start
from linearization.small import close

KEY = jax.random.key(0)


def test_the_leading_term_is_what_neurons_that_cross_add():
    """Fresh neurons in great number, of which those near their kink alone count."""
    [key], width, rng = seed_keys(KEY, 1), 256, np.random.default_rng(0)
    x, y, x_test = map(np.asarray, toy_task(key))
    first, last = (np.asarray(layer["weight"]) for layer in weights_of_one(key, width, 1))
    c = (np.maximum(x @ first.T / 10**0.5, 0) @ last[0] / width**0.5 - y) / TRAIN
    rate, found = 1.0, []
    for point in x_test:
        z = rng.standard_normal((200_000, 10)) @ np.concatenate([x, point[None]]).T / 10**0.5
        beta = (z[:, :-1] > 0) @ (c * (x @ point) / 10)
        u = rng.standard_normal(len(z))
        moved = rate * width**-0.5 * u * beta
        bend = np.maximum(z[:, -1] - moved, 0) - np.maximum(z[:, -1], 0) + (z[:, -1] > 0) * moved
        found.append((u**2 * bend**2).mean())
    close(crossing_at_start(KEY, width, 1, rate)[0], np.mean(found), rtol=0.1)


def test_it_falls_with_its_exponents():
    one = crossing_at_start(KEY, 64, 2)
    close(crossing_at_start(KEY, 64, 2, 0.25), one / 64, rtol=1e-12)
    assert one.shape == (2,)
