"""Calls of the functions of :mod:`lazyrich.conditioning`."""

import jax
import numpy as np

from inputs import Example
from lazyrich import networks
from lazyrich.conditioning import Covariance, Factors, LeastSquares, Normalised

DRAWS = np.random.default_rng(0)
WEIGHTS = [DRAWS.normal(size=(4, 3)), DRAWS.normal(size=(2, 4))]
X, Y = DRAWS.normal(size=(5, 3)), DRAWS.normal(size=(5, 2))
VARIANCES, Q = np.linalg.eigh(X.T @ X / 5)
INPUTS = Covariance(VARIANCES, Q)
# Arrays of JAX are not varied: where data may be of any scale, the directions stay as they are.
OF_ANY_SCALE = Covariance(VARIANCES, jax.device_put(Q))
FILTERS = [DRAWS.normal(size=(2, 1, 2)), DRAWS.normal(size=(2, 2, 2))]
FACTORS = Factors(np.stack([X[:3].T @ X[:3], np.eye(3)]), np.stack([np.eye(3), X.T @ X]))
OMEGA = DRAWS.normal(size=(2, 3))
NETWORK = networks.fully_connected((3, 4, 2), jax.numpy.tanh)
PARAMS = [{"weight": W} for W in WEIGHTS]
MASK = [{"weight": np.float64(W > 0)} for W in WEIGHTS]
D, M, K = np.array(3.0), np.array([4.0, 8.0]), np.array(2.0)


def linear(params, x):
    """A linear network, whose derivatives compile quickly."""
    return x @ params[0].T @ params[1].T


OF_WEIGHTS = {"weights": WEIGHTS, "inputs": INPUTS}
OF_BOTH = {"weights": WEIGHTS, "inputs": OF_ANY_SCALE}
FREE_OF_BOTH = Example(OF_BOTH, free_of_scale=("weights", "inputs"))
OF_NETWORK = Example({"apply": linear, "params": WEIGHTS, "x": X, "y": Y})
OF_SIZES = {"inputs": D, "width": M, "outputs": K}
RELU = {"weights": WEIGHTS, "x": X[:3], "slope": np.array(0.3)}
FREE_RELU = Example(RELU, free_of_scale=("weights", "x"))
FREE_LAW = Example(OF_SIZES, free_of_scale=tuple(OF_SIZES))

EXAMPLES = {
    "conditioning.with_skips": Example({"weights": WEIGHTS, "strength": np.array(0.5)}),
    "conditioning.linear_network": Example({"weights": WEIGHTS, "x": X}),
    "conditioning.second_moment": Example({"x": X}),
    "conditioning.on_range": Example({"Sigma": X.T @ X}),
    "conditioning.whitened": Example({"inputs": INPUTS}),
    "conditioning.whiten": Example({"x": X, "inputs": INPUTS}),
    "conditioning.partial_products": Example(OF_WEIGHTS),
    "conditioning.linear_factors": Example(OF_WEIGHTS),
    "conditioning.linear_spectrum": Example(OF_WEIGHTS),
    "conditioning.reduced_matrix": Example({"factors": FACTORS}),
    "conditioning.linear_condition_number": FREE_OF_BOTH,
    "conditioning.linear_two_layer_condition_number": FREE_OF_BOTH,
    "conditioning.extreme_eigenvalues": Example(
        {"factors": FACTORS},
        of_result=lambda ends: jax.numpy.array(ends[:2]),  # which are numbers of Python
    ),
    "conditioning.layer_extremes": Example(OF_WEIGHTS),
    "conditioning.linear_bounds": FREE_OF_BOTH,
    "conditioning.linear_data_bounds": FREE_OF_BOTH,
    "conditioning.data_condition_number": Example(
        {"inputs": OF_ANY_SCALE}, free_of_scale=("inputs",)
    ),
    "conditioning.partial_trace_bound": Example({"factors": FACTORS}),
    "conditioning.product_vector_bound": Example({"factors": FACTORS}),
    "conditioning.two_layer_law": FREE_LAW,
    "conditioning.two_layer_loose_law": FREE_LAW,
    "conditioning.separated_law": Example(OF_SIZES),
    "conditioning.depth_law": Example(OF_SIZES | {"depth": 3}, free_of_scale=tuple(OF_SIZES)),
    "conditioning.proportional_law": Example(
        {"inputs": D, "outputs": K, "width_per_layer": M},
        free_of_scale=("inputs", "outputs", "width_per_layer"),
    ),
    "conditioning.product_ends": Example({"size": D, "width": M, "matrices": np.array(2.0)}),
    "conditioning.finite_two_layer_law": Example(OF_SIZES),
    "conditioning.finite_ratio_of_sums_law": Example(OF_SIZES | {"depth": 3}),
    "conditioning.finite_depth_law": Example(OF_SIZES | {"depth": 3}),
    "conditioning.leaky_relu_matrix": Example(RELU),
    "conditioning.leaky_relu_spectrum": Example(RELU),
    "conditioning.leaky_relu_condition_number": FREE_RELU,
    "conditioning.leaky_relu_extremes": Example(RELU),
    "conditioning.leaky_relu_bounds": FREE_RELU,
    "conditioning.toeplitz": Example({"filters": FILTERS, "length": 3}),
    "conditioning.composite_filters": Example({"filters": FILTERS}),
    "conditioning.filter_spectrum": Example({"filters": FILTERS, "length": 3, "inputs": INPUTS}),
    "conditioning.loss_hessian": OF_NETWORK,
    "conditioning.split_hessian": OF_NETWORK,
    "conditioning.linear_residual_correlation": Example({"weights": WEIGHTS, "x": X, "y": Y}),
    "conditioning.linear_functional_hessian": Example({"weights": WEIGHTS, "Omega": OMEGA}),
    "conditioning.two_layer_functional_spectrum": Example({"Omega": OMEGA, "width": 4}),
    "conditioning.normalised_parameters": Example({"weights": WEIGHTS}),
    "conditioning.normalised_outputs": Example(
        {"params": Normalised(WEIGHTS[0], np.ones(4), np.zeros(4), WEIGHTS[1]), "x": X},
        free_of_scale=("x",),
    ),
    "conditioning.normalised_spectrum": Example(OF_BOTH, free_of_scale=("inputs",)),
    "conditioning.normalised_condition_number": Example(OF_BOTH, free_of_scale=("inputs",)),
    "conditioning.magnitude_mask": Example(
        {"params": PARAMS, "share": 0.4}, free_of_scale=("params",)
    ),
    "conditioning.pruned_kernel": Example(
        {"network": NETWORK, "params": PARAMS, "mask": MASK, "x": X}
    ),
    "conditioning.least_squares": Example({"x": X, "y": Y, "inputs": INPUTS}),
    "conditioning.loss_above_floor": Example(
        {"weights": WEIGHTS, "problem": LeastSquares(INPUTS, OMEGA)}
    ),
}
NOT_TRIED = {
    "conditioning.kaiming": "takes a key and whole numbers",
    "conditioning.kaiming_filters": "takes a key and whole numbers",
    "conditioning.linear_rank": "takes whole numbers",
    "conditioning.filter_rank": "takes whole numbers",
}
