"""Three mechanisms of feature learning in a linear network, solved exactly.

Source: Xu & Ziyin, *Three mechanisms of feature learning in a linear network*
(arXiv 2401.07085). In the order of the chapter: the model and what it conserves
(:mod:`~lazyrich.mechanisms.setting`), its solution (:mod:`~lazyrich.mechanisms.solution`), the
phase diagram (:mod:`~lazyrich.mechanisms.phases`), finite steps
(:mod:`~lazyrich.mechanisms.steps`), a monomial activation
(:mod:`~lazyrich.mechanisms.variants`), the networks themselves in training
(:mod:`~lazyrich.mechanisms.runs`), ensembles of one scale
(:mod:`~lazyrich.mechanisms.ensembles`) and nonlinear networks
(:mod:`~lazyrich.mechanisms.nonlinear`).
"""

from lazyrich.mechanisms.ensembles import (
    Catapult,
    catapult,
    descend_stochastic,
    flow_loss,
    flow_normal,
    flow_plateau,
    flow_scaled,
    logistic_loss,
    off_the_line,
    squared_loss,
    with_decay,
)
from lazyrich.mechanisms.nonlinear import (
    Alignment,
    DigitsRun,
    alignment,
    train_on_digits,
    turning_share,
)
from lazyrich.mechanisms.phases import (
    SCHEMES,
    Exponents,
    Scaling,
    WidthRun,
    at_width,
    exponents,
    phase,
    run_at_width,
)
from lazyrich.mechanisms.runs import (
    Cases,
    Line,
    Run,
    descend_cases,
    final_rate,
    flow_cases,
    predict,
    random_cases,
)
from lazyrich.mechanisms.setting import (
    Amplitudes,
    Invariants,
    Setting,
    State,
    Weights,
    amplitudes,
    areas,
    balance,
    invariants,
    state,
)
from lazyrich.mechanisms.solution import (
    cosine_law,
    evolve,
    fixed_point,
    kernel_change,
    kernel_law,
    learning_speed,
    orthogonal_error,
    solve,
    time_to_reach,
)
from lazyrich.mechanisms.steps import Descent, descend, descend_on_samples, step
from lazyrich.mechanisms.variants import (
    internal_time,
    neuron_constants,
    quadratic_output_weights,
)

__all__ = [
    "SCHEMES",
    "Alignment",
    "Amplitudes",
    "Cases",
    "Catapult",
    "Descent",
    "DigitsRun",
    "Exponents",
    "Invariants",
    "Line",
    "Run",
    "Scaling",
    "Setting",
    "State",
    "Weights",
    "WidthRun",
    "alignment",
    "amplitudes",
    "areas",
    "at_width",
    "balance",
    "catapult",
    "cosine_law",
    "descend",
    "descend_cases",
    "descend_on_samples",
    "descend_stochastic",
    "evolve",
    "exponents",
    "final_rate",
    "fixed_point",
    "flow_cases",
    "flow_loss",
    "flow_normal",
    "flow_plateau",
    "flow_scaled",
    "internal_time",
    "invariants",
    "kernel_change",
    "kernel_law",
    "learning_speed",
    "logistic_loss",
    "neuron_constants",
    "off_the_line",
    "orthogonal_error",
    "phase",
    "predict",
    "quadratic_output_weights",
    "random_cases",
    "run_at_width",
    "solve",
    "squared_loss",
    "state",
    "step",
    "time_to_reach",
    "train_on_digits",
    "turning_share",
    "with_decay",
]
