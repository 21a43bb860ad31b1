"""Calls of the functions of :mod:`lazyrich.heavy_tails`."""

import jax.numpy as jnp
import numpy as np
import optax

from inputs import Example
from lazyrich.heavy_tails import AdamVariant, Problem, Samples, Sizes, Update

DRAWS = np.random.default_rng(0)
SIZES = Sizes(3, 5, 6)
W, M = DRAWS.normal(size=(2, 5, 3))
A, TEACHER = DRAWS.normal(size=5), np.array([0.6, 0.0, -0.8])
TRAIN, PROBE, TEST = (Samples(x, x @ TEACHER + 1) for x in DRAWS.normal(size=(3, 6, 3)))
PROBLEM = Problem(TEACHER, W, A, TRAIN, PROBE, TEST)
RATES = {"optimizer": "Adam", "rate": np.array([0.1, 1.0]), "sizes": SIZES}
AFTER = {"p_norm2": np.array([40.0, 9.0]), "variance": np.array([1.0, 2.0])}


def first_change(optimizer: optax.GradientTransformation):
    """What an optimiser makes of a gradient in its first step."""
    gradient = jnp.asarray(W)
    return optimizer.update(gradient, optimizer.init(gradient))[0]


EXAMPLES = {
    "heavy_tails.directions": Example({"problem": PROBLEM}),
    "heavy_tails.features": Example({"W": W, "x": TRAIN.x, "scale": np.array(0.5)}),
    "heavy_tails.outputs": Example({"W": W, "a": A, "x": TRAIN.x}),
    "heavy_tails.loss": Example({"W": W, "a": A, "samples": TRAIN}),
    "heavy_tails.kernel_alignment": Example({"W": W, "problem": PROBLEM}),
    "heavy_tails.ridge_losses": Example(
        {"W": W, "problem": PROBLEM, "ridge": np.array([0.01, 0.1])}
    ),
    "heavy_tails.weight_metrics": Example({"W": W, "teacher": TEACHER}),
    "heavy_tails.overlaps": Example({"W": W, "M": M}, free_of_scale=("W", "M")),
    "heavy_tails.update": Example(RATES, of_numpy=True),
    "heavy_tails.spike_law": Example(RATES, of_numpy=True),
    "heavy_tails.teacher_alignment": Example(RATES, of_numpy=True),
    "heavy_tails.alignment_law": Example(RATES, of_numpy=True),
    "heavy_tails.outlier": Example(AFTER | {"sizes": SIZES}, of_numpy=True),
    "heavy_tails.linear_alignment": Example(
        {"after": Update(AFTER["variance"], AFTER["p_norm2"], np.array([1.0, 2.0]))}
        | {"sizes": SIZES},
        of_numpy=True,
    ),
    "heavy_tails.linear_features_loss": Example(
        {"eigenvalues": np.array([1.0, 4.0, 9.0]), "overlaps": np.array([0.2, 0.3, 0.5])}
        | {"sizes": SIZES, "ridge": np.array([0.01, 0.1])},
        of_numpy=True,
    ),
    "heavy_tails.random_features_loss": Example(
        {"eigenvalues": np.array([1.0, 4.0, 9.0]), "sizes": SIZES, "ridge": np.array([0.01, 0.1])},
        of_numpy=True,
    ),
    "heavy_tails.burst_step": Example(
        {"sharpness": np.array([100.0, 200.0]), "rate": np.array(0.1), "step": np.array(1000.0)},
        of_numpy=True,
    ),
    "heavy_tails.optimizer": Example(
        {"name": "GD", "rate": np.array(0.1), "decay": np.array(0.9)}, of_result=first_change
    ),
    "heavy_tails.adam_variant": Example(
        {"variant": AdamVariant(np.array(0.1), np.array(1e-8))}, of_result=first_change
    ),
}
NOT_TRIED = {
    name: "takes sizes and numbers"
    for name in (
        "heavy_tails.equal_norm_rates",
        "heavy_tails.first_step_law",
        "heavy_tails.first_step_loss",
        "heavy_tails.largest_stable_rate",
        "heavy_tails.overlap_losses",
        "heavy_tails.residual_power",
        "heavy_tails.least_squares_loss",
        "heavy_tails.parity_floor",
        "heavy_tails.ridge_loss",
        "heavy_tails.sizes",
        "heavy_tails.threshold",
    )
} | {
    "heavy_tails.draw": "takes a key, sizes and a noise",
    "heavy_tails.normal_mean": "takes a function",
}
