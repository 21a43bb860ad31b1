import jax
import numpy as np
import pytest

from lazyrich.experiments.linearization.family import network, probe, weights
from lazyrich.experiments.linearization.first_steps import correlations_at_start
from lazyrich.experiments.linearization.tensors import tensor_norms_at_start
from linearization.small import close

KEY, ETA, SEEDS = jax.random.key(0), 0.5, 2


@pytest.fixture(scope="module")
def norms():
    return tensor_norms_at_start(KEY, 6, SEEDS)


def test_the_norm_of_the_second_order_is_that_of_the_dense_hessian(norms):
    on_inputs, on_weights = jax.random.split(KEY)
    data, params = probe(on_inputs), weights(on_weights, 6, 1, SEEDS)
    for seed in range(SEEDS):
        one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
        flat, unravel = jax.flatten_util.ravel_pytree(one)
        F = lambda flat, x, unravel=unravel: network(6).apply(unravel(flat), x)[:, 0]  # noqa: E731
        J = np.asarray(jax.jacobian(F)(flat, data.x))
        H = np.asarray(jax.hessian(lambda flat, F=F: F(flat, data.x_test)[0])(flat))
        close(norms.C02[seed], ETA**2 / 2 * np.linalg.norm(J @ H @ J.T, 2), rtol=1e-11)


def test_no_contraction_with_a_unit_residual_is_above_the_norm(norms):
    along = np.abs(correlations_at_start(KEY, 6, SEEDS).C0)
    assert (along[:, 1] <= norms.C02).all() and (along[:, 2] <= norms.C03).all()


def test_the_tensors_against_the_residual_are_the_contractions(norms):
    assert norms.difference.shape == (SEEDS, 2)
    assert np.abs(norms.difference).max() < 1e-10
