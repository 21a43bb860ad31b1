"""Pytrees of arrays, and networks, which are functions of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lazyrich.arithmetic import all_known, at_hand
from lazyrich.validation.arrays import ArrayLike, _finite, array_of, first_line, floating
from lazyrich.validation.choices import kind


def members(name: str, value: Any) -> int:
    """The number of rows that all arrays of the pytree `value` have along their first axes."""
    found = {}
    for path, leaf in jax.tree.leaves_with_path(value):
        length = next(iter(jnp.shape(leaf)), "none")
        found.setdefault(length, f"{length} in {name}{jax.tree_util.keystr(path)}")
    if len(found) != 1 or "none" in found:
        lengths = ", ".join(found.values()) or "no array"
        raise ValueError(f"{name} must be alike in the length of their first axes, got {lengths}")
    return next(iter(found))


def parameters(name: str, value):
    """`value`, a pytree of arrays of floats, at least one, every entry finite."""
    if not jax.tree.leaves(value):
        raise ValueError(f"{name} must hold at least one array of floats, got {value!r}")
    return jax.tree.map(lambda leaf: _finite(name, leaf), value)


def like(name: str, value, other: str, wanted):
    """`value`, parameters with the structure and the shapes of another pytree."""
    value = parameters(name, value)
    shapes, wanted = (jax.tree.map(jnp.shape, tree) for tree in (value, wanted))
    if shapes != wanted:
        raise ValueError(f"{name} must be a pytree with the shapes of {other}, got {shapes}")
    return value


def inputs(name: str, value) -> jax.Array:
    """`value` as an array of samples along its first axis, one or more; floats must be finite."""
    array = array_of(name, value)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise ValueError(f"{name} must be an array of numbers, got dtype {array.dtype}")
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"{name} must hold samples along its first axis, got shape {array.shape}")
    if jnp.issubdtype(array.dtype, jnp.floating):
        array = _finite(name, array)
    return jnp.asarray(array)


def network(
    apply: Callable, params, x: ArrayLike, name: str = "x"
) -> tuple[Any, jax.Array, jax.ShapeDtypeStruct]:
    """Parameters and samples of a name, and shape and dtype of the network's outputs, floats."""
    params, x, outputs = network_of_trees(apply, params, x, name)
    if not isinstance(outputs, jax.ShapeDtypeStruct):
        raise ValueError(f"apply must give an array of floats, got {outputs}")
    return params, x, outputs


def network_of_trees(
    apply: Callable, params, x: ArrayLike, name: str = "x"
) -> tuple[Any, jax.Array, Any]:
    """:func:`network` whose outputs may be a pytree of arrays."""
    params, x = parameters("params", params), inputs(name, x)
    try:
        outputs = jax.eval_shape(apply, params, x)
    except Exception as error:
        raise ValueError(
            f"apply must take params and {name}, of shape {x.shape}: {first_line(error)}"
        ) from error
    leaves = jax.tree.leaves(outputs)
    if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        raise ValueError(f"apply must give an array of floats, got {outputs}")
    return params, x, outputs


def as_outputs(name: str, value: ArrayLike, outputs: jax.ShapeDtypeStruct) -> jax.Array:
    """`value` as floats of the shape and the dtype of a network's outputs; it may be integers."""
    array = kind(name, value, "real numbers")
    if array.shape != outputs.shape:
        raise ValueError(
            f"{name} must have the shape of the outputs, {outputs.shape}, got {array.shape}"
        )
    with np.errstate(over="ignore"):
        return floating(name, array.astype(outputs.dtype))


def function(name: str, value: object) -> Callable:
    """`value`, which must be a function."""
    if not callable(value):
        raise ValueError(f"{name} must be a function, got {type(value).__name__}")
    return value


def giving(
    name: str, wanted: str, shape: tuple[int, ...], value: object, *arguments
) -> jax.ShapeDtypeStruct:
    """Shape and dtype of what a function gives of arguments: floats of the shape, in words."""
    function(name, value)
    try:
        given = jax.eval_shape(value, *arguments)
    except Exception as error:
        raise ValueError(f"{name} must give {wanted}: {first_line(error)}") from error
    if not isinstance(given, jax.ShapeDtypeStruct):
        raise ValueError(f"{name} must give {wanted}, got a {type(given).__name__}")
    if given.shape != shape or not jnp.issubdtype(given.dtype, jnp.floating):
        raise ValueError(f"{name} must give {wanted}, got {given.dtype} of shape {given.shape}")
    return given


@contextmanager
def differentiable(name: str, how: str) -> Iterator[None]:
    """One sentence if JAX cannot differentiate the function of a name, in what is done within."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{name} must be differentiable {how}: {first_line(error)}") from error


def finite_orders(sentence: str, terms, first: int = 0):
    """`terms`, arrays or pytrees one an order from `first` on, finite where all are known.

    The sentence says who must have or leave finite ones.
    """
    if not all_known(terms):
        return terms
    for order, term in enumerate(terms, first):
        finite(sentence, term, f" in order {order}")
    return terms


def finite(sentence: str, result, where: str = ""):
    """`result`, a pytree of arrays that are finite where they are known.

    The sentence says who must have or leave a finite one.
    """
    for leaf in jax.tree.leaves(result):
        if isinstance(leaf, jax.core.Tracer):
            continue
        xp = np if at_hand(leaf) else jnp  # a large array stays on its GPU
        if not xp.isfinite(leaf).all():
            raise ValueError(f"{sentence}, got inf or nan{where}")
    return result
