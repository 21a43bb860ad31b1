"""One-dimensional convolutions without activation: as a dense network, and as what they are.

Each layer is a "valid" convolution with kernel size s, z_o[i] = Σ_c Σ_t w_oct y_c[i + t], from one
input channel to m channels, and m channels after that. As a matrix it is block-Toeplitz. Two
Gauss-Newton matrices belong to it.

That of the *dense* network at these weights, in which every entry of the Toeplitz matrices is a
parameter of its own: :mod:`lazyrich.conditioning.linear` at :func:`toeplitz`.

That of the *filters*. The network is one convolution with the composite filters w(θ), m of them
with L (s − 1) + 1 entries. With D = ∂w/∂θ, and U the second moment of the windows that the
composite filter sees, summed over its places, the matrix is Dᵀ (I_m ⊗ U) D, and so has the non-zero
spectrum of

    (I_m ⊗ Rᵀ) D Dᵀ (I_m ⊗ R),   R Rᵀ = U,

of m (L (s − 1) + 1) rows.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.conditioning.covariance import Covariance, einsum, matmul, on_range
from lazyrich.draws import normal


def kaiming_filters(
    key: jax.Array, channels: int, kernel: int, layers: int = 2, draws: int | None = None
) -> list[Float[Array, "*draws m _ s"]]:
    """Filters at the start, w_oct ~ N(0, 1/(fan-in · s)), one array (m, fan-in, s) a layer.

    Args:
        key: a random key.
        channels: m.
        kernel: s.
        layers: L.
        draws: how many networks, on a leading axis; by default one, without that axis.
    """
    m = validation.whole("channels", channels, least=1)
    s = validation.whole("kernel", kernel, least=1)
    rows = 1 + m * (validation.whole("layers", layers, least=1) - 1)
    axes = () if draws is None else (validation.whole("draws", draws, least=1),)
    shape = (*axes, rows, m, s)
    return _scaled(normal(key, shape))


@jax.jit
def _scaled(numbers):
    *_, rows, m, s = numbers.shape
    later = [numbers[..., i : i + m, :, :] / (m * s) ** 0.5 for i in range(1, rows, m)]
    return [numbers[..., 0, :, None, :] / s**0.5, *later]


def toeplitz(filters: Sequence[ArrayLike], length: int) -> list[Float[Array, "_ _"]]:
    """The layers as matrices, T^l of shape (m d_l, fan-in · d_(l−1)), with d_l = d_(l−1) − s + 1.

    Rows and columns run over channels and, within a channel, over places.

    Args:
        filters: of each layer, shape (m, fan-in, s).
        length: d of the input.
    """
    filters, matrices = _checked(filters, length), []
    for w in filters:
        matrices.append(_toeplitz(w, length))
        length -= w.shape[2] - 1
    return matrices


def composite_filters(filters: Sequence[ArrayLike]) -> Float[Array, "m size"]:
    """The filters of the whole network, as if it were one layer, shape (m, L (s − 1) + 1)."""
    return _composite(_checked(filters))


def filter_spectrum(
    filters: Sequence[ArrayLike], length: int, inputs: Covariance | None = None
) -> Float[Array, "_"]:
    """The non-zero spectrum of the Gauss-Newton matrix with respect to the filters, ascending.

    Args:
        filters: of each layer, shape (m, fan-in, s), with one input channel and as many channels in
            each layer.
        length: d of the input.
        inputs: Σ on its range; by default Σ = I.

    Returns:
        The m · rank U eigenvalues; U has L (s − 1) + 1 rows, and full rank if Σ has.
    """
    filters = _checked(filters, length)
    channels = [w.shape[0] for w in filters]
    if len(set(channels)) > 1:
        raise ValueError(f"filters must have as many channels in each layer, got {channels}")
    size = sum(w.shape[2] - 1 for w in filters) + 1
    if inputs is None:
        places, dtype = length - size + 1, filters[0].dtype
        windows = Covariance(jnp.full(size, places, dtype), jnp.eye(size, dtype=dtype))
    else:
        if len(inputs.directions) != length:
            raise ValueError(
                f"inputs must have as many entries as length, {length}, "
                f"got {len(inputs.directions)}"
            )
        root = inputs.directions * jnp.sqrt(inputs.variances)
        seen = jnp.stack([root[i : i + size] for i in range(length - size + 1)])
        windows = on_range(einsum("iat,ibt->ab", seen, seen))
    return spectra.eigenvalues(_filter_matrix(filters, windows))


def filter_rank(channels: int, kernel: int, layers: int = 2) -> int:
    """The rank m (L (s − 1) + 1) of the filters' Gauss-Newton matrix, on data of full rank.

    So many numbers has the composite filter. It holds for almost all filters.

    Args:
        channels: m.
        kernel: s.
        layers: L.

    >>> filter_rank(channels=4, kernel=3)
    20
    """
    m = validation.whole("channels", channels, least=1)
    s = validation.whole("kernel", kernel, least=1)
    return m * (validation.whole("layers", layers, least=1) * (s - 1) + 1)


@partial(jax.jit, static_argnums=1)
def _toeplitz(w, length):
    fan_out, fan_in, kernel = w.shape
    places = length - kernel + 1
    # 1 where tap t of the filter at place i meets entry j of its input
    t, i, j = np.ogrid[:kernel, :places, :length]
    meets = jnp.asarray(t == j - i, w.dtype)
    return einsum("oct,tij->oicj", w, meets).reshape(fan_out * places, fan_in * length)


@jax.jit
def _composite(filters):
    first, *rest = filters
    composite = first[:, 0]
    for w in rest:
        s = w.shape[2]
        shifted = jnp.stack([jnp.pad(composite, ((0, 0), (t, s - 1 - t))) for t in range(s)])
        composite = einsum("oct,tci->oi", w, shifted)
    return composite


@jax.jit
def _filter_matrix(filters, windows):
    root = windows.directions * jnp.sqrt(windows.variances)

    def seen(filters):
        return matmul(_composite(filters), root).reshape(-1)

    blocks = [block.reshape(len(block), -1) for block in jax.jacrev(seen)(filters)]
    return sum(matmul(block, block.T) for block in blocks)


def _checked(filters, length=None):
    filters = [validation.floating(f"filters[{i}]", w, ndim=3) for i, w in enumerate(filters)]
    shapes = [w.shape for w in filters]
    fit = all(later[1] == earlier[0] for earlier, later in pairwise(shapes))
    if not filters or any(w.ndim != 3 for w in filters) or shapes[0][1] != 1 or not fit:
        raise ValueError(f"filters must have shapes (m, 1, s), (m, m, s), …, got {shapes}")
    size = sum(shape[2] - 1 for shape in shapes) + 1
    if length is not None and validation.whole("length", length, least=1) < size:
        raise ValueError(f"length must be at least {size} for these filters, got {length}")
    return filters
