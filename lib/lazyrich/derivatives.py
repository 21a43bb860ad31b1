"""Derivatives of networks with respect to their parameters."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit, matmul
from lazyrich.networks import Network
from lazyrich.validation import ArrayLike

FINITE = "params and x must leave derivatives whose products are finite"


def jacobian(apply: Callable, params, x: ArrayLike) -> Float[Array, "rows p"]:
    """The Jacobian ∂F(x)/∂θ, a row a sample and output, a column a parameter.

    Works for any network. Costs a backward pass a row or a forward pass a parameter, whichever are
    fewer, and memory samples × outputs × parameters. A network that is differentiable in one
    direction only, as one with a ``jax.custom_vjp`` or with a while loop, takes that.

    Raises:
        ValueError: if params are not finite floats, or the network does not take the samples, is
            not differentiable, or has derivatives that are not finite.
    """
    blocks = _blocks(apply, params, x)
    J = blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=1)
    return validation.finite("apply must have finite derivatives", J)


def empirical_ntk(
    network: Callable | Network,
    params,
    x: ArrayLike,
    others: ArrayLike | None = None,
) -> Float[Array, "rows columns"]:
    """The empirical tangent kernel J J'ᵀ of samples and others, with J the :func:`jacobian`.

    The others are the samples themselves unless given. Rows run over samples and, within a sample,
    over outputs, and columns over the others in the same way. A layered network is treated layer by
    layer: with h(x) the input of a layer and D(x) the derivatives of the outputs with respect to
    what it computes, the kernel is

        Θ_ac(x, x') = Σ_layers multiplier² · h(x)·h(x') · D_a(x)·D_c(x'),

    at the cost of matrix products with samples × outputs rows, and no Jacobian. Any other network,
    given by its function ``apply(params, x)``, goes through the Jacobian, whose memory is samples ×
    outputs × parameters.

    >>> apply = lambda params, x: x @ params
    >>> empirical_ntk(apply, jnp.zeros((2, 1)), jnp.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 5.0]]

    Raises:
        ValueError: as for the :func:`jacobian`, or if the kernel is out of the range of its dtype.
    """
    if isinstance(network, Network) and network.sensitivities is not None:
        params, x, _ = validation.network(network.apply, params, x)
        if others is not None:
            _, others, _ = validation.network(network.apply, params, others, "others")
        return validation.finite(FINITE, _layer_wise(network, params, x, others))
    apply = network.apply if isinstance(network, Network) else network
    rows = _blocks(apply, params, x)
    columns = rows if others is None else _blocks(apply, params, others, "others")
    kernel = sum(matmul(J, J_other.T) for J, J_other in zip(rows, columns, strict=True))
    return validation.finite(FINITE, kernel)


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
        top = _largest_ntk_eigenvalue(apply, params, x, start, iterations)
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


def gauss_newton(apply: Callable, params, x: ArrayLike) -> Float[Array, "p p"]:
    """The Gauss-Newton matrix Jᵀ J/samples of the loss ½ |F − y|², averaged over the samples.

    It has the non-zero spectrum of the :func:`empirical_ntk` over the number of samples. Through
    the Jacobian, so for few parameters.
    """
    rows = jacobian(apply, params, x)
    return validation.finite(FINITE, matmul(rows.T, rows) / len(x))


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


def _layer_wise(network, params, x, others):
    rows = network.sensitivities(params, x)
    columns = rows if others is None else network.sensitivities(params, others)
    n, m, outputs = len(rows[0][0]), *columns[1][-1].shape[:2]
    kernel = 0.0
    for layer, h, D, h_other, D_other in zip(network.layers, *rows, *columns, strict=True):
        D, D_other = D.reshape(n * outputs, -1), D_other.reshape(m * outputs, -1)
        inner = layer.multiplier**2 * matmul(h, h_other.T)[:, None, :, None]
        kernel += inner * matmul(D, D_other.T).reshape(n, outputs, m, outputs)
    return kernel.reshape(n * outputs, m * outputs)


def _blocks(apply, params, x, name="x"):
    """The columns of the Jacobian that belong to each array of parameters."""
    params, x, outputs = validation.network(apply, params, x, name)
    rows = math.prod(outputs.shape)

    def flat(params):
        return apply(params, x).reshape(-1)

    directions = [jax.jacrev, jax.jacfwd]
    if rows > sum(jnp.size(leaf) for leaf in jax.tree.leaves(params)):
        directions.reverse()
    for derivative in directions:
        try:
            blocks = jax.tree.leaves(derivative(flat)(params))
            return [block.reshape(rows, -1) for block in blocks]
        # Not all networks have both, as one with a while loop or with a jax.custom_vjp.
        except (TypeError, ValueError, NotImplementedError) as error:
            reason = error
    raise ValueError(f"apply must be differentiable: {validation.first_line(reason)}") from reason
