"""Students in plain NumPy, one after another and without a compiler."""

import jax
import numpy as np

from lazyrich.heavy_tails import Sizes, draw

KEY = jax.random.key(11)
D, H, N, SEEDS = 6, 9, 12, 2
PLAIN = {
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "shifted tanh": (lambda z: np.tanh(z + 1), lambda z: 1 / np.cosh(z + 1) ** 2),
}


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(i, noise=0.3, sizes=(D, H, N)):
    """The i-th problem, in NumPy."""
    return jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), Sizes(*sizes), noise))


def output(W, problem, x, activation="tanh"):
    h, d = W.shape
    return PLAIN[activation][0](x @ W.T / d**0.5) @ problem.a / h**0.5


def gradient(W, problem, activation="tanh"):
    """Of the mean of (f − y)², by the chain rule."""
    (h, d), (x, y) = W.shape, problem.train
    r = output(W, problem, x, activation) - y
    slopes = PLAIN[activation][1](W @ x.T / d**0.5)
    return 2 / (len(y) * (h * d) ** 0.5) * (np.outer(problem.a, r) * slopes) @ x


def trained(problem, optimizer, rate, steps, decay=1.0, normalise=False, activation="tanh"):
    """The weights after each number of steps."""
    W, m, v = problem.W, 0.0, 0.0
    yield W
    for t in range(1, steps + 1):
        if normalise:
            W = W * W.size**0.5 / np.sqrt((W**2).sum())
        G = gradient(W, problem, activation)
        if optimizer == "Adam":
            m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G**2
            G = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        W = W - rate * decay ** (t - 1) * G
        yield W


def ridge(W, problem, strength, scaling, activation="tanh"):
    """The three losses of a last layer that is fitted."""
    h, d = W.shape
    (x, y), (x_test, y_test) = problem.probe, problem.test
    size = d if scaling == "as coded" else d**0.5
    Z, T = (PLAIN[activation][0](each @ W.T / size) / h**0.5 for each in (x, x_test))
    a = np.linalg.solve(Z.T @ Z + strength / h * len(y) * np.eye(h), Z.T @ y)
    K = Z @ Z.T
    alignment = y @ K @ y / (np.linalg.norm(K) * (y @ y))
    return ((Z @ a - y) ** 2).mean(), ((T @ a - y_test) ** 2).mean(), alignment
