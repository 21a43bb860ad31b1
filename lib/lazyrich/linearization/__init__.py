"""Linearization: when a network trains as its linear model does, and what decides it.

Source: Shem-Ur & Oz, *Weak correlations as the underlying principle for linearization of
gradient-based learning systems* (arXiv 2401.04013); what stands here is derived anew. In the order
of the chapter: boundedness in probability (:mod:`~lazyrich.linearization.boundedness`), derivative
correlations (:mod:`~lazyrich.linearization.correlations`) and the sizes of tensors
(:mod:`~lazyrich.linearization.norms`), the identity of one step
(:mod:`~lazyrich.linearization.identity`), the linear model and Taylor models
(:mod:`~lazyrich.linearization.linear_model`), quadratic systems in which the conditions can fail
one by one (:mod:`~lazyrich.linearization.quadratic`), the exponents of width
(:mod:`~lazyrich.linearization.exponents`) and the condition on activations
(:mod:`~lazyrich.linearization.activations`). The chapter's experiments stand on these: its networks
and tasks (:mod:`~lazyrich.linearization.family`), networks at the start
(:mod:`~lazyrich.linearization.starts`), their whole tensors
(:mod:`~lazyrich.linearization.tensors`), and networks in training
(:mod:`~lazyrich.linearization.deviations`), and networks on the handwritten digits
(:mod:`~lazyrich.linearization.digits`). Beyond the paper go a meter that predicts at the start how
far training will leave the linear model (:mod:`~lazyrich.linearization.meter`, read on other
networks in :mod:`~lazyrich.linearization.metered`), systems other than
fully connected networks (:mod:`~lazyrich.linearization.systems`), and the correlations along
training (:mod:`~lazyrich.linearization.along_training`).
"""

from lazyrich.linearization.activations import (
    ACTIVATIONS,
    activation,
    largest_derivatives,
)
from lazyrich.linearization.along_training import (
    CorrelationsAlong,
    correlations_along,
)
from lazyrich.linearization.boundedness import (
    random_powers,
    student_norms,
)
from lazyrich.linearization.correlations import (
    contracted,
    correlation_tensor,
    gradient_norms,
    update_direction,
)
from lazyrich.linearization.deviations import (
    Deviations,
    descend,
    descend_by_sample,
    gradient_change,
    kernel_change,
    taylor_distances,
)
from lazyrich.linearization.digits import (
    DigitsRun,
    descend_on_digits,
)
from lazyrich.linearization.exponents import (
    DeviationExponents,
    correlation_exponent,
    deviation_exponents,
    linearity_exponent,
    rate_exponent,
)
from lazyrich.linearization.family import (
    Probe,
    Task,
    external_scale,
    network,
    noise_of_samples,
    order_of_samples,
    probe,
    task,
    weights,
)
from lazyrich.linearization.identity import (
    OneStep,
    one_step,
)
from lazyrich.linearization.linear_model import (
    descend_linear,
    linearize,
    predict_linear,
    taylor_expand,
)
from lazyrich.linearization.meter import (
    Laziness,
    MeterRun,
    laziness,
    meter_run,
)
from lazyrich.linearization.metered import meter_system
from lazyrich.linearization.norms import (
    injective_norm,
    spectral_norm,
)
from lazyrich.linearization.quadratic import (
    QuadraticRun,
    alternating_signs,
    quadratic_run,
)
from lazyrich.linearization.starts import (
    Correlations,
    SpectralNorms,
    correlations_at_start,
    one_step_at_start,
    spectral_norms_at_start,
)
from lazyrich.linearization.systems import (
    DIRECTIONS,
    SYSTEMS,
    System,
    system_correlations,
)
from lazyrich.linearization.tensors import (
    TensorNorms,
    tensor_norms_at_start,
)

__all__ = [
    "ACTIVATIONS",
    "Correlations",
    "DeviationExponents",
    "Deviations",
    "DigitsRun",
    "OneStep",
    "Probe",
    "QuadraticRun",
    "SpectralNorms",
    "Task",
    "TensorNorms",
    "activation",
    "alternating_signs",
    "contracted",
    "correlation_exponent",
    "correlation_tensor",
    "correlations_at_start",
    "descend",
    "descend_by_sample",
    "descend_linear",
    "descend_on_digits",
    "deviation_exponents",
    "external_scale",
    "gradient_change",
    "gradient_norms",
    "injective_norm",
    "kernel_change",
    "largest_derivatives",
    "linearity_exponent",
    "linearize",
    "network",
    "one_step",
    "one_step_at_start",
    "order_of_samples",
    "predict_linear",
    "probe",
    "quadratic_run",
    "random_powers",
    "rate_exponent",
    "spectral_norm",
    "spectral_norms_at_start",
    "student_norms",
    "task",
    "taylor_distances",
    "taylor_expand",
    "tensor_norms_at_start",
    "update_direction",
    "weights",
    "CorrelationsAlong",
    "correlations_along",
    "Laziness",
    "MeterRun",
    "laziness",
    "meter_run",
    "meter_system",
    "DIRECTIONS",
    "SYSTEMS",
    "System",
    "system_correlations",
    "noise_of_samples",
]
