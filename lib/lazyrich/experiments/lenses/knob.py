"""One network and its knob: what all instruments read where training reaches a level of the loss.

The network is F(x) = (f(x; θ) − f(x; θ_0))/γ, and its weights learn at η γ² on ½ mean (F − y)², so
that the linear model is the same for every γ. The four instruments look at the weights at the end.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import kernels, lenses, networks, spectra
from lazyrich.arithmetic import dot, jit, matmul, quickly_compiled
from lazyrich.experiments.lenses import setting
from lazyrich.lenses import alarms
from lazyrich.lenses.levels import descend_to
from lazyrich.training import each
from lazyrich.validation import ArrayLike


class Instruments(NamedTuple):
    """What is read of the weights of one network, or of many."""

    cosine: Float[Array, "*batch"]
    """cos(v, Wβ)."""
    target: Float[Array, "*batch"]
    """yᵀKy/|y|²."""
    trace: Float[Array, "*batch"]
    """tr K/N."""
    smallest: Float[Array, "*batch"]
    """The smallest eigenvalue of K."""
    largest: Float[Array, "*batch"]
    """The largest eigenvalue of K."""
    edge: Float[Array, "*batch"]
    """σ₁/√n of the first layer."""
    hill: Float[Array, "*batch"]
    """Hill's exponent of the first layer."""
    along: Float[Array, "*batch"]
    """|Wβ|²/n."""
    output: Float[Array, "*batch"]
    """|v|²/n."""


class AtLevels(NamedTuple):
    """Networks where they reach levels of the loss, along (seeds, γ, levels)."""

    read: Instruments
    """By the instruments."""
    change: Float[Array, "*batch"]
    """‖F − F_lin‖/‖F_lin‖ on test inputs at equal loss."""
    deviation: Float[Array, "*batch tests"]
    """F − F_lin on test inputs."""
    clock: Float[Array, "*batch"]
    """The largest ‖F − F_lin‖/‖y‖ on training inputs after equal steps, until then."""
    spike: Float[Array, "*batch"]
    """|Wq̂|²/n, q̂ the direction along which the linear model moves the first layer."""
    overlap: Float[Array, "*batch"]
    """(v₁·q̂)², v₁ the right singular vector of σ₁ of the first layer."""
    stable_rank: Float[Array, "*batch"]
    """Of the update of the first layer."""
    error: Float[Array, "*batch"]
    """Mean square of F − y on test inputs."""
    steps: Float[Array, "*batch"]
    """The number of steps, which count from the level before."""


class Start(NamedTuple):
    """What is known of a network before training."""

    read: Instruments
    """By the instruments."""
    residual: Float[Array, "*batch levels samples"]
    """α, the accumulated residual of the linear model at each level."""
    dimension: Float[Array, "*batch levels"]
    """αᵀKα."""
    direction: Float[Array, "*batch levels inputs"]
    """q̂, the direction of X̃ᵀα."""
    function: Float[Array, "*batch levels tests"]
    """F_lin on test inputs, which does not depend on γ."""
    error: Float[Array, "*batch levels"]
    """Mean square of F_lin − y on test inputs."""


class Knob(NamedTuple):
    """Networks of one shape along the knob."""

    start: Start
    """Of each seed."""
    levels: AtLevels
    """Of each seed, γ and level."""
    richness: Float[Array, "seeds scales levels"]
    """R = γ √(2 αᵀKα/n)."""
    teacher: Float[Array, "seeds scales levels"]
    """R_β, the part along β."""


def at_knob(
    key: jax.Array,
    inputs: int,
    width: int,
    richness: tuple[float, ...],
    pairs: int,
    levels: tuple[float, ...] = (0.1,),
    activation: str = "erf",
    ratio: float = 4.0,
    draw: int = 0,
) -> Knob:
    """Networks along the knob, each seed with both signs of its output weights.

    Args:
        key: draws the weights.
        inputs: d.
        width: n.
        richness: nominal R, to which γ belongs.
        pairs: half the number of networks.
        levels: of the loss over that at the start, falling.
        activation: the name of φ.
        ratio: ψ, the number of samples over d.
        draw: of the task.
    """
    shape = setting.Shape(inputs, width, activation)
    task, params = setting.sine_task(inputs, ratio, draw), setting.paired_starts(key, shape, pairs)
    return along_scales(shape, params, task, setting.scales(shape, richness), levels)


def along_scales(
    shape: setting.Shape,
    params: list[dict],
    task: setting.LearningTask,
    scales: np.ndarray,
    levels: tuple[float, ...],
    read: Callable | None = None,
) -> Knob:
    """Given networks at each γ.

    Args:
        shape: of the networks, with two layers if they are not read otherwise.
        params: their weights, along first axes.
        task: what they learn.
        scales: γ.
        levels: of the loss over that at the start, falling.
        read: ``read(network, task, params)``, by default :func:`read_two_layers`.
    """
    read, rate = read or read_two_layers, rate_of(shape, task, params)

    def start_of(params):
        return before_training(shape, levels, read, task, rate, params)

    def trained_at(scale, params, start, kernel):
        return _trained(shape, levels, read, task, rate, scale, params, start, kernel)

    known = jax.device_get(each(start_of, params))
    at_scales = [jax.device_get(each(partial(trained_at, g), params, *known)) for g in scales]
    found, start = jax.tree.map(lambda *a: np.stack(a, 1), *at_scales), known[0]
    R = lenses.total_richness(start.dimension[:, None], scales[:, None], float(shape.width))
    along = start.residual @ task.x @ task.direction
    size = 2 * setting.slope(shape.activation) / (shape.width * shape.inputs) ** 0.5
    return Knob(start, found, np.asarray(R), size * scales[:, None] * along[:, None])


def read_two_layers(
    network: networks.Network, task: setting.LearningTask, params: list[dict]
) -> Instruments:
    """What the instruments read of a network of two layers."""
    W, v = params[0]["weight"], params[-1]["weight"][0]
    kernel = kernels.empirical_ntk(network, params, task.x)
    moments = lenses.layer_moments(W, v)
    values = jnp.linalg.eigvalsh(moments.hidden)
    ends = jnp.linalg.eigvalsh(kernel)[jnp.array([0, -1])]
    along = dot(task.direction, matmul(moments.hidden, task.direction))
    return Instruments(
        dot(moments.cross, task.direction) / jnp.sqrt(along * moments.output),
        dot(task.y, matmul(kernel, task.y)) / dot(task.y, task.y),
        jnp.trace(kernel) / len(task.y),
        *ends,
        jnp.sqrt(values[-1]),
        spectra.hill(values),
        along,
        moments.output,
    )


def rate_of(shape: setting.Shape, task: setting.LearningTask, params: list[dict]) -> float:
    """η of all networks, a twentieth of 2N/λ_max of the first."""
    largest = float(jnp.linalg.eigvalsh(first_kernel(shape, task, params))[-1])
    return alarms.STEP * 2 * len(task.y) / largest


def first_kernel(
    shape: setting.Shape, task: setting.LearningTask, params: list[dict]
) -> Float[Array, "samples samples"]:
    """The tangent kernel at γ = 1 of the first of many networks."""
    return _kernel(shape, task.x, jax.tree.map(lambda a: a[0], params))


@partial(quickly_compiled, static_argnames="shape")
def _kernel(shape, x, params):
    return kernels.empirical_ntk(shape.network(), params, x)


@jit(static_argnames=("shape", "levels", "read"))
def before_training(
    shape: setting.Shape,
    levels: tuple[float, ...],
    read: Callable,
    task: setting.LearningTask,
    rate: ArrayLike,
    params: list[dict],
) -> tuple[Start, Float[Array, "samples samples"]]:
    """A network before training, its linear model at each level, and its tangent kernel."""
    network = shape.network()
    y = jnp.asarray(task.y)
    kernel = kernels.empirical_ntk(network, params, task.x)
    _, pull = jax.vjp(lambda params: _outputs(network, params, task.x), params)

    def step(state, share):
        alpha, outputs = state
        alpha = alpha + share * rate / len(y) * (y - outputs)
        return alpha, matmul(kernel, alpha)

    def loss(state):
        return ((y - state[1]) ** 2).sum()

    def at_level(state, level):
        state, _ = descend_to(step, loss, state, level * (y**2).sum())
        alpha, outputs = state
        [moved] = pull(alpha)
        _, function = jax.jvp(
            lambda params: _outputs(network, params, task.x_test), (params,), (moved,)
        )
        error = ((function - task.y_test) ** 2).mean()
        along = matmul(task.x.T, alpha)
        direction = along / jnp.linalg.norm(along)
        return state, (alpha, dot(alpha, outputs), direction, function, error)

    first = jnp.zeros_like(y), jnp.zeros_like(y)
    _, of_levels = jax.lax.scan(at_level, first, jnp.array(levels))
    return Start(read(network, task, params), *of_levels), kernel


@jit(static_argnames=("shape", "levels", "read"))
def _trained(shape, levels, read, task, rate, scale, params, start, kernel):
    """The same network in training, and what is read where it reaches each level."""
    network = shape.network()
    y, first = jnp.asarray(task.y), params
    at_start = _outputs(network, first, task.x)
    test_at_start = _outputs(network, first, task.x_test)

    def arrived(params):
        """A state: the weights, the outputs, the update that a whole step makes, and the clock."""
        values, pull = jax.vjp(lambda params: _outputs(network, params, task.x), params)
        outputs = (values - at_start) / scale
        [update] = pull(scale * rate / len(y) * (y - outputs))
        return params, outputs, update

    def step(state, share):
        (params, _, update), linear, apart = state
        moved = arrived(jax.tree.map(lambda a, b: a + share * b, params, update))
        linear = linear + share * rate / len(y) * matmul(kernel, y - linear)
        return moved, linear, jnp.maximum(apart, ((moved[1] - linear) ** 2).sum())

    def loss(state):
        return ((y - state[0][1]) ** 2).sum()

    size = (y**2).sum()

    def at_level(state, one):
        level, lazy, along = one
        state, steps = descend_to(step, loss, state, level * size)
        (params, _, _), _, apart = state
        test = (_outputs(network, params, task.x_test) - test_at_start) / scale
        deviation, W = test - lazy, params[0]["weight"]
        change = W - first[0]["weight"]
        leading = jnp.linalg.eigh(matmul(W.T, W))[1][:, -1]
        return state, AtLevels(
            read(network, task, params),
            jnp.sqrt((deviation**2).sum() / (lazy**2).sum()),
            deviation,
            jnp.sqrt(apart / size),
            (matmul(W, along) ** 2).sum() / shape.width,
            dot(leading, along) ** 2,
            spectra.stable_rank(jnp.linalg.eigvalsh(matmul(change.T, change))),
            ((test - task.y_test) ** 2).mean(),
            steps,
        )

    begin = arrived(first), jnp.zeros_like(y), jnp.zeros(())
    each_level = jnp.array(levels), start.function, start.direction
    return jax.lax.scan(at_level, begin, each_level)[1]


def _outputs(network, params, x):
    return network.apply(params, x)[:, 0]
