"""Calls of the functions of :mod:`lazyrich.mechanisms`."""

import jax
import numpy as np

from inputs import Example
from lazyrich import networks
from lazyrich.mechanisms import Scaling, Setting

DRAWS = np.random.default_rng(0)
SETTING = Setting(*DRAWS.uniform(0.5, 2, size=(6, 2)))
ON_LINE = {"setting": SETTING} | dict(zip("uv", DRAWS.normal(size=(2, 2, 3)), strict=True))
TIMES = np.array([[0.0, 1.0], [0.5, 2.0]])
NETWORK = networks.fully_connected((3, 4, 1), jax.nn.relu)
PARAMS = [{"weight": DRAWS.normal(size=(4, 3))}, {"weight": DRAWS.normal(size=(1, 4))}]
X = DRAWS.normal(size=(5, 3))
COSINE, SCALE = DRAWS.uniform(0.1, 0.9, size=(2, 2, 3))

EXAMPLES = {
    "mechanisms.state": Example(ON_LINE),
    "mechanisms.amplitudes": Example(ON_LINE),
    "mechanisms.invariants": Example(ON_LINE),
    "mechanisms.balance": Example(ON_LINE),
    "mechanisms.areas": Example(ON_LINE),
    "mechanisms.solve": Example(ON_LINE | {"times": TIMES}),
    "mechanisms.evolve": Example(ON_LINE | {"times": TIMES}),
    "mechanisms.fixed_point": Example(ON_LINE),
    "mechanisms.learning_speed": Example(ON_LINE),
    "mechanisms.kernel_change": Example(ON_LINE),
    "mechanisms.time_to_reach": Example(ON_LINE | {"output": np.array([0.5, 0.6])}),
    "mechanisms.plateau_time": Example(ON_LINE),
    "mechanisms.kernel_law": Example(
        {"setting": SETTING, "output": np.array([0.5, -0.6]), "N": np.array([0.5, 2.0])}
    ),
    "mechanisms.cosine_law": Example(
        {"output": np.array([0.5, -0.6]), "N_perp": np.array([0.5, 2.0])},
        free_of_scale=("output", "N_perp"),
    ),
    "mechanisms.orthogonal_error": Example(
        {"setting": SETTING, "u": ON_LINE["u"], "std_w": np.ones(2), "squared_length": np.ones(2)}
    ),
    "mechanisms.at_width": Example(
        {"scaling": Scaling(-0.5, 0, 0, 0, 0), "u": ON_LINE["u"], "v": ON_LINE["v"]},
        of_result=lambda result: (result[0][:3], result[1]),
    ),
    "mechanisms.descend": Example(ON_LINE | {"steps": 3}),
    "mechanisms.descend_on_samples": Example(ON_LINE | {"a": TIMES, "y": TIMES + 0.5}),
    "mechanisms.step": Example(ON_LINE | {"h": np.array([0.1, -0.2])}),
    "mechanisms.flow": Example(
        {"loss": lambda setting, u, v: (u + v).sum(), **ON_LINE, "setting": Setting()}
        | {"times": TIMES}
    ),
    "mechanisms.squared_loss": Example(ON_LINE),
    "mechanisms.logistic_loss": Example(ON_LINE),
    "mechanisms.weight_decay": Example(ON_LINE | {"mu": np.array([0.1, 0.2])}),
    "mechanisms.neuron_constants": Example(ON_LINE | {"power": 2}),
    "mechanisms.quadratic_output_weights": Example(
        {"setting": SETTING, "u": COSINE[:, 0], "C": COSINE[:, 1], "S": SCALE[:, 0]}
    ),
    "mechanisms.internal_time": Example(
        {"setting": SETTING, "u": COSINE[:, 0], "C": COSINE[:, 1], "later": SCALE[:, 0]}
    ),
    "mechanisms.alignment": Example({"network": NETWORK, "params": PARAMS, "x": X}),
    "mechanisms.layer_cosines": Example({"params": PARAMS}, free_of_scale=("params",)),
    "mechanisms.turning_share": Example(
        {"cosine": COSINE, "scale": SCALE}, free_of_scale=("scale",)
    ),
}
NOT_TRIED = {
    "mechanisms.exponents": "takes five numbers",
    "mechanisms.feature_learning": "takes two numbers",
    "mechanisms.phase": "takes five numbers",
}
