"""The Gauss-Newton matrix of any network: its spectrum, its ends, its condition number.

For a loss averaged over n samples it is G = (1/n) Σ_i J_iᵀ H_i J_i, with J_i the derivative of the
outputs of sample i by the parameters and H_i the second one of the loss by the outputs. For the
squared loss ½ |F − y|² H is the identity. For the cross-entropy of logits F, with p = softmax(F),

    H = diag(p) − p pᵀ = S Sᵀ,   S = diag(√p) − p √pᵀ,

so that G is that of the squared loss for a network with the outputs Sᵀ F, S held fixed. The labels
do not enter. Outputs × samples rows Sᵀ J stand against p parameters, and G has the non-zero
spectrum of their Gram matrix, the tangent kernel over n: the smaller of the two is decomposed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import kernels, validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.spectra.symmetric import values_only
from lazyrich.spectra.weights import above_floor
from lazyrich.validation import ArrayLike

LOSSES = ("squared", "cross-entropy")
"""The losses whose Gauss-Newton matrix is known here."""


class ConditionNumber(NamedTuple):
    """κ of a Gauss-Newton matrix, and what it hangs on."""

    value: float
    """λ_max over the smallest of the `rank` largest eigenvalues."""
    rank: int
    """How many eigenvalues are counted as not zero."""
    fewer: float
    """What κ would be with one eigenvalue fewer; nan if there were none."""
    more: float
    """What κ would be with one more; inf if that is zero or not there."""


class Ends(NamedTuple):
    """The two ends of a spectrum, with what certifies them."""

    smallest: float
    """λ_min."""
    largest: float
    """λ_max."""
    residuals: tuple[float, float]
    """|A z − λ z|/λ_max of each with its unit vector z: so close to each is an eigenvalue."""


@dataclass(frozen=True)
class _InUnitsOfLoss:
    """A network with the outputs Sᵀ F of a cross-entropy; equal for the same network."""

    apply: Callable

    def __call__(self, params, x):
        logits = self.apply(params, x)
        p = jax.nn.softmax(jax.lax.stop_gradient(logits))
        return jnp.sqrt(p) * (logits - (p * logits).sum(-1, keepdims=True))


def gauss_newton_spectrum(
    apply: Callable,
    params,
    x: ArrayLike,
    loss: str = "squared",
    memory: int = kernels.MEMORY,
) -> Float[Array, "values"]:
    """The eigenvalues of the Gauss-Newton matrix that need not vanish, ascending.

    They are as many as there are parameters or rows, outputs × samples, whichever are fewer. What
    is below the rounding floor is zero. For the cross-entropy one direction of the outputs of each
    sample has no curvature: where rows are fewer, as many eigenvalues vanish as there are samples.

    Args:
        apply: ``apply(params, x) -> outputs``; for the cross-entropy logits, the last axis classes.
        params: θ, any pytree of floats.
        x: the samples.
        loss: one of :data:`LOSSES`.
        memory: how many bytes the rows of Jacobians may take at a time.

    Raises:
        ValueError: as :func:`~lazyrich.kernels.empirical_ntk`, or if there is no such loss.

    >>> apply = lambda params, x: x @ params
    >>> x = jnp.array([[2.0, 0.0], [0.0, 4.0]])
    >>> gauss_newton_spectrum(apply, jnp.zeros((2, 1)), x).tolist()
    [2.0, 8.0]
    """
    network = _of_loss(apply, loss)
    params, x, outputs = kernels.fitting(network, params, x)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    if len(x) * outputs <= size:
        matrix = kernels.empirical_ntk(network, params, x, memory=memory)
    else:
        matrix = kernels.moment(network, params, x, memory=memory)
    return _floored(values_only(matrix / len(x)))


def condition_number(
    apply: Callable,
    params,
    x: ArrayLike,
    loss: str = "squared",
    rank: int | None = None,
    memory: int = kernels.MEMORY,
) -> ConditionNumber:
    """κ of the Gauss-Newton matrix of any network: the largest over the smallest eigenvalue.

    The smallest is that of the `rank` largest. Where theory knows the rank, give it; by default it
    is the number of eigenvalues above the rounding floor, which is a threshold, and what κ would be
    with one fewer or one more stands beside it.

    Args:
        apply, params, x, loss, memory: as for :func:`gauss_newton_spectrum`.
        rank: of the matrix, from 1 to the smaller of rows and parameters.

    Raises:
        ValueError: as there, or if the rank is not possible, or all of G vanishes.

    >>> apply = lambda params, x: x @ params
    >>> condition_number(apply, jnp.zeros((2, 1)), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
    ConditionNumber(value=4.0, rank=2, fewer=1.0, more=inf)
    """
    values = np.asarray(gauss_newton_spectrum(apply, params, x, loss, memory))[::-1]
    if not values[0] > 0:
        raise ValueError("apply must depend on params, but the Gauss-Newton matrix is zero")
    if rank is None:
        rank = int(np.count_nonzero(values))
    elif validation.whole("rank", rank, least=1) > len(values):
        raise ValueError(f"rank must be at most {len(values)}, got {rank}")

    def of(rank):
        if rank == 0:
            return float("nan")
        smallest = values[rank - 1] if rank <= len(values) else 0.0
        return float(values[0] / smallest) if smallest > 0 else float("inf")

    return ConditionNumber(of(rank), rank, of(rank - 1), of(rank + 1))


def gauss_newton_ends(
    apply: Callable,
    params,
    x: ArrayLike,
    loss: str = "squared",
    tolerance: float = 1e-4,
    steps: int = 2000,
) -> Ends:
    """Both ends of the Gauss-Newton spectrum by products alone, certified by their residuals.

    Where neither rows × rows nor parameters × parameters numbers have room. Lanczos iterations
    (SciPy's, with restarts) on the smaller side; a product takes a pass forwards and one backwards
    over the samples. The smaller the smallest eigenvalue, the more of them: their number grows as
    √κ. That no eigenvalue lies beyond the two found is as certain as that the start, a fixed random
    vector, has a part along its vector.

    Args:
        apply, params, x, loss: as for :func:`gauss_newton_spectrum`; of the cross-entropy the
            smallest eigenvalue is zero where rows are fewer than parameters.
        tolerance: the largest residual that is accepted, relative to the eigenvalue.
        steps: how many restarts at most.

    Raises:
        ValueError: as there.
        RuntimeError: if a residual stays above the tolerance.
    """
    network = _of_loss(apply, loss)
    params, x, outputs = kernels.fitting(network, params, x)
    [tolerance] = validation.positives(tolerance=tolerance)
    flat, unravel = ravel_pytree(params)
    rows, size = len(x) * outputs, flat.size

    def product(v):
        v = jnp.asarray(v.ravel(), flat.dtype)
        if rows <= size:
            image = kernels.ntk_product(network, params, x, v)
        else:
            image = kernels.moment_product(network, params, x, unravel(v))
        return np.asarray(image, float) / len(x)

    number = min(rows, size)
    operator = scipy.sparse.linalg.LinearOperator((number, number), product, dtype=float)
    start = np.random.default_rng(0).normal(size=number)
    ends = []
    for which in ("SA", "LA"):
        _, vectors = scipy.sparse.linalg.eigsh(operator, 1, which=which, v0=start, maxiter=steps)
        z = vectors[:, 0] / np.linalg.norm(vectors)
        image = product(z)
        value = z @ image
        ends.append((float(value), float(np.linalg.norm(image - value * z) / value)))
    (smallest, low), (largest, high) = ends
    if not max(abs(low), high) <= tolerance:
        raise RuntimeError(f"residuals must reach {tolerance}, got {max(abs(low), high):.2g}")
    return Ends(smallest, largest, (low, high))


def _of_loss(apply, loss):
    """The network whose squared loss has the Gauss-Newton matrix of a loss."""
    validation.one_of("loss", loss, LOSSES)
    return apply if loss == "squared" else _InUnitsOfLoss(apply)


@numpy_if_known
def _floored(xp, values):
    return above_floor(xp, values)
