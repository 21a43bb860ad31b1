"""Nonlinear networks: the same angle and scale, measured at each input.

For f(x) = u·h(x), with h(x) the last hidden layer, the angle ζ(x) between u and h(x) and the
scale R(x) = |u||h(x)| play the parts of ζ and R: f(x) = R(x) cos ζ(x).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import networks
from lazyrich.arithmetic import dot
from lazyrich.mechanisms.setting import length, quotient
from lazyrich.validation import ArrayLike


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


def turning_share(
    cosine: ArrayLike,
    scale: ArrayLike,
    axis: int = -1,
    least: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The share of turning in what is learned between observations, and what the linear law says.

    The share is Δ ln |cos ζ| / Δ ln |f|; in a linear network it is sin² ζ, here taken at the mean
    cosine. Both are nan where f changes its sign, or |ln |f|| by no more than `least`.

    Args:
        cosine: cos ζ at each observation.
        scale: R at each observation, with f = R cos ζ.
        axis: along which the observations stand.
        least: how much must be learned for a share to count.

    Returns:
        The share and sin² ζ, each of one observation less.
    """
    cosine, scale = (np.moveaxis(np.asarray(x), axis, -1) for x in (cosine, scale))
    size, scale = (np.where(cosine == 0, np.nan, x) for x in (np.abs(cosine), scale))
    turned = np.diff(np.log(size))
    learned = turned + np.diff(np.log(scale))
    counts = (cosine[..., 1:] * cosine[..., :-1] > 0) & (np.abs(learned) > least)
    share = np.where(counts, turned / np.where(counts, learned, 1), np.nan)
    middle = (size[..., 1:] + size[..., :-1]) / 2
    law = np.where(counts, 1 - middle**2, np.nan)
    return np.moveaxis(share, -1, axis), np.moveaxis(law, -1, axis)
