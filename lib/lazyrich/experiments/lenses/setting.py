"""The networks of the chapter and what they learn."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from lazyrich import data, lenses, networks
from lazyrich.arithmetic import quickly_compiled
from lazyrich.experiments.lenses.smooth import erf
from lazyrich.training import stacked

ACTIVATIONS = {"erf": erf, "ReLU": jax.nn.relu}
TESTS = 500


class LearningTask(NamedTuple):
    """What a network learns."""

    x: Float[Array, "samples inputs"]
    """Training inputs."""
    y: Float[Array, "samples"]
    """Their labels, with mean square one."""
    x_test: Float[Array, "tests inputs"]
    """Test inputs."""
    y_test: Float[Array, "tests"]
    """Their labels."""
    direction: Float[Array, "inputs"]
    """β, of length one; of the digits, where there is no teacher, it is zero."""


def sine_task(inputs: int, ratio: float = 4.0, draw: int = 0) -> LearningTask:
    """Normal inputs with the labels of :func:`~lazyrich.lenses.constants.sine_teacher`.

    They are those of NumPy's generator of that number, the same at every seed of a chapter: what
    was predicted of the task can be written down before.

    Args:
        inputs: d.
        ratio: ψ, the number of samples over d.
        draw: the number of the generator.
    """
    random = np.random.default_rng(draw)
    x = random.normal(size=(round(ratio * inputs), inputs))
    x_test = random.normal(size=(TESTS, inputs))
    direction = np.eye(inputs)[0]
    y, y_test = (np.asarray(lenses.sine_teacher(x, direction)) for x in (x, x_test))
    return LearningTask(x, y, x_test, y_test, direction)


def digits_task(key: jax.Array, samples: int = 256) -> LearningTask:
    """Even against odd digits, on handwritten ones of 8×8 pixels."""
    split = data.digits_parity(key, samples)
    few = (np.asarray(part[:TESTS]) for part in split)
    return LearningTask(*few, np.zeros(split.x.shape[1]))


class Shape(NamedTuple):
    """Of a network of one output."""

    inputs: int
    """d."""
    width: int
    """n, of each hidden layer."""
    activation: str = "erf"
    """The name of φ in ``ACTIVATIONS``."""
    hidden: int = 1
    """The number of hidden layers."""

    def network(self) -> networks.Network:
        """It in NTK parametrisation: W x/√d, then v·φ/√n."""
        widths = (self.inputs, *[self.width] * self.hidden, 1)
        phi = ACTIVATIONS[self.activation]
        return networks.fully_connected(widths, phi, networks.neural_tangent, gain=1.0)


def paired_starts(key: jax.Array, shape: Shape, pairs: int) -> list[dict]:
    """The weights of networks, and then the same ones with the other sign of the last layer.

    The two are as likely, and in their mean what is of odd order in the cosine of the start drops
    out.

    Args:
        key: a random key.
        shape: of the networks.
        pairs: half their number.
    """
    keys = jax.random.split(jax.random.fold_in(key, shape.width), pairs)
    params = jax.device_get(stacked(_start(shape, one) for one in keys))
    twice = jax.tree.map(lambda a: np.concatenate([a, a]), params)
    twice[-1]["weight"][pairs:] *= -1
    return twice


@partial(quickly_compiled, static_argnames="shape")
def _start(shape, key):
    return shape.network().init(key)


def slope(activation: str) -> float:
    """μ₁, the mean slope of an activation on normal numbers."""
    return float(lenses.gaussian_moments(ACTIVATIONS[activation]).slope)


def scales(shape: Shape, richness: tuple[float, ...]) -> np.ndarray:
    """γ of nominal R, those of a linear teacher and many samples, γ = R μ₁/b √(n/d).

    The R of a network is less, and is read off its kernel at the start.
    """
    sizes = shape.width, shape.inputs, slope(shape.activation)
    return np.array(richness) / float(
        lenses.large_sample_richness(1.0, *sizes, lenses.SINE_CORRELATION)
    )
