import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import kernels
from lazyrich.derivatives import jacobian

DRAWS = np.random.default_rng(0)


def drawn(*shape):
    return DRAWS.normal(size=shape)


def mlp(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def convolutional(params, x):
    layout = ("NHWC", "HWIO", "NHWC")
    for kernel in params[:-1]:
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        x = jax.nn.relu(x)
    return x.mean((1, 2)) @ params[-1]


def attention(params, x):
    """Queries and keys share their weights; the outputs are a tuple."""
    q, v = x @ params["qk"], x @ params["v"]
    weights = jax.nn.softmax(q @ q.swapaxes(-1, -2))
    mixed = weights @ v
    return mixed.mean(1), {"gate": jnp.tanh(mixed[:, 0] @ params["v"].T)}


NETWORKS = {
    "mlp": (mlp, {"in": drawn(3, 4), "out": drawn(4, 2)}, (3,)),
    "convolutional": (
        convolutional,
        [drawn(3, 3, 1, 2), drawn(3, 3, 2, 3), drawn(3, 2)],
        (4, 4, 1),
    ),
    "attention": (attention, {"qk": drawn(3, 2), "v": drawn(3, 3)}, (4, 3)),
}
named = pytest.mark.parametrize("name", NETWORKS)


def dense(apply, params, x):
    """The Jacobian of all outputs, by the definition."""

    def flat(params, x):
        leaves = jax.tree.leaves(apply(params, x))
        return jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1)

    return np.asarray(jacobian(flat, params, jnp.asarray(x)))


def of(name):
    apply, params, shape = NETWORKS[name]
    x, others = (
        np.random.default_rng(seed).normal(size=(n, *shape)) for seed, n in ((1, 5), (2, 3))
    )
    return apply, params, x, others, dense(apply, params, x), dense(apply, params, others)


def traced(kernel, rows, columns):
    return np.einsum("icjc->ij", kernel.reshape(rows, -1, columns, kernel.shape[1] // columns))


@named
@pytest.mark.parametrize("memory", [1, 3000, 20000, kernels.MEMORY])
def test_the_kernel_is_the_product_of_jacobians_in_any_memory(name, memory):
    apply, params, x, others, J, K = of(name)
    close = lambda found, expected: np.testing.assert_allclose(found, expected, atol=1e-12)  # noqa: E731
    close(kernels.empirical_ntk(apply, params, x, memory=memory), J @ J.T)
    close(kernels.empirical_ntk(apply, params, x, others, memory=memory), J @ K.T)
    of_samples = kernels.empirical_ntk(apply, params, x, traced=True, memory=memory)
    close(of_samples, traced(J @ J.T, 5, 5))
    of_both = kernels.empirical_ntk(apply, params, x, others, traced=True, memory=memory)
    close(of_both, traced(J @ K.T, 5, 3))


@named
def test_products_need_no_kernel(name):
    apply, params, x, others, J, K = of(name)
    v = np.random.default_rng(3).normal(size=(len(K), 2))
    np.testing.assert_allclose(kernels.ntk_product(apply, params, x, v, others), J @ K.T @ v)
    one = kernels.ntk_product(apply, params, x, J[:, 0])
    np.testing.assert_allclose(one, J @ (J.T @ J[:, 0]), atol=1e-12)
