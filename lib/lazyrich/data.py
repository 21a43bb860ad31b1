"""Data as the chapters take it: images as rows of pixels, and splits.

The handwritten digits and two photographs come with scikit-learn; the larger sets are downloaded
once (:mod:`lazyrich.downloads`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazyrich import downloads, validation


class Split(NamedTuple):
    """A training set and a test set."""

    x: Float[Array, "train inputs"]
    """Training inputs."""
    y: Float[Array, "train"]
    """Training labels."""
    x_test: Float[Array, "test inputs"]
    """Test inputs."""
    y_test: Float[Array, "test"]
    """Test labels."""


def digits_parity(key: jax.Array, train: int) -> Split:
    """Even against odd digits: 8×8 images, standardised by one mean and one deviation.

    The labels are +1 for even digits and −1 for odd ones. The pixels of all 1,797 images are
    shifted and divided by two numbers, their common mean and standard deviation.

    Args:
        key: which images fall into the training set.
        train: number of training images; all others are for the test.

    Raises:
        ValueError: if there are not that many images.
    """
    images, labels = _load_digits()
    if validation.whole("train", train, least=1) >= len(images):
        raise ValueError(f"train must be below {len(images)}, the number of images, got {train}")
    order = np.asarray(jax.random.permutation(key, len(images)))
    images = (images - images.mean()) / images.std()
    x, y = jnp.asarray(images[order]), jnp.asarray(1.0 - 2.0 * (labels[order] % 2))
    return Split(x[:train], y[:train], x[train:], y[train:])


class Images(NamedTuple):
    """Images as rows of pixels, with what they show."""

    x: Float[Array, "samples pixels"]
    """Pixels, from 0 to 1."""
    labels: Int[Array, "samples"]
    """The class of each image."""


def digits(samples: int = 1797) -> Images:
    """The first handwritten digits, 8×8 pixels each; three of the pixels are 0 in all of them.

    Args:
        samples: how many, up to 1,797.
    """
    x, labels = _load_digits()
    samples = available(samples, len(x))
    return Images(jnp.asarray(x[:samples] / 16), jnp.asarray(labels[:samples]))


def photographs(key: jax.Array, patches: int) -> Images:
    """Random patches of two photographs, 32×32 points in grey, averaged to 8×8 pixels.

    The label says from which photograph a patch comes.

    Args:
        key: where the patches lie.
        patches: how many.
    """
    from sklearn.datasets import load_sample_images

    patches = validation.whole("patches", patches, least=1)
    grey = np.stack(load_sample_images().images).mean(-1) / 255
    spread = np.array(grey.shape) - [0, 31, 31]
    draws = np.asarray(jax.random.uniform(key, (patches, 3)))
    corners = (draws * spread).astype(int)
    crops = np.stack([grey[i, row : row + 32, column : column + 32] for i, row, column in corners])
    return Images(jnp.asarray(_averaged(crops, 8)), jnp.asarray(corners[:, 0]))


def mnist(samples: int) -> Images:
    """The first digits of MNIST, every fourth pixel of a row and of a column, 7×7 in all.

    Args:
        samples: how many, up to 60,000.
    """
    pixels, labels = downloads.fetch_mnist()
    samples = available(samples, len(pixels))
    x = pixels[:samples, ::4, ::4].reshape(samples, -1) / 255
    return Images(jnp.asarray(x), jnp.asarray(labels[:samples]))


def cifar10(samples: int) -> Images:
    """The first photographs of CIFAR-10 in grey, averaged to 8×8 pixels.

    Args:
        samples: how many, up to 50,000.
    """
    pixels, labels = downloads.fetch_cifar10()
    samples = available(samples, len(pixels))
    x = _averaged(pixels[:samples].mean(-1) / 255, 8)
    return Images(jnp.asarray(x), jnp.asarray(labels[:samples]))


def _load_digits():
    """All images and labels, from scikit-learn, which is loaded only where it is needed."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def _averaged(images, pixels):
    """Square images, averaged to pixels × pixels and flattened."""
    n, size = len(images), images.shape[1] // pixels
    return images.reshape(n, pixels, size, pixels, size).mean((2, 4)).reshape(n, -1)


def available(samples, n):
    """`samples`, which must not be more than the n images there are."""
    if validation.whole("samples", samples, least=1) > n:
        raise ValueError(f"samples must be at most {n}, the number of images, got {samples}")
    return samples
