"""Networks on the handwritten digits, beside their linear models in closed form.

The setting is that of the authors' released program: one hidden layer in NTK parametrisation with
biases of the factor 0.05, inputs standardised by one mean and one deviation, targets one of ten,
and full-batch gradient descent at the rate 1 on ½ mean (F − y)², over samples and outputs.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import data, networks, validation
from lazyrich.derivatives import empirical_ntk
from lazyrich.draws import normal
from lazyrich.linearization.activations import activation as named
from lazyrich.linearization.correlations import contracted, update_direction
from lazyrich.linearization.family import over_seeds
from lazyrich.linearization.linear_model import predict_linear
from lazyrich.training import each, mean_squared_error, train

CLASSES, BIAS = 10, 0.05


class DigitsRun(NamedTuple):
    """Networks on the digits, a row a seed; all root mean squares over test images and outputs."""

    discrepancy: Float[Array, "seeds"]
    """|F − F_lin|/|F_lin| after training."""
    C01: Float[Array, "seeds"]
    """C^{0,1}·c at the start, with the residual c of the first step."""
    C02: Float[Array, "seeds"]
    """C^{0,2}·c² at the start."""


def descend_on_digits(
    key: jax.Array,
    width: int,
    seeds: int,
    steps: int,
    activation: str = "ReLU",
    rate: float = 1.0,
    train: int = 128,
    test: int = 256,
) -> DigitsRun:
    """Train networks on the digits, each beside its linear model at the same number of steps.

    Args:
        key: draws the images and, for each seed, the weights; a narrower network has the first
            neurons of a wider one.
        width: n.
        seeds: the number of networks.
        steps: of gradient descent.
        activation: φ, by its name.
        rate: η.
        train: number of training images, 10 times as many rows of the kernel.
        test: number of test images.
    """
    on_images, on_weights = jax.random.split(validation.random_key("key", key))
    width, steps = validation.whole("width", width, least=1), validation.whole("steps", steps)
    [rate] = validation.positives(rate=rate)
    images = _standardised(on_images, train, test)
    params = over_seeds(on_weights, seeds, partial(_weights, width=width, pixels=images.x.shape[1]))
    settings = width, activation, steps
    y = images.y.ravel()
    # A program of this call alone, whose memory goes with it.
    program = jax.jit(partial(_descend, settings))

    def one(params):
        trained, start, T, terms = program(rate, images, params)
        linear = predict_linear(start, T, y, rate, [steps])[0, len(y) :]
        return DigitsRun(_size(trained - linear) / _size(linear), *terms)

    return each(one, params)


class _Images(NamedTuple):
    x: Array
    y: Array
    x_test: Array


def _standardised(key, train, test):
    x, labels = data.digits()
    x = (x - x.mean()) / x.std()
    train, test = (
        validation.whole(name, n, least=1) for name, n in (("train", train), ("test", test))
    )
    order = np.asarray(jax.random.permutation(key, len(x)))[: data.available(train + test, len(x))]
    x, y = x[order], jax.nn.one_hot(labels[order], CLASSES, dtype=x.dtype)
    return _Images(x[:train], y[:train], x[train:])


def _weights(key, width, pixels):
    """Standard normal weights and biases, neuron by neuron."""
    first, last, bias = (jax.random.fold_in(key, layer) for layer in range(3))
    hidden = normal(first, (width, pixels + 1))
    return [
        {"weight": hidden[:, :-1], "bias": hidden[:, -1]},
        {"weight": normal(last, (width, CLASSES)).T, "bias": normal(bias, (CLASSES,))},
    ]


def _descend(settings, rate, images, params):
    width, activation, steps = settings
    network = networks.fully_connected(
        (images.x.shape[1], width, CLASSES),
        named(activation),
        networks.neural_tangent,
        gain=1.0,
        bias=BIAS,
    )
    both = jnp.concatenate([images.x, images.x_test])

    def loss(params, _):
        return mean_squared_error(network.apply(params, images.x), images.y)

    start = network.apply(params, both)
    residual = (start[: len(images.x)] - images.y) / images.y.size
    v = update_direction(network.apply, params, images.x, residual)
    terms = contracted(network.apply, params, images.x_test, v, 2, rate)
    end = train(loss, params, optax.sgd(rate), [steps]).params
    return (
        network.apply(end, images.x_test).ravel(),
        start.ravel(),
        empirical_ntk(network, params, both, images.x),
        _size(terms.reshape(2, -1)),
    )


def _size(x):
    return jnp.sqrt((x**2).mean(-1))
