"""Correlations of one hidden layer of tanh as sums over its neurons, and what to expect of them.

Of F(x) = n^(−½) Σ_i u_i φ(z_i), z_i = w_i·x/√p, a step along v = Σ_j c_j ∇F(x_j) moves u_i by
n^(−½) a_i and z_i by n^(−½) u_i b_i, with numbers of neuron i alone,

    a_i = Σ_j c_j φ(z_ij),   b_i = Σ_j c_j φ'(z_ij) x_j·x/p.

So F(θ + t v) = n^(−½) Σ_i (u_i + n^(−½) t a_i) φ(z_i + n^(−½) t u_i b_i), and at every width

    C^{0,d}·c^d = η^d n^(−(d+1)/2) Σ_i [u (u b)^d φ^(d)/d! + a (u b)^(d−1) φ^(d−1)/(d−1)!],
    |C^{1,d}·c^d|² = η^(2d+1)/d!² n^(−d−1) Σ_i [(u b)^(2d) φ^(d)²
                     + |x|²/p (d a (u b)^(d−1) φ^(d) + u (u b)^d φ^(d+1))²],

each a sum of terms that are independent and alike, without a derivative by any parameter. With m
and q the means of a term of C^{0,d} and of its square, the mean square over the weights is
η^(2d) n^(−d) (q + (n − 1) m²), where m = 0 for even d, since the term is odd in u. The means are
integrals over the normal u and the five jointly normal z, done by quadrature.
"""

import math

import jax
import numpy as np
import scipy  # whose parts are loaded at their first use

from lazyrich.experiments.linearization import family
from lazyrich.experiments.linearization.first_steps import Correlations

RATE, POINTS, NODES, NEURONS = family.PROBE_RATE, 16, 6, 2**17


def correlations_of_neurons(
    key: jax.Array, width: int, seeds: int, order: int = 4, free_order: int = 2
) -> Correlations:
    """The correlations at the start of one hidden layer of tanh, as sums over neurons.

    They must be those of :func:`~lazyrich.experiments.linearization.first_steps.\
correlations_at_start`, whose arguments these are, on the same probe and weights.
    """
    on_inputs, on_weights = jax.random.split(key)
    first, last = (
        np.asarray(layer["weight"]) for layer in family.weights(on_weights, width, 1, seeds)
    )
    return _sums(first, last[:, 0], _of_probe(on_inputs), order, free_order)


def drawn_correlations(
    key: jax.Array, width: int, draws: int, order: int = 4, free_order: int = 2
) -> Correlations:
    """The same on the probe of the key for many draws of weights, others at each width."""
    on_inputs, on_weights = jax.random.split(key)
    probe, on_width = _of_probe(on_inputs), jax.random.fold_in(on_weights, width)
    chunk, parts = max(1, NEURONS // width), []
    for start in range(0, draws, chunk):
        shape = min(chunk, draws - start), width, family.INPUTS + 1
        both = family.first_normal(jax.random.fold_in(on_width, start), shape)
        parts.append(_sums(both[..., :-1], both[..., -1], probe, order, free_order))
    return Correlations(*map(np.concatenate, zip(*parts, strict=True)))


def expected_correlations(
    key: jax.Array, widths: list[int], order: int = 4, free_order: int = 2
) -> Correlations:
    """Root mean squares over the weights of the same, a row a width, by quadrature.

    The key is that of :func:`correlations_of_neurons`; its probe alone is used.
    """
    _, c, gram = _of_probe(jax.random.split(key)[0])
    points = scipy.stats.qmc.Sobol(len(gram), seed=0).random_base2(POINTS)
    normal = scipy.stats.norm.ppf(np.clip(points, 1e-12, 1 - 1e-12))
    u, weights = np.polynomial.hermite_e.hermegauss(NODES)  # exact to the order 11
    weights = weights / weights.sum()
    z = (normal @ np.linalg.cholesky(gram).T)[:, None, :]
    C0, C1 = _terms(u, z, c, gram, order, free_order)
    mean = lambda terms: np.array([(one @ weights).mean() for one in terms])  # noqa: E731
    m, q, free = mean(C0), mean([one**2 for one in C0]), mean(C1)
    d, e = np.arange(1, order + 1), np.arange(1, free_order + 1)
    m, n = np.where(d % 2, m, 0), np.asarray(widths, float)[:, None]
    return Correlations(
        RATE**d * np.sqrt(n ** -d.astype(float) * (q + (n - 1) * m**2)),
        np.sqrt(_free_factor(e) * n ** -e.astype(float) * free),
    )


def _sums(first, last, probe, order, free_order):
    (x, c, gram), width = probe, last.shape[-1]
    terms = _terms(last, first @ x.T / family.INPUTS**0.5, c, gram, order, free_order)
    d, e = np.arange(1, order + 1), np.arange(1, free_order + 1)
    C0, C1 = (np.stack([one.sum(-1) for one in kind], axis=-1) for kind in terms)
    return Correlations(
        RATE**d * width ** (-(d + 1) / 2) * C0,
        np.sqrt(_free_factor(e) * width ** (-e - 1.0) * C1),
    )


def _of_probe(key):
    """All inputs of a probe, its residual, and the products x·x'/p."""
    probe = family.probe(key)
    x = np.concatenate([probe.x, probe.x_test])
    return x, np.asarray(probe.residual), x @ x.T / family.INPUTS


def _free_factor(d):
    return RATE ** (2 * d + 1) / np.array([math.factorial(k) for k in d]) ** 2


def _terms(u, z, c, gram, order, free_order):
    """The terms of C^{0,d} and |C^{1,d}|² of neurons with u and z (the last that of x)."""
    phi = _tanh_and_derivatives(z, max(order, free_order + 1))
    a, b = phi[0][..., :-1] @ c, phi[1][..., :-1] @ (c * gram[:-1, -1])
    moved, phi = u * b, [one[..., -1] for one in phi]
    C0 = [
        u * moved**d * phi[d] / math.factorial(d)
        + a * moved ** (d - 1) * phi[d - 1] / math.factorial(d - 1)
        for d in range(1, order + 1)
    ]
    C1 = [
        moved ** (2 * d) * phi[d] ** 2
        + gram[-1, -1] * (d * a * moved ** (d - 1) * phi[d] + u * moved**d * phi[d + 1]) ** 2
        for d in range(1, free_order + 1)
    ]
    return C0, C1


def _tanh_and_derivatives(z, order):
    """The values of tanh and of its derivatives, polynomials of it by p ↦ p' (1 − t²)."""
    t, p, found = np.tanh(z), np.polynomial.Polynomial([0, 1]), []
    for _ in range(order + 1):
        found.append(p(t))
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return found
