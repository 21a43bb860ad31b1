"""The two ends of the spectrum where ks × ks numbers are too many, certified by residuals.

The largest eigenvalue comes from Lanczos iterations on Z ↦ Σ_l A_l Z C_l, the smallest from
Lanczos iterations on its inverse, by conjugate gradients. Their preconditioner is the Kronecker
product P_k ⊗ P_d of the partial traces (:func:`~lazyrich.conditioning.bounds.partial_trace_bound`),
which carries the spectrum of the data: so the number of steps depends on κ of whitened data alone.
"""

from typing import NamedTuple

import numpy as np
import scipy

from lazyrich import validation
from lazyrich.arithmetic import binary_unit
from lazyrich.conditioning.linear import Factors, checked_factors

STEPS = 2000
SINGULAR = "factors must make a nonsingular matrix"


class ExtremeEigenvalues(NamedTuple):
    """The smallest and the largest eigenvalue of Ĝ, with what certifies them."""

    smallest: float
    """λ_min."""
    largest: float
    """λ_max."""
    residuals: tuple[float, float]
    """|Ĝ z − λ z|/λ of each with its unit vector z: within this relative distance of either value
    there is an eigenvalue of Ĝ."""


def extreme_eigenvalues(factors: Factors, tolerance: float = 1e-8) -> ExtremeEigenvalues:
    """The smallest and the largest eigenvalue of a nonsingular Ĝ, by products with Ĝ alone.

    Runs on the host and in float64, whatever the dtype of the factors, in the memory of a few
    matrices k × s beside them. Lanczos iterations start at a fixed vector; that no eigenvalue lies
    beyond the two found is as certain as that the start has a part along its vector.

    Args:
        factors: A_l and C_l of one network; one of them positive definite in both, as for widths
            of at least max(s, k).
        tolerance: the largest relative residual that is accepted.

    Raises:
        ValueError: if Ĝ is singular, or so nearly that it is not inverted in 2000 steps, or the
            eigenvalues are out of the range of float64.
        RuntimeError: if a residual stays above the tolerance.
    """
    validation.scalar("tolerance", validation.positive("tolerance", tolerance))
    factors = checked_factors(factors)
    (A, a), (C, c) = map(_in_units, factors)
    (L, k, _), (_, s, _) = A.shape, C.shape
    stacked = C.reshape(L * s, s)

    def apply(z):
        return (np.hstack(A @ z.reshape(k, s)) @ stacked).ravel()

    P_k = np.einsum("lab,lss->ab", A, C)
    P_d = np.einsum("laa,lst->st", A, C)
    try:
        halves = scipy.linalg.cho_factor(P_k), scipy.linalg.cho_factor(P_d)
    except np.linalg.LinAlgError:
        raise ValueError(f"{SINGULAR}, got a singular one") from None

    def precondition(z):
        return scipy.linalg.cho_solve(
            halves[0], scipy.linalg.cho_solve(halves[1], z.reshape(k, s).T).T
        ).ravel()

    operator, preconditioner = (
        scipy.sparse.linalg.LinearOperator((k * s, k * s), matvec=function, dtype=A.dtype)
        for function in (apply, precondition)
    )

    def solve(z):
        solution, failed = scipy.sparse.linalg.cg(
            operator, z, rtol=1e-12, atol=0.0, maxiter=STEPS, M=preconditioner
        )
        if failed:
            raise ValueError(f"{SINGULAR}, got one that {STEPS} steps do not invert")
        return solution

    inverse = scipy.sparse.linalg.LinearOperator((k * s, k * s), matvec=solve, dtype=A.dtype)
    start = np.random.default_rng(0).normal(size=k * s)
    ends = _largest(inverse, start), _largest(operator, start)
    values, residuals = zip(*(_rayleigh(apply, z) for z in ends), strict=True)
    if values[0] <= k * s * np.finfo(factors.A.dtype).eps * values[1]:
        raise ValueError(f"{SINGULAR}, got the eigenvalues {values[0]:.2g} and {values[1]:.2g}")
    if not max(residuals) <= tolerance:
        raise RuntimeError(f"residuals must reach {tolerance}, got {max(residuals):.2g}")
    values = validation.in_range("factors", factors, [value * a * c for value in values])
    return ExtremeEigenvalues(*values, residuals)


def _in_units(matrices):
    """In float64, over a power of two, which comes beside them.

    They are symmetric to the last digit, also where the factors come from another precision.
    """
    unit = float(binary_unit(np, np.abs(np.asarray(matrices, float)).max()))
    matrices = np.asarray(matrices, float) / unit
    return (matrices + matrices.swapaxes(1, 2)) / 2, unit


def _largest(operator, start):
    """The eigenvector of the eigenvalue that is largest in size."""
    # Lanczos iterations want more than one dimension; in one, any vector is an eigenvector.
    return (
        start
        if len(start) == 1
        else scipy.sparse.linalg.eigsh(operator, 1, which="LM", v0=start)[1][:, 0]
    )


def _rayleigh(apply, z):
    """The Rayleigh quotient of a vector, and its relative residual."""
    z = z / np.linalg.norm(z)
    image = apply(z)
    value = z @ image
    return float(value), float(np.linalg.norm(image - value * z) / abs(value))
