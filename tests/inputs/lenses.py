"""Calls of the functions of :mod:`lazyrich.lenses`."""

import numpy as np

from inputs import Example
from lazyrich.lenses import GaussianMoments, LayerMoments

DRAWS = np.random.default_rng(0)
MOMENTS = GaussianMoments(0.65, 0.46, 0.57, -0.43)
X, BETA = DRAWS.normal(size=(5, 3)), np.array([0.6, 0.0, -0.8])
Y, ALPHA = DRAWS.normal(size=(2, 5))
KERNEL = X @ X.T + np.eye(5)
STATE = LayerMoments(np.diag([1.0, 1.5, 2.0]), np.array([0.1, -0.2, 0.3]), np.array(1.2))
TASK = {"x": X, "y": Y, "moments": MOMENTS}
R = np.array([0.3, 1.0])

EXAMPLES = {
    "lenses.sine_teacher": Example({"x": X, "direction": BETA}),
    "lenses.linear_displacement": Example({"kernel": KERNEL, "y": Y, "level": 0.1}),
    "lenses.total_richness": Example(
        {"dimension": np.array([2.0, 8.0]), "scale": R, "width": np.array(64.0)}
    ),
    "lenses.teacher_richness": Example(
        {"residual": ALPHA, "x": X, "direction": BETA, "scale": 2.0, "width": 64.0, "slope": 0.65}
    ),
    "lenses.shrinkage": Example({"ratio": np.array([1.0, 4.0]), "ridge": np.array(0.2)}),
    "lenses.large_sample_richness": Example(
        {"scale": R, "width": np.array(64.0), "inputs": 8.0, "slope": 0.65, "correlation": 0.92}
    ),
    "lenses.layer_moments": Example({"W": X, "v": Y}),
    "lenses.train_equivalent": Example(
        TASK | {"scale": 2.0, "width": 64.0, "rate": 0.5, "level": 0.3, "start": STATE}
    ),
    "lenses.equivalent_kernel": Example({"state": STATE, "x": X, "moments": MOMENTS}),
    "lenses.equivalent_readings": Example(TASK | {"state": STATE, "direction": BETA}),
    "lenses.alignment_signal": Example({"richness": R}),
    "lenses.layer_growth": Example({"richness": R}),
    "lenses.seed_law": Example({"richness": R, "cosine": np.array([0.1, -0.2])}),
    "lenses.kernel_signal": Example({"richness": R, "share": np.array([0.5, -0.3])}),
    "lenses.depth_signal": Example({"richness": R, "depth": 3}),
    "lenses.outlier_signal": Example({"richness": R, "inputs": 8, "width": 64}, of_numpy=True),
    "lenses.outlier_onset": Example({"ratio": np.array([0.1, 1.0])}),
    "lenses.update_stable_rank": Example(
        {"residual": ALPHA, "x": X, "moments": MOMENTS},
        free_of_scale=("residual",),
        of_numpy=True,
    ),
    "lenses.clock_deviation": Example({"richness": R, "time": np.array([0.5, 2.0])}),
    "lenses.clock_signal": Example({"richness": R}),
    "lenses.function_signal": Example({"richness": R}),
    "lenses.frontier": Example(
        {"grid": np.array([1.0, 2.0, 4.0]), "signals": np.array([[0.1, 0.5, 2.0], [0.0, 0.1, 0.5]])}
        | {"floor": np.array([0.2, 0.1])},
        of_numpy=True,
    ),
    "lenses.alignment_alarm": Example({"width": np.array([64.0, 256.0])}),
    "lenses.growth_alarm": Example(
        {"share": np.array([0.5, -0.3]), "floor": np.array(0.8), "width": np.array(256.0)}
    ),
    "lenses.clock_alarm": Example({"width": np.array([64.0, 256.0])}),
    "lenses.function_alarm": Example({"width": np.array([64.0, 256.0]), "floor": np.array(1.1)}),
}
NOT_TRIED = {
    name: "takes sizes and numbers"
    for name in (
        "lenses.alignment_floor",
        "lenses.edge_floor",
        "lenses.infinite_start",
        "lenses.kernel_floors",
        "lenses.kernel_shares",
        "lenses.tail_alarm",
        "lenses.wishart_start",
    )
} | {
    "lenses.gaussian_moments": "takes a function",
    "lenses.function_floor": "takes a function; its arrays are those of linear_displacement",
    "lenses.predicted_alarms": "trains many networks; its arrays are those of train_equivalent",
    "lenses.alarm_table": "takes what predicted_alarms gives",
    "lenses.lenses": "trains a network for seconds a call; tried in lenses/test_along_run.py",
}
