"""Calls of the functions of :mod:`lazyrich.linearization`."""

import jax
import jax.numpy as jnp
import numpy as np

from inputs import Example
from lazyrich import networks

DRAWS = np.random.default_rng(0)
NETWORK = networks.fully_connected((3, 4, 1), jnp.tanh)
APPLY = NETWORK.apply


def weights():
    """Parameters of the network, or a direction."""
    return [{"weight": DRAWS.normal(size=(4, 3))}, {"weight": DRAWS.normal(size=(1, 4))}]


PARAMS, WAY = weights(), weights()
X, X_TEST = DRAWS.normal(size=(5, 3)), DRAWS.normal(size=(2, 3))
Y = DRAWS.normal(size=(5, 1))
RATE = np.array(0.1)
STEP = {"apply": APPLY, "params": PARAMS, "x": X, "direction": WAY, "order": 2, "rate": RATE}
ROWS = DRAWS.normal(size=(5, 4))
LINEAR = {"outputs": DRAWS.normal(size=5), "kernel": ROWS @ ROWS[:3].T, "rate": RATE}

EXAMPLES = {
    "linearization.activation": Example(
        {"name": "tanh", "sharpness": np.array(2.0)}, of_result=lambda phi: phi(1.0)
    ),
    "linearization.largest_derivatives": Example(
        {"phi": jnp.tanh, "order": 2, "ends": np.array(2.0), "points": 5}
    ),
    "linearization.update_direction": Example(
        {"apply": APPLY, "params": PARAMS, "x": X, "residual": Y}
    ),
    "linearization.contracted": Example(STEP),
    "linearization.gradient_norms": Example(STEP),
    "linearization.correlation_tensor": Example(
        {"apply": APPLY, "params": PARAMS, "x": X, "inputs": X_TEST, "order": 2, "rate": RATE}
    ),
    "linearization.one_step": Example(STEP),
    "linearization.relative_gradient_change": Example(
        {"network": NETWORK, "params": PARAMS, "start": WAY, "x": X}
    ),
    "linearization.train_beside_linear": Example(
        {
            "network": NETWORK,
            "params": PARAMS,
            "x": X,
            "y": Y[:, 0],
            "x_test": X_TEST,
            "rate": RATE,
            "schedule": [0, 2],
            "noise": np.array([0.1, 0.2]),
        }
    ),
    "linearization.linearize": Example(
        {"apply": APPLY, "params": PARAMS}, of_result=lambda model: model(WAY, X)
    ),
    "linearization.taylor_expand": Example(
        {"apply": APPLY, "params": PARAMS, "order": 2}, of_result=lambda model: model(WAY, X)
    ),
    "linearization.descend_linear": Example({**LINEAR, "slope": lambda f: f, "steps": 3}),
    "linearization.flow_linear": Example(
        {
            "outputs": LINEAR["outputs"],
            "kernel": LINEAR["kernel"],
            "slope": lambda f: f,
            "times": np.array([0.1, 0.5]),
        }
    ),
    "linearization.predict_linear": Example({**LINEAR, "y": Y[:3, 0], "times": [0, 3]}),
    "linearization.laziness": Example(
        {
            "apply": APPLY,
            "params": PARAMS,
            "x": X,
            "y": Y,
            "rate": RATE,
            "steps": 2,
            "x_test": X_TEST,
        }
    ),
    "linearization.injective_norm": Example(
        {"tensor": DRAWS.normal(size=(2, 3, 2)), "key": jax.random.key(0)}
    ),
    "linearization.train_quadratic": Example(
        {
            "A": np.array([0.6, 0.8]),
            "H": np.array([1.0, -1.0]),
            "rate": RATE,
            "steps": 3,
            "y": np.array(2.0),
        }
    ),
}
EXPONENTS = "takes whole numbers, an exponent as a float of Python, and truth values"
NOT_TRIED = {
    "linearization.random_powers": "takes a key and whole numbers",
    "linearization.student_norms": "takes a key and single numbers",
    "linearization.correlation_exponent": EXPONENTS,
    "linearization.linearity_exponent": EXPONENTS,
    "linearization.deviation_exponents": EXPONENTS,
    "linearization.rate_exponent": EXPONENTS,
}
