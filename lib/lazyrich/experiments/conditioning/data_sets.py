"""The data sets of the chapter by name, and their second moments."""

from collections.abc import Callable
from functools import cache

import jax
import numpy as np
from jaxtyping import Array, Float

from lazyrich import conditioning as cond
from lazyrich import data
from lazyrich.draws import normal

CLASSES = 10
DATA_SETS: dict[str, Callable[[], data.Images]] = {
    "digits": lambda: data.digits(1000),
    "photographs": lambda: data.photographs(jax.random.key(0), 1000),
    "MNIST": lambda: data.mnist(1000),
    "CIFAR-10": lambda: data.cifar10(1000),
}
"""The data sets by name, a thousand images each."""


@cache
def images(name: str, all_pixels: bool = False) -> data.Images:
    """The images of a data set by its name in :data:`DATA_SETS`.

    Args:
        name: the name.
        all_pixels: whether to keep the pixels that are 0 in all images.
    """
    x, labels = DATA_SETS[name]()
    x = np.asarray(x)
    return data.Images(jax.device_put(x if all_pixels else x[:, (x != 0).any(axis=0)]), labels)


@cache
def moment(name: str, all_pixels: bool = False) -> cond.Covariance:
    """The second moment of a data set as it is, on its range. Arguments as for :func:`images`."""
    return cond.on_range(cond.second_moment(images(name, all_pixels).x))


@cache
def whole_moment(name: str) -> cond.Covariance:
    """Σ of all pixels, with the directions in which the data do not vary at variance zero."""
    Sigma = cond.second_moment(images(name, all_pixels=True).x)
    variances, directions = np.linalg.eigh(Sigma)
    return jax.device_put(cond.Covariance(np.maximum(variances, 0), directions))


def inputs_of(data: str | int, whiten: bool = True) -> cond.Covariance:
    """The second moment Σ on its range of what a linear network takes.

    Args:
        data: a name in :data:`DATA_SETS`, or a number of inputs with Σ = I.
        whiten: whether to give each direction the variance one.
    """
    if not isinstance(data, str):
        return jax.device_put(cond.Covariance(np.ones(data), np.eye(data)))
    return cond.whitened(moment(data)) if whiten else moment(data)


def whitened_images(name: str) -> Float[Array, "samples inputs"]:
    """The images of a data set of :data:`DATA_SETS`, whitened."""
    return cond.whiten(images(name).x, moment(name))


def classification(name: str, whiten: bool = True, all_pixels: bool = False) -> cond.LeastSquares:
    """The least squares of telling the classes of a data set, by targets one of ten.

    Args:
        name: a name in :data:`DATA_SETS`.
        whiten: whether to whiten the inputs.
        all_pixels: whether to keep pixels that are 0 in all images.
    """
    x, labels = images(name, all_pixels)
    targets = jax.device_put(np.eye(CLASSES, dtype=x.dtype)[np.asarray(labels)])
    problem = cond.least_squares(x, targets, moment(name, all_pixels))
    return problem._replace(inputs=cond.whitened(problem.inputs)) if whiten else problem


def coloured_samples(key: jax.Array, samples: int, inputs: int) -> Float[Array, "samples inputs"]:
    """Normal samples, with standard deviations from 0.3 to 2 over the inputs."""
    deviations = np.linspace(0.3, 2.0, inputs)
    return jax.device_put(np.asarray(normal(key, (samples, inputs))) * deviations)
