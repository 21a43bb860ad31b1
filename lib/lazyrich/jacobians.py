"""The rows of Jacobians J(x) = ∂F(x)/∂θ of any network, in blocks that memory has room for.

Outputs have any shape, or are a pytree of arrays, and are counted in the order in which they are
flattened; the rows of a Jacobian run over samples and, within a sample, over outputs.

All rows take samples × outputs × parameters numbers, which is soon beyond any memory. Here blocks
of rows, of some samples and some outputs, are made one after another, each from its samples alone.
So a network has to treat each sample by itself, as one with batch normalisation does in evaluation,
but not in training. Programs are compiled once for each function ``apply`` and shape of samples, so
that as under ``jax.jit`` it must be pure: what it reads besides its arguments must not change.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lazyrich import validation
from lazyrich.arithmetic import all_known, at_hand, hashable, jit, matmul, quickly_compiled
from lazyrich.validation import ArrayLike

MEMORY = 2**30
"""Bytes that the rows of Jacobians take at a time, unless told otherwise: a gibibyte."""

TOGETHER = 64  # samples whose activations are held at once
SAMPLES_TRIED = 4  # together and one by one
AT_ONCE = 2**28  # bytes of rows that one program gives, if so many are not of one output


class Rows(NamedTuple):
    """The rows of a Jacobian, which are made where they are asked for."""

    apply: Callable
    params: object
    x: jax.Array
    outputs: int
    """How many a sample has."""
    forwards: bool = False
    """Whether the network has its derivatives forwards alone, as one with a while loop."""

    def of(self, block: "Block") -> list:
        """Those of a block, (samples, outputs, size) for each array of the parameters.

        In NumPy where they are at hand, whose views copy nothing.
        """
        x, first = self.x[block.samples], block.outputs.start
        outputs, rows = block.outputs.stop - first, None
        some = min(outputs, self.outputs_at_a_time())
        for few, start in product(few_samples(len(x)), range(0, outputs, some)):
            number = min(some, outputs - start)
            piece = _rows(self.apply, self.params, x[few], first + start, number, self.forwards)
            if len(x) <= TOGETHER and number == outputs:
                return [np.asarray(leaf) if at_hand(leaf) else leaf for leaf in piece]
            if rows is None:
                xp = np if all(map(at_hand, piece)) else jnp
                rows = [xp.empty((len(x), outputs, leaf.shape[2]), leaf.dtype) for leaf in piece]
            place = few, slice(start, start + number)
            if xp is np:
                for whole, part in zip(rows, piece, strict=True):
                    whole[place] = part
            else:
                rows = [w.at[place].set(part) for w, part in zip(rows, piece, strict=True)]
        return rows

    def whole(self) -> "Block":
        """All of them."""
        return Block(slice(0, len(self.x)), slice(0, self.outputs))

    def outputs_at_a_time(self) -> int:
        """How many outputs of some samples one program gives, so that its own memory is small."""
        return max(1, rows_at_a_time(self.params, AT_ONCE) // min(TOGETHER, len(self.x)))

    def dtype(self) -> np.dtype:
        """That of the rows."""
        return jnp.result_type(*jax.tree.leaves(self.params))


class Block(NamedTuple):
    """Some samples and some of their outputs."""

    samples: slice
    outputs: slice


def rows_of(apply: Callable, params, x: ArrayLike, name: str = "x") -> Rows:
    """The rows of a network that fits its parameters and its samples, of a name.

    Raises:
        ValueError: if params are not finite floats, or the network does not take the samples, does
            not give finite floats, or does not treat each sample by itself.
    """
    params, x, outputs = validation.network_of_trees(apply, params, x, name)
    shapes = jax.tree.leaves(outputs)
    if not all(shape.shape[:1] == x.shape[:1] for shape in shapes):
        raise ValueError(
            f"apply must give outputs with {len(x)} samples along the first axis, got shapes "
            f"{', '.join(str(shape.shape) for shape in shapes)}"
        )
    rows = Rows(hashable(apply), params, x, sum(shape.size for shape in shapes) // len(x))
    if not rows.outputs or not sum(leaf.size for leaf in jax.tree.leaves(params)):
        raise ValueError("apply must give outputs, and params hold numbers, got none")
    if all_known((params, x)):
        _check_each_by_itself(rows, name)
    return rows


def _check_each_by_itself(rows, name):
    """That some samples have the same outputs one by one as together, here and a step away.

    The step is a random one: at a start with a last layer of zeros all outputs are alike.
    """
    few = rows.x[np.unique(np.linspace(0, len(rows.x) - 1, SAMPLES_TRIED, dtype=int))]
    random = np.random.default_rng(0)
    size = max(float(jnp.abs(leaf).max(initial=0.0)) for leaf in jax.tree.leaves(rows.params))
    away = jax.tree.map(
        lambda leaf: leaf + np.asarray(random.normal(0, 0.1 * size or 1, leaf.shape), leaf.dtype),
        rows.params,
    )
    for params in (rows.params, away):
        try:
            alone, together = map(np.asarray, _two_ways(rows.apply, params, few))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"apply must take any number of samples: {validation.first_line(error)}"
            ) from error
        if params is rows.params and not np.isfinite(together).all():
            raise ValueError(f"apply must give finite outputs on {name}, got inf or nan")
        allowed = np.finfo(together.dtype).eps ** 0.5 * np.abs(together).max(initial=0.0)
        if not (np.abs(alone - together) <= allowed)[np.isfinite(together)].all():
            raise ValueError(
                "apply must treat each sample by itself, as batch normalisation does in "
                f"evaluation, but on {name} the outputs of one depend on another"
            )


def in_their_direction(rows: Rows) -> Rows:
    """The same rows, by derivatives backwards where the network has them, else forwards.

    Raises:
        ValueError: if it has neither.
    """
    reasons = []
    for derivative in (jax.jacrev, jax.jacfwd):
        try:
            jax.eval_shape(derivative(partial(of_one, rows.apply, x=rows.x[0])), rows.params)
        except (TypeError, ValueError, NotImplementedError) as error:
            reasons.append(error)
        else:
            return rows._replace(forwards=derivative is jax.jacfwd)
    raise ValueError(
        f"apply must be differentiable: {validation.first_line(reasons[0])}"
    ) from reasons[0]


def blocks(whole: Block, rows: int, some: int) -> list[Block]:
    """A block in parts of at most so many rows, or of one sample, with some outputs each."""
    (first, end), (output, last) = ((one.start, one.stop) for one in whole)
    few = max(1, min(end - first, rows // some))
    return [
        Block(slice(s, min(s + few, end)), slice(c, min(c + some, last)))
        for c in range(output, last, some)
        for s in range(first, end, few)
    ]


def checked_memory(memory: int) -> int:
    """A number of bytes, at least one."""
    return validation.whole("memory", memory, least=1, below=math.inf)


def rows_at_a_time(params, memory: int) -> int:
    """How many rows have room in so many bytes, at least one."""
    return max(1, memory // sum(leaf.nbytes for leaf in jax.tree.leaves(params)))


def moment(rows: Rows, memory: int):
    """Σ_i J_iᵀ J_i over all rows, a matrix of parameters × parameters."""
    rows = in_their_direction(rows)
    samples, size = len(rows.x), rows_at_a_time(rows.params, memory)
    total = 0.0
    some = min(rows.outputs, max(1, size // samples))
    for block in blocks(rows.whole(), size, some):
        parts = [leaf.reshape(-1, leaf.shape[-1]) for leaf in rows.of(block)]
        J = np.concatenate(parts, 1) if all(map(at_hand, parts)) else jnp.concatenate(parts, 1)
        total += inner_products(J.T, J.T)
    return jax.device_put(total)


def inner_products(rows, columns):
    """Rows times columnsᵀ; NumPy sees where both are the same, and computes a half."""
    if at_hand(rows) and at_hand(columns):
        with np.errstate(all="ignore"):  # inf is a result, as in JAX
            return np.asarray(rows) @ np.asarray(columns).T
    return matmul(rows, columns.T)


def few_samples(samples):
    """Slices of samples whose activations are held at once."""
    return [slice(start, start + TOGETHER) for start in range(0, samples, TOGETHER)]


@jit(static_argnames=("apply", "number", "forwards"))
def _rows(apply, params, x, first, number, forwards):
    """∂F(x)/∂θ of some outputs, counted from the first: (samples, number, size) for each array."""

    def of_sample(one):
        flat = partial(of_one, apply, x=one)
        if forwards:
            J = jax.jacfwd(flat)(params)
            rows = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, number), J)
        else:
            F, pull = jax.vjp(flat, params)
            units = jax.lax.dynamic_slice_in_dim(jnp.eye(len(F), dtype=F.dtype), first, number)
            [rows] = jax.vmap(pull)(units)
        return [leaf.reshape(number, -1) for leaf in jax.tree.leaves(rows)]

    return jax.vmap(of_sample)(x)


def _two_ways_of(apply, params, x):
    """All outputs of some samples, one by one and together."""
    one_by_one = jax.vmap(partial(of_one, apply, params))(x)
    leaves = jax.tree.leaves(apply(params, x))
    return one_by_one, jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1)


_two_ways = quickly_compiled(_two_ways_of, static_argnames="apply")


def of_one(apply, params, x):
    """All outputs of one sample."""
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(apply(params, x[None]))])
