"""The exponents of width that theory predicts, for networks from NTK to mean-field scaling.

F = n^(−a) Σ_i u_i φ(w_i·x) with the rate η ∝ n^(2a−1), so that the kernel is of order one: a = ½
is NTK scaling, a = 1 mean field. C^{0,d} is a sum over neurons of terms of size n^(−(d+1)/2) at
a = ½. For even d a term is odd in u_i, so that the signs are random and the sum is of size √n; for
odd d it is coherent, of size n. C^{1,d} has a block of that size for each neuron. The scale
n^(½−a) then adds (a − ½)(D + d − 1).
"""

from typing import NamedTuple

from lazyrich import validation


class DeviationExponents(NamedTuple):
    """Exponents of the width n, for the deviation from the linear model at fixed steps."""

    output: float
    """Of |F − F_lin|, at the end of many steps."""
    kernel: float
    """Of |K − K_0|/|K_0|."""
    gradient: float
    """Of |J − J_0|/|J_0|."""


def correlation_exponent(D: int, d: int, a: float = 0.5) -> float:
    """The exponent of C^{D,d} (RMS over draws; spectral norm for D = 2), a smooth activation.

    Derived for D ≤ 1 and any d, and for C^{2,1} and G² = C^{2,0}, whose norms are maxima over
    neurons and so carry a factor logarithmic in n.

    Args:
        D: free indices, 0 to 2.
        d: contracted ones; at least 1 for D < 2, at most 1 for D = 2.
        a: the exponent of the scaling.

    >>> [correlation_exponent(0, d) for d in (1, 2, 3, 4)]
    [0.0, -1.0, -1.0, -2.0]
    """
    D, d = validation.whole("D", D), validation.whole("d", d)
    if D > 2 or (d < 1 if D < 2 else d > 1):
        raise ValueError(f"D and d must be 0 or 1 and at least 1, or 2 and at most 1, got {D}, {d}")
    at_ntk = {0: -(d - d % 2) / 2, 1: -d / 2, 2: -(d + 1) / 2}[D]
    return at_ntk + (a - 0.5) * (D + d - 1)


def linearity_exponent(a: float = 0.5) -> float:
    """The exponent of m(n) = n^min(3/2 − a, 2 − 2a), where 1/m is the size of C^{0,2} and C^{0,3}.

    >>> linearity_exponent(), linearity_exponent(1.0)
    (1.0, 0.0)
    """
    second, third = (-correlation_exponent(0, d, a) for d in (2, 3))
    return min(second, third, -2 * correlation_exponent(1, 1, a))


def deviation_exponents(a: float = 0.5, kinks: bool = False) -> DeviationExponents:
    """How the deviations of a trained network fall with its width.

    With a smooth activation |F − F_lin| and the kernel's change are of order 1/m, and the
    gradient's of order n^(a−1). Kinks, as those of ReLU, are known in NTK scaling alone: pre-
    activations move by n^(−½), so a share n^(−½) of the neurons cross the kink, whatever the
    correlations at the start say: that changes the gradient by n^(−¼), and output and kernel, sums
    of √n terms ±1/n, by n^(−¾).

    Args:
        a: the exponent of the scaling, at most 1, and ½ with kinks.
        kinks: whether the activation has any.
    """
    if not a <= 1:
        raise ValueError(f"a must be at most 1, beyond which the first step diverges, got {a}")
    if kinks:
        if a != 0.5:
            raise ValueError(f"a must be 0.5 for an activation with kinks, got {a}")
        return DeviationExponents(-0.75, -0.75, -0.25)
    m = linearity_exponent(a)
    return DeviationExponents(-m, -m, correlation_exponent(1, 1, a))


def rate_exponent(order: int = 2, kinks: bool = False) -> float:
    """The exponent of the learning rate in the deviation after one step: d, or 3/2 with kinks."""
    order = validation.whole("order", order, least=2)
    if kinks and order != 2:
        raise ValueError(f"order must be 2 for an activation with kinks, got {order}")
    return 1.5 if kinks else float(order)
