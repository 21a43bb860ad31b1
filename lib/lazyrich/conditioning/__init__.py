"""Conditioning of the Gauss-Newton matrix: what depth, width and data do to it.

Source: Zhao, Singh & Lucchi, *Theoretical characterisation of the Gauss-Newton conditioning in
neural networks* (arXiv 2411.02139). In the order of the chapter: weights and data
(:mod:`~lazyrich.conditioning.weights`, :mod:`~lazyrich.conditioning.covariance`), the exact
spectrum of deep linear networks (:mod:`~lazyrich.conditioning.linear`, and
:mod:`~lazyrich.conditioning.matrix_free` where that is too large), bounds
(:mod:`~lazyrich.conditioning.bounds`), laws of width and depth at the start
(:mod:`~lazyrich.conditioning.laws`, and :mod:`~lazyrich.conditioning.finite_laws` for matrices of
finite size), one leaky-ReLU layer (:mod:`~lazyrich.conditioning.relu`), convolutions
(:mod:`~lazyrich.conditioning.convolutions`), the Hessian (:mod:`~lazyrich.conditioning.hessian`),
batch normalisation (:mod:`~lazyrich.conditioning.normalisation`), pruning
(:mod:`~lazyrich.conditioning.pruning`) and what linear networks learn
(:mod:`~lazyrich.conditioning.regression`). The chapter's experiments with them are in
``lazyrich.experiments.conditioning``.
"""

from lazyrich.conditioning.bounds import (
    LayerExtremes,
    RayleighBound,
    UpperBounds,
    data_condition_number,
    layer_extremes,
    linear_bounds,
    linear_data_bounds,
    partial_trace_bound,
    product_vector_bound,
)
from lazyrich.conditioning.convolutions import (
    composite_filters,
    filter_rank,
    filter_spectrum,
    kaiming_filters,
    toeplitz,
)
from lazyrich.conditioning.covariance import Covariance, on_range, second_moment, whiten, whitened
from lazyrich.conditioning.finite_laws import (
    finite_depth_law,
    finite_ratio_of_sums_law,
    finite_two_layer_law,
    product_ends,
)
from lazyrich.conditioning.hessian import (
    HessianParts,
    linear_functional_hessian,
    linear_residual_correlation,
    loss_hessian,
    split_hessian,
    two_layer_functional_spectrum,
)
from lazyrich.conditioning.laws import (
    depth_law,
    proportional_law,
    separated_law,
    two_layer_law,
    two_layer_loose_law,
)
from lazyrich.conditioning.linear import (
    Factors,
    linear_condition_number,
    linear_factors,
    linear_rank,
    linear_spectrum,
    linear_two_layer_condition_number,
    partial_products,
    reduced_matrix,
)
from lazyrich.conditioning.matrix_free import ExtremeEigenvalues, extreme_eigenvalues
from lazyrich.conditioning.normalisation import (
    Normalised,
    normalised_condition_number,
    normalised_outputs,
    normalised_parameters,
    normalised_spectrum,
)
from lazyrich.conditioning.pruning import magnitude_mask, pruned_kernel
from lazyrich.conditioning.regression import LeastSquares, least_squares, loss_above_floor
from lazyrich.conditioning.relu import (
    LeakyReluBounds,
    LeakyReluExtremes,
    leaky_relu_bounds,
    leaky_relu_condition_number,
    leaky_relu_extremes,
    leaky_relu_matrix,
    leaky_relu_spectrum,
)
from lazyrich.conditioning.weights import kaiming, linear_network, with_skips
