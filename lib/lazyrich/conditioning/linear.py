"""Deep linear networks: the exact spectrum of the Gauss-Newton matrix, from k × k and d × d.

The network is F(x) = W^L ⋯ W^1 x with d inputs, k outputs and all weights as parameters. With the
loss ½ |F − y|² averaged over samples, and Σ = E[x xᵀ], uncentred, the derivative with respect to
W^l is W^(L:l+1) ⊗ (W^(l−1:1) x)ᵀ, so the Gauss-Newton matrix G has the non-zero spectrum of

    Ĝ = Σ_l A_l ⊗ C_l,   A_l = W^(L:l+1) W^(L:l+1)ᵀ,   C_l = Rᵀ B_l R,   B_l = W^(l−1:1)ᵀ W^(l−1:1),

where W^(b:a) = W^b ⋯ W^a, an empty product is the identity, and R Rᵀ = Σ is the root of Σ on its
range. With s the rank of Σ, Ĝ has ks rows, however many parameters there are.

Skip connections of strength β change W^l into W^l + β I and nothing else.

Source: Zhao, Singh & Lucchi, *Theoretical characterisation of the Gauss-Newton conditioning in
neural networks* (arXiv 2411.02139); the formulas are derived anew here.

The functions take one network, as a sequence of matrices W^l of shape (fan-out, fan-in), and can
be mapped by ``jax.vmap`` over draws of one shape.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.conditioning.covariance import Covariance, einsum, matmul
from lazyrich.conditioning.weights import checked, known_widths, sizes


class Factors(NamedTuple):
    """The factors of Ĝ = Σ_l A_l ⊗ C_l."""

    A: Float[Array, "*draws layers k k"]
    """A_l = W^(L:l+1) W^(L:l+1)ᵀ, of the layers after l."""
    C: Float[Array, "*draws layers s s"]
    """C_l = Rᵀ B_l R, of the layers before l and the data."""


def partial_products(
    weights: Sequence[ArrayLike], inputs: Covariance | None = None
) -> tuple[list[Float[Array, "_ _"]], list[Float[Array, "_ _"]]]:
    """The products W^(L:l+1) of the layers after each l, and W^(l−1:1) R of those before it.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I, with R = I.

    Returns:
        Two lists of L matrices, of shapes (k, fan-out of l) and (fan-in of l, s).
    """
    weights = checked(weights, inputs)
    dtype, (d, k) = weights[0].dtype, (weights[0].shape[1], len(weights[-1]))
    after = [jnp.eye(k, dtype=dtype), *accumulate(weights[:0:-1], matmul)]
    left = lambda product, W: matmul(W, product)  # noqa: E731
    if inputs is None:
        return after[::-1], [jnp.eye(d, dtype=dtype), *accumulate(weights[:-1], left)]
    root = inputs.directions * jnp.sqrt(inputs.variances)
    return after[::-1], [*accumulate(weights[:-1], left, initial=root)]


def factors(weights: Sequence[ArrayLike], inputs: Covariance | None = None) -> Factors:
    """The factors A_l and C_l of Ĝ.

    Layer by layer, not as one program: a product of one shape then compiles once for all depths.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.
    """
    products = zip(*partial_products(weights, inputs), strict=True)
    return _stacked([_layer_factors(after, before) for after, before in products])


def reduced_matrix(factors: Factors) -> Float[Array, "*draws ks ks"]:
    """Ĝ = Σ_l A_l ⊗ C_l, whose non-zero spectrum is that of the Gauss-Newton matrix.

    Of one network or of many.
    """
    return _reduced_matrix(factors)


def reduced_product(factors: Factors, Z: Float[Array, "k s"]) -> Float[Array, "k s"]:
    """Ĝ acting on a matrix, Σ_l A_l Z C_l, in L k s (k + s) multiplications.

    Flattened row by row, Z ↦ Ĝ Z is the product with :func:`reduced_matrix`.
    """
    return einsum("lab,lbs->as", factors.A, matmul(Z, factors.C))


def spectrum(weights: Sequence[ArrayLike], inputs: Covariance | None = None) -> Float[Array, "ks"]:
    """The eigenvalues of Ĝ, ascending: all of the Gauss-Newton matrix that are not zero.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.

    >>> spectrum([jnp.diag(jnp.array([1.0, 2.0])), jnp.array([[3.0, 0.0]])]).tolist()
    [10.0, 13.0]
    """
    return spectra.eigenvalues(_reduced(checked(weights, inputs), inputs))


def rank(widths: Sequence[int], data_rank: int | None = None) -> int:
    """The rank r (s + k − r) of the Gauss-Newton matrix, r the smallest of s and all widths.

    So many parameters has a matrix of k × s and rank r, which is what the network can be on the
    range of the data. It holds for almost all weights.

    Args:
        widths: d, the hidden widths, k.
        data_rank: s, the rank of Σ; by default d.

    >>> rank((5, 2, 3)), rank((5, 7, 3)), rank((5, 7, 3), data_rank=4)
    (12, 15, 12)
    """
    widths = known_widths(widths)
    s = widths[0] if data_rank is None else validation.whole("data_rank", data_rank, least=1)
    if s > widths[0]:
        raise ValueError(f"data_rank must be at most the number of inputs, {widths[0]}, got {s}")
    r = min(s, *widths[1:])
    return r * (s + widths[-1] - r)


def condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance | None = None
) -> Float[Array, ""]:
    """κ of the Gauss-Newton matrix: its largest eigenvalue over its smallest that is not zero.

    How many are not zero is known from :func:`rank`; weights at which there are fewer have ``inf``.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.
    """
    weights = checked(weights, inputs)
    return spectra.condition_number(spectrum(weights, inputs), rank(*sizes(weights, inputs)))


def two_layer_condition_number(
    weights: Sequence[ArrayLike],
    inputs: Covariance | None = None,
    inner_weight: float = 1.0,
) -> Float[Array, ""]:
    """κ of two layers F = W V x, from two or three s × s matrices instead of one of ks × ks.

    Ĝ = W Wᵀ ⊗ Rᵀ R + I ⊗ Rᵀ Vᵀ V R splits into a block Rᵀ (ω_i I + Vᵀ V) R for each eigenvalue ω_i
    of W Wᵀ, and the blocks grow with ω_i. So the largest eigenvalue of Ĝ is that of the block of
    the largest ω_i. The smallest that is not zero belongs to the smallest ω_i > 0 or, where the
    hidden layer is narrower than the output and so some ω_i = 0, to Rᵀ Vᵀ V R.

    Args:
        weights: V, W.
        inputs: Σ on its range; by default Σ = I.
        inner_weight: a factor on the second term, I ⊗ Rᵀ Vᵀ V R.
    """
    weights = checked(weights, inputs)
    if len(weights) != 2:
        raise ValueError(f"weights must hold two matrices, got {len(weights)}")
    inner_weight = validation.positive("inner_weight", inner_weight)
    m = weights[1].shape[1]
    return two_layer_reduction(factors(weights, inputs), m, inner_weight)


def two_layer_reduction(
    factors: Factors, width: int, inner_weight: ArrayLike = 1.0
) -> Float[Array, "*draws"]:
    """:func:`two_layer_condition_number` from the factors and the width m, for one or many.

    Only A_1, C_1 and C_2 enter. The axes of `inner_weight` broadcast against the draws.
    """
    A, C = factors
    k, s = A.shape[-1], C.shape[-1]
    w = spectra.eigenvalues(A[..., 0, :, :])
    ends = w[..., -1], w[..., -min(k, width)]
    high, low, inner = _blocks(C, *ends, jnp.asarray(inner_weight))
    kept = [spectra.eigenvalues(high), spectra.eigenvalues(low)]
    if width < k:  # the lowest blocks are those of ω_i = 0, and as singular as C_2
        kept.append(spectra.eigenvalues(inner)[..., -min(width, s) :])
    kept = jnp.concatenate(kept, axis=-1)
    return spectra.condition_number(kept, kept.shape[-1])


@jax.jit
def _layer_factors(after, before):
    return matmul(after, after.T), matmul(before.T, before)


@jax.jit
def _stacked(layers):
    return Factors(*map(jnp.stack, zip(*layers, strict=True)))


@jax.jit
def _reduced_matrix(factors):
    *draws, _, k, _ = factors.A.shape
    s = factors.C.shape[-1]
    return einsum("...lab,...lst->...asbt", *factors).reshape(*draws, k * s, k * s)


@jax.jit
def _blocks(C, highest, lowest, inner_weight):
    inner_weight = inner_weight.astype(C.dtype)[..., None, None]
    outer, inner = C[..., 0, :, :], inner_weight * C[..., 1, :, :]
    highest, lowest = highest[..., None, None], lowest[..., None, None]
    return highest * outer + inner, lowest * outer + inner, inner


@jax.jit
def _reduced(weights, inputs):
    return _reduced_matrix(factors(weights, inputs))
