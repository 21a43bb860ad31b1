"""ReLU networks learn to tell even from odd digits: angle, scale and kernel along the way."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from lazyrich import data, networks
from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit, root_mean_square
from lazyrich.kernels import empirical_ntk, largest_ntk_eigenvalue
from lazyrich.training import ensemble, mean_squared_error, stacked, train

PARAMETRISATIONS = {"standard": networks.standard, "maximal update": networks.maximal_update}
PROBES = 64


class ReluRun(NamedTuple):
    """Networks on the digits, with the axes (seeds, observations); the first is the start."""

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
    mean_cosine: Array
    """Mean of |cos ζ(x)| over the training images."""
    mean_scale: Array
    """Mean of R(x) over them."""
    output: Array
    """Root mean square of f over them."""
    agreement: Array
    """Mean of y cos ζ(x) over them."""
    kernel_change: Array
    """‖K − K(0)‖/‖K(0)‖ of the tangent kernel on the probes, Frobenius norms."""
    kernel_trace: Array
    """Mean of the kernel's diagonal on the probes."""
    test_loss: Array
    """½ mean (f − y)² over the test images."""
    sharpness: Array
    """The step size times λ_max(K)/n of the tangent kernel over the training images; where it
    reaches 2, steps no longer follow the flow. Nan unless asked for."""
    layers: Array
    """|W_{l+1} W_l|/(|W_{l+1}||W_l|) of each pair of neighbouring layers, the last axis."""


def train_on_digits(
    key: jax.Array,
    scale: float,
    width: int,
    depth: int = 1,
    train_images: int = 500,
    seeds: int = 1,
    steps: int = 40_000,
    observations: int = 40,
    until: float = 1e-2,
    parametrisation: str = "standard",
    rate: float = 0.1,
    watch_sharpness: bool = False,
) -> ReluRun:
    """Train ReLU networks to tell even from odd digits, and watch angle, scale and kernel.

    Full-batch gradient descent on ½ mean (f − y)² with step min(rate, n/λ_max(K)), K the tangent
    kernel of the n training images, so that no run is unstable at the start, until the training
    loss is below `until`: networks are compared at equal training loss. Where the kernel grows, as
    from a small start, a run may reach the edge of stability later.

    Args:
        key: draws the images and the weights; runs with one key share the images, and up to
            `scale` the weights.
        scale: factor on all weights at the start.
        width: of each hidden layer.
        depth: number of hidden layers.
        train_images: number of training images; the test is on all others.
        seeds: number of networks, each with its own images and weights.
        steps: the largest number of steps.
        observations: their number, at steps that grow geometrically.
        until: the training loss at which a run ends.
        parametrisation: a name in ``PARAMETRISATIONS``.
        rate: the largest step size.
        watch_sharpness: whether to observe it too, at thirty passes an observation.
    """
    widths = (64, *[width] * depth, 1)
    scheme = PARAMETRISATIONS[parametrisation]
    network = networks.fully_connected(widths, parametrisation=scheme, scale=scale)
    keys = jax.random.split(key, seeds)
    splits = [data.digits_parity(jax.random.fold_in(one, 0), train_images) for one in keys]
    params = [network.init(jax.random.fold_in(one, 1)) for one in keys]
    schedule = {0, *(round(steps ** (i / observations)) for i in range(observations + 1))}
    members = stacked(params), stacked(splits)
    steps = tuple(sorted(schedule))
    return _train(*members, network.layers, widths, steps, watch_sharpness, until, rate)


# The scale of the start is in the parameters, the parametrisation in the layers: networks of one
# shape share one compiled program.
@jit(static_argnames=("widths", "schedule", "watch_sharpness"))
def _train(params, splits, layers, widths, schedule, watch_sharpness, until, rate):
    network = networks.fully_connected(widths, parametrisation=lambda *_: layers)
    one = partial(_train_one, network, schedule, watch_sharpness, until, rate)
    return ensemble(one)(params, splits)


def _train_one(network, schedule, watch_sharpness, until, rate, params, split):
    kernel = partial(empirical_ntk, network, x=split.x[:PROBES])
    start = kernel(params)
    top_eigenvalue = partial(largest_ntk_eigenvalue, network.apply, x=split.x)
    rate = jnp.minimum(rate, len(split.x) / top_eigenvalue(params))

    def loss(params, step):
        return mean_squared_error(network.apply(params, split.x)[:, 0], split.y)

    def observe(params, step):
        outputs = network.apply(params, split.x_test)[:, 0]
        now, angle = kernel(params), m.alignment(network, params, split.x)
        return ReluRun(
            step,
            loss(params, step),
            (jnp.sign(outputs) != split.y_test).mean(),
            angle.cosine,
            angle.scale,
            jnp.abs(angle.cosine).mean(),
            angle.scale.mean(),
            root_mean_square(angle.scale * angle.cosine),
            (split.y * angle.cosine).mean(),
            jnp.linalg.norm(now - start) / jnp.linalg.norm(start),
            jnp.trace(now) / len(now),
            mean_squared_error(outputs, split.y_test),
            rate * top_eigenvalue(params) / len(split.x) if watch_sharpness else jnp.nan,
            m.layer_cosines(params),
        )

    return train(loss, params, optax.sgd(rate), schedule, observe, until).observed


def median_turning_share(run: ReluRun) -> tuple[np.ndarray, np.ndarray]:
    """The share of turning of each network and sin² ζ, medians over images and intervals.

    Intervals count in which an output keeps its sign and changes by two per cent or more.
    """
    shares = m.turning_share(run.cosine, run.scale, axis=1, least=0.02)
    return tuple(np.nanmedian(share, axis=(1, 2)) for share in shares)


def moves(run: ReluRun) -> dict[str, Array]:
    """How far the mean angle, the mean scale and the kernel of each network have moved."""
    return {
        "|cos ζ| after/before": run.mean_cosine[:, -1] / run.mean_cosine[:, 0],
        "R after/before": run.mean_scale[:, -1] / run.mean_scale[:, 0],
        "kernel change": run.kernel_change[:, -1],
    }


def at_rest(run: ReluRun, steps: int = 40_000) -> Array:
    """Whether each network reached the common loss before its last step."""
    return (run.step[:, -1] < steps) & np.isfinite(run.loss[:, -1])
