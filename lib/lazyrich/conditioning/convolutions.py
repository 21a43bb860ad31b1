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

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit, matmul, numpy_if_known
from lazyrich.conditioning.covariance import Covariance, axes_of, on_range
from lazyrich.draws import normal
from lazyrich.spectra.symmetric import values_only
from lazyrich.validation import ArrayLike


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
    m, s, L = _sizes(channels, kernel, layers)
    axes = () if draws is None else (validation.whole("draws", draws, least=1),)
    return _scaled(normal(key, (*axes, 1 + m * (L - 1), m, s)))


@numpy_if_known
def _scaled(xp, numbers):
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
    filters, _ = _fitting(filters, length)
    return _toeplitz(filters, length=length)


def composite_filters(filters: Sequence[ArrayLike]) -> Float[Array, "m size"]:
    """The filters of the whole network, as if it were one layer, shape (m, L (s − 1) + 1)."""
    filters, _ = _fitting(filters)
    return validation.in_range("filters", filters, _composite_filters(filters), vanishing=True)


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
    filters, inputs = _fitting(filters, length, inputs, alike=True)
    size = sum(w.shape[2] - 1 for w in filters) + 1
    if inputs is None:
        places, dtype = length - size + 1, filters[0].dtype
        windows = Covariance(jnp.full(size, places, dtype), jnp.eye(size, dtype=dtype))
    else:
        validation.positive("the largest of inputs.variances", inputs.variances.max())
        windows = on_range(_windows(inputs, size=size))
    matrix = _filter_matrix(filters, windows)
    return values_only(validation.in_range("filters and inputs", (filters, inputs), matrix))


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
    m, s, L = _sizes(channels, kernel, layers)
    return m * (L * (s - 1) + 1)


@numpy_if_known
def _toeplitz(xp, filters, *, length):
    matrices = []
    for w in filters:
        fan_out, fan_in, kernel = w.shape
        places = length - kernel + 1
        # 1 where tap t of the filter at place i meets entry j of its input
        t, i, j = np.ogrid[:kernel, :places, :length]
        meets = xp.asarray(t == j - i, w.dtype)
        matrix = xp.einsum("oct,tij->oicj", w, meets, optimize=True)
        matrices.append(matrix.reshape(fan_out * places, fan_in * length))
        length = places
    return matrices


@numpy_if_known
def _composite_filters(xp, filters):
    return _composite(xp, filters)


def _composite(xp, filters):
    first, *rest = filters
    composite = first[:, 0]
    for w in rest:
        s = w.shape[2]
        shifted = xp.stack([xp.pad(composite, ((0, 0), (t, s - 1 - t))) for t in range(s)])
        composite = xp.einsum("oct,tci->oi", w, shifted)
    return composite


@numpy_if_known
def _windows(xp, inputs, *, size):
    """The second moment of the windows of this size, summed over their places."""
    root = inputs.directions * xp.sqrt(inputs.variances)
    seen = xp.stack([root[i : i + size] for i in range(len(root) - size + 1)])
    return xp.einsum("iat,ibt->ab", seen, seen)


@jit
def _filter_matrix(filters, windows):
    root = windows.directions * jnp.sqrt(windows.variances)[None]

    def seen(filters):
        with jax.default_matmul_precision("highest"):
            return (_composite(jnp, filters) @ root).reshape(-1)

    blocks = [block.reshape(len(block), -1) for block in jax.jacrev(seen)(filters)]
    return sum(matmul(block, block.T) for block in blocks)


def _sizes(channels, kernel, layers):
    sizes = {"channels": channels, "kernel": kernel, "layers": layers}
    return [validation.whole(name, size, least=1) for name, size in sizes.items()]


def _fitting(filters, length=None, inputs=None, alike=False):
    """One network's filters, with as many channels in each layer if they are `alike`, and Σ."""
    if len(filters) == 0:
        raise ValueError("filters must hold an array for each layer, got none")
    channels = ["1", *("m" if alike else f"m{layer}" for layer in range(1, len(filters) + 1))]
    axes = {
        f"filters[{i}]": (w, f"{channels[i + 1]} {channels[i]} s{i + 1}")
        for i, w in enumerate(filters)
    }
    moment = {} if inputs is None else axes_of(inputs, entries=length)
    arrays = validation.fitting(**axes, **moment)
    filters, moment = list(arrays[: len(axes)]), arrays[len(axes) :]
    size = sum(w.shape[2] - 1 for w in filters) + 1
    if length is not None and validation.whole("length", length, least=1) < size:
        raise ValueError(f"length must be at least {size} for these filters, got {length}")
    return filters, Covariance(*moment) if moment else None
