"""Three mechanisms of feature learning in a linear network, solved exactly.

Source: Xu & Ziyin, *Three mechanisms of feature learning in a linear network*
(arXiv 2401.07085). In the order of the chapter: the model and what it conserves
(:mod:`~lazyrich.mechanisms.setting`), its solution (:mod:`~lazyrich.mechanisms.solution`) and the
times of outputs (:mod:`~lazyrich.mechanisms.times`), the phase diagram
(:mod:`~lazyrich.mechanisms.phases`), finite steps (:mod:`~lazyrich.mechanisms.steps`), the flow of
any loss (:mod:`~lazyrich.mechanisms.losses`), a monomial activation
(:mod:`~lazyrich.mechanisms.monomial`), and the angle in nonlinear networks
(:mod:`~lazyrich.mechanisms.nonlinear`).
"""

from lazyrich.mechanisms.losses import flow, logistic_loss, squared_loss, weight_decay
from lazyrich.mechanisms.monomial import internal_time, neuron_constants, quadratic_output_weights
from lazyrich.mechanisms.nonlinear import Alignment, alignment, layer_cosines, turning_share
from lazyrich.mechanisms.phases import (
    SCHEMES,
    Exponents,
    Scaling,
    at_width,
    exponents,
    feature_learning,
    phase,
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
)
from lazyrich.mechanisms.steps import LineDescent, descend, descend_on_samples, step
from lazyrich.mechanisms.times import plateau_time, time_to_reach
