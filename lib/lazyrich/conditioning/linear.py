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

import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import spectra, validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.conditioning.covariance import Covariance
from lazyrich.conditioning.weights import fitting, in_units, sizes
from lazyrich.spectra.symmetric import values_only
from lazyrich.validation import ArrayLike


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
    weights, inputs = fitting(weights, inputs)
    products = _partial_products(weights, inputs)
    return validation.in_range("weights and inputs", (weights, inputs), products)


def linear_factors(weights: Sequence[ArrayLike], inputs: Covariance | None = None) -> Factors:
    """The factors A_l and C_l of Ĝ.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.
    """
    return factors_in_range(*fitting(weights, inputs))


def reduced_matrix(factors: Factors) -> Float[Array, "*draws ks ks"]:
    """Ĝ = Σ_l A_l ⊗ C_l, whose non-zero spectrum is that of the Gauss-Newton matrix.

    Of one network or of many.
    """
    factors = checked_factors(factors, many=True)
    return validation.in_range("factors", factors, matrix_of(factors), vanishing=True)


def linear_spectrum(
    weights: Sequence[ArrayLike], inputs: Covariance | None = None
) -> Float[Array, "ks"]:
    """The eigenvalues of Ĝ, ascending: all of the Gauss-Newton matrix that are not zero.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.

    >>> import numpy as np
    >>> linear_spectrum([np.diag([1.0, 2.0]), np.array([[3.0, 0.0]])]).tolist()
    [10.0, 13.0]
    """
    return spectrum_of(*fitting(weights, inputs))


def linear_rank(widths: Sequence[int], data_rank: int | None = None) -> int:
    """The rank r (s + k − r) of the Gauss-Newton matrix, r the smallest of s and all widths.

    So many parameters has a matrix of k × s and rank r, which is what the network can be on the
    range of the data. It holds for almost all weights.

    Args:
        widths: d, the hidden widths, k.
        data_rank: s, the rank of Σ; by default d.

    >>> linear_rank((5, 2, 3)), linear_rank((5, 7, 3)), linear_rank((5, 7, 3), data_rank=4)
    (12, 15, 12)
    """
    widths = validation.widths("widths", widths)
    s = widths[0] if data_rank is None else validation.whole("data_rank", data_rank, least=1)
    if s > widths[0]:
        raise ValueError(f"data_rank must be at most the number of inputs, {widths[0]}, got {s}")
    r = min(s, *widths[1:])
    return r * (s + widths[-1] - r)


def linear_condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance | None = None
) -> Float[Array, ""]:
    """κ of the Gauss-Newton matrix: its largest eigenvalue over its smallest that is not zero.

    How many are not zero is known from :func:`linear_rank`; weights at which there are fewer have
    ``inf``. Neither a factor of all weights nor one of the data changes it.

    Args:
        weights: W^1, …, W^L.
        inputs: Σ on its range; by default Σ = I.
    """
    weights, inputs = fitting(weights, inputs)
    rank = linear_rank(*sizes(weights, inputs))
    return spectra.pseudo_condition_number(spectrum_of(*in_units(weights, inputs)), rank)


def linear_two_layer_condition_number(
    weights: Sequence[ArrayLike], inputs: Covariance | None = None
) -> Float[Array, ""]:
    """κ of two layers F = W V x, from two or three s × s matrices instead of one of ks × ks.

    Ĝ = W Wᵀ ⊗ Rᵀ R + I ⊗ Rᵀ Vᵀ V R splits into a block Rᵀ (ω_i I + Vᵀ V) R for each eigenvalue ω_i
    of W Wᵀ, and the blocks grow with ω_i. So the largest eigenvalue of Ĝ is that of the block of
    the largest ω_i. The smallest that is not zero belongs to the smallest ω_i > 0 or, where the
    hidden layer is narrower than the output and so some ω_i = 0, to Rᵀ Vᵀ V R. It is ``inf`` as
    :func:`linear_condition_number` is.

    Args:
        weights: V, W.
        inputs: Σ on its range; by default Σ = I.
    """
    weights, inputs = fitting(weights, inputs, layers=2)
    factors = factors_in_range(*in_units(weights, inputs))
    return two_layer_reduction(factors, len(weights[0]))


# What the modules of this package share


@numpy_if_known
def factors_of(xp, weights, inputs=None):
    """:func:`linear_factors` of weights that fit."""
    after, before = products(xp, weights, inputs)
    return Factors(xp.stack([P @ P.T for P in after]), xp.stack([P.T @ P for P in before]))


@numpy_if_known
def matrix_of(xp, factors):
    """:func:`reduced_matrix` of factors that fit."""
    *draws, _, k, _ = factors.A.shape
    s = factors.C.shape[-1]
    product = xp.einsum("...lab,...lst->...asbt", *factors, optimize=True)
    return product.reshape(*draws, k * s, k * s)


def spectrum_of(weights, inputs=None):
    """:func:`linear_spectrum` of weights that fit."""
    matrix = matrix_of(factors_of(weights, inputs))
    return values_only(
        validation.in_range("weights and inputs", (weights, inputs), matrix, vanishing=True)
    )


def factors_in_range(weights, inputs):
    """:func:`linear_factors` of weights that fit."""
    factors = factors_of(weights, inputs)
    return validation.in_range("weights and inputs", (weights, inputs), factors)


def two_layer_reduction(factors, width, inner_weight=1.0):
    """:func:`linear_two_layer_condition_number` from the factors, of which A_2 does not enter.

    `inner_weight` are factors on the second term, I ⊗ Rᵀ Vᵀ V R: as many as the answers.
    """
    values = _two_layer_values(factors, inner_weight, width=width)
    return spectra.pseudo_condition_number(values, values.shape[-1])


def checked_factors(factors, many=False):
    """The factors of one network, or of many with the same leading axes."""
    validation.instance("factors", factors, Factors)
    leading = " ".join(f"draws{i}" for i in range(jnp.ndim(factors.A) - 3)) if many else ""
    axes = f"{leading} layers k k", f"{leading} layers s s"
    arrays = zip(("factors.A", "factors.C"), zip(factors, axes, strict=True), strict=True)
    return Factors(*validation.fitting(**dict(arrays)))


@numpy_if_known
def _partial_products(xp, weights, inputs):
    return products(xp, weights, inputs)


def products(xp, weights, inputs=None):
    """:func:`partial_products` of weights that fit, in the operations of ``xp``."""
    identity = lambda size: xp.eye(size, dtype=weights[0].dtype)  # noqa: E731
    left = lambda product, W: W @ product  # noqa: E731
    after = [identity(len(weights[-1])), *accumulate(weights[:0:-1], xp.matmul)]
    if inputs is None:
        return after[::-1], [identity(weights[0].shape[1]), *accumulate(weights[:-1], left)]
    root = inputs.directions * xp.sqrt(inputs.variances)
    return after[::-1], [*accumulate(weights[:-1], left, initial=root)]


@numpy_if_known
def _two_layer_values(xp, factors, inner_weight, *, width):
    """The eigenvalues of the blocks with the ends of the spectrum, without those that vanish."""
    A, C = factors
    k, s = A.shape[-1], C.shape[-1]
    w = xp.linalg.eigvalsh(A[..., 0, :, :])[..., None, None]
    outer, inner = C[..., 0, :, :], C[..., 1, :, :]
    inner = xp.asarray(inner_weight, C.dtype)[..., None, None] * inner
    ends = w[..., -1, :, :], w[..., -min(k, width), :, :]
    kept = [xp.linalg.eigvalsh(end * outer + inner) for end in ends]
    if width < k:  # the lowest blocks are those of ω_i = 0, and as singular as C_2
        kept.append(xp.linalg.eigvalsh(inner)[..., -min(width, s) :])
    return xp.concatenate(kept, axis=-1)
