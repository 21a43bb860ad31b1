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
"""

from lazyrich.conditioning.bounds import (
    LayerExtremes,
    RayleighBound,
    UpperBounds,
    data_bounds,
    data_condition_number,
    layer_extremes,
    partial_trace_bound,
    product_vector_bound,
    upper_bounds,
)
from lazyrich.conditioning.convolutions import (
    composite_filters,
    filter_rank,
    filter_spectrum,
    kaiming_filters,
    toeplitz,
)
from lazyrich.conditioning.covariance import (
    Covariance,
    on_range,
    second_moment,
    whiten,
    whitened,
)
from lazyrich.conditioning.hessian import (
    HessianParts,
    functional_hessian,
    loss_hessian,
    residual_correlation,
    split_hessian,
    two_layer_functional_spectrum,
)
from lazyrich.conditioning.laws import (
    depth_law,
    product_law,
    proportional_law,
    two_layer_law,
    two_layer_loose_law,
)
from lazyrich.conditioning.linear import (
    Factors,
    condition_number,
    factors,
    partial_products,
    rank,
    reduced_matrix,
    reduced_product,
    spectrum,
    two_layer_condition_number,
)
from lazyrich.conditioning.matrix_free import (
    ExtremeEigenvalues,
    extreme_eigenvalues,
)
from lazyrich.conditioning.normalisation import (
    Normalised,
    normalised_condition_number,
    normalised_outputs,
    normalised_spectrum,
    normalised_start,
)
from lazyrich.conditioning.pruning import (
    magnitude_mask,
    pruned_kernel,
)
from lazyrich.conditioning.relu import (
    LeakyReluBounds,
    LeakyReluExtremes,
    leaky_relu_bounds,
    leaky_relu_condition_number,
    leaky_relu_extremes,
    leaky_relu_matrix,
)
from lazyrich.conditioning.weights import (
    apply,
    kaiming,
    with_skips,
)

__all__ = [
    "Covariance",
    "ExtremeEigenvalues",
    "Factors",
    "HessianParts",
    "LayerExtremes",
    "LeakyReluBounds",
    "LeakyReluExtremes",
    "Normalised",
    "RayleighBound",
    "UpperBounds",
    "apply",
    "composite_filters",
    "condition_number",
    "data_bounds",
    "data_condition_number",
    "depth_law",
    "extreme_eigenvalues",
    "factors",
    "filter_rank",
    "filter_spectrum",
    "functional_hessian",
    "kaiming",
    "kaiming_filters",
    "layer_extremes",
    "leaky_relu_bounds",
    "leaky_relu_condition_number",
    "leaky_relu_extremes",
    "leaky_relu_matrix",
    "loss_hessian",
    "magnitude_mask",
    "normalised_condition_number",
    "normalised_outputs",
    "normalised_spectrum",
    "normalised_start",
    "on_range",
    "partial_products",
    "partial_trace_bound",
    "product_law",
    "product_vector_bound",
    "proportional_law",
    "pruned_kernel",
    "rank",
    "reduced_matrix",
    "reduced_product",
    "residual_correlation",
    "second_moment",
    "spectrum",
    "split_hessian",
    "toeplitz",
    "two_layer_condition_number",
    "two_layer_functional_spectrum",
    "two_layer_law",
    "two_layer_loose_law",
    "upper_bounds",
    "whiten",
    "whitened",
    "with_skips",
]
