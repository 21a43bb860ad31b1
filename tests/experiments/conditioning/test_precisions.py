import jax
import numpy as np

from lazyrich.conditioning import kaiming
from lazyrich.experiments.conditioning.precisions import cut, spectra_in_training

KEY = jax.random.key(3)
WIDTH = 7


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def gradients(V, W, x, y):
    """The derivative of the loss by V and by W."""
    back = (x @ V.T @ W.T - y) / len(x)
    return W.T @ back.T @ x, back.T @ x @ V.T


def test_spectra_in_training_keep_the_null_space_of_the_data(few):
    x, y = np.asarray(few.x), np.eye(10)[few.labels]
    exact, single = spectra_in_training(KEY, WIDTH, 3, 2, "few")
    assert exact.dtype == np.float64 and single.dtype == np.float32
    assert exact.shape == single.shape == (2, 2, 60)
    for i, weights in enumerate(zip(*kaiming(KEY, (6, WIDTH, 10), 2), strict=True)):
        V, W = map(np.asarray, weights)
        values = gauss_newton_spectrum(V, W, x)
        close(exact[i, 0], values[-60:], rtol=0, atol=1e-13 * values[-1])
        rate = 1 / values[-1]
        for _ in range(3):
            by_V, by_W = gradients(V, W, x, y)
            V, W = V - rate * by_V, W - rate * by_W
        values = gauss_newton_spectrum(V, W, x)
        close(exact[i, 1], values[-60:], rtol=0, atol=1e-13 * values[-1])
    top = exact[..., -1:]
    assert (np.abs(exact / top) < 1e-14).sum(-1).tolist() == [[10, 10], [10, 10]]
    close(single / top, exact / top, rtol=0, atol=1e-6)
    noise = np.abs(single / top)[..., :10]  # what float64, rounded, would not have
    assert (noise.max(-1) > 1e-10).all()


def gauss_newton_spectrum(V, W, x):
    blocks = [np.hstack([np.kron(W, row), np.kron(np.eye(10), V @ row)]) for row in x]
    J = np.concatenate(blocks)
    return np.linalg.eigvalsh(J.T @ J / len(x))


def test_a_threshold_leaves_what_is_above_it():
    values = np.array([[-0.5, 1e-3, 0.1, 1.0], [0.0, 2e-3, 0.2, 2.0]])
    for threshold, rank, kappa in ((1e-4, [3, 3], [1e3, 1e3]), (0.05, [2, 2], [10, 10])):
        left = cut(values, threshold)
        np.testing.assert_array_equal(left.rank, rank)
        close(left.condition_number, kappa)
    assert cut(values, 0.1).rank.tolist() == [1, 1]  # what is at the threshold is not above it
