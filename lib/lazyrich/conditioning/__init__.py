"""Conditioning of the Gauss-Newton matrix: what depth, width and data do to it.

Source: Zhao, Singh & Lucchi, *Theoretical characterisation of the Gauss-Newton conditioning in
neural networks* (arXiv 2411.02139). In the order of the chapter: weights and data
(:mod:`~lazyrich.conditioning.weights`, :mod:`~lazyrich.conditioning.covariance`), the exact
spectrum of deep linear networks (:mod:`~lazyrich.conditioning.linear`, and
:mod:`~lazyrich.conditioning.matrix_free` where that is too large), bounds
(:mod:`~lazyrich.conditioning.bounds`), laws of width and depth at the start
(:mod:`~lazyrich.conditioning.laws`), one leaky-ReLU layer (:mod:`~lazyrich.conditioning.relu`),
convolutions (:mod:`~lazyrich.conditioning.convolutions`), the Hessian
(:mod:`~lazyrich.conditioning.hessian`), batch normalisation
(:mod:`~lazyrich.conditioning.normalisation`) and pruning (:mod:`~lazyrich.conditioning.pruning`).

Several of the modules have a ``spectrum`` and a ``condition_number`` of their own, so they are
used by their names: ``linear.condition_number(weights, inputs)``.
"""

from lazyrich.conditioning import (
    bounds,
    convolutions,
    hessian,
    laws,
    linear,
    matrix_free,
    normalisation,
    pruning,
    relu,
)
from lazyrich.conditioning.covariance import (
    Covariance,
    on_range,
    second_moment,
    whiten,
    whitened,
)
from lazyrich.conditioning.weights import apply, kaiming, with_skips

__all__ = [
    "Covariance",
    "apply",
    "bounds",
    "convolutions",
    "hessian",
    "kaiming",
    "laws",
    "linear",
    "matrix_free",
    "normalisation",
    "on_range",
    "pruning",
    "relu",
    "second_moment",
    "whiten",
    "whitened",
    "with_skips",
]
