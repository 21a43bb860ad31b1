"""One hidden leaky-ReLU layer at the start: its spectrum, its bounds, and how often they fail."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from lazyrich import conditioning as cond
from lazyrich import kernels, spectra
from lazyrich.arithmetic import jit, matmul, numpy_if_known
from lazyrich.draws import normal
from lazyrich.experiments.conditioning.data_sets import whitened_images
from lazyrich.experiments.conditioning.starts import layer_widths
from lazyrich.spectra.symmetric import values_only
from lazyrich.training import each


class LeakyReluStart(NamedTuple):
    """Networks with one hidden leaky-ReLU layer at the start, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ over all nk eigenvalues, ``inf`` if some vanish."""
    bounds: cond.LeakyReluBounds
    """The bounds, each of shape (draws,)."""
    error: Float[Array, "draws"]
    """Largest deviation of Ĝ from automatic differentiation, over its largest entry."""


class Violations(NamedTuple):
    """Whether a simplified bound on T = σ(V X)ᵀ σ(V X) is violated, a row a draw."""

    top: Bool[Array, "draws"]
    """λ_max(T) > λ_max(XᵀVᵀVX)."""
    bottom: Bool[Array, "draws"]
    """λ_min(T) < α² λ_min(XᵀVᵀVX)."""


def leaky_relu_start(
    key: jax.Array,
    slope: float,
    draws: int,
    data: str | int = 12,
    width: int = 20,
    outputs: int = 3,
    samples: int = 8,
) -> LeakyReluStart:
    """Kaiming starts of one hidden leaky-ReLU layer on a few samples.

    Args:
        key: the same weights and samples at every slope.
        slope: α.
        draws: their number.
        data: a number of inputs, whose samples are normal and new in each draw, or the name of a
            data set, whitened, of which the first samples are taken.
        width: m.
        outputs: k.
        samples: n.
    """
    on_weights, on_data = jax.random.split(key)
    if isinstance(data, str):
        x = np.asarray(whitened_images(data))[:samples]
        x = np.broadcast_to(x, (draws, *x.shape))
    else:
        x = normal(on_data, (draws, samples, data))
    weights = cond.kaiming(on_weights, layer_widths(x.shape[2], width, 2, outputs), draws)
    return each(partial(_leaky_relu_start, slope), weights, x)


@jit
def _leaky_relu_start(slope, weights, x):
    def network(weights, x):
        return matmul(jax.nn.leaky_relu(matmul(x, weights[0].T), slope), weights[1].T)

    G = cond.leaky_relu_matrix(weights, x, slope)
    values = values_only(G)
    off = jnp.abs(G - kernels.empirical_ntk(network, weights, x) / len(x)).max()
    return LeakyReluStart(
        spectra.pseudo_condition_number(values, len(values)),
        cond.leaky_relu_bounds(weights, x, slope),
        off / jnp.abs(G).max(),
    )


def attained_bounds(key: jax.Array) -> Float[np.ndarray, "2"]:
    """The proven bound over κ where it is attained, so that both must be one.

    First at the slope −1 with orthogonal samples of one length: all D_i² are the identity, and T
    is a Gram matrix like any other. Then at the slope 0.1 with one sample, whose hidden layer is z,
    all positive, or −z/0.1: both have the same T, so that the bound of the second is the largest
    eigenvalue at the first over the smallest at the second.
    """
    V, W = map(np.asarray, cond.kaiming(key, (8, 20, 3)))
    x = 1.7 * np.linalg.qr(np.asarray(normal(jax.random.fold_in(key, 2), (8, 8))))[0]
    turned = cond.leaky_relu_bounds([V, W], x, -1.0).proven
    turned /= cond.leaky_relu_condition_number([V, W], x, -1.0)
    one, z = x[:1], np.abs(V @ x[:1].T)
    up, down = (y @ one / (one @ one.T) for y in (z, -z / 0.1))
    top = cond.leaky_relu_spectrum([up, W], one, 0.1)[-1]
    bottom = cond.leaky_relu_spectrum([down, W], one, 0.1)[0]
    sloped = cond.leaky_relu_bounds([down, W], one, 0.1).proven * bottom / top
    return np.array([turned, sloped])


def leaky_relu_violations(key: jax.Array, draws: int) -> Violations:
    """How often the simplified bounds on T are violated, for normal V X of 6 × 4 and α = 0.3.

    Args:
        key: a random key.
        draws: their number.
    """
    return _violations(normal(key, (draws, 6, 4)), 0.3)


@numpy_if_known
def _violations(xp, z, slope):
    bent = xp.where(z >= 0, z, slope * z)
    linear, hidden = (xp.linalg.eigvalsh(part.swapaxes(1, 2) @ part) for part in (z, bent))
    return Violations(hidden[:, -1] > linear[:, -1], hidden[:, 0] < slope**2 * linear[:, 0])
