import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import arithmetic


@pytest.mark.parametrize(
    ("product", "subscripts"),
    [
        (arithmetic.dot, ()),
        (arithmetic.matmul, ()),
        (arithmetic.einsum, ("ab,bc->ac",)),
    ],
)
def test_products_are_in_full_precision(product, subscripts):
    x, y = np.random.default_rng(0).normal(size=(2, 3, 3))
    np.testing.assert_allclose(product(*subscripts, x, y), x @ y, rtol=1e-13)
    [equation] = [
        equation
        for equation in jax.make_jaxpr(lambda x, y: product(*subscripts, x, y))(x, y).eqns
        if "dot_general" in str(equation) or equation.primitive.name == "dot_general"
    ]
    assert "HIGHEST" in str(equation)


def test_a_ratio_with_nothing_below_is_infinite():
    x, y = jnp.array([1.0, -1.0, 0.0, 3.0]), jnp.array([2.0, 0.0, -1.0, 1.5])
    np.testing.assert_array_equal(arithmetic.ratio(x, y), [0.5, np.inf, np.inf, 2])
    slopes = jax.grad(lambda x, y: arithmetic.ratio(x, y)[:3].sum(), (0, 1))(x, y)
    np.testing.assert_array_equal(slopes, [[0.5, 0, 0, 0], [-0.25, 0, 0, 0]])
