"""Four lenses on one network: what each instrument reads, and which of them rings first.

The network is F(x) = γ⁻¹ n^(−½) Σ_i v_i φ(w_i·x/√d) − F_0, trained in both layers at a rate η γ²,
on N samples of d inputs, to a share ε of the loss at the start. In the order of the chapter:
averages of the activation (:mod:`~lazyrich.lenses.constants`), the number R that is known at the
start (:mod:`~lazyrich.lenses.richness`), the equivalent linear network
(:mod:`~lazyrich.lenses.equivalent`), what the instruments read
(:mod:`~lazyrich.lenses.signals`), how that scatters over seeds
(:mod:`~lazyrich.lenses.floors`), and where signals leave the scatter
(:mod:`~lazyrich.lenses.alarms`). For a network of one's own there are the same four instruments
along a run of training (:mod:`~lazyrich.lenses.along_run`).
"""

from lazyrich.lenses.alarms import (
    Alarms,
    alarm_table,
    alignment_alarm,
    clock_alarm,
    frontier,
    function_alarm,
    growth_alarm,
    predicted_alarms,
    tail_alarm,
)
from lazyrich.lenses.along_run import LENSES, LensReading, LensTable, lenses
from lazyrich.lenses.constants import (
    SINE_CORRELATION,
    GaussianMoments,
    gaussian_moments,
    sine_teacher,
)
from lazyrich.lenses.equivalent import (
    EquivalentReadings,
    EquivalentRun,
    LayerMoments,
    equivalent_kernel,
    equivalent_readings,
    infinite_start,
    layer_moments,
    train_equivalent,
    wishart_start,
)
from lazyrich.lenses.floors import (
    EdgeFloor,
    KernelFloors,
    alignment_floor,
    edge_floor,
    function_floor,
    kernel_floors,
)
from lazyrich.lenses.richness import (
    LinearDisplacement,
    large_sample_richness,
    linear_displacement,
    shrinkage,
    teacher_richness,
    total_richness,
)
from lazyrich.lenses.signals import (
    KernelShares,
    SeedLaw,
    WeightOutlier,
    alignment_signal,
    clock_deviation,
    clock_signal,
    depth_signal,
    function_signal,
    kernel_shares,
    kernel_signal,
    layer_growth,
    outlier_onset,
    outlier_signal,
    seed_law,
    update_stable_rank,
)
