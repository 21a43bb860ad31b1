"""Nonlinear networks: the same angle and scale, measured while they learn the digits.

For f(x) = u·h(x), with h(x) the last hidden layer, the angle ζ(x) between u and h(x) and the
scale R(x) = |u||h(x)| play the parts of ζ and R: f(x) = R(x) cos ζ(x).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import data, networks, validation
from lazyrich.arithmetic import dot
from lazyrich.derivatives import empirical_ntk
from lazyrich.mechanisms.setting import length, quotient
from lazyrich.training import ensemble, mean_squared_error, stacked, train


class Alignment(NamedTuple):
    """The factors of a network's output at each sample, f = scale · cosine."""

    cosine: Float[Array, "samples"]
    """cos ζ(x) between the output weights and the last hidden layer, 0 if that is silent."""
    scale: Float[Array, "samples"]
    """R(x) = |u||h(x)|, with the layer's multiplier."""


def alignment(network: networks.Network, params, x: Float[Array, "samples inputs"]) -> Alignment:
    """Angle and scale at each sample, for a network with one output."""
    u = params[-1]["weight"]
    if u.shape[0] != 1:
        raise ValueError(f"network must have one output, got {u.shape[0]}")
    hidden = network.features(params, x)[-1]
    lengths = jnp.sqrt((hidden**2).sum(-1)) * length(u[0])
    cosine = quotient(dot(hidden, u[0]), lengths)
    return Alignment(cosine, network.layers[-1].multiplier * lengths)


class DigitsRun(NamedTuple):
    """What one training run on the digits shows, a row an observation (the first: the start)."""

    step: Array
    """Steps taken."""
    loss: Array
    """Training loss ½ mean (f − y)²."""
    test_error: Array
    """Share of test images with the wrong sign."""
    cosine: Array
    """cos ζ(x) of each training image."""
    scale: Array
    """R(x) of each training image."""
    agreement: Array
    """Mean of y cos ζ(x) over the training images."""
    kernel_change: Array
    """‖K − K(0)‖/‖K(0)‖ of the tangent kernel on the probes, Frobenius norms."""
    kernel_trace: Array
    """Mean of the kernel's diagonal on the probes."""


def turning_share(run: DigitsRun, least: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """The share of turning in the learning of each network, and what the linear law says.

    Between two observations an image's share is Δ ln |cos ζ| / Δ ln |f|; in a linear network it
    is sin² ζ, here taken at the mean cosine. Both are medians over images and intervals in which
    f keeps its sign and |ln |f|| changes by more than `least`.

    Returns:
        The measured share and sin² ζ, each of shape (seeds,).
    """
    cosine, scale = np.asarray(run.cosine), np.asarray(run.scale)
    cosine = np.where(cosine == 0, np.nan, cosine)
    turned = np.diff(np.log(np.abs(cosine)), axis=1)
    learned = turned + np.diff(np.log(scale), axis=1)
    kept = cosine[:, 1:] * cosine[:, :-1] > 0
    counts = kept & (np.abs(learned) > least)
    middle = (np.abs(cosine[:, 1:]) + np.abs(cosine[:, :-1])) / 2
    shares = np.where(counts, turned / np.where(counts, learned, 1), np.nan)
    law = np.where(counts, 1 - middle**2, np.nan)
    return np.nanmedian(shares, axis=(1, 2)), np.nanmedian(law, axis=(1, 2))


def train_on_digits(
    key: jax.Array,
    scale: float,
    width: int,
    depth: int = 1,
    train_images: int = 500,
    seeds: int = 1,
    probes: int = 64,
    steps: int = 40_000,
    observations: int = 40,
    until: float = 1e-2,
    parametrisation: str = "standard",
) -> DigitsRun:
    """Train ReLU networks to tell even from odd digits, and watch angle, scale and kernel.

    Full-batch gradient descent on ½ mean (f − y)² with step min(0.1, 1/top eigenvalue of the
    tangent kernel over the samples), so that no run is unstable at the start, until the training
    loss is below `until`: networks are compared at equal training loss.

    Args:
        key: draws the images and the weights; runs with one key share the images, and up to
            `scale` the weights.
        scale: factor on all weights at the start.
        width: of each hidden layer.
        depth: number of hidden layers.
        train_images: number of training images; the test is on all others.
        seeds: number of networks, each with its own images and weights.
        probes: number of training images on which the kernel is measured.
        steps: the largest number of steps.
        observations: their number, at steps that grow geometrically.
        until: the training loss at which a run ends.
        parametrisation: ``"standard"`` or ``"maximal_update"``.

    Returns:
        The run, each entry with the axes (seeds, observations, …).
    """
    for name, value in (("depth", depth), ("steps", steps), ("observations", observations)):
        validation.whole(name, value, least=1)
    if validation.whole("probes", probes, least=1) > train_images:
        raise ValueError(f"probes must be at most {train_images} train_images, got {probes}")
    widths = (64, *[validation.whole("width", width, least=1)] * depth, 1)
    scheme = getattr(networks, validation.one_of("parametrisation", parametrisation, _SCHEMES))
    init = networks.fully_connected(widths, parametrisation=scheme, scale=scale).init
    keys = jax.random.split(key, validation.whole("seeds", seeds, least=1))
    splits = [data.digits_parity(jax.random.fold_in(one, 0), train_images) for one in keys]
    params = [init(jax.random.fold_in(one, 1)) for one in keys]
    schedule = {0, *(round(steps ** (i / observations)) for i in range(observations + 1))}
    settings = widths, scheme, tuple(sorted(schedule)), probes, until
    return _runs(settings, stacked(params), stacked(splits))


_SCHEMES = ("standard", "maximal_update")


# The scale of the start is in the parameters alone: all scales share one compiled program.
@partial(jax.jit, static_argnums=0)
def _runs(settings, params, splits):
    return ensemble(partial(_run, *settings))(params, splits)


def _run(widths, scheme, schedule, probes, until, params, split):
    network = networks.fully_connected(widths, parametrisation=scheme)
    kernel = partial(empirical_ntk, network.apply, x=split.x[:probes])
    start = kernel(params)
    rate = jnp.minimum(0.1, len(split.x) / _top_eigenvalue(network, params, split.x))

    def loss(params, step):
        return mean_squared_error(network.apply(params, split.x)[:, 0], split.y)

    def observe(params, step):
        wrong = jnp.sign(network.apply(params, split.x_test)[:, 0]) != split.y_test
        now, angle = kernel(params), alignment(network, params, split.x)
        return DigitsRun(
            step,
            loss(params, step),
            wrong.mean(),
            angle.cosine,
            angle.scale,
            (split.y * angle.cosine).mean(),
            jnp.linalg.norm(now - start) / jnp.linalg.norm(start),
            jnp.trace(now) / probes,
        )

    return train(loss, params, optax.sgd(rate), schedule, observe, until).observed


def _top_eigenvalue(network, params, x, iterations=30):
    """The largest eigenvalue of the tangent kernel, by power iteration without the kernel."""
    f = lambda params: network.apply(params, x)[:, 0]  # noqa: E731
    _, pull = jax.vjp(f, params)

    def once(_, vector):
        _, push = jax.jvp(f, (params,), pull(vector / jnp.linalg.norm(vector)))
        return push

    return jnp.linalg.norm(jax.lax.fori_loop(0, iterations, once, jnp.ones(len(x), x.dtype)))
