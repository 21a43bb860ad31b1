"""The networks and data of the chapter: a family from NTK to mean-field scaling, and its tasks.

A member of the family has one hidden layer and the scaling exponent a,

    F(x) = n^(−a) Σ_i u_i φ(w_i·x/√d),   η = η_0 n^(2a−1),

with standard normal weights and no biases. It is the network in NTK parametrisation, a = ½, with
the external scale α = n^(½−a): so one network and one number stand for all of it, and with further
hidden layers too. *Centred* is F less its value at the start.

Seed i of a key is ``fold_in(key, i)``. The same key gives the same data and the same weights at
every width: a narrower network has the first n neurons of a wider one in each layer.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from lazyrich import networks
from lazyrich.draws import BLOCK, normal
from lazyrich.linearization import activation
from lazyrich.training import stacked

INPUTS, TRAIN, TEST = 10, 8, 16
PROBE_RATE = 0.5
"""η at scale one, of the correlations on a probe."""


class Task(NamedTuple):
    """A regression task."""

    x: Float[Array, "*seeds train inputs"]
    """Training inputs."""
    y: Float[Array, "..."]
    """Their targets, one number each or several."""
    x_test: Float[Array, "*seeds test inputs"]
    """Test inputs."""


class Probe(NamedTuple):
    """A fixed residual on a few inputs, and a further input."""

    x: Float[Array, "train inputs"]
    """Four standard normal inputs."""
    residual: Float[Array, "train"]
    """c = (1, −1, 1, −1)/2."""
    x_test: Float[Array, "test inputs"]
    """One further standard normal input, or several."""


def seed_keys(key: jax.Array, seeds: int) -> list[jax.Array]:
    """The keys of the seeds."""
    return [jax.random.fold_in(key, seed) for seed in range(seeds)]


def task_of(x: np.ndarray, rescaled: bool = False) -> Task:
    """The task on eight training and sixteen test inputs, with the targets sin(2 x_0) + x_1 x_2/2.

    Args:
        x: all inputs.
        rescaled: whether the training inputs have the length √10, which lessens the scatter.
    """
    x, x_test = x[:TRAIN], x[TRAIN:]
    if rescaled:
        x = x * INPUTS**0.5 / np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] / 2
    return jax.device_put(Task(x, y, x_test))


def toy_task(key: jax.Array, rescaled: bool = False) -> Task:
    """The task of one seed, by its own key, on standard normal inputs."""
    return task_of(first_normal(jax.random.fold_in(key, 0), (TRAIN + TEST, INPUTS)), rescaled)


def toy_tasks(key: jax.Array, seeds: int, rescaled: bool = False) -> Task:
    """A task for each seed of the key."""
    return stacked(toy_task(one, rescaled) for one in seed_keys(key, seeds))


def order_of_samples(key: jax.Array, seeds: int, steps: int) -> Int[Array, "seeds steps"]:
    """Which training input each step of each seed takes, at random."""
    return stacked(
        jax.random.randint(jax.random.fold_in(one, 1), (steps,), 0, TRAIN)
        for one in seed_keys(key, seeds)
    )


def noise_of_samples(key: jax.Array, seeds: int, steps: int) -> Float[Array, "seeds steps"]:
    """A standard normal number for each step of each seed."""
    return stacked(
        first_normal(jax.random.fold_in(jax.random.fold_in(one, 1), 1), (steps,))
        for one in seed_keys(key, seeds)
    )


def probe(key: jax.Array, inputs: int = INPUTS, tests: int = 1) -> Probe:
    """The probe of a key: one for all seeds and widths."""
    x = first_normal(key, (4 + tests, inputs))
    residual = np.array([1.0, -1.0, 1.0, -1.0], x.dtype) / 2
    return jax.device_put(Probe(x[:4], residual, x[4:]))


# One network each, so that a program that was compiled for it is found again.
@cache
def network(
    width: int, depth: int = 1, activation_name: str = "tanh", sharpness: float = 1.0
) -> networks.Network:
    """A fully connected network in NTK parametrisation, with one output and no biases.

    Args:
        width: n, of every hidden layer.
        depth: the number of hidden layers.
        activation_name: of φ.
        sharpness: β, for φ(β z)/β.
    """
    return networks.fully_connected(
        (INPUTS, *[width] * depth, 1),
        activation(activation_name, sharpness),
        parametrisation=networks.neural_tangent,
        gain=1.0,
    )


def weights(
    key: jax.Array, width: int, depth: int, seeds: int, offset: float = 0.0
) -> list[dict[str, Float[Array, "seeds outputs inputs"]]]:
    """Standard normal weights for each seed of the key, as parameters of the :func:`network`.

    Args:
        key: the draws; the same at every width.
        width: n.
        depth: the number of hidden layers.
        seeds: their number.
        offset: the mean of the output weights.
    """
    return stacked(weights_of_one(one, width, depth, offset) for one in seed_keys(key, seeds))


def weights_of_one(
    key: jax.Array, width: int, depth: int, offset: float = 0.0
) -> list[dict[str, Float[Array, "outputs inputs"]]]:
    """Those of one seed, by its own key."""
    first, *inner, last = (jax.random.fold_in(key, 2 + layer) for layer in range(depth + 1))
    hidden = [first_normal(first, (width, INPUTS)), *(_square(one, width) for one in inner)]
    output = first_normal(last, (1, width)) + offset
    return jax.device_put([{"weight": W} for W in (*hidden, output)])


def one_output(apply: Callable, scale: ArrayLike = 1.0) -> Callable:
    """α F as one number a sample, of a network ``apply(params, x)`` with one output."""
    return lambda params, x: scale * apply(params, x)[:, 0]


def external_scale(width: int, a: float) -> float:
    """α = n^(½−a), which makes the network in NTK parametrisation that of the exponent a."""
    return width ** (0.5 - a)


def first_normal(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """The :func:`~lazyrich.draws.normal` numbers of a shape, cut on NumPy's side: the same ones.

    So one program serves all shapes.
    """
    count = int(np.prod(shape))
    return np.asarray(normal(key, (-(-count // BLOCK), BLOCK))).ravel()[:count].reshape(shape)


def _square(key, n):
    """A square of normal numbers, filled shell by shell: smaller ones are corners of larger."""
    i, j = np.indices((n, n))
    return first_normal(key, (n * n,))[np.where(i >= j, i * i + j, j * j + j + i + 1)]
