"""The empirical tangent kernel Θ(x, x') = J(x) J(x')ᵀ of any network, in bounded memory.

J(x) is the Jacobian ∂F(x)/∂θ, a row an output of a sample. Outputs have any shape, or are a pytree
of arrays, and are counted in the order in which they are flattened; the rows of a kernel run over
samples and, within a sample, over outputs.

A Jacobian of all rows takes samples × outputs × parameters, which is soon beyond any memory. Here
blocks of rows, of some samples and some outputs, are computed one after another, each from its
samples alone, and contracted with each other. So a network has to treat each sample by itself, as
one with batch normalisation does in evaluation, but not in training.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import at_hand, matmul
from lazyrich.networks import Network
from lazyrich.validation import ArrayLike

MEMORY = 2**30
"""Bytes that the rows of Jacobians take at a time, unless told otherwise: a gibibyte."""

TOGETHER = 64  # samples whose activations are held at once


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
    apply = network.apply if isinstance(network, Network) else network
    params, x, outputs = fitting(apply, params, x)
    y = None if others is None else fitting(apply, params, others, "others")[1]
    memory = validation.whole("memory", memory, least=1)
    if isinstance(network, Network) and network.sensitivities is not None:
        kernel = layer_wise(network, params, x, y)
        if not traced:
            return kernel
        return jnp.einsum("icjc->ij", kernel.reshape(len(x), outputs, -1, outputs))
    rows = partial(_rows, apply, params, forwards=_only_forwards(apply, params, x))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, x, y))):
        J = rows(x, 0, number=outputs)
        return _flat(_product(J, J if y is None else rows(y, 0, number=outputs), traced))
    size = max(1, memory // 2 // sum(leaf.nbytes for leaf in jax.tree.leaves(params)))
    kernel = _flat(_by_blocks(rows, x, y, outputs, size, traced))
    if not np.isfinite(kernel).all():
        raise ValueError("apply must have finite derivatives, got inf or nan")
    return jax.device_put(kernel)


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
    params, x, outputs = fitting(apply, params, x)
    y = x if others is None else fitting(apply, params, others, "others")[1]
    v = validation.floating("v", v, ndim=1)
    if len(v) != len(y) * outputs or v.ndim > 2:
        raise ValueError(f"v must have {len(y) * outputs} rows, got shape {v.shape}")
    vectors = v.reshape(len(y), outputs, -1)
    pulled = None
    for one in _pieces(len(y)):
        part = _pull(apply, params, y[one], vectors[one])
        pulled = part if pulled is None else jax.tree.map(jnp.add, pulled, part)
    pushed = [_push(apply, params, x[one], pulled) for one in _pieces(len(x))]
    return jnp.concatenate(pushed).reshape(-1, *v.shape[1:])


# What else takes the rows of Jacobians


def moment(apply, params, x, memory=MEMORY):
    """Σ_i J_iᵀ J_i over all rows, parameters × parameters, of what fits, from blocks of rows."""
    rows = partial(_rows, apply, params, forwards=_only_forwards(apply, params, x))
    outputs = _outputs(apply, params, x)
    size = max(1, memory // sum(leaf.nbytes for leaf in jax.tree.leaves(params)))
    total = 0.0
    for block in _blocks(len(x), outputs, size, min(outputs, max(1, size // len(x)))):
        leaves = [leaf.reshape(-1, leaf.shape[-1]) for leaf in block.of(rows, x)]
        J = np.concatenate([np.asarray(leaf) for leaf in leaves], axis=1)
        total += J.T @ J
    return jax.device_put(total)


def moment_product(apply, params, x, direction):
    """Σ_i J_iᵀ J_i v for a direction v like the parameters, flat, of what fits."""
    direction = jax.tree.map(lambda leaf: leaf[None], direction)
    total = 0.0
    for one in _pieces(len(x)):
        pulled = _pull(apply, params, x[one], _push(apply, params, x[one], direction))
        total += ravel_pytree(pulled)[0]
    return total


def fitting(apply, params, x, name="x"):
    """Parameters and samples, once they fit the network; how many outputs a sample has."""
    params, x, outputs = validation.network_of_trees(apply, params, x, name)
    shapes = jax.tree.leaves(outputs)
    if not all(shape.shape[:1] == x.shape[:1] for shape in shapes):
        raise ValueError(
            f"apply must give outputs with {len(x)} samples along the first axis, got shapes "
            f"{', '.join(str(shape.shape) for shape in shapes)}"
        )
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, x))):
        alone, together = map(np.asarray, _two_ways(apply, params, x[:2]))
        if not np.isfinite(together).all():
            raise ValueError(f"apply must give finite outputs on {name}, got inf or nan")
        allowed = np.finfo(together.dtype).eps ** 0.5 * np.abs(together).max(initial=0.0)
        if not np.abs(alone - together).max(initial=0.0) <= allowed:
            raise ValueError(
                "apply must treat each sample by itself, as batch normalisation does in "
                f"evaluation, but on {name} the outputs of one depend on another"
            )
    return params, x, _outputs(apply, params, x)


def _outputs(apply, params, x):
    """How many outputs a sample has."""
    return jax.eval_shape(partial(_of_one, apply), params, x[0]).size


class _Block(NamedTuple):
    """Rows of a Jacobian: those of some samples and some outputs."""

    samples: slice
    outputs: slice

    def of(self, rows, x):
        """These rows from a function of samples and outputs, an array of NumPy for each leaf."""
        x, number = x[self.samples], self.outputs.stop - self.outputs.start
        parts = [rows(x[one], self.outputs.start, number=number) for one in _pieces(len(x))]
        return [
            np.concatenate(leaf) if len(leaf) > 1 else leaf[0] for leaf in zip(*parts, strict=True)
        ]

    def place(self, traced):
        """Where they stand in the kernel."""
        return (self.samples,) if traced else (self.samples, self.outputs)


def _blocks(samples, outputs, rows, some_outputs):
    """Blocks of at most so many rows, or of one sample: of some outputs, and of as many samples."""
    some_samples = max(1, min(samples, rows // some_outputs))
    return [
        _Block(slice(s, min(s + some_samples, samples)), slice(c, min(c + some_outputs, outputs)))
        for c in range(0, outputs, some_outputs)
        for s in range(0, samples, some_samples)
    ]


def _pieces(samples):
    """Slices of samples whose activations are held at once."""
    return [slice(start, start + TOGETHER) for start in range(0, samples, TOGETHER)]


def _by_blocks(rows, x, y, outputs, size, traced):
    """The kernel from blocks of rows; of samples with themselves, y None, half is computed."""
    some = min(outputs, max(1, size // max(len(x), len(x if y is None else y))))
    left = _blocks(len(x), outputs, size, some)
    right = left if y is None else _blocks(len(y), outputs, size, some)
    columns = len(x if y is None else y)
    sizes = (len(x), columns) if traced else (len(x), outputs, columns, outputs)
    kernel = np.zeros(sizes, x.dtype)
    for number, one in enumerate(left):
        J = one.of(rows, x)
        for other in right[number:] if y is None else right:
            if traced and other.outputs != one.outputs:
                continue
            same = y is None and other == one
            part = np.asarray(
                _product(J, J if same else other.of(rows, x if y is None else y), traced)
            )
            kernel[one.place(traced) + other.place(traced)] += part
            if y is None and not same:
                half = part.ndim // 2
                turned = np.moveaxis(part, range(half), range(half, 2 * half))
                kernel[other.place(traced) + one.place(traced)] += turned
    return kernel


@partial(jax.jit, static_argnames=("apply", "number", "forwards"))
def _rows(apply, params, x, first, *, number, forwards):
    """∂F(x)/∂θ of some outputs, counted from the first: (samples, number, size) for each array."""

    def of_sample(one):
        flat = partial(_of_one, apply, x=one)
        if forwards:
            J = jax.jacfwd(flat)(params)
            rows = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, number), J)
        else:
            F, pull = jax.vjp(flat, params)
            units = jax.lax.dynamic_slice_in_dim(jnp.eye(len(F), dtype=F.dtype), first, number)
            [rows] = jax.vmap(pull)(units)
        return [leaf.reshape(number, -1) for leaf in jax.tree.leaves(rows)]

    return jax.vmap(of_sample)(x)


@partial(jax.jit, static_argnames="apply")
def _two_ways(apply, params, x):
    """All outputs of some samples, one by one and together."""
    one_by_one = jax.vmap(partial(_of_one, apply, params))(x)
    leaves = jax.tree.leaves(apply(params, x))
    return one_by_one, jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1)


@partial(jax.jit, static_argnames="apply")
def _pull(apply, params, x, vectors):
    """Jᵀ v of some samples, for each vector on the last axis."""
    _, pull = jax.vjp(lambda params: jax.vmap(partial(_of_one, apply, params))(x), params)
    return jax.lax.map(lambda v: pull(v)[0], jnp.moveaxis(vectors, -1, 0))


@partial(jax.jit, static_argnames="apply")
def _push(apply, params, x, directions):
    """J v of some samples, for directions v on the first axes: (samples, outputs, directions)."""

    def along(v):
        outputs = lambda params: jax.vmap(partial(_of_one, apply, params))(x)  # noqa: E731
        return jax.jvp(outputs, (params,), (v,))[1]

    return jnp.moveaxis(jax.lax.map(along, directions), 0, -1)


def _only_forwards(apply, params, x):
    """Whether a network has its derivatives forwards alone, as one with a while loop."""
    reasons = []
    for derivative in (jax.jacrev, jax.jacfwd):
        try:
            jax.eval_shape(derivative(partial(_of_one, apply, x=x[0])), params)
        except (TypeError, ValueError, NotImplementedError) as error:
            reasons.append(error)
        else:
            return derivative is jax.jacfwd
    raise ValueError(
        f"apply must be differentiable: {validation.first_line(reasons[0])}"
    ) from reasons[0]


def layer_wise(network, params, x, others):
    """The kernel of a layered network, from what its layers see."""
    rows = network.sensitivities(params, x)
    columns = rows if others is None else network.sensitivities(params, others)
    n, m, outputs = len(rows[0][0]), *columns[1][-1].shape[:2]
    kernel = 0.0
    for layer, h, D, h_other, D_other in zip(network.layers, *rows, *columns, strict=True):
        D, D_other = D.reshape(n * outputs, -1), D_other.reshape(m * outputs, -1)
        inner = layer.multiplier**2 * matmul(h, h_other.T)[:, None, :, None]
        kernel += inner * matmul(D, D_other.T).reshape(n, outputs, m, outputs)
    return kernel.reshape(n * outputs, m * outputs)


def _of_one(apply, params, x):
    """All outputs of one sample."""
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(apply(params, x[None]))])


def _product(J, other, traced):
    """J J'ᵀ of blocks, summed over their outputs or not."""
    axes = 1 if traced else 2
    total = 0.0
    for one, two in zip(J, other, strict=True):
        rows, columns = (leaf.reshape(math.prod(leaf.shape[:axes]), -1) for leaf in (one, two))
        total += _dot(rows, columns)
    return total.reshape(*J[0].shape[:axes], *other[0].shape[:axes])


def _dot(rows, columns):
    if at_hand(rows) and at_hand(columns):
        # NumPy sees where both are the same, and computes a half.
        rows, columns = np.asarray(rows), np.asarray(columns)
        return rows @ columns.T
    return matmul(rows, columns.T)


def _flat(kernel):
    """Rows and columns on one axis each."""
    half = math.prod(kernel.shape[: kernel.ndim // 2])
    return kernel.reshape(half, -1)
