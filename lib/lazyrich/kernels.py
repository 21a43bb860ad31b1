"""The empirical tangent kernel Θ(x, x') = J(x) J(x')ᵀ of any network, in bounded memory.

J(x) is the Jacobian ∂F(x)/∂θ, a row an output of a sample; see :mod:`lazyrich.jacobians`. The rows
of a kernel, and its columns, run over samples and, within a sample, over outputs.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import jacobians, validation
from lazyrich.arithmetic import all_known, hashable, jit, matmul
from lazyrich.jacobians import MEMORY, Rows
from lazyrich.linear_maps import linear_maps, pulled, pushed
from lazyrich.networks import Network
from lazyrich.validation import ArrayLike

FINITE = "params and x must leave derivatives whose products are finite"


def empirical_ntk(
    network: Callable | Network,
    params,
    x: ArrayLike,
    others: ArrayLike | None = None,
    traced: bool = False,
    memory: int = MEMORY,
) -> Float[Array, "rows columns"]:
    """The empirical tangent kernel J J'ᵀ of samples and others, with J the Jacobian.

    A layered network of :mod:`lazyrich.networks` is treated layer by layer: with h(x) the input of
    a layer and D(x) the derivatives of the outputs by what it computes, the kernel is

        Θ_ac(x, x') = Σ_layers multiplier² · h(x)·h(x') · D_a(x)·D_c(x'),

    at the cost of matrix products with samples × outputs rows, and no Jacobian. Any other network,
    given by its function ``apply(params, x)``, goes through blocks of Jacobians: a pair of rows
    costs as many multiplications as there are parameters, half of them where the samples are also
    the others. Two blocks are held at a time; the smaller they are, the more often each is made.

    Args:
        network: ``apply(params, x) -> outputs``, with the samples along the first axis of x and of
            each array of outputs; or a layered one.
        params: any pytree of floats.
        x: the samples.
        others: those of the columns; by default the samples themselves.
        traced: whether to sum over the outputs, Σ_c Θ_cc(x, x'): then rows and columns are samples.
        memory: how many bytes the rows of Jacobians may take at a time; under ``jit`` all are held.

    Raises:
        ValueError: if params are not finite floats, or the network does not take the samples, does
            not treat each by itself, or is not differentiable.

    >>> apply = lambda params, x: x @ params
    >>> empirical_ntk(apply, jnp.zeros((2, 1)), jnp.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 5.0]]
    """
    memory, traced = jacobians.checked_memory(memory), validation.flag("traced", traced)
    if isinstance(network, Network) and network.sensitivities is not None:
        kernel = _of_layers(network, params, x, others)
        kernel = jnp.einsum("icjc->ij", kernel) if traced else _flat(kernel)
    else:
        apply = network.apply if isinstance(network, Network) else network
        rows = jacobians.rows_of(apply, params, x)
        kernel = kernel_of(rows, _beside(rows, others), traced, memory)
    return validation.finite(FINITE, jax.device_put(kernel))


def kernel_of(
    rows: Rows, columns: Rows, traced: bool = False, memory: int = MEMORY
) -> Float[ArrayLike, "rows columns"]:
    """The :func:`empirical_ntk` of rows that were checked, with themselves or other columns."""
    itself = columns is rows
    rows = jacobians.in_their_direction(rows)
    columns = rows if itself else columns._replace(forwards=rows.forwards)
    known = all_known((rows.params, rows.x, columns.x))
    return (_by_blocks if known else _at_once)(rows, columns, traced, memory)


def ntk_product(
    apply: Callable, params, x: ArrayLike, v: ArrayLike, others: ArrayLike | None = None
) -> Float[Array, "rows *vectors"]:
    """K v of the tangent kernel K of :func:`empirical_ntk`, without K: J (J'ᵀ v).

    One pass backwards over the others and one forwards over the samples for each vector, in the
    memory of the parameters and of some samples' activations: for samples by the ten thousand.

    Args:
        apply: the network.
        params: its parameters.
        x: the samples, of the rows.
        v: a number for each column, or several along a second axis.
        others: those of the columns; by default the samples themselves.

    Raises:
        ValueError: as :func:`empirical_ntk`, or if v does not fit the columns.

    >>> apply = lambda params, x: x @ params
    >>> x = jnp.array([[1.0, 0.0], [1.0, 2.0]])
    >>> ntk_product(apply, jnp.zeros((2, 1)), x, jnp.array([1.0, -1.0])).tolist()
    [0.0, -4.0]
    """
    rows = jacobians.rows_of(apply, params, x)
    columns = _beside(rows, others)
    v = validation.floating("v", v, ndim=1)
    number = len(columns.x) * rows.outputs
    if len(v) != number or v.ndim > 2 or not v.size:
        raise ValueError(f"v must have {number} rows, got shape {v.shape}")
    with validation.differentiable("apply", "by jax.linearize"):
        vectors = v.reshape(len(columns.x), rows.outputs, -1)
        way = pulled(linear_maps(columns), rows.params, vectors)
        image = pushed(linear_maps(rows), way).reshape(-1, *v.shape[1:])
    return validation.finite(FINITE, image)


def largest_ntk_eigenvalue(
    apply: Callable, params, x: ArrayLike, iterations: int = 30
) -> Float[Array, ""]:
    """The largest eigenvalue λ of the :func:`empirical_ntk` of n samples, without the kernel.

    It comes from so many power iterations, each a forward and a backward pass, from below, and from
    a fixed random vector, so that none but an odd chance hides the largest. Gradient descent on
    ½ mean (F − y)² is stable as long as its step is below 2n/λ, where the outputs are near the
    labels.

    >>> float(largest_ntk_eigenvalue(lambda w, x: x @ w, jnp.ones(2), jnp.eye(2)))
    1.0
    """
    params, x, rows = validation.network(apply, params, x)
    iterations = validation.whole("iterations", iterations, least=1)
    start = np.random.default_rng(0).normal(size=math.prod(rows.shape)).astype(rows.dtype)
    with validation.differentiable("apply", "by jax.vjp and jax.jvp"):
        top = _largest_ntk_eigenvalue(hashable(apply), params, x, start, iterations)
    return validation.in_range("params and x", 1.0, top, vanishing=True)


@jit(static_argnames=("apply", "iterations"))
def _largest_ntk_eigenvalue(apply, params, x, start, iterations):
    f = lambda params: apply(params, x).reshape(-1)  # noqa: E731
    _, pull = jax.vjp(f, params)

    def once(_, vector):
        length = jnp.linalg.norm(vector)
        _, push = jax.jvp(f, (params,), pull(vector / jnp.where(length > 0, length, 1)))
        return push

    return jnp.linalg.norm(jax.lax.fori_loop(0, iterations, once, start))


def _beside(rows, others):
    """The rows of other samples, which have as many outputs each."""
    if others is None:
        return rows
    columns = jacobians.rows_of(rows.apply, rows.params, others, "others")
    if columns.outputs != rows.outputs:
        raise ValueError(
            f"others must have as many outputs a sample as x, {rows.outputs}, got {columns.outputs}"
        )
    return rows._replace(x=columns.x)


def _of_layers(network, params, x, others):
    """That of a layered network from what its layers see, by sample, output, sample, output."""
    params, x, _ = validation.network(network.apply, params, x)
    if others is not None:
        _, others, _ = validation.network(network.apply, params, others, "others")
    rows = network.sensitivities(params, x)
    columns = rows if others is None else network.sensitivities(params, others)
    n, m, outputs = len(rows[0][0]), *columns[1][-1].shape[:2]
    kernel = 0.0
    for layer, h, D, h_other, D_other in zip(network.layers, *rows, *columns, strict=True):
        D, D_other = D.reshape(n * outputs, -1), D_other.reshape(m * outputs, -1)
        inner = layer.multiplier**2 * matmul(h, h_other.T)[:, None, :, None]
        kernel += inner * matmul(D, D_other.T).reshape(n, outputs, m, outputs)
    return kernel


def _at_once(rows, columns, traced, memory):
    """The kernel from all rows at a time, as ``jit`` has it."""
    J, J_other = (each.of(each.whole()) for each in (rows, columns))
    return _flat(_inner(J, J_other, traced))


def _by_blocks(rows, columns, traced, memory):
    """The kernel from two blocks of rows at a time; of samples with themselves, half of it.

    One block is large and made once, and what it meets comes past it in parts.
    """
    size, outputs = jacobians.rows_at_a_time(rows.params, memory), rows.outputs
    n, m, itself = len(rows.x), len(columns.x), columns is rows
    small = min(size // 2, jacobians.rows_at_a_time(rows.params, jacobians.AT_ONCE))
    some = min(outputs, max(1, (size - small) // max(n, m)))
    if traced:  # no two outputs meet
        some = min(some, rows.outputs_at_a_time())
    above, beside = (jacobians.blocks(each.whole(), size - small, some) for each in (rows, columns))
    few = some if traced else min(some, max(1, small // m))
    kernel = np.zeros((n, m) if traced else (n, outputs, m, outputs), rows.dtype())

    def add(one, other, part):
        i, j = (block[:1] if traced else block for block in (one, other))
        kernel[i + j] += part

    for number, one in enumerate(above):
        J = rows.of(one)
        if itself:
            add(one, one, np.asarray(_inner(J, J, traced)))
        for whole in beside[number + 1 :] if itself else beside:
            if traced and whole.outputs != one.outputs:
                continue
            for other in jacobians.blocks(whole, small, few):
                part = np.asarray(_inner(J, columns.of(other), traced))
                add(one, other, part)
                if itself:
                    half = part.ndim // 2
                    add(other, one, np.moveaxis(part, range(half), range(half, 2 * half)))
    return _flat(kernel)


def _inner(J, J_other, traced):
    """J J'ᵀ of blocks, summed over their outputs or not."""
    axes = 1 if traced else 2
    total = 0.0
    for pair in zip(J, J_other, strict=True):
        rows, columns = (leaf.reshape(math.prod(leaf.shape[:axes]), -1) for leaf in pair)
        total += jacobians.inner_products(rows, columns)
    return total.reshape(*J[0].shape[:axes], *J_other[0].shape[:axes])


def _flat(kernel):
    """Rows and columns on one axis each."""
    return kernel.reshape(math.prod(kernel.shape[: kernel.ndim // 2]), -1)
