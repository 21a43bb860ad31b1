"""A residual network of convolutions, pruned at the start: the figure with which the paper opens.

The shape is that of ResNet20, smaller where asked: a convolution, stages of blocks of two
convolutions with a skip around each block, a mean over places, and a dense layer. Activations are
leaky ReLU of slope 0.1. There is no batch normalisation; the second convolution of a block is
divided by the root of the number of blocks instead.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import conditioning as cond
from lazyrich import downloads, spectra
from lazyrich.arithmetic import jit
from lazyrich.experiments.conditioning.data_sets import CLASSES, images

RATE = 3e-3


class PrunedResidual(NamedTuple):
    """Pruned residual networks, a row a draw."""

    kept: Float[np.ndarray, "draws"]
    """κ of the Gram matrix of derivatives with respect to the weights that are kept."""
    all_weights: Float[np.ndarray, "draws"]
    """κ of that with respect to all weights, at the pruned network."""
    loss: Float[np.ndarray, "draws times"]
    """The cross-entropy in training, of the weights that are kept."""
    data: str
    """What the images are of: what was asked for, or MNIST where there is no CIFAR-10."""


def pruned_residual(
    key: jax.Array,
    share: float,
    draws: int,
    samples: int = 40,
    channels: tuple[int, ...] = (8, 32),
    blocks: int = 1,
    steps: int = 50,
    data: str = "digits",
    at_once: int = 125,
) -> PrunedResidual:
    """Residual networks of which the smallest weights of each convolution go before training.

    The dense layer keeps all of its weights, so that no class is cut off.

    Args:
        key: the same weights at every share.
        share: the share p of each convolution's smallest weights that go.
        draws: their number.
        samples: how many images, of which the Gram matrix has ten rows each.
        channels: of each stage; all but the first begin at half the resolution.
        blocks: in each stage. ResNet20 has three, with 16, 32 and 64 channels.
        steps: of Adam on all samples.
        data: ``"digits"``, or ``"CIFAR-10"`` in colour, for which MNIST stands in where there is
            none.
        at_once: how many images' derivatives are held at a time, twice.
    """
    *arrays, used = pictures(data)
    x, labels = (jax.device_put(array[:samples]) for array in arrays)
    found = []
    for draw in range(draws):
        weights = residual_weights(jax.random.fold_in(key, draw), x.shape[-1], channels, blocks)
        mask = [*cond.magnitude_mask(weights[:-1], share), jnp.ones_like(weights[-1])]
        weights = jax.tree.map(jnp.multiply, weights, mask)
        grams = gram_matrices(weights, mask, x, at_once, blocks=blocks)
        values = [spectra.eigenvalues(gram) for gram in grams]
        kappas = [spectra.pseudo_condition_number(one, len(one)) for one in values]
        loss = _descend(weights, mask, x, labels, blocks=blocks, steps=steps)
        found.append((*map(float, kappas), np.asarray(loss)))
    return PrunedResidual(*map(np.array, zip(*found, strict=True)), used)


def pictures(data: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Images of shape (n, height, width, colours), their classes, and what they are of."""
    if data == "digits":
        x, labels = images(data, all_pixels=True)
        return np.asarray(x).reshape(-1, 8, 8, 1), np.asarray(labels), data
    try:
        x, labels = downloads.fetch_cifar10()
    except downloads.MissingData:
        data, (x, labels) = "MNIST", downloads.fetch_mnist()
    return x.reshape(*x.shape[:3], -1) / 255, labels, data


def residual_weights(
    key: jax.Array, colours: int, channels: tuple[int, ...], blocks: int
) -> list[Array]:
    """Weights at the start, normal with variance 2/fan-in, that of the dense layer 1/fan-in."""
    fans, before = [(colours, channels[0])], channels[0]
    for width in channels:
        for _ in range(blocks):
            fans += [(before, width), (width, width)]
            before = width
    keys = jax.random.split(key, len(fans) + 1)
    convolutions = [
        jax.random.normal(one, (3, 3, *fan)) * (2 / (9 * fan[0])) ** 0.5
        for one, fan in zip(keys, fans, strict=False)
    ]
    return [*convolutions, jax.random.normal(keys[-1], (before, CLASSES)) * before**-0.5]


def residual_network(weights: list[Array], x: Float[Array, "n h w c"], blocks: int):
    """The outputs, a row an image."""
    first, *inner, last = weights
    x = _bent(_convolved(x, first))
    pairs = list(zip(inner[::2], inner[1::2], strict=True))
    for i, (one, other) in enumerate(pairs):
        stride = 2 if i and i % blocks == 0 else 1
        branch = _convolved(_bent(_convolved(x, one, stride)), other)
        skip = x[:, ::stride, ::stride]
        more = one.shape[-1] - x.shape[-1]
        skip = jnp.pad(skip, ((0, 0), (0, 0), (0, 0), (0, more)))
        x = _bent(skip + branch / len(pairs) ** 0.5)
    return x.mean((1, 2)) @ last


def gram_matrices(weights, mask, x, at_once: int, blocks: int) -> list[Float[np.ndarray, "n n"]]:
    """J Jᵀ over the weights that are kept and over all, block by block of images."""
    kept = np.concatenate([np.ravel(one) for one in mask])
    parts = [x[i : i + at_once] for i in range(0, len(x), at_once)]
    grams = [[[None] * len(parts) for _ in parts] for _ in range(2)]
    for i, part in enumerate(parts):
        rows = np.asarray(_jacobian(weights, part, blocks=blocks))
        for j in range(i + 1):
            others = rows if j == i else np.asarray(_jacobian(weights, parts[j], blocks=blocks))
            for gram, one in zip(grams, (rows * kept, rows), strict=True):
                gram[i][j] = one @ others.T
                gram[j][i] = gram[i][j].T
    return [np.block(gram) for gram in grams]


def _bent(z):
    return jax.nn.leaky_relu(z, 0.1)  # with which no unit is dead for good


def _convolved(x, filters, stride=1):
    """A convolution with 3 × 3 filters, padded by zeros, as one product of matrices."""
    rows, columns = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    patches = jnp.concatenate(shifted, axis=-1)[:, ::stride, ::stride]
    return patches @ filters.reshape(-1, filters.shape[-1])


@partial(jit, static_argnames="blocks")
def _jacobian(weights, x, blocks):
    def of_one(image):
        slopes = jax.jacrev(lambda weights: residual_network(weights, image[None], blocks)[0])(
            weights
        )
        return jnp.concatenate([one.reshape(CLASSES, -1) for one in slopes], axis=1)

    rows = jax.lax.map(of_one, x)
    return rows.reshape(-1, rows.shape[-1])


@partial(jit, static_argnames=("blocks", "steps"))
def _descend(weights, mask, x, labels, blocks, steps):
    optimizer = optax.adam(RATE)

    def loss_of(weights):
        outputs = residual_network(weights, x, blocks)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()

    def step(state, _):
        weights, memory = state
        loss, slopes = jax.value_and_grad(loss_of)(weights)
        slopes = jax.tree.map(jnp.multiply, slopes, mask)
        changes, memory = optimizer.update(slopes, memory)
        return (optax.apply_updates(weights, changes), memory), loss

    return jax.lax.scan(step, (weights, optimizer.init(weights)), length=steps)[1]
