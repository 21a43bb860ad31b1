import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazyrich.experiments.linearization.along_training import correlations_along
from lazyrich.experiments.linearization.family import external_scale, network, toy_tasks, weights
from linearization.small import close

KEY, WIDTH = jax.random.key(0), 3


@pytest.mark.parametrize("a", [0.5, 1.0])
def test_correlations_are_those_of_the_trained_network(a):
    along = correlations_along(KEY, WIDTH, 2, (0, 7), rate=0.4, a=a)
    x, y, x_test = (part[1] for part in toy_tasks(KEY, 2))
    start, unravel = ravel_pytree(
        jax.tree.map(lambda leaf: leaf[1], weights(KEY, WIDTH, 1, seeds=2))
    )
    alpha = external_scale(WIDTH, a)
    eta = 0.4 / alpha**2

    def apply(flat, x):
        return alpha * network(WIDTH).apply(unravel(flat), x)[:, 0]

    gradients = jax.jit(jax.jacrev(apply))
    hessians = jax.jit(jax.jacfwd(jax.jacrev(apply)))
    theta = start
    for step in range(8):
        J = np.asarray(gradients(theta, x))
        if step in (0, 7):
            v = np.array([1.0, -1.0] * 4) / 8**0.5 @ J
            J_test, H = (np.asarray(f(theta, x_test)) for f in (gradients, hessians))
            expected = (
                eta * J_test @ v,
                eta**2 / 2 * (H @ v @ v),
                eta**1.5 * np.linalg.norm(H @ v, axis=1),
            )
            time = 0 if step == 0 else 1
            for measured, one in zip(along, expected, strict=True):
                close(measured[1, time], np.mean(one**2) ** 0.5, rtol=1e-9)
        theta = theta - eta * jnp.asarray((apply(theta, x) - y) @ J / 8)
    assert along.C11.shape == (2, 2)


def test_other_schedules_leave_a_run_as_it_is():
    few, many = (correlations_along(KEY, 4, 1, schedule) for schedule in ((3,), (0, 3)))
    close(few.C11[:, 0], many.C11[:, 1], rtol=1e-12)
