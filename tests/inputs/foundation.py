"""Calls of the functions that all chapters share."""

import jax.numpy as jnp
import numpy as np
import optax

from inputs import Example
from lazyrich import networks

DRAWS = np.random.default_rng(0)
NETWORK = networks.fully_connected((3, 4, 2), jnp.tanh)
PARAMS = [{"weight": DRAWS.normal(size=(4, 3))}, {"weight": DRAWS.normal(size=(2, 4))}]
X, OTHERS = DRAWS.normal(size=(5, 3)), DRAWS.normal(size=(2, 3))
WAY = [{"weight": DRAWS.normal(size=(4, 3))}, {"weight": DRAWS.normal(size=(2, 4))}]


def of_params(params):
    """A function of parameters alone."""
    return NETWORK.apply(params, jnp.ones((1, 3), params[0]["weight"].dtype))


def loss(params, step=0):
    """A loss of parameters."""
    return (of_params(params) ** 2).sum()


EXAMPLES = {
    "derivatives.jacobian": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
    "kernels.ntk_product": Example(
        {
            "apply": NETWORK.apply,
            "params": PARAMS,
            "x": X,
            "v": DRAWS.normal(size=4),
            "others": OTHERS,
        }
    ),
    "kernels.empirical_ntk": Example(
        {"network": NETWORK, "params": PARAMS, "x": X, "others": OTHERS}
    ),
    "kernels.largest_ntk_eigenvalue": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
    "curvature.gauss_newton": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
    "curvature.gauss_newton_spectrum": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
    "curvature.condition_number": Example(
        {"apply": NETWORK.apply, "params": PARAMS, "x": X},
        of_result=lambda kappa: jnp.array(kappa[:1]),  # which are numbers of Python
    ),
    "curvature.gauss_newton_ends": Example(
        {"apply": NETWORK.apply, "params": PARAMS, "x": X},
        of_result=lambda ends: jnp.array(ends[:2]),
    ),
    "derivatives.taylor_coefficients": Example(
        {"function": of_params, "params": PARAMS, "direction": WAY, "order": 2}
    ),
    "derivatives.jumps": Example(
        {"function": of_params, "params": PARAMS, "direction": WAY, "order": 1}
    ),
    "training.train": Example(
        {"loss": loss, "params": PARAMS, "optimizer": optax.sgd(0.1), "schedule": [0, 2]}
    ),
    "training.stacked": Example({"results": [{"x": X}, {"x": X + 1}]}),
    "training.mean_squared_error": Example({"predictions": X[:, 0], "targets": X[:, 1]}),
}
WEIGHTS = "takes what any pytree holds, and says of each array why it is left out"
IMAGES = "takes numbers of images of its own and a key"
SCALES = "takes whole numbers and a gain"
NOT_TRIED = {
    "reports.weight_report": WEIGHTS,
    "reports.plot_spectrum": WEIGHTS,
    "reports.checkpoint": "takes a file; tried in reports/test_checkpoints.py",
    "reports.outputs_first": "takes a name and a shape",
    "reports.random_hill": "takes whole numbers",
    "kernels.kernel_of": "what empirical_ntk is behind its door",
    "derivatives.coefficients_along": "what taylor_coefficients is behind its door",
    "training.ensemble": "makes a program of a function, whose arguments JAX takes or refuses",
    "training.integrate": "what gradient_flow is behind its door",
    "training.gradient_flow": "compiles a solver for seconds a call; tried in test_training.py",
    "training.each": "its members have no names of their own; tried in test_training.py",
    "networks.standard": SCALES,
    "networks.maximal_update": SCALES,
    "networks.neural_tangent": SCALES,
    "networks.fully_connected": "takes whole numbers, functions and single numbers",
    "data.digits_parity": IMAGES,
    "data.digits": IMAGES,
    "data.photographs": IMAGES,
    "data.mnist": IMAGES,
    "data.cifar10": IMAGES,
    "data.available": IMAGES,
}
