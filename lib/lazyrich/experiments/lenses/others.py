"""Networks of more layers along the knob, and networks that learn handwritten digits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import kernels, lenses
from lazyrich.experiments.lenses import knob, setting


class DeepReadings(NamedTuple):
    """What is read of a network with several hidden layers."""

    target: Float[Array, "*batch"]
    """yᵀKy/|y|²."""
    edges: Float[Array, "*batch layers"]
    """σ₁/√n of each hidden layer."""


def deep_at_knob(
    key: jax.Array,
    hidden: int,
    inputs: int,
    width: int,
    richness: tuple[float, ...],
    pairs: int,
    level: float = 0.1,
) -> knob.Knob:
    """Networks of some hidden layers at given R, which is that of each network's own kernel.

    One of two layers is read as those of :func:`~lazyrich.experiments.lenses.knob.at_knob`.

    Args:
        key, inputs, width, pairs: as for :func:`~lazyrich.experiments.lenses.knob.at_knob`.
        hidden: the number of hidden layers.
        richness: R of the first network, to which γ belongs.
        level: of the loss over that at the start.
    """
    task, shape = setting.sine_task(inputs), setting.Shape(inputs, width, hidden=hidden)
    params = setting.paired_starts(key, shape, pairs)
    scales = _scales(shape, params, task, richness, level)
    read = _read_deep if hidden > 1 else knob.read_two_layers
    return knob.along_scales(shape, params, task, scales, (level,), read)


def _linear(shape, params, task, level):
    """What the linear model of the first network has done."""
    return lenses.linear_displacement(knob.first_kernel(shape, task, params), task.y, level)


def _scales(shape, params, task, richness, level):
    dimension = _linear(shape, params, task, level).dimension
    return np.array(richness) / float(lenses.total_richness(dimension, 1.0, shape.width))


def _read_deep(network, task, params):
    kernel = kernels.empirical_ntk(network, params, task.x)
    target = task.y @ kernel @ task.y / (task.y @ task.y)
    edges = [jnp.linalg.norm(one["weight"], 2) for one in params[:-1]]
    return DeepReadings(target, jnp.stack(edges) / params[-1]["weight"].shape[-1] ** 0.5)


def digits_at_knob(
    key: jax.Array,
    width: int,
    richness: tuple[float, ...],
    pairs: int,
    samples: int = 256,
    level: float = 0.2,
) -> knob.Knob:
    """Networks that tell even from odd digits, at given R.

    In place of the teacher stands the direction of X̃ᵀα of the first network, along which the linear
    model moves the first layer.

    Args:
        key: draws the weights, and which images are in the training set.
        width: n.
        richness: R of the first network.
        pairs: half the number of networks.
        samples: N.
        level: of the loss over that at the start.
    """
    of_images, of_weights = jax.random.split(key)
    task = setting.digits_task(of_images, samples)
    shape = setting.Shape(task.x.shape[1], width)
    params = setting.paired_starts(of_weights, shape, pairs)
    along = task.x.T @ np.asarray(_linear(shape, params, task, level).residual)
    task = task._replace(direction=along / np.linalg.norm(along))
    scales = _scales(shape, params, task, richness, level)
    return knob.along_scales(shape, params, task, scales, (level,))
