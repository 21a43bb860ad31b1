"""The error function, as fast as wide networks need it.

XLA evaluates three quotients of polynomials and keeps one, which is nine tenths of a step of a wide
network on a CPU.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial.chebyshev import cheb2poly
from scipy.special import gammainc, gammaln

from lazyrich.validation import ArrayLike

_FARTHEST = 5.9  # where erf is 1 to 1e-16
_MIDDLE = _FARTHEST**2 / 2
_POWERS = np.arange(62)
# erf(x)/x = 2/√π ∫₀¹ exp(−x²u²) du, in powers of x²/t − 1 about t, the middle of all x².
_TERMS = (-1.0) ** _POWERS * gammainc(_POWERS + 0.5, _MIDDLE) / np.sqrt(np.pi * _MIDDLE)
_TERMS *= np.exp(gammaln(_POWERS + 0.5) - gammaln(_POWERS + 1))
# Economised after Lanczos: in place of the highest power what lies closest to it of lower ones.
for _m in reversed(range(38, len(_POWERS))):
    _TERMS = (_TERMS - _TERMS[_m] * cheb2poly(np.eye(_m + 1)[_m]) / 2.0 ** (_m - 1))[:_m]


@jax.custom_jvp
def erf(x: ArrayLike) -> Float[Array, "*shape"]:
    """The error function to 2e-15, by a polynomial in x².

    >>> float(erf(0.5).round(6))
    0.5205
    """
    x = jnp.asarray(x)
    terms, inside = _TERMS.astype(x.dtype), jnp.clip(x, -_FARTHEST, _FARTHEST)
    z = inside**2 / _MIDDLE - 1
    # Even and odd powers apart: a processor works at both at once.
    even, odd = (jnp.polyval(terms[i::2][::-1], z**2, unroll=len(terms)) for i in (0, 1))
    return inside * (even + z * odd)


@erf.defjvp
def _tangent(primals, tangents):
    [x], [v] = primals, tangents
    return erf(x), 2 / np.pi**0.5 * jnp.exp(-(x**2)) * v
