import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazyrich import downloads
from lazyrich.experiments.conditioning import residual

KEY = jax.random.key(3)
SMALL = {"samples": 5, "channels": (2, 5), "steps": 6, "at_once": 2}


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def outputs(weights, x):
    """The same network in words of its own: sums over places, one block a stage."""

    def convolved(x, w, stride):
        n, rows, columns, _ = x.shape
        y = np.zeros((n, rows, columns, w.shape[3]))
        for r, c, i, j in np.ndindex(rows, columns, 3, 3):
            if 0 <= r + i - 1 < rows and 0 <= c + j - 1 < columns:
                y[:, r, c] += x[:, r + i - 1, c + j - 1] @ w[i, j]
        return y[:, ::stride, ::stride]

    bent = lambda z: np.where(z > 0, z, 0.1 * z)  # noqa: E731
    first, a, b, c, d, last = map(np.asarray, weights)
    x = bent(convolved(x, first, 1))
    x = bent(x + convolved(bent(convolved(x, a, 1)), b, 1) / 2**0.5)
    wider = np.zeros((*x[:, ::2, ::2].shape[:3], d.shape[3]))
    wider[..., : x.shape[3]] = x[:, ::2, ::2]
    x = bent(wider + convolved(bent(convolved(x, c, 2)), d, 1) / 2**0.5)
    return x.mean((1, 2)) @ last


@pytest.fixture(scope="module")
def network():
    """Weights, and a few digits."""
    weights = residual.residual_weights(KEY, 1, (2, 5), 1)
    return weights, jnp.asarray(residual.pictures("digits")[0][:5])


def test_the_network_is_a_residual_one(network):
    weights, x = network
    assert [w.shape for w in weights] == [
        (3, 3, 1, 2), (3, 3, 2, 2), (3, 3, 2, 2), (3, 3, 2, 5), (3, 3, 5, 5), (5, 10),
    ]  # fmt: skip
    close(residual.residual_network(weights, x, 1), outputs(weights, np.asarray(x)))


def test_resnet20_has_its_number_of_weights():
    weights = residual.residual_weights(KEY, 3, (16, 32, 64), 3)
    assert len(weights) == 20 and sum(w.size for w in weights) == 268_336


@pytest.mark.parametrize("at_once", [2, 5])
def test_gram_matrices_are_those_of_the_jacobian(network, at_once):
    weights, x = network
    mask = [jnp.asarray(np.abs(w) > 0.2, float) for w in weights]
    flat, back = ravel_pytree(weights)
    J = jax.jacobian(lambda flat: residual.residual_network(back(flat), x, 1).ravel())(flat)
    kept = J * ravel_pytree(mask)[0]
    found = residual.gram_matrices(weights, mask, jnp.asarray(x), at_once, blocks=1)
    for gram, rows in zip(found, (kept, J), strict=True):
        close(gram, rows @ rows.T, atol=1e-12)


def test_pruned_networks_keep_their_largest_weights_in_training():
    run = residual.pruned_residual(KEY, 0.5, 2, **SMALL)
    assert run.loss.shape == (2, 6) and (run.loss[:, -1] < run.loss[:, 0]).all()
    assert run.data == "digits"
    weights = residual.residual_weights(jax.random.fold_in(KEY, 0), 1, (2, 5), 1)
    pruned = [w * (np.abs(w) >= np.quantile(np.abs(w), 0.5)) for w in map(np.asarray, weights)]
    pruned[-1] = np.asarray(weights[-1])  # the dense layer is kept
    x, labels = (array[:5] for array in residual.pictures("digits")[:2])
    logits = outputs(pruned, x)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    close(run.loss[0, 0], -logs[np.arange(5), labels].mean())
    whole = residual.pruned_residual(KEY, 0.0, 1, **SMALL)
    close(whole.kept, whole.all_weights, rtol=1e-6)


def test_mnist_stands_in_for_photographs_that_are_missing(monkeypatch):
    def missing():
        raise downloads.MissingData("no photographs")

    digits = np.full((3, 28, 28), 255, np.uint8), np.arange(3)
    monkeypatch.setattr(downloads, "fetch_cifar10", missing)
    monkeypatch.setattr(downloads, "fetch_mnist", lambda: digits)
    x, labels, used = residual.pictures("CIFAR-10")
    assert x.shape == (3, 28, 28, 1) and x.max() == 1 and labels.tolist() == [0, 1, 2]
    assert used == "MNIST"
