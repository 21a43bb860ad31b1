"""Derivative correlations: high derivatives of a network, contracted with its first ones.

With the learning rate η inside,

    C^{D,d}(x; x_1, …, x_d) = η^{D/2+d}/(D! d!) · ∇^{D+d} F(x) · ∇F(x_1) ⊗ … ⊗ ∇F(x_d):

d of the D + d indices of the high derivative meet a first derivative, and D stay free. C^{0,1} is
the tangent kernel, and G^D := C^{D,0} are the scaled derivatives themselves. Training contracts the
inputs x_1, …, x_d with the residuals c of a step, so what matters of C^{0,d} is the Taylor
coefficient of order d along the **update direction** v = Σ_i c_i ∇F(x_i):

    C^{0,d}·c^d = η^d/d! · (d/dt)^d F(θ + t v) at t = 0.

An external scale α F, learned at the rate η/α², multiplies C^{D,d} by α^{1−D−d}: it leaves the
kernel alone. Everywhere `rate` is the η of scale one, so that the kernel is the same at all scales.

Sizes of tensors are injective norms, of :mod:`~lazyrich.linearization.norms`.

Source: Shem-Ur & Oz, *Weak correlations as the underlying principle for linearization of
gradient-based learning systems* (arXiv 2401.04013).
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot, ordinarily
from lazyrich.derivatives import coefficients_along
from lazyrich.validation import ArrayLike

MOST_ROWS, MOST_ENTRIES = 16, 2**20
SMOOTH = "apply must have finite derivatives"
IN_RANGE = "rate and scale must leave finite correlations"


def update_direction(apply: Callable, params, x: ArrayLike, residual: ArrayLike):
    """The update direction v = Σ_i c_i ∇F(x_i): a step is θ − η v, and v a pytree like θ.

    Args:
        apply: the network, ``apply(params, x) -> outputs``.
        params: θ.
        x: the inputs of the step.
        residual: c, the derivative of the cost by the outputs, of their shape.

    Raises:
        ValueError: if the residual does not have the shape of the outputs, or the network does not
            give floats from params and x, all finite, with finite derivatives.
    """
    params, x, outputs = validation.network(apply, params, x)
    residual = validation.as_outputs("residual", residual, outputs)
    with validation.differentiable("apply", "by jax.vjp"):
        outputs, pull = jax.vjp(lambda params: apply(params, x), params)
        [v] = pull(residual)
    return validation.finite_orders(SMOOTH, (outputs, v))[1]


@ordinarily
def contracted(
    apply: Callable,
    params,
    x: ArrayLike,
    direction,
    order: int,
    rate: ArrayLike = 1.0,
    scale: ArrayLike = 1.0,
) -> Float[Array, "order *outputs"]:
    """C^{0,d}·c^d for d = 1, …, order, at each input and output, in one program.

    Args:
        apply: the network; with kinks, the derivatives are those almost everywhere.
        params: θ.
        x: the inputs at which the change is asked for.
        direction: v of :func:`update_direction`.
        order: the largest d, at least 1.
        rate: η at scale one.
        scale: α.

    Raises:
        ValueError: if order or the numbers are out of range; if the direction is not like the
            parameters; if the network has no finite derivatives of that order, or rate and scale
            leave none; or in float32 if a term lies below the rounding of the largest, F itself
            among them: such a term takes float64. Inside of a trace numbers are not known, and only
            shapes are checked.

    >>> apply = lambda params, x: params**2 * x[:, 0]
    >>> contracted(apply, 3.0, jnp.ones((1, 1)), 2.0, 2, rate=0.5).ravel().tolist()
    [6.0, 1.0]
    """
    return contractions(apply, *fitting(apply, params, x, direction, order, rate, scale))


def contractions(apply, params, x, direction, d, rate, scale):
    """:func:`contracted` of what fits."""
    with validation.differentiable("apply", f"{len(d)} times by jax.jvp"):
        terms = coefficients_along(lambda params: apply(params, x), params, direction, len(d))
    scaled = _scaled(terms[1:], rate**d * scale ** (1.0 - d))
    _above_rounding(scale * terms[0], scaled)
    return scaled


@ordinarily
def gradient_norms(
    apply: Callable,
    params,
    x: ArrayLike,
    direction,
    order: int,
    rate: ArrayLike = 1.0,
    scale: ArrayLike = 1.0,
) -> Float[Array, "order *outputs"]:
    """|C^{1,d}·c^d| for d = 1, …, order, at each input and output.

    It is η^{d+1/2}/d! times the length of the gradient of (d/dt)^d F(θ + t v) with v held fixed.
    One gradient an input and an order is held at a time. Arguments and errors as for
    :func:`contracted`, except that float32 will do: each is a length, in which nothing cancels.
    """
    params, x, direction, d, rate, scale = fitting(apply, params, x, direction, order, rate, scale)

    def of_one(one):
        def outputs(params):
            of_x = lambda params: apply(params, one[None])[0]  # noqa: E731
            return coefficients_along(of_x, params, direction, order)[1:]

        values, pull = jax.vjp(outputs, params)
        unit = jnp.eye(values.size, dtype=values.dtype).reshape(values.size, *values.shape)
        squares = jax.lax.map(lambda one: _square(pull(one)[0]), unit)
        return jnp.sqrt(squares).reshape(values.shape)

    with validation.differentiable("apply", f"{order} times by jax.jvp, then by jax.vjp"):
        norms = jnp.moveaxis(jax.lax.map(of_one, x), 0, 1)
    return _scaled(norms, rate ** (d + 0.5) * scale ** (0.0 - d))


@ordinarily
def correlation_tensor(
    apply: Callable,
    params,
    x: ArrayLike,
    inputs: ArrayLike,
    order: int,
    rate: ArrayLike = 1.0,
    scale: ArrayLike = 1.0,
) -> Float[Array, "rows *indices"]:
    """C^{0,d}(x; x_1, …, x_d), all of it, on at most 16 inputs.

    Rows run over samples and, within a sample, over outputs; so do the d further axes, over
    `inputs`. The tensor is symmetric in them, and each entry is computed once.

    Args:
        apply: the network.
        params: θ.
        x: the samples of the high derivative.
        inputs: those of the first derivatives.
        order: d, at least 1.
        rate: η at scale one.
        scale: α.

    Raises:
        ValueError: if order is below 1, inputs times outputs is above 16, the tensor would have
            more than 2²⁰ entries a row, params and inputs do not fit the network, or it has no
            finite derivatives of that order.
    """
    order = validation.whole("order", order, least=1)
    rate, scale = validation.positives(rate=rate, scale=scale)
    _, x, _ = validation.network(apply, params, x)
    params, inputs, outputs = validation.network(apply, params, inputs, "inputs")
    rows = math.prod(outputs.shape)
    if rows > MOST_ROWS:
        raise ValueError(f"inputs must have at most {MOST_ROWS} outputs in all, got {rows}")
    if rows**order > MOST_ENTRIES:
        raise ValueError(f"order must leave at most {MOST_ENTRIES} entries a row, got {order}")
    with validation.differentiable("apply", "by jax.vjp"):
        outputs, pull = jax.vjp(lambda params: apply(params, inputs).reshape(-1), params)
        gradients = jax.vmap(lambda unit: pull(unit)[0])(jnp.eye(rows, dtype=outputs.dtype))
    validation.finite_orders(SMOOTH, (outputs, gradients))

    def entry(index):
        function = lambda params: apply(params, x).reshape(-1)  # noqa: E731
        for i in range(order):
            function = _derivative(function, jax.tree.map(lambda g, i=i: g[index[i]], gradients))
        return function(params)

    once = np.array(list(itertools.combinations_with_replacement(range(rows), order)))
    with validation.differentiable("apply", f"{order} times by jax.jvp"):
        values = jax.lax.map(entry, jnp.asarray(once))
    validation.finite_orders(SMOOTH, values[None], first=order)
    number = {tuple(index): i for i, index in enumerate(once.tolist())}
    every = itertools.product(range(rows), repeat=order)
    places = np.array([number[tuple(sorted(index))] for index in every])
    full = jnp.moveaxis(values[places], 0, 1).reshape(-1, *[rows] * order)
    scaled = rate**order * scale ** (1.0 - order) / math.factorial(order) * full
    return validation.finite_orders(IN_RANGE, scaled[None], first=order)[0]


def fitting(apply, params, x, direction, order, rate, scale):
    """The arguments as arrays, once everything is known to fit, and all orders from 1 on."""
    params, x, _ = validation.network(apply, params, x)
    direction = validation.like("direction", direction, "params", params)
    d = np.arange(1, validation.whole("order", order, least=1) + 1)
    return params, x, direction, d, *validation.positives(rate=rate, scale=scale)


def _scaled(terms, factors):
    """The terms of order one and higher, each times its factor."""
    validation.finite_orders(SMOOTH, terms, first=1)
    factors = factors.astype(terms.dtype).reshape(-1, *[1] * (terms.ndim - 1))
    return validation.finite_orders(IN_RANGE, terms * factors, first=1)


def _above_rounding(outputs, terms):
    if terms.dtype != jnp.float32 or isinstance(terms, jax.core.Tracer):
        return
    sizes = np.abs(terms).reshape(len(terms), -1).max(1)
    floor = np.finfo(np.float32).eps * max(sizes.max(), np.abs(outputs).max())
    if (sizes < floor).any():
        d = int(np.argmax(sizes < floor))
        raise ValueError(
            f"params must be float64 for order {d + 1}, got float32, whose rounding {floor:.1e} "
            f"is above C^{{0,{d + 1}}} of {sizes[d]:.1e}"
        )


def _derivative(function, direction):
    return lambda params: jax.jvp(function, (params,), (direction,))[1]


def _square(tree):
    return sum(dot(leaf.ravel(), leaf.ravel()) for leaf in jax.tree.leaves(tree))
