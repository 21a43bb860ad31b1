"""The networks and data of the chapter: a family from NTK to mean-field scaling, and its tasks.

A member of the family has one hidden layer and the scaling exponent a,

    F(x) = n^(−a) Σ_i u_i φ(w_i·x/√d),   η = η_0 n^(2a−1),

with standard normal weights and no biases. It is the network in NTK parametrisation, a = ½, with
the external scale α = n^(½−a): so one network and one number stand for all of it, and with further
hidden layers too. *Centred* is F less its value at the start.

Seed i of a key is ``fold_in(key, i)``. The same key gives the same data and the same weights at
every width: a narrower network has the first n neurons of a wider one in each layer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from lazyrich import networks, validation
from lazyrich.draws import normal
from lazyrich.linearization import activations
from lazyrich.training import stacked

INPUTS = 10


class Task(NamedTuple):
    """A regression task."""

    x: Float[Array, "*seeds train inputs"]
    """Training inputs, standard normal."""
    y: Float[Array, "*seeds train"]
    """Targets, sin(2 x_0) + x_1 x_2/2."""
    x_test: Float[Array, "*seeds test inputs"]
    """Test inputs, standard normal."""


class Probe(NamedTuple):
    """A fixed residual on a few inputs, and a further input."""

    x: Float[Array, "train inputs"]
    """Four standard normal inputs."""
    residual: Float[Array, "train"]
    """c = (1, −1, 1, −1)/2."""
    x_test: Float[Array, "test inputs"]
    """One further standard normal input."""


def task(
    key: jax.Array, seeds: int, rescaled: bool = False, train: int = 8, test: int = 16
) -> Task:
    """A task for each seed, in ten dimensions.

    Args:
        key: the draws.
        seeds: their number.
        rescaled: whether the training inputs have the length √10, which lessens the scatter.
        train: number of training inputs.
        test: number of test inputs.
    """
    train, test = (
        validation.whole(name, n, least=1) for name, n in (("train", train), ("test", test))
    )
    x = over_seeds(
        key, seeds, lambda one: normal(jax.random.fold_in(one, 0), (train + test, INPUTS))
    )
    x, x_test = x[:, :train], x[:, train:]
    if validation.flag("rescaled", rescaled):
        x = x * INPUTS**0.5 / jnp.linalg.norm(x, axis=-1, keepdims=True)
    return Task(x, jnp.sin(2 * x[..., 0]) + x[..., 1] * x[..., 2] / 2, x_test)


def order_of_samples(
    key: jax.Array, seeds: int, steps: int, train: int = 8
) -> Int[Array, "seeds steps"]:
    """Which training input each step of each seed takes, at random."""
    steps = validation.whole("steps", steps)
    train = validation.whole("train", train, least=1)

    def order(one):
        return jax.random.randint(jax.random.fold_in(one, 1), (steps,), 0, train)

    return over_seeds(key, seeds, order)


def noise_of_samples(key: jax.Array, seeds: int, steps: int) -> Float[Array, "seeds steps"]:
    """A standard normal number for each step of each seed."""
    steps = validation.whole("steps", steps)
    return over_seeds(
        key, seeds, lambda one: normal(jax.random.fold_in(jax.random.fold_in(one, 1), 1), (steps,))
    )


def probe(key: jax.Array) -> Probe:
    """The probe of a key: one for all seeds and widths."""
    x = normal(validation.random_key("key", key), (5, INPUTS))
    return Probe(x[:4], jnp.array([1.0, -1.0, 1.0, -1.0], x.dtype) / 2, x[4:])


def network(
    width: int, depth: int = 1, activation: str = "tanh", sharpness: ArrayLike = 1.0
) -> networks.Network:
    """A fully connected network in NTK parametrisation, with one output and no biases.

    Args:
        width: n, of every hidden layer.
        depth: the number of hidden layers.
        activation: its name, in :data:`~lazyrich.linearization.activations.ACTIVATIONS`.
        sharpness: β, for φ(β z)/β.
    """
    hidden = [validation.whole("width", width, least=1)] * validation.whole("depth", depth, least=1)
    return networks.fully_connected(
        (INPUTS, *hidden, 1),
        activations.activation(activation, sharpness),
        parametrisation=networks.neural_tangent,
        gain=1.0,
    )


def weights(
    key: jax.Array, width: int, depth: int, seeds: int, offset: float = 0.0
) -> list[dict[str, Float[Array, "seeds outputs inputs"]]]:
    """Standard normal weights for each seed, as parameters of the :func:`network`.

    Args:
        key: the draws; the same at every width.
        width: n.
        depth: the number of hidden layers.
        seeds: their number.
        offset: the mean of the output weights.
    """
    return over_seeds(key, seeds, lambda one: weights_of_one(one, width, depth, offset))


def weights_of_one(
    key: jax.Array, width: int, depth: int, offset: float = 0.0
) -> list[dict[str, Float[Array, "outputs inputs"]]]:
    """Those of one seed: ``weights(key, …)`` has them for ``jax.random.fold_in(key, seed)``."""
    width, depth = (
        validation.whole("width", width, least=1),
        validation.whole("depth", depth, least=1),
    )
    offset = validation.scalar("offset", validation.floating("offset", offset))
    keys = [jax.random.fold_in(key, 2 + layer) for layer in range(depth + 1)]
    hidden = [_square(key, width) for key in keys[1:-1]]
    first, last = normal(keys[0], (width, INPUTS)), normal(keys[-1], (1, width))
    return [{"weight": W} for W in (first, *hidden, last + offset.astype(last.dtype))]


def external_scale(width: int, a: float) -> float:
    """α = n^(½−a), which makes the network in NTK parametrisation that of the exponent a."""
    a = float(validation.scalar("a", validation.floating("a", a)))
    return validation.whole("width", width, least=1) ** (0.5 - a)


def over_seeds(key, seeds, draw):
    """What each seed of the key draws, on a leading axis."""
    validation.random_key("key", key)
    draws = [
        draw(jax.random.fold_in(key, seed))
        for seed in range(validation.whole("seeds", seeds, least=1))
    ]
    return stacked(draws)


def _square(key, n):
    """A square of normal numbers, filled shell by shell: smaller ones are corners of larger."""
    i, j = np.indices((n, n))
    return normal(key, (n * n,))[np.where(i >= j, i * i + j, j * j + j + i + 1)]
