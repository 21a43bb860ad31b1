import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import activations
from lazyrich.mechanisms import Setting

CASE = {"cosine": 0.3, "scale": 2.0, "y_star": 0.7, "d": 500, "points": 6, "steps": 12}


def run(name, **changes):
    return activations.angle_in_training(jax.random.key(0), name, **(CASE | changes))


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_the_slope_is_that_of_the_odd_part(name):
    phi, s = activations.ACTIVATIONS[name]
    z = jnp.linspace(0.01, 3, 50)
    odd = (phi(z) - phi(-z)) / 2
    if name == "sigmoid":
        np.testing.assert_allclose(odd, np.tanh(z / 2) / 2, rtol=1e-9)
        np.testing.assert_allclose(jax.grad(phi)(0.0), s, rtol=1e-6)
    else:
        np.testing.assert_allclose(odd, s * z, rtol=1e-6)


def test_a_linear_network_follows_the_map_and_nearly_the_flow():
    linear = run("linear")
    assert linear.step.tolist() == list(range(13))
    np.testing.assert_allclose(linear.cosine[0], 0.3, rtol=1e-12)
    np.testing.assert_allclose(linear.cosine, linear.mapped, rtol=1e-10)
    np.testing.assert_allclose(linear.flow, linear.mapped, atol=0.02)
    assert np.abs(linear.flow - linear.mapped).max() > 1e-4


def test_the_step_is_a_tenth_of_the_time_of_the_closed_form():
    E = np.hypot(0.7 / 0.5, 2.0 * (1 - 0.3**2) ** 0.5)
    rate = 0.1 / (2 * 0.5**2 * E)  # times d, with γ = 1/d
    x = np.array([1.0, 0.0])
    u, v = 2**0.5 * x, 2**0.5 * np.array([0.3, (1 - 0.3**2) ** 0.5])
    setting = Setting(eta_u=rate, eta_w=rate, A=0.25, y_star=1.4)
    expected = mechanisms.evolve(setting, u, v, np.arange(13.0)).cosine
    np.testing.assert_allclose(run("ReLU").flow, expected, rtol=1e-10)
    np.testing.assert_allclose(mechanisms.learning_speed(setting, u, v), 0.1, rtol=1e-10)


@pytest.mark.parametrize("name", ["ReLU", "leaky ReLU", "swish"])
def test_an_even_part_counts_the_less_the_wider_the_network(name):
    off = [np.abs(one.cosine - one.mapped).max() for one in (run(name), run(name, d=20_000))]
    assert off[0] < 0.03 and off[1] < 0.001


def test_one_step_of_relu_is_that_of_its_loss():
    d, s, cosine, scale, y_star = 500, 0.5, 0.3, 2.0, 0.7
    along, other = np.asarray(jax.random.normal(jax.random.key(0), (2, d)))
    along = along / np.linalg.norm(along)
    other = other - other @ along * along
    other = other / np.linalg.norm(other)
    sine = (1 - cosine**2) ** 0.5
    u, v = (scale * d) ** 0.5 * along, (scale * d) ** 0.5 * (cosine * along + sine * other)
    a = np.array([-1.382994127, -0.674489750, -0.210428394])  # quantiles of a normal law at 1/12, …
    a = np.concatenate([a, -a[::-1]])
    a = a / np.sqrt((a**2).mean())
    rate = d * 0.1 / (2 * s**2 * np.hypot(y_star / s, scale * sine))
    hidden = np.maximum(np.outer(a, v), 0)
    residual = (hidden @ u / d - y_star * a) / len(a)
    slope = ((np.outer(a, v) > 0) * a[:, None] * u / d * residual[:, None]).sum(0)
    u, v = u - rate * hidden.T @ residual / d, v - rate * slope
    expected = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
    np.testing.assert_allclose(run("ReLU").cosine[1], expected, rtol=1e-7)
