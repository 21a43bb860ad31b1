import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import conditioning, data, derivatives, networks
from lazyrich.conditioning import kaiming, linear, on_range, second_moment

KEY = jax.random.key(3)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# Convolutions


@pytest.mark.parametrize("kernel", [3, 1])
def test_convolutions_are_dense_networks_at_their_toeplitz_matrices(kernel):
    start = conditioning.convolution_start(KEY, 2, kernel, 2, length=9, samples=25)
    many = conditioning.kaiming_filters(KEY, 2, kernel, draws=2)
    for i, filters in enumerate(zip(*many, strict=True)):
        T1, T2 = map(np.asarray, conditioning.toeplitz(filters, 9))
        for measured, weight in ((start.condition_number, 1), (start.reweighted, 1 / 100)):
            G = np.kron(T2 @ T2.T, np.eye(9)) + weight * np.kron(np.eye(len(T2)), T1.T @ T1)
            values = np.linalg.eigvalsh(G)
            close(measured[i], values[-1] / values[0])
            kappa = linear.two_layer_condition_number([T1, T2], inner_weight=weight)
            close(measured[i], kappa)
        close(start.condition_number[i], linear.condition_number([T1, T2]))


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
    start = conditioning.filter_start(KEY, 2, 3, 2, length=7)
    assert start.rank.tolist() == [10, 10]  # m (2 s − 1)
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
    start = conditioning.normalised_start(KEY, 6, 2, "few", outputs=2)
    x = jnp.asarray(np.delete(few.x, 2, axis=1))
    raw, centred = (on_range(second_moment(rows)) for rows in (x, x - x.mean(0)))
    for i, weights in enumerate(zip(*kaiming(KEY, (5, 6, 2), 2), strict=True)):
        close(start.plain[i], linear.condition_number(weights, raw), rtol=1e-8)
        close(start.centred[i], linear.condition_number(weights, centred), rtol=1e-8)
        params = conditioning.normalised_parameters(weights)
        J = derivatives.jacobian(conditioning.normalised_outputs, params, x)
        values = np.linalg.eigvalsh(J.T @ J)
        close(start.normalised[i], values[-1] / values[-12], rtol=1e-8)  # ks + k
        assert abs(values[-13]) < 1e-13 * values[-1]


# Pruning


@pytest.mark.parametrize("activation", conditioning.ACTIVATIONS)
def test_pruned_starts_are_differentiated_by_what_is_kept(activation):
    x = data.digits(150).x
    x = (x - x.mean(0))[:4]
    network = networks.fully_connected((64, 20, 20, 10), conditioning.ACTIVATIONS[activation])
    medians = []
    for share in (0.0, 0.8):
        start = conditioning.pruned_start(KEY, share, 2, activation, samples=4, width=20)
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


# All


@pytest.mark.parametrize(
    "experiment",
    [
        lambda draws: conditioning.convolution_start(KEY, 2, 3, draws, length=9),
        lambda draws: conditioning.filter_start(KEY, 2, 3, draws, length=7),
        lambda draws: conditioning.normalised_start(KEY, 6, draws, "few", outputs=2),
        lambda draws: conditioning.pruned_start(KEY, 0.0, draws, samples=4, width=20),
    ],
)
def test_more_draws_begin_with_the_same_ones(experiment):
    some, more = (jax.tree.leaves(experiment(draws)) for draws in (2, 3))
    for few, many in zip(some, more, strict=True):
        assert len(few) == 2 and len(many) == 3
        close(few, many[:2], atol=1e-12)


GIVEN = {
    "convolution_start": {"channels": 2, "kernel": 3, "draws": 2, "length": 9, "samples": 9},
    "filter_start": {"channels": 2, "kernel": 3, "draws": 2, "length": 9},
    "normalised_start": {"width": 6, "draws": 2, "data": "few", "outputs": 2},
    "pruned_start": {"share": 0.5, "draws": 2, "samples": 4, "width": 20},
}


@pytest.mark.parametrize(
    ("experiment", "bad", "message"),
    [
        ("convolution_start", {"length": 4}, "length must be at least 5 for these filters"),
        ("filter_start", {"length": 4}, "length must be at least 5 for these filters, got 4"),
        ("normalised_start", {"data": "letters"}, "data must be one of .*, got 'letters'"),
        ("pruned_start", {"share": 1.0}, "share must be below 1, got 1.0"),
        ("pruned_start", {"share": -0.1}, "share must be not negative, got -0.1"),
        ("pruned_start", {"share": np.nan}, "share must be finite, got nan"),
        ("pruned_start", {"samples": 151}, "samples must be at most 150, .*, got 151"),
        ("pruned_start", {"activation": "sine"}, "activation must be one of .*, got 'sine'"),
    ],
)
def test_what_makes_no_start_is_named(experiment, bad, message):
    with pytest.raises(ValueError, match="^" + message):
        getattr(conditioning, experiment)(KEY, **GIVEN[experiment] | bad)


SIZES = [
    (experiment, name)
    for experiment, given in GIVEN.items()
    for name, value in given.items()
    if isinstance(value, int)
]


@pytest.mark.parametrize(("experiment", "name"), SIZES)
def test_sizes_are_positive(experiment, name):
    with pytest.raises(ValueError, match=f"^{name}s? must be an integer of at least 1, got 0"):
        getattr(conditioning, experiment)(KEY, **GIVEN[experiment] | {name: 0})


@pytest.mark.parametrize(
    ("experiment", "bad", "message"),
    [
        ("convolution_start", {"length": "a"}, "length must be an integer of at least 1, got 'a'"),
        ("filter_start", {"length": "a"}, "length must be an integer of at least 1, got 'a'"),
    ],
)
def test_arguments_of_another_type_are_named(experiment, bad, message):
    # Without the check of annotations, which would refuse them in another sentence.
    with pytest.raises(ValueError, match="^" + message):
        inspect.unwrap(getattr(conditioning, experiment))(KEY, **GIVEN[experiment] | bad)
