"""Calls of the functions of :mod:`lazyrich.spectra`."""

import jax
import numpy as np

from inputs import Example

DRAWS = np.random.default_rng(0)
W = DRAWS.normal(size=(12, 8))
VALUES = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
SYMMETRIC = W.T @ W - 8 * np.eye(8)
RATIO = np.array(0.5)
LAW = {"x": np.array([-1.0, 0.5, 1.0, 2.0]), "ratio": RATIO}
HEAVY = {**LAW, "shape": np.array(2.0)}


def spectrum(**others):
    """A call with a spectrum whose scale does not matter."""
    return Example({"eigenvalues": VALUES, **others}, free_of_scale=("eigenvalues",))


EXAMPLES = {
    "spectra.hill": spectrum(),
    "spectra.power_law_fit": spectrum(),
    "spectra.power_law_goodness": spectrum(key=jax.random.key(0), replicas=3),
    "spectra.likelihood_ratio": spectrum(tail=4, alternative="log-normal"),
    "spectra.shape": Example(
        {"eigenvalues": VALUES, "height": 12},
        free_of_scale=("eigenvalues",),
        of_result=lambda shape: shape._replace(variance=0, edge=0),
    ),
    "spectra.stable_rank": spectrum(),
    "spectra.pseudo_condition_number": spectrum(rank=8),
    "spectra.numerical_rank": spectrum(),
    "spectra.rounding_floor": Example({"sizes": VALUES}),
    "spectra.eigenvalues": Example({"matrix": SYMMETRIC}),
    "spectra.participation": Example({"overlaps": np.array([0.5, 0.25, 0.125])}),
    "spectra.weight_spectrum": Example({"W": W}),
    "spectra.as_matrix": Example({"W": W.reshape(4, 3, 8)}),
    "spectra.marchenko_pastur_edges": Example({"ratio": RATIO, "variance": np.array(2.0)}),
    "spectra.marchenko_pastur_density": Example(LAW),
    "spectra.marchenko_pastur_distribution": Example(LAW),
    "spectra.marchenko_pastur_quantile": Example(
        {"probability": np.array([0.0, 0.3, 1.0]), "ratio": RATIO}
    ),
    "spectra.marchenko_pastur_median": Example({"ratio": RATIO}),
    "spectra.marchenko_pastur_hill": Example({"ratio": RATIO}),
    "spectra.marchenko_pastur_distance": Example({"eigenvalues": VALUES / 12, "ratio": RATIO}),
    "spectra.inverse_gamma_density": Example(HEAVY),
    "spectra.inverse_gamma_distribution": Example(HEAVY),
    "spectra.inverse_gamma_fit": Example(
        {"eigenvalues": VALUES, "ratio": RATIO},
        free_of_scale=("eigenvalues",),
        of_result=lambda fit: fit._replace(scale=0),
    ),
    "spectra.inverse_gamma_likelihood_ratio": spectrum(tail=4, ratio=RATIO),
}
NOT_TRIED = {
    "spectra.largest_eigenvalue_mean": "takes two whole numbers",
}
