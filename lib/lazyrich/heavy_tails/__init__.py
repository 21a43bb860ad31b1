"""Heavy tails in the spectrum of weights, without gradient noise.

Source: Kothapalli, Pang, Deng, Liu & Yang, *Crafting heavy-tails in weight matrix spectrum without
gradient noise* (arXiv 2406.04657; from its third version on *From spikes to heavy tails*). In the
order of the chapter: teacher and student (:mod:`~lazyrich.heavy_tails.setting`), the first update
(:mod:`~lazyrich.heavy_tails.first_step`) and its averages
(:mod:`~lazyrich.heavy_tails.constants`), the spike that it makes
(:mod:`~lazyrich.heavy_tails.spike`), what the student can learn at all
(:mod:`~lazyrich.heavy_tails.references`), and what is measured
(:mod:`~lazyrich.heavy_tails.metrics`). The chapter's experiments stand on these and on the
optimisers (:mod:`~lazyrich.heavy_tails.optimizers`): students in their first steps
(:mod:`~lazyrich.heavy_tails.students`), the first update of many of them
(:mod:`~lazyrich.heavy_tails.first_updates`), long training
(:mod:`~lazyrich.heavy_tails.long_runs`), and what happens when something is changed
(:mod:`~lazyrich.heavy_tails.interventions`).
"""

from lazyrich.heavy_tails.constants import (
    normal_mean,
)
from lazyrich.heavy_tails.first_step import (
    Directions,
    FirstStep,
    directions,
    equal_norm_rates,
    first_step_law,
    overshoot,
    residual_power,
)
from lazyrich.heavy_tails.first_updates import (
    Gradients,
    OneStep,
    StepFeatures,
    first_gradients,
    one_step,
    one_step_features,
    one_step_loss,
)
from lazyrich.heavy_tails.interventions import (
    Ablation,
    BatchRun,
    OverlapRun,
    batch_run,
    overlap_run,
    spike_ablation,
)
from lazyrich.heavy_tails.long_runs import (
    VARIANTS,
    LongRun,
    long_run,
)
from lazyrich.heavy_tails.metrics import (
    SCALINGS,
    Losses,
    Overlaps,
    WeightMetrics,
    kernel_alignment,
    overlaps,
    ridge_losses,
    weight_metrics,
)
from lazyrich.heavy_tails.optimizers import (
    AdamVariant,
    adam_variant,
    optimizer,
)
from lazyrich.heavy_tails.references import (
    least_squares_loss,
    parity_floor,
    ridge_loss,
)
from lazyrich.heavy_tails.setting import (
    ACTIVATIONS,
    Problem,
    Samples,
    Shape,
    draw,
    features,
    loss,
    outputs,
    shape,
)
from lazyrich.heavy_tails.spike import (
    OPTIMIZERS,
    Spike,
    Update,
    alignment_law,
    linear_alignment,
    outlier,
    spike_law,
    teacher_alignment,
    threshold,
    update,
)
from lazyrich.heavy_tails.students import (
    Trajectory,
    problems,
    start_losses,
    start_spectra,
    train_students,
)

__all__ = [
    "ACTIVATIONS",
    "Ablation",
    "AdamVariant",
    "BatchRun",
    "Directions",
    "FirstStep",
    "Gradients",
    "LongRun",
    "Losses",
    "OPTIMIZERS",
    "OneStep",
    "StepFeatures",
    "OverlapRun",
    "Overlaps",
    "Problem",
    "SCALINGS",
    "Samples",
    "Shape",
    "Spike",
    "Trajectory",
    "Update",
    "VARIANTS",
    "WeightMetrics",
    "adam_variant",
    "alignment_law",
    "batch_run",
    "directions",
    "draw",
    "equal_norm_rates",
    "features",
    "first_gradients",
    "first_step_law",
    "kernel_alignment",
    "linear_alignment",
    "least_squares_loss",
    "long_run",
    "loss",
    "normal_mean",
    "one_step",
    "one_step_features",
    "one_step_loss",
    "optimizer",
    "outlier",
    "outputs",
    "overlap_run",
    "overlaps",
    "overshoot",
    "parity_floor",
    "problems",
    "residual_power",
    "ridge_loss",
    "ridge_losses",
    "shape",
    "spike_ablation",
    "spike_law",
    "start_losses",
    "start_spectra",
    "teacher_alignment",
    "threshold",
    "train_students",
    "update",
    "weight_metrics",
]
