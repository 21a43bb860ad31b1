"""Calls of the functions of :mod:`lazyrich.spectra`."""

import numpy as np

from inputs import Example

DRAWS = np.random.default_rng(0)
W = DRAWS.normal(size=(12, 8))
VALUES = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
SYMMETRIC = W.T @ W - 8 * np.eye(8)

EXAMPLES = {
    "spectra.hill": Example({"eigenvalues": VALUES}, free_of_scale=("eigenvalues",)),
    "spectra.stable_rank": Example({"eigenvalues": VALUES}, free_of_scale=("eigenvalues",)),
    "spectra.eigenvalues": Example({"matrix": SYMMETRIC}),
    "spectra.condition_number": Example(
        {"eigenvalues": VALUES, "rank": 8}, free_of_scale=("eigenvalues",)
    ),
    "spectra.numerical_rank": Example({"eigenvalues": VALUES}, free_of_scale=("eigenvalues",)),
    "spectra.weight_spectrum": Example({"W": W}),
    "spectra.as_matrix": Example({"W": W.reshape(4, 3, 8)}),
}
NOT_TRIED = {
    "spectra.largest_eigenvalue_mean": "takes two whole numbers",
}
