"""The Gauss-Newton matrix of any network: its spectrum, its ends, its condition number.

For a loss averaged over n samples it is G = (1/n) Σ_i J_iᵀ H_i J_i, with J_i the derivative of the
outputs of sample i by the parameters and H_i the second one of the loss by the outputs. For the
squared loss ½ |F − y|² H is the identity. For the cross-entropy of logits F of C classes, with
p = softmax(F), it has rank C − 1,

    H = diag(p) − p pᵀ = R Rᵀ,   Rᵀ F = z_{<C} − √p_{<C} z_C/(1 + √p_C),   z = √p (F − p·F),

R with C − 1 columns: z is orthogonal to √p, and the reflection that takes √p to the last axis
leaves nothing there. So G is that of the squared loss for a network with the C − 1 outputs Rᵀ F, R
held fixed, and the labels do not enter. Its rows, samples × outputs, stand against the parameters,
and G has the non-zero spectrum of their Gram matrix, the tangent kernel over n: the smaller of the
two is decomposed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import jacobians, kernels, validation
from lazyrich.arithmetic import matmul, numpy_if_known
from lazyrich.derivatives import jacobian
from lazyrich.jacobians import MEMORY
from lazyrich.linear_maps import linear_maps, moment_product, pulled, pushed
from lazyrich.spectra.lanczos import Ends, ends_by_lanczos
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


@dataclass(frozen=True)
class _InUnitsOfLoss:
    """A network with the outputs Rᵀ F of a cross-entropy; equal for the same network."""

    apply: Callable

    def __call__(self, params, x):
        return jax.tree.map(_in_units_of_loss, self.apply(params, x))


def _in_units_of_loss(logits):
    if jnp.ndim(logits) < 2 or logits.shape[-1] < 2:
        raise ValueError(f"it gives no logits of two classes or more, but shape {logits.shape}")
    p = jax.nn.softmax(jax.lax.stop_gradient(logits))
    z = jnp.sqrt(p) * (logits - (p * logits).sum(-1, keepdims=True))
    last = z[..., -1:] / (1 + jnp.sqrt(p[..., -1:]))
    return z[..., :-1] - jnp.sqrt(p[..., :-1]) * last


def gauss_newton(
    apply: Callable, params, x: ArrayLike, loss: str = "squared"
) -> Float[Array, "p p"]:
    """The Gauss-Newton matrix of a loss averaged over the samples, Jᵀ J/samples for the squared.

    Through the Jacobian, so for few parameters.

    Args:
        apply, params, x, loss: as for :func:`gauss_newton_spectrum`.

    Raises:
        ValueError: as for the :func:`~lazyrich.derivatives.jacobian`, or if there is no such loss.

    >>> x = jnp.array([[2.0, 0.0], [0.0, 4.0]])
    >>> gauss_newton(lambda params, x: x @ params, jnp.zeros(2), x).tolist()
    [[2.0, 0.0], [0.0, 8.0]]
    """
    rows = jacobian(_of_loss(apply, loss), params, x)
    return validation.finite(kernels.FINITE, matmul(rows.T, rows) / len(x))


def gauss_newton_spectrum(
    apply: Callable,
    params,
    x: ArrayLike,
    loss: str = "squared",
    memory: int = MEMORY,
) -> Float[Array, "values"]:
    """The eigenvalues of the Gauss-Newton matrix that need not vanish, ascending.

    They are as many as there are parameters or rows, samples × outputs, whichever are fewer; for
    the cross-entropy an output less, since the same number added to all logits changes no loss.
    What is below the rounding floor is zero.

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
    rows = jacobians.rows_of(_of_loss(apply, loss), params, x)
    memory = jacobians.checked_memory(memory)
    if len(rows.x) * rows.outputs <= sum(leaf.size for leaf in jax.tree.leaves(rows.params)):
        matrix = kernels.kernel_of(rows, rows, memory=memory)
    else:
        matrix = jacobians.moment(rows, memory)
    validation.finite(kernels.FINITE, matrix)
    return _floored(values_only(matrix / len(rows.x)))


def condition_number(
    apply: Callable,
    params,
    x: ArrayLike,
    loss: str = "squared",
    rank: int | None = None,
    memory: int = MEMORY,
) -> ConditionNumber:
    """κ of the Gauss-Newton matrix of any network: the largest over the smallest eigenvalue.

    The smallest is that of the `rank` largest. Where theory knows the rank, give it; by default it
    is the number of eigenvalues above the rounding floor, which is a threshold, and what κ would be
    with one fewer or one more stands beside it. Below that floor, in float32 1e-7 of the largest
    times their number, nothing can be told: turn float64 on where fewer are counted than expected.

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
        raise ValueError(
            "apply must depend on params, and by more than a dtype can square, but the "
            "Gauss-Newton matrix is zero"
        )
    if rank is None:
        rank = int(np.count_nonzero(values))
    elif validation.whole("rank", rank, least=1) > len(values):
        raise ValueError(f"rank must be at most {len(values)}, got {rank}")
    rank = int(rank)

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
    memory: int = MEMORY,
) -> Ends:
    """Both ends of the Gauss-Newton spectrum by products alone, certified by their residuals.

    For where neither rows × rows nor parameters × parameters numbers have room. One Krylov space of
    the smaller side has both ends; a product takes a pass forwards and one backwards over the
    samples, for which their activations are kept if they have room. The smaller the smallest
    eigenvalue the more products, about √κ, and at the most as many as there are rows.

    Args:
        apply, params, x, loss: as for :func:`gauss_newton_spectrum`.
        tolerance: the largest residual that is accepted, relative to each eigenvalue.
        memory: how many bytes the vectors of the Krylov space may take, and activations as many.

    Raises:
        ValueError: as there, or if G is singular, or so nearly that its precision cannot tell.
        RuntimeError: if there is no room for as many vectors as the tolerance needs.

    >>> x = jnp.array([[2.0, 0.0], [0.0, 4.0]])
    >>> ends = gauss_newton_ends(lambda params, x: x @ params, jnp.zeros(2), x)
    >>> round(ends.smallest, 6), round(ends.largest, 6)
    (2.0, 8.0)
    """
    rows = jacobians.rows_of(_of_loss(apply, loss), params, x)
    [tolerance] = validation.positives(tolerance=tolerance)
    memory = jacobians.checked_memory(memory)
    flat, unravel = ravel_pytree(rows.params)
    samples, outputs = len(rows.x), rows.outputs

    def on_rows(v):
        way = pulled(maps, rows.params, v.reshape(samples, outputs, 1))
        return pushed(maps, way)

    def on_parameters(v):
        return ravel_pytree(moment_product(maps, rows.params, unravel(v)))[0]

    number, product = min((samples * outputs, on_rows), (flat.size, on_parameters), key=_first)
    room = max(1, memory // (8 * number))
    with validation.differentiable("apply", "by jax.linearize, whose map is transposed"):
        maps = linear_maps(rows, memory)
        ends = ends_by_lanczos(
            lambda v: _finite(product(jnp.asarray(v, flat.dtype))) / samples,
            number,
            float(tolerance),
            room,
        )
    for name, value, residual in zip(
        ("smallest", "largest"), ends[:2], ends.residuals, strict=True
    ):
        if residual <= tolerance:
            continue
        found = f"the {name} eigenvalue is not certified: it is {value:.2g} with a residual of "
        found += f"{residual:.2g} after {ends.steps} of at most {number} products"
        if ends.steps == room < number:
            raise RuntimeError(f"{found}; with more memory there would be more")
        raise ValueError(
            f"{found}, so for {flat.dtype} G is singular, or nearly so, or the tolerance too small"
        )
    return ends


def _finite(image):
    return np.asarray(validation.finite(kernels.FINITE, image), float).ravel()


def _first(pair):
    return pair[0]


def _of_loss(apply, loss):
    """The network whose squared loss has the Gauss-Newton matrix of a loss."""
    validation.one_of("loss", loss, LOSSES)
    return validation.function("apply", apply) if loss == "squared" else _InUnitsOfLoss(apply)


@numpy_if_known
def _floored(xp, values):
    return above_floor(xp, values)
