"""The linear model of a network, in kernel space and in parameter space, and its Taylor models.

In kernel space the linear model is its outputs alone: with T = J J_trainᵀ, rows for all inputs and
columns for those trained on, a step changes them by −η T c. For the squared error ½ mean (F − y)²
the residuals on the N training inputs shrink along the eigenvectors of K = J_train J_trainᵀ, each
by the factor 1 − η λ/N a step, so that one eigendecomposition gives every time. At small rates this
is the gradient flow dF/dt = −T c, t = η s.

In parameter space it is the network whose Taylor polynomial about θ_0 is cut at order one; cut
later it is a nonlinear model that has to be trained. The names are those of neural-tangents.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import jit, matmul
from lazyrich.derivatives import coefficients_along
from lazyrich.linearization.correlations import SMOOTH
from lazyrich.training import integrate
from lazyrich.validation import ArrayLike


def linearize(apply: Callable, params) -> Callable:
    """F(θ_0) + ∇F(θ_0)·(θ − θ_0), as a network: the :func:`taylor_expand` of order one."""
    return taylor_expand(apply, params, 1)


def taylor_expand(apply: Callable, params, order: int) -> Callable:
    """The Taylor polynomial of a network about its parameters, as a network.

    Args:
        apply: ``apply(params, x) -> outputs``.
        params: θ_0.
        order: at least 0.

    Raises:
        ValueError: if apply is no function, order is negative, params are not finite floats; and
            by the network, if it is given other parameters or apply has no finite derivatives
            towards them.

    >>> cubic = taylor_expand(lambda params, x: params**3 * x, 1.0, 2)
    >>> float(cubic(1.1, 1.0))
    1.33
    """
    validation.function("apply", apply)
    order = validation.whole("order", order)
    params = validation.parameters("params", params)

    def polynomial(moved, x):
        moved = validation.like("the parameters", moved, "those of the start", params)
        way = jax.tree.map(jnp.subtract, moved, params)
        with validation.differentiable("apply", f"{order} times by jax.jvp"):
            terms = coefficients_along(lambda params: apply(params, x), params, way, order)
        return validation.finite_orders(SMOOTH, terms).sum(0)

    return polynomial


def descend_linear(
    outputs: ArrayLike,
    kernel: ArrayLike,
    slope: Callable,
    rate: ArrayLike,
    steps: int,
) -> Float[Array, "times rows"]:
    """The linear model under gradient descent on any cost, after 0, 1, …, `steps` steps.

    Args:
        outputs: F(θ_0), shape (rows,), the training rows first.
        kernel: T, shape (rows, train).
        slope: the derivative of the cost by the outputs on the training rows,
            ``slope(outputs) -> residual``.
        rate: η.
        steps: their number.

    Outputs, kernel and slope need not be of one precision: the steps are made in the finer one of
    outputs and kernel. Where the steps diverge the outputs end as inf or nan.

    Raises:
        ValueError: if shapes do not fit, rate or steps are out of range, or slope does not give a
            float for each training row.

    >>> K = jnp.array([[1.0]])
    >>> descend_linear(jnp.array([1.0]), K, lambda f: f, 0.5, 2).tolist()
    [[1.0], [0.5], [0.25]]
    """
    outputs, kernel = _fitting(outputs, kernel)
    [rate] = validation.positives(rate=rate)
    train, rate = kernel.shape[1], rate.astype(outputs.dtype)
    validation.giving("slope", _a_slope(train), (train,), slope, outputs[:train])

    def step(outputs, _):
        residual = slope(outputs[:train]).astype(outputs.dtype)
        return outputs - rate * matmul(kernel, residual), outputs

    last, before = jax.lax.scan(step, outputs, length=validation.whole("steps", steps))
    return jnp.concatenate([before, last[None]])


def flow_linear(
    outputs: ArrayLike,
    kernel: ArrayLike,
    slope: Callable,
    times: ArrayLike,
) -> Float[Array, "times rows"]:
    """The linear model under gradient flow on any cost, dF/dt = −T c, at any times.

    By an adaptive Runge-Kutta method, see :func:`~lazyrich.training.gradient_flow`.

    Args:
        outputs: F(θ_0), shape (rows,), the training rows first.
        kernel: T, shape (rows, train).
        slope: as for :func:`descend_linear`.
        times: t ≥ 0, increasing.

    Raises:
        ValueError: if shapes do not fit, times are out of range, or slope does not give a float for
            each training row.

    Outputs are inf where the flow takes more than a million steps.

    >>> K, times = jnp.array([[1.0]]), jnp.log(jnp.array([2.0, 4.0]))
    >>> flow_linear(jnp.array([1.0]), K, lambda f: f, times).round(9).tolist()
    [[0.5], [0.25]]
    """
    outputs, kernel = _fitting(outputs, kernel)
    times = validation.increasing("times", validation.nonnegative("times", times, ndim=1))
    train = kernel.shape[1]
    validation.giving("slope", _a_slope(train), (train,), slope, outputs[:train])
    field = lambda f: -matmul(kernel, slope(f[:train]).astype(f.dtype))  # noqa: E731
    return integrate(field, outputs, times, 1e-10, 1e-12)


def predict_linear(
    outputs: ArrayLike,
    kernel: ArrayLike,
    y: ArrayLike,
    rate: ArrayLike | None,
    times: Sequence[int] | ArrayLike,
) -> Float[Array, "times rows"]:
    """The linear model under gradient descent on ½ mean (F − y)², in closed form at any times.

    F(s) = F(0) − (η/N) T Σ_{j<s} (1 − η K/N)^j (F(0) − y), by one eigendecomposition of K. The
    cost does not depend on how late the times are, and K may be singular. Above the rate 2 N/λ_max
    the model diverges, and once it leaves the floats its outputs are inf or nan. Without a rate it
    is gradient flow, F(t) = F(0) − T K⁻¹ (1 − e^{−tK/N}) (F(0) − y), to the end of training for
    t = inf.

    Args:
        outputs: F(θ_0), shape (rows,), the training rows first.
        kernel: T, shape (rows, train), whose first rows are K.
        y: the targets, shape (train,).
        rate: η, or None for gradient flow.
        times: numbers of steps s ≥ 0; of the flow, times t ≥ 0, in any order, inf among them.

    Raises:
        ValueError: if shapes do not fit, a number of steps is not whole, or K is not symmetric or,
            beyond its rounding, not positive semidefinite.

    >>> start, end = jnp.array([1.0]), jnp.array([0.0])
    >>> predict_linear(start, jnp.array([[1.0]]), end, None, jnp.array([0.0, jnp.inf])).tolist()
    [[1.0], [0.0]]
    """
    outputs, kernel = _fitting(outputs, kernel)
    if rate is None:
        times = validation.kind("times", times, "real numbers")
        late = float(jnp.finfo(outputs.dtype).max)
        times = times if isinstance(times, jax.core.Tracer) else np.minimum(times, late)
        times = jnp.asarray(times, outputs.dtype)
    else:
        [rate] = validation.positives(rate=rate)
        times = validation.kind("times", times, "integers").astype(outputs.dtype)
    times = validation.nonnegative("times", validation.vector("times", times))
    train = kernel.shape[1]
    y = validation.kind("y", y, "real numbers")
    y = validation.vector("y", y.astype(outputs.dtype) if y.dtype.kind in "biu" else y)
    if y.shape != (train,):
        raise ValueError(f"y must have a number for each of {train} columns, got {y.shape}")
    values, Q = jnp.linalg.eigh(validation.symmetric("kernel", kernel[:train]))
    allowed = jnp.finfo(values.dtype).eps ** 0.5 * jnp.abs(values).max()
    if not isinstance(values, jax.core.Tracer) and values[0] < -allowed:
        raise ValueError(f"kernel must be positive semidefinite, got eigenvalue {values[0]:.3g}")
    return _closed_form(outputs, kernel, values, Q, y, rate, times)


@jit
def _closed_form(outputs, kernel, values, Q, y, rate, times):
    train = len(values)
    parts = matmul(Q.T, outputs[:train] - y)
    if rate is None:
        sums = _exponential_integral(values / train, times[:, None])
    else:
        sums = rate * _geometric_sum(rate / train * jnp.maximum(values, 0), times[:, None])
    return outputs - matmul(matmul(sums * parts, Q.T), kernel.T) / train


def _exponential_integral(x, t):
    """∫_0^t e^{−x s} ds = (1 − e^{−x t})/x, and 0 where x is zero but for rounding.

    There no output moves, however late.
    """
    moves = x > len(x) * jnp.finfo(x.dtype).eps * x.max()
    inside = jnp.where(moves, x, 1)
    return jnp.where(moves, -jnp.expm1(-inside * t) / inside, 0)


def _a_slope(train):
    return f"a number for each of {train} outputs"


def _fitting(outputs, kernel):
    """Outputs and kernel in the finer precision of the two."""
    outputs = validation.vector("outputs", outputs)
    kernel = validation.matrix("kernel", kernel)
    if outputs.shape != kernel.shape[:1] or kernel.shape[1] > len(kernel):
        raise ValueError(
            f"kernel must have a row for each of {len(outputs)} outputs and no more columns, "
            f"got {kernel.shape}"
        )
    finer = np.promote_types(outputs.dtype, kernel.dtype)
    return outputs.astype(finer), kernel.astype(finer)


def _geometric_sum(x, s):
    """Σ_{j<s} (1 − x)^j = (1 − (1 − x)^s)/x, to its last digits for small x too."""
    small = x < 0.5
    tiny = x < jnp.finfo(x.dtype).tiny
    inside = jnp.where(small & ~tiny, x, 0.25)
    slow = jnp.where(tiny, s, -jnp.expm1(s * jnp.log1p(-inside)) / inside)
    outside = jnp.where(small, 1, x)
    return jnp.where(small, slow, (1 - (1 - outside) ** s) / outside)
