"""Data: the handwritten digits that come with scikit-learn."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from sklearn.datasets import load_digits

from lazyrich import validation


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
    images, labels = load_digits(return_X_y=True)
    if validation.whole("train", train, least=1) >= len(images):
        raise ValueError(f"train must be below {len(images)}, the number of images, got {train}")
    order = np.asarray(jax.random.permutation(key, len(images)))
    images = (images - images.mean()) / images.std()
    x, y = jnp.asarray(images[order]), jnp.asarray(1.0 - 2.0 * (labels[order] % 2))
    return Split(x[:train], y[:train], x[train:], y[train:])
