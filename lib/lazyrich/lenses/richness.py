"""Richness R: how far the linear model of the start has to move, known before any training.

The network is F = γ⁻¹ n^(−½) Σ_i v_i φ(w_i·x/√d) − F_0. Its linear model has the tangent kernel K
(at γ = 1) at any γ, and reaches a loss with outputs K α, where α is the residual accumulated over
time. Then

    R² = 2 γ² αᵀ K α/n = 2 ‖Δθ‖²/n,

which stands where y*/N⊥ stands in a linear network: see :mod:`lazyrich.lenses.signals`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, dot, jit, matmul, numpy_if_known
from lazyrich.validation import ArrayLike

BISECTIONS = 80  # of an interval of logarithms, which leave rounding


class LinearDisplacement(NamedTuple):
    """What the linear model has done when it reaches a loss."""

    residual: Float[Array, "n"]
    """α, the residual accumulated over time, which makes the outputs K α."""
    dimension: Float[Array, ""]
    """αᵀ K α, the effective dimension of the task, with which R = γ √(2 αᵀ K α/n)."""


def linear_displacement(kernel: ArrayLike, y: ArrayLike, level: ArrayLike) -> LinearDisplacement:
    """The accumulated residual of the linear model where its loss is a share of that at the start.

    By gradient flow, in the eigenbasis K = U diag(λ) Uᵀ and with ỹ = Uᵀy,

        α = U (1 − e^(−λT))/λ ỹ,   Σ_j ỹ_j² e^(−2 λ_j T) = ε Σ_j ỹ_j²,

    where T is found by bisection. Both are inf where the flow does not get there, since too much of
    y lies where the kernel has no eigenvalue above rounding, and where no float holds them.

    Args:
        kernel: K of the training samples at γ = 1, none of its eigenvalues negative.
        y: labels.
        level: ε, from 0.001 to 0.999.

    Raises:
        ValueError: if K is not symmetric, shapes do not fit, or ε is out of range.

    >>> linear_displacement(2 * jnp.eye(1), jnp.ones(1), 0.25).residual.round(4).tolist()
    [0.25]
    """
    kernel = validation.symmetric("kernel", kernel)
    kernel, y = validation.fitting(kernel=(kernel, "n n"), y=(y, "n"))
    level = validation.scalar("level", validation.between("level", level, 1e-3, 0.999))
    return _linear_displacement(kernel, y, level)


@jit
def _linear_displacement(kernel, y, level):
    of_kernel, of_y = (binary_unit(jnp, jnp.abs(x).max()) for x in (kernel, y))
    values, vectors = jnp.linalg.eigh(kernel / of_kernel)
    learns = values > len(y) * jnp.finfo(values.dtype).eps * values[-1]
    values = jnp.where(learns, values, 0)
    part = matmul(vectors.T, y / of_y)
    power = part**2 / jnp.maximum((part**2).sum(), jnp.finfo(part.dtype).tiny)
    share = -jnp.expm1(-values * stopping_time(values, power, level))
    along = jnp.where(learns, share * part / jnp.where(learns, values, 1), 0)
    there = dot(power, ~learns) < level
    dimension = (values * along**2).sum() * (of_y / of_kernel) * of_y
    residual = matmul(vectors, along) * (of_y / of_kernel)
    return jax.tree.map(
        lambda x: jnp.where(there & jnp.isfinite(x).all(), x, jnp.inf),
        LinearDisplacement(residual, dimension),
    )


def stopping_time(values, power, level):
    """T at which Σ power e^(−2 λ T) is a level, from eigenvalues λ that are positive or zero."""
    # All parts decay at most as fast as the fastest, and those that learn at least as the slowest;
    # parts that do not learn, short of the level, delay by no more than e²⁰.
    slowest = jnp.where(values > 0, values, jnp.inf).min()
    ends = jnp.log(-jnp.log(level) / 2) - jnp.log(jnp.stack([values[-1], slowest]))

    def halve(_, ends):
        middle = (ends[0] + ends[1]) / 2
        early = dot(power, jnp.exp(-2 * values * jnp.exp(middle))) > level
        return jnp.where(early, middle, ends[0]), jnp.where(early, ends[1], middle)

    return jnp.exp(jax.lax.fori_loop(0, BISECTIONS, halve, (ends[0], ends[1] + 20))[1])


def total_richness(dimension: ArrayLike, scale: ArrayLike, width: ArrayLike) -> Float[Array, "..."]:
    """R = γ √(2 D/n), of an effective dimension D = αᵀ K α; all broadcast.

    Args:
        dimension: D, not negative.
        scale: γ, not negative, at most 1e18.
        width: n, from 1e-9 to 1e18.

    >>> float(total_richness(8.0, 2.0, 16.0))
    2.0
    """
    dimension = validation.nonnegative("dimension", dimension)
    scale = validation.between("scale", scale, 0, 1e18)
    width = validation.between("width", width, 1e-9, 1e18)
    validation.broadcasting(dimension=dimension, scale=scale, width=width)
    return _total_richness(dimension, scale, width)


@numpy_if_known
def _total_richness(xp, dimension, scale, width):
    return scale * (xp.sqrt(dimension) * xp.sqrt(2 / width))


def teacher_richness(
    residual: ArrayLike,
    x: ArrayLike,
    direction: ArrayLike,
    scale: ArrayLike,
    width: ArrayLike,
    slope: ArrayLike,
) -> Float[Array, ""]:
    """The part of R that lies along the teacher, R_β = 2 γ μ₁ β·(Xᵀα/√d)/√n.

    It is what the cross moment β·Wᵀv/n of the layers becomes in first order, and R is its size
    where α lies along β alone and the nugget of the kernel is negligible.

    Args:
        residual: α of :func:`linear_displacement`.
        x: inputs.
        direction: β, of length one.
        scale: γ > 0.
        width: n > 0.
        slope: μ₁ > 0.

    Raises:
        ValueError: if β has another length, shapes do not fit, or the result is out of range.

    >>> x = jnp.array([[2.0, 0.0]])
    >>> float(teacher_richness(jnp.ones(1), x, x[0] / 2, 1.0, 4.0, 0.5))
    0.707
    """
    direction = validation.unit("direction", direction)
    parts = {"x": (x, "n d"), "residual": (residual, "n"), "direction": (direction, "d")}
    x, residual, direction = validation.fitting(**parts)
    scale, width, slope = validation.positives(scale=scale, width=width, slope=slope)
    along = dot(residual, matmul(x, direction))
    found = 2 * scale * slope * along / jnp.sqrt(x.shape[1] * width)
    return validation.in_range("residual and x", (residual, x), found, vanishing=True)


def shrinkage(ratio: ArrayLike, ridge: ArrayLike) -> Float[Array, "..."]:
    """τ = E σ/(σ + λ) over the spectrum σ of XᵀX/d, the share of a linear teacher that is learned.

    For N samples of d normal inputs, ψ = N/d, τ = 1 − λ m with m = E 1/(σ + λ) the positive root of
    λ m² + (λ + ψ − 1) m = 1.

    Args:
        ratio: ψ, from 1e-9 to 1e9.
        ridge: λ = (κ_v + κ_w)/(2 μ₁²), the nugget of the kernel over its linear part, in the same
            range; broadcasts.

    >>> round(float(shrinkage(1.0, 0.2181)), 2)
    0.63
    """
    ratio = validation.between("ratio", ratio, 1e-9, 1e9)
    ridge = validation.between("ridge", ridge, 1e-9, 1e9)
    validation.broadcasting(ratio=ratio, ridge=ridge)
    return _shrinkage(ratio, ridge)


@numpy_if_known
def _shrinkage(xp, ratio, ridge):
    # τ itself solves τ² − (1 + λ + ψ) τ + ψ = 0; the smaller root, without a difference.
    root, middle = xp.sqrt(ratio), 1 + ridge + ratio
    apart = (ridge + (1 - root) ** 2) * (middle + 2 * root)
    return 2 * ratio / (middle + xp.sqrt(apart))


def large_sample_richness(
    scale: ArrayLike,
    width: ArrayLike,
    inputs: ArrayLike,
    slope: ArrayLike,
    correlation: ArrayLike,
) -> Float[Array, "..."]:
    """R for N ≫ d at the end of training, γ √(d/n) b/μ₁; all broadcast.

    It takes a factor τ (:func:`shrinkage`) where N is a multiple of d.

    Args:
        scale: γ.
        width: n.
        inputs: d.
        slope: μ₁.
        correlation: b = E z y.

    >>> round(float(large_sample_richness(1.0, 1024, 64, 0.65147, 0.92245)), 3)
    0.354
    """
    numbers = {"scale": scale, "width": width, "inputs": inputs, "slope": slope}
    numbers = numbers | {"correlation": correlation}
    known = {name: validation.between(name, value, 1e-9, 1e9) for name, value in numbers.items()}
    validation.broadcasting(**known)
    return _large_sample_richness(*known.values())


@numpy_if_known
def _large_sample_richness(xp, scale, width, inputs, slope, correlation):
    return scale * xp.sqrt(inputs / width) * correlation / slope
