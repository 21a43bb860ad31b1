import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.lenses import (
    SINE_CORRELATION,
    alignment_floor,
    edge_floor,
    equivalent_readings,
    function_floor,
    gaussian_moments,
    kernel_floors,
    linear_displacement,
    sine_teacher,
    wishart_start,
)

erf = jax.scipy.special.erf
ERF = gaussian_moments(erf)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def readings():
    """Those of 4000 lazy networks of 400 neurons, on many inputs of which β is no special one."""
    d, n = 24, 400
    x = jax.random.normal(jax.random.key(1), (4 * d, d))
    beta = jnp.eye(d)[0]
    y = sine_teacher(x, beta)
    y = y / jnp.sqrt((y**2).mean())
    keys = jax.random.split(jax.random.key(2), 4000)
    starts = jax.vmap(lambda key: wishart_start(key, d, n))(keys)
    return jax.vmap(lambda start: equivalent_readings(start, x, y, beta, ERF))(starts)


def test_the_cosine_of_lazy_networks_scatters_by_the_root_of_the_width(readings):
    close(readings.cosine.std(), alignment_floor(400), rtol=0.04)


def test_the_kernel_of_lazy_networks_scatters_by_its_floors(readings):
    floors = kernel_floors(ERF, 4.0, SINE_CORRELATION, 24)
    # The target's is that of labels all of whose linear part is one direction.
    for name, within in (("target", 0.06), ("trace", 0.04)):
        found = getattr(readings, name)
        close(found.std() / found.mean() * 20, getattr(floors, name), rtol=within)


def test_with_one_input_the_hidden_weights_scatter_as_the_output_weights_do():
    keys = jax.random.split(jax.random.key(3), 4000)
    one = jnp.ones((1, 1))

    def trace(key):
        return equivalent_readings(wishart_start(key, 1, 400), one, one[0], one[0], ERF).trace

    found = jax.vmap(trace)(keys)
    floor = kernel_floors(ERF, 4.0, SINE_CORRELATION, 1).trace
    close(found.std() / found.mean() * 20, floor, rtol=0.04)


@pytest.mark.parametrize("shape", [(16, 256), (60, 120), (100, 50)])
def test_the_edge_is_that_of_random_matrices(shape):
    (d, n), rng = shape, np.random.default_rng(0)
    sigma = [np.linalg.norm(rng.normal(size=(n, d)), 2) for _ in range(600)]
    floor = edge_floor(d, n)
    close(np.mean(sigma), floor.mean, rtol=0.004)
    close(np.std(sigma), floor.sd, rtol=0.12)


def test_the_scatter_of_a_small_edge_is_that_of_its_law():
    """Johnstone's scale of λ₁, (√(n − 1) + √d)(1/√(n − 1) + 1/√d)^⅓, is 2^(4/3) at n = 2."""
    floor = edge_floor(1, 2)
    close(2 * floor.mean * floor.sd, 1.268 * 2 ** (4 / 3), rtol=1e-3)


@pytest.mark.parametrize("level", [0.1, 0.6])
def test_the_function_scatters_as_its_neurons_say(level):
    N, d, n, seeds = 24, 6, 400, 300
    x, x_test = np.split(np.random.default_rng(0).normal(size=(N + 60, d)), [N])
    y = np.asarray(sine_teacher(x, np.eye(d)[0]))

    @jax.jit
    def linear_model(key):
        weights = jax.random.normal(key, (n, d + 1))
        both = jnp.concatenate([x, x_test]) / d**0.5
        z = both @ weights[:, :d].T
        slope = 2 / jnp.pi**0.5 * jnp.exp(-(z**2)) * weights[:, d]
        kernel = (erf(z) @ erf(z).T + slope @ slope.T * (both @ both.T)) / n
        own = (kernel[:N, :N] + kernel[:N, :N].T) / 2
        return kernel[N:, :N] @ linear_displacement(own, y, level).residual

    keys = jax.random.split(jax.random.key(7), seeds)
    F = np.array([linear_model(key) for key in keys])
    expected = (F.var(0).sum() / (F.mean(0) ** 2).sum()) ** 0.5 * n**0.5
    found = function_floor(jax.random.key(0), x, y, x_test, level, erf, neurons=8192)
    close(found, expected, rtol=0.07)


def test_what_has_no_floor_is_refused():
    x, y = np.eye(4), np.ones(4)
    with pytest.raises(ValueError, match="neurons must be an integer of at least 4"):
        function_floor(jax.random.key(0), x, y, x, 0.5, erf, 2)
    with pytest.raises(ValueError, match="x_test must have shape"):
        function_floor(jax.random.key(0), x, y, x[:, :2], 0.5, erf)
    with pytest.raises(ValueError, match="must leave a finite C"):
        function_floor(jax.random.key(0), np.zeros((4, 4)), y, x, 0.5, erf, 64)
    with pytest.raises(ValueError, match="ratio must be from"):
        kernel_floors(ERF, 0.0, 0.9, 4)
