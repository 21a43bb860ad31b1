"""A network small enough for all its derivatives, as dense arrays."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


def close(measured, expected, rtol=1e-10, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(*shape):
    return jnp.asarray(np.random.default_rng(len(shape) + sum(shape)).normal(size=shape))


def apply(params, x):
    """Two layers of sines, a number a sample."""
    return jnp.sin(x @ params["w"].T) @ params["v"]


PARAMS = {"v": drawn(4) / 2, "w": drawn(4, 3) / 2}
X, X_TEST = drawn(5, 3), drawn(2, 3)
C = drawn(5)
FLAT, UNRAVEL = ravel_pytree(PARAMS)


def derivative(order, x):
    """∇^order F(x) by all parameters, shape (samples, p, …, p)."""
    function = lambda flat: apply(UNRAVEL(flat), x)  # noqa: E731
    for _ in range(order):
        function = jax.jacfwd(function)
    return np.asarray(jax.jit(function)(FLAT))


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def stepped(A, H, steps, rate):
    """max_s |F − F_lin|, with H a matrix and the gradient by finite differences."""
    A, H = np.asarray(A), np.diag(H)
    F = lambda theta: A @ theta + theta @ H @ theta / 2  # noqa: E731
    theta, linear, far = np.zeros(len(A)), 0.0, 0.0
    for _ in range(steps + 1):
        far = max(far, abs(F(theta) - linear))
        slope = [F(theta + e) - F(theta - e) for e in np.eye(len(A)) / 2]  # exact: F is quadratic
        theta, linear = (
            theta - rate * (F(theta) - 1) * np.array(slope),
            linear - rate * (linear - 1),
        )
    return far
