import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.linearization import injective_norm
from linearization.small import close, drawn


def test_the_injective_norm_of_a_vector_is_its_length_and_of_a_matrix_its_largest_singular_value():
    key = jax.random.key(0)
    close(injective_norm(drawn(7), key), np.linalg.norm(drawn(7)), rtol=1e-13)
    close(injective_norm(drawn(7, 4), key), np.linalg.svd(drawn(7, 4))[1][0], rtol=1e-13)


def test_the_injective_norm_of_orthogonal_products_is_the_largest_factor():
    A, B, D = (np.linalg.qr(drawn(n, n))[0][:3] for n in (4, 5, 6))
    tensor = np.einsum("r,ra,rb,rc->abc", [1.0, -3.0, 2.0], A, B, D)
    close(injective_norm(tensor, jax.random.key(0)), 3.0, rtol=1e-12)


def test_the_injective_norm_is_a_maximum_over_unit_vectors():
    tensor = np.asarray(drawn(3, 2, 2))
    angle = np.linspace(0, np.pi, 400)
    unit = np.stack([np.cos(angle), np.sin(angle)])
    most = np.linalg.norm(np.einsum("abc,bi,cj->aij", tensor, unit, unit), axis=0).max()
    norm = float(injective_norm(tensor, jax.random.key(0)))
    assert most <= norm < most * (1 + 1e-4)
    close(injective_norm(tensor[None], jax.random.key(1)), norm, rtol=1e-12)
    assert injective_norm(np.zeros((2, 2, 2)), jax.random.key(0)) == 0


@pytest.mark.parametrize("exponent", [-1000, -520, 1000])
def test_norms_of_any_size_keep_every_digit(exponent):
    power, key = 2.0**exponent, jax.random.key(0)
    for shape in ((7,), (3, 2, 2)):
        norm = injective_norm(drawn(*shape), key)
        assert injective_norm(power * drawn(*shape), key) == power * norm
    matrix = injective_norm(drawn(7, 4), key)
    close(injective_norm(power * drawn(7, 4), key), power * matrix, rtol=1e-14)


def test_what_has_no_norm_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"tensor must not be empty, got shape \(0, 2, 2\)"):
        injective_norm(jnp.zeros((0, 2, 2)), key)
    with pytest.raises(ValueError, match="key must be one jax.random.key, got float64 of shape"):
        injective_norm(jnp.ones((2, 2, 2)), jnp.zeros(2))
