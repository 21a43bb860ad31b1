"""Calls of the functions that all chapters share."""

import jax
import numpy as np

from inputs import Example
from lazyrich import networks

DRAWS = np.random.default_rng(0)
NETWORK = networks.fully_connected((3, 4, 2), jax.numpy.tanh)
PARAMS = [{"weight": DRAWS.normal(size=(4, 3))}, {"weight": DRAWS.normal(size=(2, 4))}]
X, OTHERS = DRAWS.normal(size=(5, 3)), DRAWS.normal(size=(2, 3))

EXAMPLES = {
    "derivatives.jacobian": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
    "derivatives.empirical_ntk": Example(
        {"network": NETWORK, "params": PARAMS, "x": X, "others": OTHERS}
    ),
    "derivatives.largest_ntk_eigenvalue": Example(
        {"apply": NETWORK.apply, "params": PARAMS, "x": X}
    ),
    "derivatives.gauss_newton": Example({"apply": NETWORK.apply, "params": PARAMS, "x": X}),
}
NOT_TRIED = {
    "networks.standard": "takes whole numbers and a gain",
}
