import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from lazyrich import conditioning, data, derivatives, networks
from lazyrich.conditioning import kaiming, linear, on_range, second_moment
from lazyrich.experiments.conditioning import variants

KEY = jax.random.key(3)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# Convolutions


@pytest.mark.parametrize("kernel", [3, 1])
def test_convolutions_are_dense_networks_at_their_toeplitz_matrices(kernel):
    start = variants.convolution_start(KEY, 2, kernel, 2, length=9, samples=25)
    many = conditioning.kaiming_filters(KEY, 2, kernel, draws=2)
    for i, filters in enumerate(zip(*many, strict=True)):
        T1, T2 = map(np.asarray, conditioning.toeplitz(filters, 9))
        for measured, weight in ((start.condition_number, 1), (start.reweighted, 1 / 100)):
            G = np.kron(T2 @ T2.T, np.eye(9)) + weight * np.kron(np.eye(len(T2)), T1.T @ T1)
            values = np.linalg.eigvalsh(G)
            close(measured[i], values[-1] / values[0])
        close(start.condition_number[i], linear.linear_condition_number([T1, T2]))


def test_raw_convolutions_have_the_root_of_their_moment_or_half_of_it():
    start = variants.raw_convolution_start(KEY, 2, 9, 1)
    x = np.asarray(data.digits(1000).x).reshape(-1, 8, 8)[:, 1:7, 1:7].reshape(-1, 36)
    Sigma = x.T @ x / len(x)
    root = np.real(scipy.linalg.sqrtm(Sigma))
    filters = [one[0] for one in conditioning.kaiming_filters(KEY, 2, 9, draws=1)]
    T1, T2 = map(np.asarray, conditioning.toeplitz(filters, 36))
    for measured, R in ((start.condition_number, root), (start.halved, Sigma / 2)):
        G = np.kron(T2 @ T2.T, Sigma) + np.kron(np.eye(len(T2)), R @ T1.T @ T1 @ R)
        values = np.linalg.eigvalsh(G)
        close(measured[0], values[-1] / values[0], rtol=1e-6)


def convolved(filters, x):
    """The outputs of two convolutions, with NumPy's, which turns a filter round."""
    y = [x]
    for w in filters:
        y = [
            sum(np.convolve(y[c], w[o, c, ::-1], "valid") for c in range(w.shape[1]))
            for o in range(len(w))
        ]
    return np.concatenate(y)


def test_convolutions_are_differentiated_by_their_filters():
    start = variants.filter_start(KEY, 2, 3, 2, length=7)
    assert start.rank.tolist() == [10, 10]  # m (2 s − 1)
    assert (start.error < 1e-13).all()
    many = map(np.asarray, conditioning.kaiming_filters(KEY, 2, 3, draws=2))
    for i, (first, second) in enumerate(zip(*many, strict=True)):
        # Linear in the filters of either layer, so a derivative is the outputs at a unit filter.
        by_first = [(unit.reshape(first.shape), second) for unit in np.eye(first.size)]
        by_second = [(first, unit.reshape(second.shape)) for unit in np.eye(second.size)]
        J = np.array([
            np.concatenate([convolved(filters, x) for x in np.eye(7)])
            for filters in by_first + by_second
        ])  # fmt: skip
        values = np.linalg.eigvalsh(J @ J.T)  # Σ = I
        close(start.condition_number[i], values[-1] / values[-10])
        assert (np.abs(values[:-10]) < 1e-13 * values[-1]).all()


# Batch normalisation


def test_normalisation_is_compared_on_the_same_weights(few):
    start = variants.normalised_start(KEY, 6, 2, "few", outputs=2)
    x = jnp.asarray(np.delete(few.x, 2, axis=1))
    raw, centred = (on_range(second_moment(rows)) for rows in (x, x - x.mean(0)))
    for i, weights in enumerate(zip(*kaiming(KEY, (5, 6, 2), 2), strict=True)):
        close(start.plain[i], linear.linear_condition_number(weights, raw), rtol=1e-8)
        close(start.centred[i], linear.linear_condition_number(weights, centred), rtol=1e-8)
        params = conditioning.normalised_parameters(weights)
        J = derivatives.jacobian(conditioning.normalised_outputs, params, x)
        values = np.linalg.eigvalsh(J.T @ J)
        close(start.normalised[i], values[-1] / values[-12], rtol=1e-8)  # ks + k
        assert abs(values[-13]) < 1e-13 * values[-1]


# Pruning


@pytest.mark.parametrize("activation", variants.PRUNED_ACTIVATIONS)
def test_pruned_starts_are_differentiated_by_what_is_kept(activation):
    x = data.digits(150).x
    x = (x - x.mean(0))[:4]
    network = networks.fully_connected((64, 20, 20, 10), variants.PRUNED_ACTIVATIONS[activation])
    medians = []
    for share in (0.0, 0.8):
        start = variants.pruned_start(KEY, share, 2, activation, samples=4, width=20)
        for i, key in enumerate(jax.random.split(KEY, 2)):
            params = network.init(key)
            masks = [np.abs(one["weight"]) for one in params]
            masks = [{"weight": size >= np.quantile(size, share)} for size in masks]
            pruned = jax.tree.map(jnp.multiply, params, masks)
            J = np.asarray(derivatives.jacobian(network.apply, pruned, x))
            J = J[:, np.concatenate([mask["weight"].ravel() for mask in masks])]
            values = np.linalg.svd(J, compute_uv=False) ** 2
            close(start[i], values[0] / values[-1], rtol=1e-7)
        medians.append(np.median(start))
    assert medians[1] > 2 * medians[0]


def test_pruned_starts_may_be_differentiated_by_all_weights():
    x = data.digits(150).x
    x = (x - x.mean(0))[:4]
    network = networks.fully_connected((64, 20, 20, 10), variants.PRUNED_ACTIVATIONS["GELU"])
    start = variants.pruned_start(KEY, 0.6, 1, "GELU", samples=4, width=20, all_weights=True)
    params = network.init(jax.random.split(KEY, 1)[0])
    pruned = [
        {"weight": jnp.where(np.abs(W) >= np.quantile(np.abs(W), 0.6), W, 0)}
        for W in (one["weight"] for one in params)
    ]
    values = np.linalg.svd(derivatives.jacobian(network.apply, pruned, x), compute_uv=False) ** 2
    close(start[0], values[0] / values[-1], rtol=1e-7)


# All


@pytest.mark.parametrize(
    "experiment",
    [
        lambda draws: variants.convolution_start(KEY, 2, 3, draws, length=9),
        lambda draws: variants.filter_start(KEY, 2, 3, draws, length=7),
        lambda draws: variants.normalised_start(KEY, 6, draws, "few", outputs=2),
        lambda draws: variants.pruned_start(KEY, 0.0, draws, samples=4, width=20),
    ],
)
def test_more_draws_begin_with_the_same_ones(experiment):
    some, more = (jax.tree.leaves(experiment(draws)) for draws in (2, 3))
    for few, many in zip(some, more, strict=True):
        assert len(few) == 2 and len(many) == 3
        close(few, many[:2], atol=1e-12)
