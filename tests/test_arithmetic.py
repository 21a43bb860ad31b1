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


@arithmetic.numpy_if_known
def product(xp, x, factors, *, power):
    """A product, with the name of the module that took it."""
    return {xp.__name__: (x @ factors[0]) ** power}


def test_numpy_takes_what_is_known_and_jax_what_is_traced():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 3))
    for given in ((x, [y]), (jnp.asarray(x), [jnp.asarray(y)])):
        [(name, result)] = product(*given, power=3).items()
        assert name == "numpy" and isinstance(result, jax.Array)
        np.testing.assert_array_equal(result, (x @ y) ** 3)
    for traced in (jax.jit, jax.vmap):
        [(name, result)] = traced(lambda x: product(x, [y], power=3))(x).items()
        assert name == "jax.numpy"
        np.testing.assert_allclose(result, (x @ y) ** 3, rtol=1e-12)


def test_what_jax_takes_is_in_full_precision():
    program = jax.make_jaxpr(lambda x: product(x, [x], power=1))(jnp.ones((2, 2)))
    assert "HIGHEST" in str(program)


def test_numbers_on_a_gpu_stay_there(monkeypatch):
    monkeypatch.setattr(arithmetic, "at_hand", lambda array: False)
    assert list(product(jnp.ones((2, 2)), [jnp.ones((2, 2))], power=1)) == ["jax.numpy"]


def test_numbers_are_at_hand_on_a_cpu_once_they_are_known():
    assert arithmetic.at_hand(2.0) and arithmetic.at_hand(np.ones(2))
    assert arithmetic.at_hand(jnp.ones(2))
    seen = []
    jax.jit(lambda x: seen.append(arithmetic.at_hand(x)))(1.0)
    assert seen == [False]


def test_a_relative_size_is_that_of_norms():
    x, other = np.array([0.3, -0.4]), np.array([[2.0], [0.0]])
    np.testing.assert_allclose(arithmetic.relative_size(jnp.array(x), jnp.array(other)), 0.25)
    assert np.isnan(arithmetic.relative_size(jnp.zeros(2), jnp.zeros(2)))
