import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from lazyrich.linearization import ACTIVATIONS_BY_NAME, activation, largest_derivatives
from linearization.small import close

Z = np.linspace(-3, 3, 41)
KNOWN = {
    "linear": Z,
    "tanh": np.tanh(Z),
    "sigmoid": scipy.special.expit(Z),
    "erf": scipy.special.erf(Z),
    "sin": np.sin(Z),
    "softplus": np.log1p(np.exp(Z)),
    "GELU": Z * scipy.special.ndtr(Z),
    "ReLU": np.maximum(Z, 0),
    "leaky ReLU": np.where(Z > 0, Z, Z / 10),
}


@pytest.mark.parametrize("name", ACTIVATIONS_BY_NAME)
def test_an_activation_is_what_its_name_says(name):
    close(activation(name)(jnp.asarray(Z)), KNOWN[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS_BY_NAME)
def test_a_sharper_one_keeps_its_slope_at_zero(name):
    sharp = activation(name, 7.0)
    close(sharp(jnp.asarray(Z)), np.asarray(ACTIVATIONS_BY_NAME[name](7 * Z)) / 7, rtol=1e-12)
    if "ReLU" in name or name == "linear":
        close(sharp(jnp.asarray(Z)), KNOWN[name], rtol=1e-12, atol=1e-15)
    else:
        close(jax.grad(sharp)(0.0), jax.grad(ACTIVATIONS_BY_NAME[name])(0.0), rtol=1e-12)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="activation must be one of 'linear'"):
        activation("relu")
    with pytest.raises(ValueError, match="sharpness must be positive, got 0.0"):
        activation("tanh", 0.0)
    for bad in (1e308, 1e-17):
        with pytest.raises(ValueError, match="sharpness must be from 1e-16 to 1e"):
            activation("softplus", bad)
    close(activation("tanh", 1e16)(2.0), 1e-16)


def polynomial_of_tanh(order):
    """φ^(k) as a polynomial of φ = tanh, by p ↦ p' (1 − φ²)."""
    p = np.polynomial.Polynomial([0, 1])
    for _ in range(order):
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return p


def test_derivatives_of_tanh_are_polynomials_of_it():
    z = np.linspace(-4, 4, 801)
    sizes = largest_derivatives(jnp.tanh, 10)
    for k in range(1, 11):
        expected = np.abs(polynomial_of_tanh(k)(np.tanh(z))).max() / math.factorial(k + 1)
        close(sizes[k - 1], expected, rtol=1e-9)
    sharper = largest_derivatives(lambda z: jnp.tanh(3 * z), 10, ends=4 / 3)
    close(sharper, 3.0 ** np.arange(1, 11) * sizes, rtol=1e-9)


def test_derivatives_of_sin_and_erf_are_known():
    factorials = [math.factorial(k + 1) for k in range(1, 11)]
    close(largest_derivatives(jnp.sin, 10, ends=np.pi, points=5), 1 / np.array(factorials))
    z = np.linspace(-4, 4, 801)
    for k, size in enumerate(largest_derivatives(ACTIVATIONS_BY_NAME["erf"], 8), start=1):
        hermite = scipy.special.eval_hermite(k - 1, z) * np.exp(-(z**2)) * 2 / np.pi**0.5
        close(size, np.abs(hermite).max() / math.factorial(k + 1), rtol=1e-9)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "erf", "sin"])
def test_common_activations_meet_the_condition_and_a_sharp_one_does_not(name):
    sizes = largest_derivatives(ACTIVATIONS_BY_NAME[name], 10)
    assert (np.diff(sizes) < 0).all() and sizes[0] <= 0.6
    sharp = largest_derivatives(lambda z: jnp.tanh(3 * z), 10)
    assert sharp[-1] > 10 * sharp[0]


def test_a_constant_has_no_derivatives():
    assert largest_derivatives(jnp.ones_like, 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("phi", "order", "sentence"),
    [
        (
            lambda z: z.sum(),
            3,
            r"phi must give a float for each of 801 points, got float64 of .*\(\)",
        ),
        (lambda z: (z, z), 3, "phi must give a float for each of 801 points, got a tuple"),
        (jnp.sqrt, 3, "phi must have finite derivatives, got inf or nan in order 1"),
        (jnp.tanh, 31, "order must be at most 30, got 31"),
    ],
)
def test_what_has_no_derivatives_at_the_points_is_refused(phi, order, sentence):
    with pytest.raises(ValueError, match=sentence):
        largest_derivatives(phi, order)


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="floats must have 64 bits"):
        largest_derivatives(jnp.tanh, 2)


@pytest.mark.parametrize("name", ["softplus", "ReLU"])
def test_what_the_jets_do_not_know_is_refused(name):
    with pytest.raises(ValueError, match="phi must be an activation that jax.experimental.jet kno"):
        largest_derivatives(activation(name), 3)
