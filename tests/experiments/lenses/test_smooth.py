import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from lazyrich.experiments.lenses.smooth import erf

X = np.concatenate([np.linspace(-8, 8, 4001), [-np.inf, np.inf, 0.0, 1e-30]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_that_of_scipy(dtype):
    found = erf(X.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, special.erf(X.astype(dtype)), rtol=8 * np.finfo(dtype).eps)


def test_its_derivatives_are_those_of_jax():
    x = jnp.linspace(-3, 3, 31)
    for derive in (jax.grad, lambda f: jax.grad(jax.grad(f))):
        ours, theirs = (jax.vmap(derive(f))(x) for f in (erf, jax.scipy.special.erf))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_nothing_is_known_of_nan():
    assert np.isnan(erf(np.nan))
