import jax
import numpy as np
import pytest

from lazyrich import curvature
from test_kernels import NETWORKS, dense, mlp

X, FEW = (np.random.default_rng(1).normal(size=(n, 3)) for n in (12, 4))
PARAMS = NETWORKS["mlp"][1]
sides = pytest.mark.parametrize("x", [X, FEW], ids=["rows", "parameters"])


def matrix(x, loss):
    """The Gauss-Newton matrix by its definition."""
    J = dense(mlp, PARAMS, x).reshape(len(x), 2, -1)
    H = np.broadcast_to(np.eye(2), (len(x), 2, 2))
    if loss == "cross-entropy":
        p = np.asarray(jax.nn.softmax(mlp(PARAMS, x)))
        H = np.stack([np.diag(one) - np.outer(one, one) for one in p])
    return np.einsum("icp,icd,idq->pq", J, H, J) / len(x)


@sides
@pytest.mark.parametrize("loss", curvature.LOSSES)
def test_the_spectrum_is_that_of_the_matrix(x, loss):
    values = np.asarray(curvature.gauss_newton_spectrum(mlp, PARAMS, x, loss))
    expected = np.linalg.eigvalsh(matrix(x, loss))
    assert len(values) == min(2 * len(x), len(expected))
    np.testing.assert_allclose(values, expected[-len(values) :], atol=1e-13)


@sides
@pytest.mark.parametrize("loss", curvature.LOSSES)
def test_the_condition_number_says_its_rank_and_those_beside_it(x, loss):
    expected = np.linalg.eigvalsh(matrix(x, loss))[::-1]
    rank = np.linalg.matrix_rank(matrix(x, loss), hermitian=True)
    found = curvature.condition_number(mlp, PARAMS, x, loss)
    assert found.rank == rank and found.more == np.inf
    ratios = expected[0] / expected[[rank - 1, rank - 2]]
    np.testing.assert_allclose([found.value, found.fewer], ratios, rtol=1e-6)
    two = curvature.condition_number(mlp, PARAMS, x, loss, rank=2)
    np.testing.assert_allclose(two[:1] + two[2:], expected[0] / expected[[1, 0, 2]], rtol=1e-9)


@sides
def test_both_ends_are_found_by_products(x):
    values = np.linalg.eigvalsh(matrix(x, "squared"))[-min(2 * len(x), 20) :]
    if values[0] > 1e-8:
        ends = curvature.gauss_newton_ends(mlp, PARAMS, x)
        np.testing.assert_allclose([ends.smallest, ends.largest], values[[0, -1]], rtol=1e-6)
        assert max(ends.residuals) < 1e-4
