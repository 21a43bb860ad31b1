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

from lazyrich import data, networks
from lazyrich import linearization as lin
from lazyrich.arithmetic import jit, quickly_compiled, root_mean_square
from lazyrich.experiments.linearization import family
from lazyrich.kernels import empirical_ntk
from lazyrich.training import each, mean_squared_error, stacked, train

PIXELS, CLASSES, BIAS, TEST = 64, 10, 0.05, 256


class DigitsDeviations(NamedTuple):
    """Networks on the digits, a row a seed; root mean squares over test images and outputs."""

    discrepancy: Float[Array, "seeds"]
    """|F − F_lin|/|F_lin| after training."""
    from_averaged: Float[Array, "seeds"]
    """|F − F_avg|/|F_lin|, with the model of the kernel averaged over the outputs."""


class DigitsCorrelations(NamedTuple):
    """Correlations of networks on the digits at the start, a row a seed."""

    C01: Float[Array, "seeds"]
    """C^{0,1}·c, with the residual c of the first step."""
    C02: Float[Array, "seeds"]
    """C^{0,2}·c²."""


def gradient_descent_on_digits(
    key: jax.Array,
    width: int,
    seeds: int,
    steps: int,
    train: int,
    activation: str = "ReLU",
    rate: float = 1.0,
) -> DigitsDeviations:
    """Train networks on the digits, each beside its linear model at the same number of steps.

    Args:
        key: draws the images and, for each seed, the weights; a narrower network has the first
            neurons of a wider one.
        width: n.
        seeds: the number of networks.
        steps: of gradient descent.
        train: number of training images, 10 times as many rows of the kernel.
        activation: φ, by its name.
        rate: η.
    """
    network, images, params = _at_start(key, width, seeds, train, activation)
    # A program of this call alone, whose memory goes with it.
    program = jit(partial(_trained, network, images, rate, steps))

    def of_seed(params):
        trained, outputs, T = program(params)
        linear = lin.predict_linear(outputs, T, images.y.ravel(), rate, [steps])[0]
        linear, averaged = linear[images.y.size :], _averaged(outputs, T, images, rate, steps)
        far = (root_mean_square(trained - model) for model in (linear, averaged))
        return DigitsDeviations(*(one / root_mean_square(linear) for one in far))

    return each(of_seed, params)


def correlations_on_digits(
    key: jax.Array,
    width: int,
    seeds: int,
    train: int,
    activation: str = "ReLU",
    rate: float = 1.0,
) -> DigitsCorrelations:
    """C^{0,1} and C^{0,2} of the same networks at the start, root mean squares over test images.

    Arguments as for :func:`gradient_descent_on_digits`.
    """
    network, images, params = _at_start(key, width, seeds, train, activation)

    @quickly_compiled
    def of_seed(params):
        residual = (network.apply(params, images.x) - images.y) / images.y.size
        v = lin.update_direction(network.apply, params, images.x, residual)
        terms = lin.contracted(network.apply, params, images.x_test, v, 2, rate)
        return DigitsCorrelations(*map(root_mean_square, terms))

    return each(of_seed, params)


def _at_start(key, width, seeds, train, activation):
    """The network, the images, and the weights of all seeds."""
    on_images, on_weights = jax.random.split(key)
    params = stacked(digits_weights(one, width) for one in family.seed_keys(on_weights, seeds))
    widths, phi = (PIXELS, width, CLASSES), lin.activation(activation)
    network = networks.fully_connected(widths, phi, networks.neural_tangent, gain=1.0, bias=BIAS)
    return network, standardised(on_images, train), params


def _averaged(outputs, T, images, rate, steps):
    """The model on the test images whose kernel is averaged over the outputs, one by one alike.

    The released program takes the kernel so by default; its cost is a mean over outputs too.
    """
    samples, (train, classes) = len(outputs) // CLASSES, images.y.shape
    kernel = jnp.einsum("icjc->ij", T.reshape(samples, classes, train, classes)) / classes
    models = (
        lin.predict_linear(start, kernel, target, rate / classes, [steps])[0, train:]
        for start, target in zip(outputs.reshape(samples, classes).T, images.y.T, strict=True)
    )
    return jnp.stack(list(models), axis=1).ravel()


def standardised(key: jax.Array, train: int, test: int = TEST) -> family.Task:
    """Random digits for training and test, with one mean and one deviation for all pixels.

    The targets are one of ten.
    """
    x, labels = data.digits()
    x, labels = np.asarray(x), np.asarray(labels)
    x = (x - x.mean()) / x.std()
    order = np.asarray(jax.random.permutation(key, len(x)))[: train + test]
    x, y = x[order], np.eye(CLASSES, dtype=x.dtype)[labels[order]]
    return jax.device_put(family.Task(x[:train], y[:train], x[train:]))


def digits_weights(key: jax.Array, width: int) -> list[dict[str, Float[Array, "..."]]]:
    """Standard normal weights and biases of one seed, neuron by neuron."""
    first, last, bias = (jax.random.fold_in(key, layer) for layer in range(3))
    hidden = family.first_normal(first, (width, PIXELS + 1))
    output = family.first_normal(last, (width, CLASSES)).T
    layers = [(hidden[:, :-1], hidden[:, -1]), (output, family.first_normal(bias, (CLASSES,)))]
    return jax.device_put([{"weight": W, "bias": b} for W, b in layers])


def _trained(network, images, rate, steps, params):
    """The outputs at the end, those of the start, and their kernel."""
    both = jnp.concatenate([images.x, images.x_test])

    def loss(params, _):
        return mean_squared_error(network.apply(params, images.x), images.y)

    end = train(loss, params, optax.sgd(rate), [steps]).params
    return (
        network.apply(end, images.x_test).ravel(),
        network.apply(params, both).ravel(),
        empirical_ntk(network, params, both, images.x),
    )
