"""A meter of laziness: how far training will leave the linear model, read off at the start.

Give the outputs an external scale, so that training has a parameter ε = 1/α:

    f_ε(φ) = F(θ_0) + (F(θ_0 + ε φ) − F(θ_0))/ε,   φ ← φ − η ∇f_ε(φ)ᵀ c,   φ = 0 at the start.

At ε = 0 this is the linear model, at ε = 1 the network. The meter is the Taylor polynomial of the
whole training in ε, cut after ε². With φ = φ_0 + ε φ_1 + ε² φ_2 + …, −φ_0 the accumulated
displacement of the linear model, and F^(k) the k-th derivative at the start,

    f_1 = F' φ_1 + ½ F''[φ_0, φ_0],
    f_2 = F' φ_2 + F''[φ_0, φ_1] + ⅙ F'''[φ_0, φ_0, φ_0],

which are the coefficients of t² and t³ in F(θ_0 + t φ_0 + t² φ_1 + t³ φ_2). The φ_k move by the
coefficients of the gradient in the same way, so that a change of the outputs feeds back on the
residuals c, the derivatives of the loss by the outputs, and a change of the gradient on the path.
For the squared loss c is linear in the outputs; for any other its own derivatives come in, as c has
a Taylor polynomial in ε too.

In NTK scaling **both orders are of size 1/n**: f_1 is a sum over neurons of random signs, made of
C^{0,2}; f_2 is smaller neuron by neuron but coherent, made of C^{0,3} and of |C^{1,1}|², the latter
through φ_1, which is the turn of the gradient along the path, of length n^(−½). What is left out,
f_3 and f_4, is of size 1/n² for the same reason. So the ratio of prediction to truth is 1 + O(1/n).
The kernel has the coefficients K_1 and K_2 of J Jᵀ along the same curve, both of size 1/n too.

Stored are three copies of the parameters and, at the end, rows of Jacobians in blocks; never a
Hessian. Derivatives at a point do not see kinks: for ReLU the meter reads too little, by a factor
that in the end should fall as n^(−¼).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import jacobians, validation
from lazyrich.arithmetic import (
    all_known,
    binary_unit,
    hashable,
    jit,
    matmul,
    relative_size,
    root_mean_square,
)
from lazyrich.derivatives import coefficients_along
from lazyrich.training import mean_squared_error
from lazyrich.validation import ArrayLike


class Laziness(NamedTuple):
    """What the meter reads; the outputs' own units unless a quotient is meant."""

    distance: Float[Array, ""]
    """|F − F_lin| after training, root mean square over test inputs and outputs."""
    kernel: Float[Array, ""]
    """|K − K_0|/|K_0| after training, Frobenius norms on the training inputs; no unit, and nan if
    it was not asked for."""
    movement: Float[Array, ""]
    """|F_lin − F_0|, to compare the distance with: a distance beyond it is no prediction."""
    terms: Float[Array, "2 test *outputs"]
    """f_1 and f_2, whose sum is the prediction of F − F_lin with its sign."""


def laziness(
    apply: Callable,
    params,
    x: ArrayLike,
    y: ArrayLike,
    rate: ArrayLike,
    steps: int,
    x_test: ArrayLike | None = None,
    loss: Callable | None = None,
    kernel: bool = True,
) -> Laziness:
    """Predict how far gradient descent on a loss will leave the linear model.

    The loss is ½ mean (F − y)², over samples and outputs, or any other; each step takes all
    samples. A step of the meter costs about ten of training. The kernel at the end comes from the
    rows of Jacobians, whose products grow as the square of the training outputs; under ``jit`` from
    as much as a step for each of these.

    Args:
        apply: any smooth network, ``apply(params, x) -> outputs``, inputs along the first axis.
        params: θ_0, any pytree.
        x: training inputs.
        y: targets, of the shape of the outputs, or what the loss takes.
        rate: η.
        steps: their number.
        x_test: where the distance is asked for; by default the training inputs.
        loss: ``loss(outputs, y) -> number``, smooth in the outputs, as the mean of
            ``optax.softmax_cross_entropy``; by default the squared one.
        kernel: whether to read the change of the kernel too; it is nan if not.

    Raises:
        ValueError: if the targets do not fit the outputs or the loss, the network does not take
            the inputs or does not treat each by itself, params or inputs are not finite, or JAX
            cannot differentiate the network three times forwards and once backwards.

    Above the rate at which the linear model diverges the reading grows without bound. Where the
    kernel of the start vanishes its change is nan, and where the network or the loss has no finite
    derivative all is.

    A network that is linear in its parameters has no distance to go:

    >>> x, y = jnp.eye(2), jnp.ones((2, 1))
    >>> reading = laziness(lambda w, x: x @ w, jnp.zeros((2, 1)), x, y, rate=1.0, steps=10)
    >>> float(reading.distance), float(reading.kernel)
    (0.0, 0.0)
    """
    [rate] = validation.positives(rate=rate)
    steps, kernel = validation.whole("steps", steps), validation.flag("kernel", kernel)
    params, x, outputs = validation.network(apply, params, x)
    if any(jnp.result_type(leaf) != outputs.dtype for leaf in jax.tree.leaves(params)):
        raise ValueError(f"params must have the dtype of the outputs, {outputs.dtype}, all of them")
    if loss is None:
        loss, y = mean_squared_error, validation.as_outputs("y", y, outputs)
    else:
        y = validation.array_of("y", y)
        validation.giving("loss", "a number from outputs and y", (), loss, outputs, y)
    _, x_test, _ = validation.network(apply, params, x if x_test is None else x_test, "x_test")
    apply = hashable(apply)
    if all_known((params, x)):
        jacobians.rows_of(apply, params, x)
    with validation.differentiable("apply", "three times by jax.jvp, and once by jax.vjp"):
        path = _path(apply, hashable(loss), steps, params, x, y, rate.astype(outputs.dtype))
        _, moved, *terms = _coefficients(apply, params, path, x_test)
        change = _kernel_change(apply, params, path, x) if kernel else jnp.nan
    return _reading(moved, terms, change)


@jit(static_argnames=("apply", "loss"))
def _path(apply, loss, steps, params, x, y, rate):
    """φ_0, φ_1 and φ_2 after training, flat."""
    start, unravel = ravel_pytree(params)

    def update(_, path):
        at_start, moved, *terms = _coefficients(apply, params, path, x)
        outputs = at_start + moved, *terms
        slope = lambda t: jax.grad(loss)(_polynomial(outputs, t), y)  # noqa: E731
        residuals = coefficients_along(slope, 0.0, 1.0, 2)

        def gradient(t):
            _, pull = jax.vjp(lambda theta: apply(unravel(theta), x), _curve(start, path, t))
            return pull(_polynomial(residuals, t))[0]

        return path - rate * coefficients_along(gradient, 0.0, 1.0, 2)

    return jax.lax.fori_loop(0, steps, update, jnp.zeros((3, *start.shape), start.dtype))


@jit(static_argnames="apply")
def _coefficients(apply, params, path, x):
    """F(θ_0), F' φ_0, f_1 and f_2."""
    start, unravel = ravel_pytree(params)
    return coefficients_along(lambda t: apply(unravel(_curve(start, path, t)), x), 0.0, 1.0, 3)


@jit
def _reading(moved, terms, change):
    return Laziness(root_mean_square(sum(terms)), change, root_mean_square(moved), jnp.stack(terms))


def _kernel_change(apply, params, path, x):
    """|K_1 + K_2|/|K_0|: from the rows of Jacobians, or under ``jit`` from products alone."""
    if not all_known((path, x)):
        return _change_by_columns(apply, params, path, x)
    outputs = jax.eval_shape(apply, params, x).size // len(x)
    some = max(1, jacobians.rows_at_a_time(path, jacobians.MEMORY // 2) // outputs)
    parts = [x[start : start + some] for start in range(0, len(x), some)]
    squares, unit = np.zeros(2), None
    for number, one in enumerate(parts):
        J = _rows_along(apply, params, path, one)
        unit = binary_unit(jnp, jnp.abs(J[0]).max()) if unit is None else unit
        for other in parts[number:]:
            J_other = J if other is one else _rows_along(apply, params, path, other)
            pair = _squares(J / unit, J_other / unit)
            squares += np.asarray(pair) * (1 if other is one else 2)
    return jnp.sqrt(jnp.divide(*squares).astype(path.dtype))


@jit
def _squares(J, other):
    """|K_1 + K_2|² and |K_0|² of two blocks of rows."""
    change = matmul(J[0], (other[1] + other[2]).T) + matmul(J[1] + J[2], other[0].T)
    change += matmul(J[1], other[1].T)
    return (change**2).sum(), (matmul(J[0], other[0].T) ** 2).sum()


@jit(static_argnames="apply")
def _rows_along(apply, params, path, x):
    """J_0, J_1 and J_2 of some samples."""
    start, unravel = ravel_pytree(params)

    def rows(t):
        J = jax.vmap(
            jax.jacrev(lambda theta, one: apply(unravel(theta), one[None]).ravel()),
            in_axes=(None, 0),
        )(_curve(start, path, t), x)
        return J.reshape(-1, len(start))

    return coefficients_along(rows, 0.0, 1.0, 2)


@jit(static_argnames="apply")
def _change_by_columns(apply, params, path, x):
    start, unravel = ravel_pytree(params)
    on_training = lambda theta: apply(unravel(theta), x)  # noqa: E731

    def column(unit):
        """K_0, K_1 and K_2 against a unit vector."""

        def product(t):
            theta = _curve(start, path, t)
            _, pull = jax.vjp(on_training, theta)
            return jax.jvp(on_training, (theta,), pull(unit))[1].ravel()

        return coefficients_along(product, 0.0, 1.0, 2)

    outputs = jax.eval_shape(on_training, start)
    units = jnp.eye(outputs.size, dtype=outputs.dtype).reshape(-1, *outputs.shape)
    K_0, K_1, K_2 = jnp.moveaxis(jax.lax.map(column, units), 1, 0)
    return relative_size(K_1 + K_2, K_0)


def _curve(start, path, t):
    """θ_0 + t φ_0 + t² φ_1 + t³ φ_2."""
    return start + t * _polynomial(path, t)


def _polynomial(parts, t):
    """a_0 + t a_1 + t² a_2."""
    return parts[0] + t * (parts[1] + t * parts[2])
