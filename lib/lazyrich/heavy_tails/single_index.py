"""A student of one hidden layer learns a teacher that looks at one direction.

Inputs are rows x ~ N(0, I_d). With β on the unit sphere and ξ ~ N(0, 1) the labels, those of the
test included, are

    y = softplus(x·β) + ρ ξ,

and the student with h hidden units is f(x) = aᵀ tanh(W x/√d)/√h, with W_jk and a_j ~ N(0, 1) at
the start. Only W learns, from the mean of (f − y)² over all n samples.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import matmul, numpy_if_known
from lazyrich.draws import normal
from lazyrich.validation import ArrayLike

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "ReLU": jax.nn.relu,
    "shifted tanh": lambda z: jnp.tanh(z + 1.0),
}
"""The student's activations by name: the paper's, and two that are not odd."""

LARGEST = 1e50  # rate and noise of a closed form, whose fourth powers are then still floats


class Samples(NamedTuple):
    """Inputs and their labels."""

    x: Float[Array, "n d"]
    """The inputs."""
    y: Float[Array, "n"]
    """The labels."""


class Problem(NamedTuple):
    """A teacher, a student at the start, and three sets of samples."""

    teacher: Float[Array, "d"]
    """β."""
    W: Float[Array, "h d"]
    """The hidden weights W_0."""
    a: Float[Array, "h"]
    """The output weights, which stay as they are."""
    train: Samples
    """What W learns from."""
    probe: Samples
    """As many, for the last layer that is fitted on the features."""
    test: Samples
    """What that is tested on."""


class Sizes(NamedTuple):
    """The sizes of a problem."""

    inputs: int
    """d."""
    hidden: int
    """h."""
    samples: int
    """n."""


def sizes(inputs: int, hidden: int | None = None, samples: int | None = None) -> Sizes:
    """The sizes (d, h, n), by default with h = 3d/2 and n = 2d as in the paper.

    >>> sizes(1000)
    Sizes(inputs=1000, hidden=1500, samples=2000)
    """
    d = validation.whole("inputs", inputs, least=2)
    h = 3 * d // 2 if hidden is None else validation.whole("hidden", hidden, least=1)
    n = 2 * d if samples is None else validation.whole("samples", samples, least=1)
    return Sizes(d, h, n)


def checked_sizes(given: object) -> Sizes:
    """The sizes (d, h, n), which must be three."""
    if not isinstance(given, tuple) or len(given) != 3:
        raise ValueError(f"sizes must be (d, h, n), got {given!r}")
    return sizes(*given)


def checked_noise(noise: object) -> float:
    """The label noise ρ, one known number that is not negative, nor so large that ρ⁴ is lost."""
    noise = validation.known("noise", noise)
    validation.scalar("noise", validation.nonnegative("noise", noise))
    validation.between("noise", noise, 0, LARGEST)
    return float(noise)


def checked_problem(problem: object) -> Problem:
    """A problem whose parts fit each other, as arrays."""
    validation.instance("problem", problem, Problem)
    parts = {"W": (problem.W, "h d"), "teacher": (problem.teacher, "d"), "a": (problem.a, "h")}
    for name in ("train", "probe", "test"):
        x, y = validation.instance(f"problem.{name}", getattr(problem, name), Samples)
        parts |= {f"{name}.x": (x, f"{name} d"), f"{name}.y": (y, name)}
    W, teacher, a, *data = validation.axes(
        **{f"problem.{name}": part for name, part in parts.items()}
    )
    return Problem(teacher, W, a, *map(Samples, data[::2], data[1::2]))


def draw(
    key: jax.Array,
    sizes: Sizes,
    noise: float = 0.3,
    tests: int = 2000,
    dtype: DTypeLike = float,
) -> Problem:
    """A teacher, a student and data, each with its own key.

    Args:
        key: a random key; the same draws at every label noise.
        sizes: d, h, n.
        noise: ρ, the standard deviation of the label noise.
        tests: number of test samples, which are drawn last and change nothing else.
        dtype: of all arrays. They are drawn in the default dtype, so that runs in two precisions
            have the same problem up to rounding.
    """
    key, dtype = validation.random_key("key", key), validation.precision("dtype", dtype)
    d, h, n = checked_sizes(sizes)
    noise = validation.scalar("noise", validation.nonnegative("noise", noise))
    tests = validation.whole("tests", tests, least=1)
    on_teacher, on_student, on_data = jax.random.split(key, 3)
    drawn = normal(on_teacher, (d,)), normal(on_student, (h, d + 1))
    return _problem(*drawn, normal(on_data, (2 * n + tests, d + 1)), noise, n=n, dtype=dtype)


@numpy_if_known
def _problem(xp, beta, student, data, noise, *, n, dtype):
    """A problem of n samples twice, and the rest to test on, from normal numbers."""
    d = len(beta)
    beta = beta / xp.linalg.norm(beta)
    x, xi = data[:, :d], data[:, d]
    y = xp.logaddexp(0.0, x @ beta) + noise * xi
    parts = (slice(n), slice(n, 2 * n), slice(2 * n, None))
    problem = Problem(
        beta, student[:, :d], student[:, d], *[Samples(x[part], y[part]) for part in parts]
    )
    return jax.tree.map(lambda array: array.astype(dtype), problem)


def features(
    W: ArrayLike,
    x: ArrayLike,
    activation: str = "tanh",
    scale: ArrayLike = 1.0,
) -> Float[Array, "n h"]:
    """The hidden features φ(scale · W x/√d)/√h, inf or nan where W or x are or a product overflows.

    Args:
        W: hidden weights.
        x: inputs.
        activation: φ, a name in :data:`ACTIVATIONS`.
        scale: one number.
    """
    validation.one_of("activation", activation, ACTIVATIONS)
    W, x = validation.axes(W=(W, "h d"), x=(x, "n d"))
    validation.scalar("scale", validation.floating("scale", scale))
    return hidden_features(W, x, activation, scale)


def outputs(
    W: ArrayLike,
    a: ArrayLike,
    x: ArrayLike,
    activation: str = "tanh",
) -> Float[Array, "n"]:
    """The student's outputs f(x) = aᵀ φ(W x/√d)/√h, `a` its output weights.

    They are inf or nan where an argument is, or where a product overflows.
    """
    validation.one_of("activation", activation, ACTIVATIONS)
    W, a, x = validation.axes(W=(W, "h d"), a=(a, "h"), x=(x, "n d"))
    return student(W, a, x, activation)


def loss(
    W: ArrayLike,
    a: ArrayLike,
    samples: Samples,
    activation: str = "tanh",
) -> Float[Array, ""]:
    """The mean of (f − y)², without a factor ½; inf or nan where training has diverged."""
    validation.one_of("activation", activation, ACTIVATIONS)
    x, y = validation.instance("samples", samples, Samples)
    parts = {"W": (W, "h d"), "a": (a, "h"), "samples.x": (x, "n d"), "samples.y": (y, "n")}
    W, a, x, y = validation.axes(**parts)
    return mean_square(W, a, Samples(x, y), activation)


def hidden_features(W, x, activation="tanh", scale=1.0):
    """:func:`features` of what fits."""
    h, d = W.shape
    return ACTIVATIONS[activation](matmul(x, W.T) * (scale / d**0.5)) / h**0.5


def student(W, a, x, activation="tanh"):
    """:func:`outputs` of what fits."""
    return matmul(hidden_features(W, x, activation), a)


def mean_square(W, a, samples, activation="tanh"):
    """:func:`loss` of what fits."""
    return ((student(W, a, samples.x, activation) - samples.y) ** 2).mean()
