"""Linearization: when a network trains as its linear model does, and what decides it.

Source: Shem-Ur & Oz, *Weak correlations as the underlying principle for linearization of
gradient-based learning systems* (arXiv 2401.04013); what stands here is derived anew. In the order
of the chapter: derivative correlations (:mod:`~lazyrich.linearization.correlations`) and the sizes
of tensors (:mod:`~lazyrich.linearization.norms`), the identity of one step
(:mod:`~lazyrich.linearization.identity`), the exponents of width
(:mod:`~lazyrich.linearization.width_exponents`), the linear model and Taylor models
(:mod:`~lazyrich.linearization.linear_model`), a network in training beside its linear model
(:mod:`~lazyrich.linearization.deviations`), quadratic systems in which the conditions can fail one
by one (:mod:`~lazyrich.linearization.quadratic`), the condition on activations
(:mod:`~lazyrich.linearization.activations`), and boundedness in probability
(:mod:`~lazyrich.linearization.boundedness`). Beyond the paper goes a meter that predicts at the
start how far training will leave the linear model (:mod:`~lazyrich.linearization.meter`).
"""

from lazyrich.linearization.activations import ACTIVATIONS_BY_NAME, activation, largest_derivatives
from lazyrich.linearization.boundedness import random_powers, student_norms
from lazyrich.linearization.correlations import (
    contracted,
    correlation_tensor,
    gradient_norms,
    update_direction,
)
from lazyrich.linearization.deviations import (
    Deviations,
    relative_gradient_change,
    train_beside_linear,
)
from lazyrich.linearization.identity import OneStep, one_step
from lazyrich.linearization.linear_model import (
    descend_linear,
    flow_linear,
    linearize,
    predict_linear,
    taylor_expand,
)
from lazyrich.linearization.meter import Laziness, laziness
from lazyrich.linearization.norms import injective_norm
from lazyrich.linearization.quadratic import QuadraticRun, train_quadratic
from lazyrich.linearization.width_exponents import (
    DeviationExponents,
    correlation_exponent,
    deviation_exponents,
    linearity_exponent,
    rate_exponent,
)
