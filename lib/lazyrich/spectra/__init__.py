"""Spectra of matrices: condition numbers, random-matrix laws, and fits to tails.

Symmetric matrices (:mod:`~lazyrich.spectra.symmetric`), weight matrices
(:mod:`~lazyrich.spectra.weights`), the law of matrices of independent entries
(:mod:`~lazyrich.spectra.marchenko_pastur`), power laws in a tail
(:mod:`~lazyrich.spectra.power_law`) and tests of them (:mod:`~lazyrich.spectra.goodness`), the law
of a heavy-tailed population (:mod:`~lazyrich.spectra.inverse_gamma`), and names for the shapes of
spectra (:mod:`~lazyrich.spectra.shapes`).
"""

from lazyrich.spectra.goodness import (
    ALTERNATIVES,
    Goodness,
    LikelihoodRatio,
    likelihood_ratio,
    power_law_goodness,
)
from lazyrich.spectra.inverse_gamma import (
    InverseGammaFit,
    inverse_gamma_density,
    inverse_gamma_distribution,
    inverse_gamma_fit,
    inverse_gamma_likelihood_ratio,
)
from lazyrich.spectra.marchenko_pastur import (
    largest_eigenvalue_mean,
    marchenko_pastur_density,
    marchenko_pastur_distance,
    marchenko_pastur_distribution,
    marchenko_pastur_edges,
    marchenko_pastur_hill,
    marchenko_pastur_median,
    marchenko_pastur_quantile,
)
from lazyrich.spectra.power_law import PowerLawFit, hill, power_law_fit
from lazyrich.spectra.shapes import SHAPES, Shape, shape
from lazyrich.spectra.symmetric import (
    eigenvalues,
    numerical_rank,
    pseudo_condition_number,
    rounding_floor,
)
from lazyrich.spectra.weights import as_matrix, participation, stable_rank, weight_spectrum
