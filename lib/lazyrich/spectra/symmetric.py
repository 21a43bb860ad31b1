"""Spectra of symmetric matrices, and condition numbers by known rank."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import at_hand, numpy_if_known
from lazyrich.validation import ArrayLike


def eigenvalues(matrix: ArrayLike) -> Float[Array, "*batch n"]:
    """The eigenvalues of a symmetric matrix, ascending.

    On a CPU a known matrix in float64 goes to LAPACK's driver for values only, which takes about
    half the time of XLA's; else it is ``jnp.linalg.eigvalsh``, in the precision of the matrix.

    Args:
        matrix: shape (…, n, n).

    Raises:
        ValueError: if it is not square, symmetric to half its digits, of floats and finite, or an
            eigenvalue is out of the range of its precision.

    >>> eigenvalues(jnp.array([[2.0, 1.0], [1.0, 2.0]])).tolist()
    [1.0, 3.0]
    """
    matrix = validation.symmetric("matrix", matrix)
    return validation.in_range("matrix", matrix, values_only(matrix), vanishing=True)


def pseudo_condition_number(eigenvalues: ArrayLike, rank: int) -> Float[Array, "*batch"]:
    """The pseudo-condition number |λ|_max/|λ|_min over the `rank` largest eigenvalues in size.

    The rank is what is known of the matrix, not a threshold. Where the smallest eigenvalue so kept
    is not above the rounding floor n ε |λ|_max, n the number of eigenvalues, the matrix is singular
    as far as this dtype can tell, and the answer is ``inf``.

    Args:
        eigenvalues: the whole spectrum in any order, shape (…, n).
        rank: of the matrix, from 1 to n.

    >>> float(pseudo_condition_number(jnp.array([0.0, 1.0, 4.0]), rank=2))
    4.0
    >>> float(pseudo_condition_number(jnp.array([1e-17, 1.0, 4.0]), rank=3))
    inf
    """
    values = validation.floating("eigenvalues", eigenvalues, ndim=1)
    rank, n = validation.whole("rank", rank, least=1), values.shape[-1]
    if rank > n:
        raise ValueError(f"rank must be at most the number of eigenvalues, {n}, got {rank}")
    return _pseudo_condition_number(values, rank=rank)


def numerical_rank(eigenvalues: ArrayLike, threshold: float | None = None) -> Int[Array, "*batch"]:
    """The number of eigenvalues that are larger in size than threshold · |λ|_max.

    Args:
        eigenvalues: the whole spectrum in any order, shape (…, n).
        threshold: relative, by default n ε, where rounding begins.

    >>> numerical_rank(jnp.array([[0.0, 1e-17, 1.0], [0.0, 0.0, 0.0]])).tolist()
    [1, 0]
    """
    values = validation.floating("eigenvalues", eigenvalues, ndim=1)
    validation.filled("eigenvalues", values)
    if threshold is None:
        threshold = values.shape[-1] * float(jnp.finfo(values.dtype).eps)
    threshold = validation.scalar("threshold", validation.nonnegative("threshold", threshold))
    return _numerical_rank(values, threshold)


def rounding_floor(sizes: ArrayLike) -> Float[Array, "*batch"]:
    """The floor n ε λ_max, below which computed eigenvalues of a symmetric matrix say nothing.

    Args:
        sizes: their absolute values.
    """
    return _rounding_floor(
        validation.filled("sizes", validation.nonnegative("sizes", sizes, ndim=1))
    )


def values_only(matrix: Float[Array | np.ndarray, "*batch n n"]) -> Float[Array, "*batch n"]:
    """:func:`eigenvalues` of what is known to be symmetric and finite."""
    # NumPy would compute float32 in float64.
    if at_hand(matrix) and matrix.dtype == jnp.float64:
        return jax.device_put(np.linalg.eigvalsh(np.asarray(matrix)))
    return jnp.linalg.eigvalsh(matrix)


def leading(
    matrix: Float[Array, "n n"], number: int
) -> tuple[Float[Array, "_"], Float[Array, "n _"]]:
    """The largest eigenvalues of what is known to be symmetric, descending, and their vectors.

    On a CPU a known matrix in float64 goes to LAPACK's driver for a few of them, which takes a
    third of the time of all. A matrix that is not finite has nan.
    """
    if at_hand(matrix) and matrix.dtype == jnp.float64:
        A, n = np.asarray(matrix), len(matrix)
        if not np.isfinite(A).all():
            return jnp.full(number, jnp.nan), jnp.full((n, number), jnp.nan)
        values, vectors = scipy.linalg.eigh(A, subset_by_index=[n - number, n - 1])
    else:
        values, vectors = jnp.linalg.eigh(matrix)
    return jax.device_put((values[::-1][:number], vectors[:, ::-1][:, :number]))


@numpy_if_known
def _rounding_floor(xp, sizes):
    return sizes.shape[-1] * xp.finfo(sizes.dtype).eps * sizes.max(axis=-1)


@numpy_if_known
def _numerical_rank(xp, values, threshold):
    sizes = xp.abs(values)
    return (sizes > threshold * sizes.max(axis=-1, keepdims=True)).sum(axis=-1)


@numpy_if_known
def _pseudo_condition_number(xp, values, *, rank):
    sizes = xp.sort(xp.abs(values), axis=-1)
    largest, smallest = sizes[..., -1], sizes[..., sizes.shape[-1] - rank]
    kept = smallest > sizes.shape[-1] * xp.finfo(sizes.dtype).eps * largest
    return xp.where(kept, largest / xp.where(kept, smallest, 1), xp.inf)
