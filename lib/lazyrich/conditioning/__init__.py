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
The chapter's experiments stand on these: linear networks at the start
(:mod:`~lazyrich.conditioning.starts`), leaky ReLU
(:mod:`~lazyrich.conditioning.relu_starts`), other networks
(:mod:`~lazyrich.conditioning.variants`), automatic differentiation
(:mod:`~lazyrich.conditioning.checks`), training
(:mod:`~lazyrich.conditioning.descents`) and training in two precisions
(:mod:`~lazyrich.conditioning.precisions`).
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
from lazyrich.conditioning.checks import (
    Hessians,
    Spectra,
    hessians,
    linear_spectra,
    normalised_spectra,
    two_layer_numbers,
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
from lazyrich.conditioning.descents import (
    TREATMENTS,
    Descent,
    Fit,
    Task,
    Treatment,
    classes,
    descend,
    descend_to_fit,
    loss_above_floor,
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
    ratio_of_sums_law,
    separated_law,
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
    normalised_parameters,
    normalised_spectrum,
)
from lazyrich.conditioning.precisions import spectra_in_training
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
from lazyrich.conditioning.relu_starts import (
    LeakyReluStart,
    Violations,
    leaky_relu_start,
    leaky_relu_violations,
)
from lazyrich.conditioning.starts import (
    DATA,
    Certificate,
    LinearStart,
    certificate,
    linear_start,
    moments,
    two_layer_start,
)
from lazyrich.conditioning.variants import (
    ACTIVATIONS,
    ConvolutionStart,
    FilterStart,
    NormalisedStart,
    convolution_start,
    filter_start,
    normalised_start,
    pruned_start,
)
from lazyrich.conditioning.weights import (
    apply,
    kaiming,
    with_skips,
)

__all__ = [
    "ACTIVATIONS",
    "Certificate",
    "ConvolutionStart",
    "Covariance",
    "DATA",
    "Descent",
    "ExtremeEigenvalues",
    "Factors",
    "FilterStart",
    "Fit",
    "HessianParts",
    "Hessians",
    "LayerExtremes",
    "LeakyReluBounds",
    "LeakyReluExtremes",
    "LeakyReluStart",
    "LinearStart",
    "Normalised",
    "NormalisedStart",
    "RayleighBound",
    "Spectra",
    "TREATMENTS",
    "Task",
    "Treatment",
    "UpperBounds",
    "Violations",
    "apply",
    "certificate",
    "classes",
    "composite_filters",
    "condition_number",
    "convolution_start",
    "data_bounds",
    "data_condition_number",
    "depth_law",
    "descend",
    "descend_to_fit",
    "extreme_eigenvalues",
    "factors",
    "filter_rank",
    "filter_spectrum",
    "filter_start",
    "functional_hessian",
    "hessians",
    "kaiming",
    "kaiming_filters",
    "layer_extremes",
    "leaky_relu_bounds",
    "leaky_relu_condition_number",
    "leaky_relu_extremes",
    "leaky_relu_matrix",
    "leaky_relu_start",
    "leaky_relu_violations",
    "linear_spectra",
    "linear_start",
    "loss_above_floor",
    "loss_hessian",
    "magnitude_mask",
    "moments",
    "normalised_condition_number",
    "normalised_outputs",
    "normalised_parameters",
    "normalised_spectra",
    "normalised_spectrum",
    "normalised_start",
    "on_range",
    "partial_products",
    "partial_trace_bound",
    "product_law",
    "product_vector_bound",
    "proportional_law",
    "pruned_kernel",
    "pruned_start",
    "rank",
    "ratio_of_sums_law",
    "reduced_matrix",
    "reduced_product",
    "residual_correlation",
    "second_moment",
    "separated_law",
    "spectra_in_training",
    "spectrum",
    "split_hessian",
    "toeplitz",
    "two_layer_condition_number",
    "two_layer_functional_spectrum",
    "two_layer_law",
    "two_layer_loose_law",
    "two_layer_numbers",
    "two_layer_start",
    "upper_bounds",
    "whiten",
    "whitened",
    "with_skips",
]
