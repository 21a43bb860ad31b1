"""Heavy tails in the spectrum of weights, without gradient noise.

Source: Kothapalli, Pang, Deng, Liu & Yang, *Crafting heavy-tails in weight matrix spectrum without
gradient noise* (arXiv 2406.04657; from its third version on *From spikes to heavy tails*). In the
order of the chapter: teacher and student (:mod:`~lazyrich.heavy_tails.single_index`), the first
update (:mod:`~lazyrich.heavy_tails.first_step`) and its averages
(:mod:`~lazyrich.heavy_tails.normal_means`), the spike that it makes
(:mod:`~lazyrich.heavy_tails.spike`), what the student can learn at all
(:mod:`~lazyrich.heavy_tails.references`), what is measured
(:mod:`~lazyrich.heavy_tails.metrics`), and the optimisers
(:mod:`~lazyrich.heavy_tails.optimizers`).
"""

from lazyrich.heavy_tails.first_step import (
    Directions,
    FirstStep,
    OverlapLosses,
    StepLoss,
    directions,
    equal_norm_rates,
    first_step_law,
    first_step_loss,
    largest_stable_rate,
    overlap_losses,
    residual_power,
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
from lazyrich.heavy_tails.normal_means import normal_mean
from lazyrich.heavy_tails.optimizers import AdamVariant, adam_variant, burst_step, optimizer
from lazyrich.heavy_tails.references import (
    least_squares_loss,
    linear_features_loss,
    parity_floor,
    random_features_loss,
    ridge_loss,
)
from lazyrich.heavy_tails.single_index import (
    ACTIVATIONS,
    Problem,
    Samples,
    Sizes,
    draw,
    features,
    loss,
    outputs,
    sizes,
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
