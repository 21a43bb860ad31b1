import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import curvature, kernels
from small_networks import NETWORKS, dense

FEW, MANY = 3, 12
CASES = [(name, n, loss) for name in NETWORKS for n in (FEW, MANY) for loss in curvature.LOSSES]
cases = pytest.mark.parametrize(("name", "samples", "loss"), CASES)


def of(name, samples):
    """A network, its parameters and some samples."""
    apply, params, shape = NETWORKS[name]
    return apply, params, np.random.default_rng(1).normal(size=(samples, *shape))


def matrix(apply, params, x, loss):
    """The Gauss-Newton matrix by its definition; each array of outputs has a loss of its own."""
    shapes = [leaf.shape[1] for leaf in jax.tree.leaves(apply(params, x))]
    J = dense(apply, params, x).reshape(len(x), sum(shapes), -1)
    H = np.broadcast_to(np.eye(sum(shapes)), (len(x), sum(shapes), sum(shapes))).copy()
    if loss == "cross-entropy":
        H[:] = 0
        for end, logits in zip(np.cumsum(shapes), jax.tree.leaves(apply(params, x)), strict=True):
            own = slice(end - logits.shape[1], end)
            H[:, own, own] = jax.vmap(jax.hessian(jax.nn.logsumexp))(logits)
    return np.einsum("icp,icd,idq->pq", J, H, J) / len(x)


@cases
def test_the_spectrum_is_that_of_the_matrix(name, samples, loss):
    apply, params, x = of(name, samples)
    G = matrix(apply, params, x, loss)
    np.testing.assert_allclose(curvature.gauss_newton(apply, params, x, loss), G, atol=1e-13)
    expected = np.linalg.eigvalsh(G)
    for memory in (1, curvature.MEMORY):
        values = np.asarray(curvature.gauss_newton_spectrum(apply, params, x, loss, memory))
        outputs = jax.tree.leaves(apply(params, x))
        rows = samples * sum(leaf.shape[1] - (loss != "squared") for leaf in outputs)
        assert len(values) == min(rows, len(expected))
        np.testing.assert_allclose(values, expected[-len(values) :], atol=1e-12)
        np.testing.assert_allclose(expected[: -len(values)], 0, atol=1e-13)


@cases
def test_the_condition_number_says_its_rank_and_those_beside_it(name, samples, loss):
    apply, params, x = of(name, samples)
    G = matrix(apply, params, x, loss)
    expected, rank = np.linalg.eigvalsh(G)[::-1], np.linalg.matrix_rank(G, hermitian=True)
    found = curvature.condition_number(apply, params, x, loss)
    assert found.rank == rank and found.more == np.inf
    ratios = expected[0] / expected[[rank - 1, rank - 2]]
    np.testing.assert_allclose([found.value, found.fewer], ratios, rtol=1e-6)
    two = curvature.condition_number(apply, params, x, loss, rank=2)
    np.testing.assert_allclose(two[:1] + two[2:], expected[0] / expected[[1, 0, 2]], rtol=1e-9)


@cases
def test_both_ends_are_found_by_products(name, samples, loss):
    apply, params, x = of(name, samples)
    values = np.asarray(curvature.gauss_newton_spectrum(apply, params, x, loss))
    if values[0] > 0:
        ends = curvature.gauss_newton_ends(apply, params, x, loss)
        np.testing.assert_allclose([ends.smallest, ends.largest], values[[0, -1]], rtol=1e-7)
        assert max(ends.residuals) < 1e-4
    else:
        with pytest.raises(ValueError, match="smallest .* so for float64 G is singular"):
            curvature.gauss_newton_ends(apply, params, x, loss)


def test_what_no_float_holds_is_named():
    linear, x = lambda params, x: x @ params, np.array([[1.0, 0], [0, 1], [2, 1]])  # noqa: E731
    for call in (curvature.gauss_newton_spectrum, curvature.condition_number):
        with pytest.raises(ValueError, match="must leave derivatives whose products are finite"):
            call(linear, np.ones((2, 1)), x * 1e200)
    with pytest.raises(ValueError, match="must leave derivatives whose products are finite"):
        curvature.gauss_newton_ends(linear, np.ones((2, 1)), x * 1e200)
    with pytest.raises(ValueError, match="by more than a dtype can square"):
        curvature.condition_number(linear, np.ones((2, 1)), x * 1e-200)


def test_without_room_for_the_vectors_no_end_is_certified():
    with pytest.raises(RuntimeError, match="after 2 of at most 6 products; with more memory"):
        curvature.gauss_newton_ends(*of("mlp", FEW), memory=100)


def test_the_gauss_newton_matrix_has_the_spectrum_of_the_kernel():
    apply, params, x = of("mlp", FEW)
    K = kernels.empirical_ntk(apply, params, x) / FEW
    values = np.linalg.eigvalsh(curvature.gauss_newton(apply, params, x))
    np.testing.assert_allclose(values[-len(K) :], np.linalg.eigvalsh(K), atol=1e-12)


def test_one_sample_of_one_output_has_both_ends_in_one():
    ends = curvature.gauss_newton_ends(lambda w, x: x @ w, jnp.ones(3), np.ones((1, 3)))
    np.testing.assert_allclose([ends.smallest, ends.largest], 3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("gauss_newton_spectrum", "loss must be one of 'squared', 'cross-entropy', got 'hinge'"),
        ("gauss_newton_ends", "loss must be one of"),
        ("condition_number", "loss must be one of"),
        ("gauss_newton", "loss must be one of"),
    ],
)
def test_an_unknown_loss_is_refused(call, sentence):
    apply, params, x = of("mlp", FEW)
    with pytest.raises(ValueError, match=sentence):
        getattr(curvature, call)(apply, params, x, loss="hinge")


def test_a_matrix_of_rank_one_has_the_condition_number_one():
    kappa = curvature.condition_number(lambda w, x: x @ w, np.ones(2), np.array([[1.0, 2], [2, 4]]))
    assert kappa == (1, 1, pytest.approx(np.nan, nan_ok=True), np.inf)


def test_what_has_no_condition_number_is_refused():
    apply, params, x = of("mlp", FEW)
    kappa = inspect.unwrap(curvature.condition_number)
    with pytest.raises(ValueError, match="rank must be at most 6, got 7"):
        kappa(apply, params, x, rank=7)
    with pytest.raises(ValueError, match="apply must depend on params"):
        kappa(lambda params, x: x, params, x)
    with pytest.raises(ValueError, match="the smallest eigenvalue .* it is 0 with a residual"):
        curvature.gauss_newton_ends(lambda params, x: x, params, x)
    with pytest.raises(ValueError, match="logits of two classes or more"):
        kappa(lambda params, x: apply(params, x)[:, :1], params, x, loss="cross-entropy")
    for call in (curvature.gauss_newton_spectrum, curvature.gauss_newton_ends):
        with pytest.raises(ValueError, match="memory must be an integer of at least 1"):
            call(apply, params, x, memory=0)
