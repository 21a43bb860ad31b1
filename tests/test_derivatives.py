import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import derivatives, networks

SAMPLES, OUTPUTS = 4, 2


@pytest.fixture(scope="module")
def network():
    """A network with its parameters, and samples."""
    rng = np.random.default_rng(0)
    apply = networks.fully_connected((3, 5, OUTPUTS), jnp.tanh).apply
    params = [{"weight": jnp.asarray(rng.normal(size=shape))} for shape in ((5, 3), (OUTPUTS, 5))]
    return apply, params, jnp.asarray(rng.normal(size=(SAMPLES, 3)))


def test_a_jacobian_has_a_row_a_sample_and_output_and_a_column_a_parameter(network):
    apply, params, x = network
    J = np.asarray(jax.jit(lambda params: derivatives.jacobian(apply, params, x))(params))
    assert J.shape == (SAMPLES * OUTPUTS, 5 * 3 + OUTPUTS * 5)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    outputs = jax.jit(lambda flat: apply(unravel(flat), x).reshape(-1))
    for j in range(J.shape[1]):
        shift = 1e-5 * np.eye(len(flat))[j]
        slope = (outputs(flat + shift) - outputs(flat - shift)) / 2e-5
        np.testing.assert_allclose(J[:, j], slope, atol=1e-8)


def test_the_tangent_kernel_is_that_of_the_layers(network):
    apply, params, x = network
    hidden = np.tanh(x @ params[0]["weight"].T)
    K = derivatives.empirical_ntk(apply, params, x).reshape(SAMPLES, OUTPUTS, SAMPLES, OUTPUTS)
    back = np.einsum("oh,sh->soh", params[1]["weight"], 1 - hidden**2)
    expected = np.einsum("soh,tph,si,ti->sotp", back, back, x, x)
    expected += np.einsum("sh,th,op->sotp", hidden, hidden, np.eye(OUTPUTS))
    np.testing.assert_allclose(K, expected, rtol=1e-12, atol=1e-13)


def test_any_parameters_will_do():
    def apply(params, x):
        return params["scale"] * x @ params["matrix"] + params["shift"]

    params = {"scale": jnp.array(2.0), "matrix": jnp.ones((2, 1)), "shift": jnp.zeros(1)}
    x = jnp.array([[1.0, 3.0], [0.0, -1.0]])
    K = derivatives.empirical_ntk(apply, params, x)
    np.testing.assert_allclose(K, 4 * x @ x.T + np.outer([4, -1], [4, -1]) + 1)
