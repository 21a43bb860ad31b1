"""Derivatives of networks with respect to their parameters."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import hashable, jit
from lazyrich.validation import ArrayLike


def jacobian(apply: Callable, params, x: ArrayLike) -> Float[Array, "rows p"]:
    """The Jacobian ∂F(x)/∂θ, a row a sample and output, a column a parameter.

    Rows run over samples and, within a sample, over outputs, which may be a pytree of arrays.

    Works for any network. Costs a backward pass a row or a forward pass a parameter, whichever are
    fewer, and memory samples × outputs × parameters. A network that is differentiable in one
    direction only, as one with a ``jax.custom_vjp`` or with a while loop, takes that.

    Raises:
        ValueError: if params are not finite floats, or the network does not take the samples, is
            not differentiable, or has derivatives that are not finite.
    """
    params, x, outputs = validation.network_of_trees(apply, params, x)
    rows = sum(leaf.size for leaf in jax.tree.leaves(outputs))
    directions = [jax.jacrev, jax.jacfwd]
    if rows > sum(jnp.size(leaf) for leaf in jax.tree.leaves(params)):
        directions.reverse()
    for derivative in directions:
        try:
            J = _jacobian(hashable(apply), params, x, derivative)
        # Not all networks have both, as one with a while loop or with a jax.custom_vjp.
        except (TypeError, ValueError, NotImplementedError) as error:
            reason = error
        else:
            return validation.finite("apply must have finite derivatives", J)
    raise ValueError(f"apply must be differentiable: {validation.first_line(reason)}") from reason


@jit(static_argnames=("apply", "derivative"))
def _jacobian(apply, params, x, derivative):
    def flat(params):
        leaves = jax.tree.leaves(apply(params, x))
        return jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1).ravel()

    blocks = jax.tree.leaves(derivative(flat)(params))
    return jnp.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)


def taylor_coefficients(function: Callable, params, direction, order: int) -> Array:
    """The Taylor coefficients of a function along a direction, a_k = (d/dt)^k f(θ + t v)/k! at 0.

    By derivatives of derivatives of t ↦ f(θ + t v), forwards and in one program, whose shared
    parts are computed once: no Hessian is formed, and the cost grows about linearly in the order
    where the matrix products of a network dominate. The time to compile doubles with each order:
    about a second at order six for a network of a few layers.

    Args:
        function: ``function(params) -> array``; if it has kinks, its derivatives are those almost
            everywhere, see :func:`jumps`.
        params: θ, any pytree.
        direction: v, a pytree like it.
        order: the largest k.

    Returns:
        a_0, …, a_order on a leading axis.

    Raises:
        ValueError: if order is negative, the direction is not like the parameters, JAX cannot
            differentiate the function forwards, as one with a ``jax.custom_vjp``, or a coefficient
            is not finite.

    >>> taylor_coefficients(lambda x: 1 / (1 - x), 0.0, 1.0, 3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    params = validation.parameters("params", params)
    direction = validation.like("direction", direction, "params", params)
    order = validation.whole("order", order)
    with validation.differentiable("function", f"{order} times by jax.jvp"):
        terms = coefficients_along(function, params, direction, order)
    return validation.finite_orders("function must have finite derivatives", terms)


def coefficients_along(function: Callable, params, direction, order: int) -> Array:
    """:func:`taylor_coefficients` of what fits, with JAX's own errors."""
    g = lambda t: (function(_moved(params, t, direction)),)  # noqa: E731
    for _ in range(order):
        g = _with_one_more(g)

    @jit
    def coefficients():
        return jnp.stack([value / math.factorial(k) for k, value in enumerate(g(0.0))])

    return coefficients()


def jumps(function: Callable, params, direction, order: int, step: float = 1e-6) -> Array:
    """|a_k(h) − a_k(−h)|: how far :func:`taylor_coefficients` differ on both sides of a point.

    Where f is smooth they are O(h); a kink within the step, of f or of one of its derivatives,
    leaves a jump that does not shrink with h.

    Args:
        function: as for :func:`taylor_coefficients`.
        params: θ.
        direction: v.
        order: the largest k.
        step: h > 0.

    >>> jumps(jnp.abs, 0.0, 1.0, 2).tolist()
    [0.0, 2.0, 0.0]
    """
    [h] = validation.positives(step=step)
    params = validation.parameters("params", params)
    direction = validation.like("direction", direction, "params", params)
    before, after = (
        taylor_coefficients(function, _moved(params, t, direction), direction, order)
        for t in (-h, h)
    )
    return jnp.abs(after - before)


def _moved(params, t, direction):
    return jax.tree.map(lambda a, v: a + t * v, params, direction)


def _with_one_more(g):
    """From t ↦ (f, f', …, f^(k)) one derivative more."""

    def longer(t):
        values, slopes = jax.jvp(g, (t,), (1.0,))
        return values[0], *slopes

    return longer
