import jax
import numpy as np
import pytest

from lazyrich.experiments.heavy_tails.first_updates import (
    crossing,
    first_gradients,
    largest_stable_rates,
    one_step,
    one_step_features,
    one_step_law,
    one_step_loss,
)
from lazyrich.heavy_tails import (
    OPTIMIZERS,
    SCALINGS,
    alignment_law,
    equal_norm_rates,
    first_step_law,
    sizes,
    spike_law,
    teacher_alignment,
    threshold,
    update,
)
from plain_students import KEY, SEEDS, D, H, N, close, drawn, gradient, output, ridge


@pytest.mark.parametrize("samples", [None, 20])
def test_first_gradients_are_measured_as_by_linear_algebra(samples):
    found = first_gradients(KEY, D, SEEDS, samples)
    for i in range(SEEDS):
        problem = drawn(i, sizes=(D, H, samples or N))
        W, a, (x, y) = problem.W, problem.a, problem.train
        G, q = gradient(W, problem), (output(W, problem, x) - y) @ x / len(y)
        A = 2 * 0.6057055096 / (D * H) ** 0.5 * np.outer(a, q)
        U, sigma, Vt = np.linalg.svd(G, full_matrices=False)
        unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
        close(found.singular_values[i], sigma[:2])
        close(found.left[i], abs(U[:, 0] @ unit(a)))
        close(found.right[i], abs(Vt[0] @ unit(q)))
        close(found.stable_rank[i], (sigma**2).sum() / sigma[0] ** 2)
        close(found.remainder[i], np.linalg.norm(G - A) / np.linalg.norm(A))
        of_signs = np.linalg.svd(np.sign(G), compute_uv=False)
        close(found.sign_norm[i], of_signs[0] / (D * H) ** 0.5)
        close(found.sign_second[i], of_signs[1] / of_signs[0])
        norms = [np.array([np.linalg.norm(M, 2), np.linalg.norm(M)]) for M in (W, G, np.sign(G))]
        close(found.equal_norms[i], [*(norms[0] / norms[1]), *(norms[0] / norms[2])])


@pytest.mark.parametrize("samples", [None, 20])
def test_the_largest_stable_rate_is_that_of_the_jacobian(samples):
    found = largest_stable_rates(KEY, D, SEEDS, samples)
    for i in range(SEEDS):
        problem = drawn(i, sizes=(D, H, samples or N))
        W, a, x = problem.W, problem.a, problem.train.x
        slopes = a[:, None] / np.cosh(W @ x.T / D**0.5) ** 2
        J = np.einsum("jk,ki->kji", slopes, x).reshape(len(x), -1) / (D * H) ** 0.5
        close(found[i], len(x) / np.linalg.norm(J, 2) ** 2)


def test_first_gradients_follow_the_law():
    found, law = first_gradients(KEY, 100, 6), first_step_law(sizes(100))
    assert 1 - found.left.mean() < 0.6 / 100 and 1 - found.right.mean() < 0.4 / 100
    close(found.stable_rank.mean(), law.stable_rank, rtol=0.02)
    close(found.remainder.mean(), law.remainder, atol=0.03)
    close(found.sign_norm.mean(), law.sign_norm, atol=0.02)
    ratio = found.singular_values[:, 0] / found.singular_values[:, 1]
    assert 7 < ratio.mean() < 11
    expected = np.array(list(equal_norm_rates(sizes(100)).values()))
    close(found.equal_norms.mean(0), expected, rtol=0.08)


# One step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_is_measured_as_by_linear_algebra(optimizer):
    rates = [0.0, 0.7, 30.0]
    ratios = np.array(rates) / threshold(optimizer, sizes(D))
    found = one_step(KEY, optimizer, ratios.tolist(), D, SEEDS)
    features, test = (
        of(KEY, optimizer, rates, D, SEEDS) for of in (one_step_features, one_step_loss)
    )
    for i in range(SEEDS):
        problem = drawn(i)
        G, w = gradient(problem.W, problem), problem.a
        if optimizer == "Adam":
            G, w = np.sign(G), np.sign(w)
        w = w / np.linalg.norm(w)
        for j, rate in enumerate(rates):
            W = problem.W - rate * G
            U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
            p = W.T @ w
            at = {name: part[i, j] for name, part in found._asdict().items()}
            close(at["sigma"], sigma[0])
            close(at["left"], (U[:, 0] @ w) ** 2, rtol=1e-8)
            close(at["right"], (Vt[0] @ p) ** 2 / (p @ p), rtol=1e-8)
            close(at["teacher"], abs(Vt[0] @ problem.teacher), rtol=1e-8)
            close(at["p_norm2"], p @ p)
            expected = [ridge(W, problem, 1.0, scaling)[2] for scaling in SCALINGS]
            close([features.coded[i, j], features.written[i, j]], expected)
            close(features.p_norm2[i, j], p @ p)
            close(features.p_teacher[i, j], abs(p @ problem.teacher))
            x, y = problem.test
            close(test[i, j], ((output(W, problem, x) - y) ** 2).mean())


def test_features_after_one_step_may_be_of_more_samples():
    features = one_step_features(KEY, "GD", [0.7], D, SEEDS, samples=15)
    for i in range(SEEDS):
        problem = drawn(i, sizes=(D, H, 15))
        W, w = problem.W - 0.7 * gradient(problem.W, problem), problem.a
        close(features.coded[i, 0], ridge(W, problem, 1.0, "as coded")[2])
        close(features.p_norm2[i, 0], ((W.T @ w) ** 2).sum() / (w @ w))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_follows_the_law_of_the_spike(optimizer):
    ratios = [0.0, 0.5, 1.5, 4.0]
    found, law = one_step(KEY, optimizer, ratios, 120, 6), one_step_law(optimizer, ratios, 120)
    error = np.std(found.sigma, 0) / 6**0.5
    assert (np.abs(found.sigma.mean(0) - law.sigma) <= 0.03 * law.sigma + 2 * error).all()
    close(found.p_norm2.mean(0), law.p_norm2, rtol=0.1)
    for measured, expected in ((found.left, law.left), (found.right, law.right)):
        spread = np.std(measured, 0) / 6**0.5
        assert (np.abs(measured.mean(0) - expected) <= 0.08 + 2 * spread).all()
    spread = np.std(found.teacher, 0) / 6**0.5
    assert (np.abs(found.teacher.mean(0) - law.teacher)[2:] <= 0.05 + 2 * spread[2:]).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("naive", [False, True])
def test_the_law_of_one_step_is_that_of_the_spike(optimizer, naive):
    rates = threshold(optimizer, sizes(120)) * np.array([0.0, 0.5, 1.5, 4.0])
    law = one_step_law(optimizer, [0.0, 0.5, 1.5, 4.0], 120, naive)
    for mine, its in zip(law, spike_law(optimizer, rates, sizes(120), naive=naive), strict=False):
        np.testing.assert_array_equal(mine, its)
    close(law.teacher, teacher_alignment(optimizer, rates, sizes(120)))
    close(law.p_norm2, update(optimizer, rates, sizes(120), naive=naive).p_norm2)


def test_a_crossing_is_interpolated_where_the_curve_first_rises_above():
    assert crossing([0.0, 2.0, 0.0, 8.0], [1.0, 2.0, 3.0, 4.0], 1.5) == 1.75
    assert crossing([0.0, 1.0, 0.0, 8.0], [1.0, 2.0, 3.0, 4.0], 2.0) == 3.25


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_follows_the_law_of_the_alignment(optimizer):
    of_all = sizes(60)
    rates = threshold(optimizer, of_all) * np.array([0.0, 0.5, 1.5, 4.0])
    found = one_step_features(KEY, optimizer, rates.tolist(), 60, 12).coded
    law, spread = alignment_law(optimizer, rates, of_all), np.std(found, 0) / 12**0.5
    assert (np.abs(found.mean(0) - law) <= 0.15 * law + 2 * spread).all()


def test_a_device_that_takes_all_rates_at_once_finds_the_same(monkeypatch):
    one_by_one = one_step(KEY, "Adam", [0.1, 0.7], D, SEEDS)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for mine, its in zip(one_step(KEY, "Adam", [0.1, 0.7], D, SEEDS), one_by_one, strict=True):
        close(mine, its, rtol=1e-8)
