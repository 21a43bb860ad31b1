"""Nonlinear networks: the same angle and scale, measured at each input.

For f(x) = u·h(x), with h(x) the last hidden layer, the angle ζ(x) between u and h(x) and the
scale R(x) = |u||h(x)| play the parts of ζ and R: f(x) = R(x) cos ζ(x).
"""

from itertools import pairwise
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import networks, validation
from lazyrich.arithmetic import binary_unit, dot
from lazyrich.mechanisms.setting import in_range, length, quotient
from lazyrich.validation import ArrayLike

ROUNDING = 1e-6  # by which a cosine in float32 may be above one


class Alignment(NamedTuple):
    """The factors of a network's output at each sample, f = scale · cosine."""

    cosine: Float[Array, "samples"]
    """cos ζ(x) between the output weights and the last hidden layer, 0 if that is silent."""
    scale: Float[Array, "samples"]
    """R(x) = |u||h(x)|, with the layer's multiplier."""


def alignment(network: networks.Network, params, x: ArrayLike) -> Alignment:
    """Angle and scale at each sample, for a network with one output.

    Along a training on samples and from weights of one's own it is what to observe:

    >>> import jax, optax
    >>> from lazyrich.training import mean_squared_error, train
    >>> network, x, y = networks.fully_connected((2, 8, 1)), jnp.eye(2), jnp.ones((2, 1))
    >>> trained = train(
    ...     lambda params, step: mean_squared_error(network.apply(params, x), y),
    ...     network.init(jax.random.key(0)),
    ...     optax.sgd(0.1),
    ...     schedule=[0, 10, 100],
    ...     observe=lambda params, step: alignment(network, params, x),
    ... )
    >>> trained.observed.cosine.shape, network.apply(trained.params, x).round(3).tolist()
    ((3, 2), [[1.0], [1.0]])
    """
    params, x, _ = validation.network(network.apply, params, x)
    u = params[-1]["weight"]
    if u.shape[0] != 1:
        raise ValueError(f"network must have one output, got {u.shape[0]}")
    hidden = network.features(params, x)[-1]
    unit = binary_unit(jnp, jnp.abs(hidden).max(-1))
    lengths = unit * jnp.sqrt(((hidden / unit[:, None]) ** 2).sum(-1)) * length(u[0])
    cosine = quotient(dot(hidden, u[0]), lengths)
    return in_range(Alignment(cosine, network.layers[-1].multiplier * lengths))


def layer_cosines(params) -> Float[Array, "pairs"]:
    """The alignment of neighbouring layers, |W_{l+1} W_l|/(|W_{l+1}| |W_l|) in Frobenius norms.

    For one input and one output it is |cos ζ|. Independent Gaussian layers have 1/√n in root mean
    square, up to 1/n, where n is the width between them; two layers of rank one that fit have 1.

    Args:
        params: of a network without biases, a list of ``{"weight": (outputs, inputs)}``.

    >>> v, u = jnp.array([[3.0], [4.0]]), jnp.array([[5.0, 0.0]])
    >>> bool(jnp.allclose(layer_cosines([{"weight": v}, {"weight": u}]), 0.6))
    True
    """
    weights = [layer["weight"] for layer in validation.parameters("params", params)]
    shapes = [weight.shape for weight in weights]
    fit = all(len(shape) == 2 and 0 not in shape for shape in shapes)
    if len(shapes) < 2 or not fit or any(a[0] != b[1] for a, b in pairwise(shapes)):
        raise ValueError(f"params must be two or more layers that fit, got shapes {shapes}")
    weights = [weight / binary_unit(jnp, jnp.abs(weight).max()) for weight in weights]
    lengths = [length(weight.ravel()) for weight in weights]
    cosines = [
        quotient(length((weights[i + 1] @ weights[i]).ravel()), lengths[i + 1] * lengths[i])
        for i in range(len(weights) - 1)
    ]
    return in_range(jnp.array(cosines))


def turning_share(
    cosine: ArrayLike,
    scale: ArrayLike,
    axis: int = -1,
    least: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The share of turning in what is learned between observations, and what the linear law says.

    The share is Δ ln |cos ζ| / Δ ln |f|; under gradient flow of a linear network it is sin² ζ, here
    taken at the mean cosine. That is no law of large steps, which erode N⊥ and turn besides. Both
    are nan where f vanishes or changes its sign, or ln |f| changes by no more than `least`.

    Args:
        cosine: cos ζ at each observation, from −1 to 1 up to rounding.
        scale: R at each observation, with f = R cos ζ.
        axis: along which the observations stand.
        least: how much must be learned for a share to count.

    Returns:
        The share and sin² ζ, each of one observation less.
    """
    cosine = validation.between("cosine", cosine, -1 - ROUNDING, 1 + ROUNDING)
    scale = validation.nonnegative("scale", scale, ndim=1)
    if cosine.shape != scale.shape:
        shapes = f"{cosine.shape} and {scale.shape}"
        raise ValueError(f"cosine and scale must have one shape, got {shapes}")
    cosine, scale = (np.moveaxis(np.asarray(x), axis, -1) for x in (cosine, scale))
    vanishes = (cosine == 0) | (scale == 0)
    size, scale = (np.where(vanishes, np.nan, x) for x in (np.abs(cosine), scale))
    turned = np.diff(np.log(size))
    learned = turned + np.diff(np.log(scale))
    counts = (cosine[..., 1:] * cosine[..., :-1] > 0) & (np.abs(learned) > least)
    share = np.where(counts, turned / np.where(counts, learned, 1), np.nan)
    middle = (size[..., 1:] + size[..., :-1]) / 2
    law = np.where(counts, 1 - middle**2, np.nan)
    return np.moveaxis(share, -1, axis), np.moveaxis(law, -1, axis)
