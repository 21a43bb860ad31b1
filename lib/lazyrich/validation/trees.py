"""Pytrees of arrays, and networks, which are functions of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lazyrich.validation.arrays import _finite


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
    leaves = jax.tree.leaves(value)
    if not leaves:
        raise ValueError(f"{name} must hold at least one array of floats, got {value!r}")
    for leaf in leaves:
        _finite(name, leaf)
    return value


def like(name: str, value, other: str, wanted):
    """`value`, a pytree with the structure and the shapes of another."""
    shapes, wanted = (jax.tree.map(jnp.shape, tree) for tree in (value, wanted))
    if shapes != wanted:
        raise ValueError(f"{name} must be a pytree with the shapes of {other}, got {shapes}")
    return value


def outputs(apply: Callable, params, x: ArrayLike) -> jax.ShapeDtypeStruct:
    """Shape and dtype of a network's outputs, which must be floats, on a sample or more."""
    if jnp.ndim(x) == 0 or len(x) == 0:
        raise ValueError(f"x must hold samples along its first axis, got shape {jnp.shape(x)}")
    if jnp.issubdtype(jnp.result_type(x), jnp.floating):
        _finite("x", x)
    try:
        outputs = jax.eval_shape(apply, params, x)
    except Exception as error:
        raise ValueError(
            f"apply must take params and x, of shape {jnp.shape(x)}: {first_line(error)}"
        ) from error
    if not jnp.issubdtype(getattr(outputs, "dtype", bool), jnp.floating):
        raise ValueError(f"apply must give an array of floats, got {outputs}")
    return outputs


def first_line(error: Exception) -> str:
    """What an error says, without the paragraphs that follow."""
    return f"{str(error) or type(error).__name__}".splitlines()[0]
