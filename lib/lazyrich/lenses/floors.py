"""What lazy networks of one shape read, and how far that scatters from seed to seed.

An outsider has no memory of a network's start: a reading says something only where it leaves what
lazy networks of the same shape, data and loss read, whose standard deviation is the floor.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot, hashable, jit, matmul
from lazyrich.lenses.constants import GaussianMoments
from lazyrich.lenses.richness import stopping_time
from lazyrich.lenses.signals import checked_task, parts_of_target
from lazyrich.spectra import largest_eigenvalue_mean
from lazyrich.validation import ArrayLike

TRACY_WIDOM_SD = 1.26798  # of real matrices
CLOCK_FLOOR = 0.82
"""√n times the floor of the deviation on equal clocks, from a pilot at d = 16, N = 64, ε = 0.1."""
NEURONS_AT_ONCE = 64


class EdgeFloor(NamedTuple):
    """The largest singular value of W at the start."""

    mean: float
    """E σ₁."""
    sd: float
    """Its standard deviation."""


class KernelFloors(NamedTuple):
    """√n times the relative standard deviations of readings of the tangent kernel."""

    target: float
    """Of yᵀKy."""
    trace: float
    """Of tr K."""


def alignment_floor(width: int) -> float:
    """The standard deviation 1/√n of the cosine between two independent directions.

    >>> alignment_floor(256)
    0.0625
    """
    return validation.whole("width", width, least=1) ** -0.5


def kernel_floors(
    moments: GaussianMoments, ratio: float, correlation: float, inputs: int
) -> KernelFloors:
    """The floors of yᵀKy and of the trace, times √n, in the equivalent linear network.

    The moments β·Aβ and s of the start are independent, each with the relative variance 2/n. The
    first carries half of the linear share p_L of yᵀKy, the second the other half and the hidden
    nugget's share p_w; the mean of A's diagonal has 2/(nd). So they are

        √2 √(p_L²/4 + (p_L/2 + p_w)²),   √2 √(E φ'²² + μ₁⁴/d)/(E φ² + E φ'²).

    Arguments as for :func:`~lazyrich.lenses.signals.kernel_shares`, and d.

    >>> from lazyrich.lenses.constants import gaussian_moments
    >>> erf = gaussian_moments(jax.scipy.special.erf)
    >>> [round(floor, 2) for floor in kernel_floors(erf, 4.0, 0.9224, 16)]
    [0.99, 0.79]
    """
    validation.instance("moments", moments, GaussianMoments)
    inputs = validation.whole("inputs", inputs, least=1)
    ratio, correlation = checked_task(ratio, correlation)
    linear, hidden = parts_of_target(moments, ratio, correlation)
    trace = np.hypot(moments.slope_power, moments.slope**2 / inputs**0.5)
    return KernelFloors(
        float(2**0.5 * np.hypot(linear / 2, linear / 2 + hidden)),
        float(2**0.5 * trace / (moments.power + moments.slope_power)),
    )


def edge_floor(inputs: int, width: int) -> EdgeFloor:
    """Mean and standard deviation of σ₁ of n × d normal weights, by the Tracy-Widom law.

    Of λ₁ = σ₁² the mean is :func:`~lazyrich.spectra.marchenko_pastur.largest_eigenvalue_mean`, and
    the standard deviation 1.268 (√(n−1) + √d)(1/√(n−1) + 1/√d)^⅓, that of σ₁ times 2 σ₁.

    Args:
        inputs: d.
        width: n, at least 2.

    >>> [round(x, 2) for x in edge_floor(300, 450)]
    [38.2, 0.3]
    """
    mean = largest_eigenvalue_mean(width, inputs) ** 0.5
    one, other = (width - 1) ** 0.5, inputs**0.5
    spread = (one + other) * (1 / one + 1 / other) ** (1 / 3)
    return EdgeFloor(mean, TRACY_WIDOM_SD * spread / (2 * mean))


def function_floor(
    key: jax.Array,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike,
    level: ArrayLike,
    activation: Callable,
    neurons: int = 4096,
) -> Float[Array, ""]:
    """C, where C/√n is the relative standard deviation of the linear models' test outputs.

    The kernel is a mean over neurons, K = mean k_i. To first order in k_i − K, so is the linear
    model at a fixed loss: F_lin + mean ξ_i, and C² = Σ Var ξ/Σ F_lin² over the test inputs. With
    K = U diag(λ) Uᵀ, ỹ = Uᵀy, the residual r = e^(−KT) y and δK = k_i − K,

        (Uᵀδr)_a = −Σ_b (UᵀδK U)_ab ỹ_b (e^(−λ_b T) − e^(−λ_a T))/(λ_a − λ_b),
        K δα = −δr − δK α,   ξ = δK_test α + K_test (δα + δT r),   δT = r·δr/(r·K r),

    with δT the delay that leaves the loss as it was.

    Args:
        key: a random key, for the neurons.
        x: inputs.
        y: labels.
        x_test: inputs at which the outputs are compared.
        level: ε, the loss over that at the start, from 0.001 to 0.999.
        activation: φ of one number.
        neurons: how many are drawn, for the mean and the variance, at least as many as samples.

    Raises:
        ValueError: if shapes do not fit, a number is out of range, the activation is no function
            that JAX differentiates, or C is not finite, as where kernels have no full rank.

    >>> x = jax.random.normal(jax.random.key(0), (4, 2))
    >>> erf = jax.scipy.special.erf
    >>> float(function_floor(jax.random.key(1), x, x[:, 0], x, 0.5, erf, 512)) > 0.1
    True
    """
    key = validation.random_key("key", key)
    x, y, x_test = validation.fitting(x=(x, "n d"), y=(y, "n"), x_test=(x_test, "t d"))
    level = validation.scalar("level", validation.between("level", level, 1e-3, 0.999))
    activation = hashable(validation.function("activation", activation))
    neurons = validation.whole("neurons", neurons, least=len(x))
    with validation.differentiable("activation", "by jax.grad"):
        found = _function_floor(key, x, y, x_test, level, activation=activation, neurons=neurons)
    return validation.finite("x, y and activation must leave a finite C", found)


@jit(static_argnames=("activation", "neurons"))
def _function_floor(key, x, y, x_test, level, *, activation, neurons):
    n, d = x.shape
    both = jnp.concatenate([x, x_test]) / d**0.5
    weights = jax.random.normal(key, (neurons, d + 1), x.dtype)
    slope = jax.vmap(jax.grad(activation))

    def features(weights):
        z = matmul(both, weights[:d])
        return jnp.column_stack([jax.vmap(activation)(z), weights[d] * slope(z)[:, None] * both])

    def over_neurons(function):
        return jax.lax.map(function, weights, batch_size=NEURONS_AT_ONCE)

    def add(total, weights):
        J = features(weights)
        return total + matmul(J, J[:n].T), None

    total, _ = jax.lax.scan(add, jnp.zeros((len(both), n), x.dtype), weights)
    kernel, across = total[:n] / neurons, total[n:] / neurons
    values, vectors = jnp.linalg.eigh((kernel + kernel.T) / 2)
    part = matmul(vectors.T, y)
    time = stopping_time(values, part**2 / dot(y, y), level)
    decay = jnp.exp(-values * time)
    left = decay * part
    residual = matmul(vectors, left)
    gap = values[:, None] - values
    near = jnp.abs(gap) < jnp.finfo(x.dtype).eps ** 0.5 * values[-1]
    quotient = (decay - decay[:, None]) / jnp.where(near, 1, gap)
    between = jnp.where(near, time * decay, quotient)
    alpha = matmul(vectors, (part - left) / values)
    speed = dot(residual, matmul(kernel, residual))

    def of_own_kernel(weights):
        J = features(weights)
        own, test = matmul(vectors.T, J[:n]), J[n:]
        down = -(own * matmul(between * part, own)).sum(1) + time * values * left
        seen = matmul(J[:n].T, alpha)
        moved = -(matmul(vectors, down) + matmul(J[:n], seen) - matmul(kernel, alpha))
        delay = dot(left, down) / speed
        delta = matmul(vectors, matmul(vectors.T, moved) / values) + delay * residual
        return matmul(test, seen) - matmul(across, alpha) + matmul(across, delta)

    xi = over_neurons(of_own_kernel)
    return jnp.sqrt(xi.var(0).sum() / (matmul(across, alpha) ** 2).sum())
