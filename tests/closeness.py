"""How far numbers may be apart."""

import numpy as np


def close_rows(measured, expected, tolerance):
    """Each row deviates by no more than a share of the largest of its numbers."""
    measured, expected = np.broadcast_arrays(measured, expected)
    assert np.isfinite(measured).all()
    error, size = (
        np.abs(array).reshape(len(array), -1).max(1) for array in (measured - expected, expected)
    )
    share = error / np.where(size > 0, size, 1)
    assert (share <= tolerance).all(), {row: share[row] for row in np.where(share > tolerance)[0]}
