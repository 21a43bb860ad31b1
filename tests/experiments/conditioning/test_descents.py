import jax
import numpy as np
import pytest

from lazyrich.conditioning import (
    kaiming,
    linear_bounds,
    linear_condition_number,
    on_range,
    second_moment,
)
from lazyrich.experiments.conditioning import descents
from lazyrich.experiments.conditioning.descents import (
    condition_along_descent,
    descend_to_fit,
    frozen_descent,
    steps_to_share,
)

KEY = jax.random.key(3)
WIDTH = 7


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def raw(few):
    """Samples without the pixel that is always 0, and targets one of ten."""
    return np.delete(few.x, 2, axis=1), np.eye(10)[few.labels]


def root_of(Sigma, power=0.5):
    """A power of Σ, by its eigenvectors."""
    values, Q = np.linalg.eigh(Sigma)
    return Q @ np.diag(values**power) @ Q.T


def white(x):
    return x @ root_of(x.T @ x / len(x), -0.5)


def loss_of(weights, x, y):
    """½ |F − y|² averaged over the samples, above its least value."""
    F = x
    for W in weights:
        F = F @ W.T
    floor = x @ np.linalg.lstsq(x, y)[0]
    return (((F - y) ** 2).sum() - ((floor - y) ** 2).sum()) / (2 * len(x))


def gradients(weights, x, y):
    """The derivative of that loss by each layer, by backpropagation."""
    features = [x]
    for W in weights:
        features.append(features[-1] @ W.T)
    back, slopes = (features[-1] - y) / len(x), []
    for W, h in zip(weights[::-1], features[-2::-1], strict=True):
        slopes.append(back.T @ h)
        back = back @ W
    return slopes[::-1]


def drawn(depth, draws=2):
    """The weights of each draw."""
    many = map(np.asarray, kaiming(KEY, (5, *[WIDTH] * (depth - 1), 10), draws))
    return [list(weights) for weights in zip(*many, strict=True)]


# Along the way


@pytest.mark.parametrize("whiten", [True, False])
def test_descent_is_gradient_descent_with_the_condition_along_the_way(whiten, raw):
    x, y = white(raw[0]) if whiten else raw[0], raw[1]
    run = condition_along_descent(KEY, WIDTH, 3, 0.5, 5, 2, 2, "few", whiten)
    assert run.step.tolist() == [0, 2, 4]  # the fifth step is not observed
    inputs = on_range(second_moment(x))
    for i, weights in enumerate(drawn(3)):
        for t in range(5):
            if t % 2 == 0:
                at = i, t // 2
                close(run.loss[at], loss_of(weights, x, y))
                close(run.condition_number[at], linear_condition_number(weights, inputs), rtol=1e-7)
                close(
                    run.ratio_of_sums[at], linear_bounds(weights, inputs).ratio_of_sums, rtol=1e-8
                )
            slopes = gradients(weights, x, y)
            weights = [W - 0.5 * slope for W, slope in zip(weights, slopes, strict=True)]
    change = run.condition_number[:, -1] / run.condition_number[:, 0]
    assert (np.abs(change - 1) > 1e-3).all()


@pytest.mark.parametrize("depth", [2, 3])
def test_descent_that_diverges_is_a_result(depth):
    run = condition_along_descent(KEY, WIDTH, depth, 30.0, 12, 1, 2, "few", whiten=False)
    calm = condition_along_descent(KEY, WIDTH, depth, 30.0, 1, 1, 2, "few", whiten=False)
    for field in ("condition_number", "ratio_of_sums"):
        values = getattr(run, field)
        close(values[:, :2], getattr(calm, field))
        assert np.isfinite(values[:, :2]).all() and np.isinf(values[:, -1]).all()
        assert (np.diff(np.isinf(values).astype(int)) >= 0).all()  # for ever
    assert not np.isfinite(run.loss[:, -1]).any() and np.isfinite(run.loss[:, :2]).all()


def test_more_draws_begin_with_the_same_ones():
    one, two = (condition_along_descent(KEY, WIDTH, 2, 0.1, 1, 1, draws, "few") for draws in (1, 2))
    for measured, expected in zip(one[1:], two[1:], strict=True):
        close(measured[0], expected[0])
    assert (two.loss[0] != two.loss[1]).all()


# Until they fit

SHARE, LIMIT = 0.03, 50


def fit_by_a_loop(treatment, V, W, x, y, share, limit):
    """Steps, κ, and the losses at every step up to the limit, over that at the start."""
    how = descents.TREATMENTS[treatment]
    Sigma = x.T @ x / len(x)
    if how.whitened_data:
        x = white(x)
    if how.whitening_start:
        V = V @ root_of(Sigma, -0.5)
    P = np.linalg.inv(Sigma) if how.whitened_gradient else np.eye(5)
    # Ĝ with the gradient of V times P: a step of V moves F by W (∂V P) x
    R = root_of(x.T @ x / len(x))
    G = np.kron(W @ W.T, R @ P @ R) + np.kron(np.eye(10), R @ V.T @ V @ R)
    values = np.linalg.eigvalsh(G)
    rank = WIDTH * (5 + 10 - WIDTH) if WIDTH < 5 else 50
    losses = [loss_of([V, W], x, y)]
    while losses[-1] > share * losses[0] and len(losses) <= limit:
        by_V, by_W = gradients([V, W], x, y)
        V, W = V - by_V @ P / values[-1], W - by_W / values[-1]
        losses.append(loss_of([V, W], x, y))
    return len(losses) - 1, values[-1] / values[-rank], np.array(losses) / losses[0]


@pytest.fixture(scope="module")
def fits():
    """Two networks under each treatment, with a share that some do not reach."""
    return {
        name: descend_to_fit(KEY, WIDTH, 2, name, SHARE, LIMIT, "few")
        for name in descents.TREATMENTS
    }


@pytest.mark.parametrize("treatment", descents.TREATMENTS)
def test_descent_to_fit_is_gradient_descent_that_counts(treatment, raw, fits):
    fit = fits[treatment]
    assert fit.loss.shape == (2, LIMIT + 1)
    for i, (V, W) in enumerate(drawn(2)):
        steps, kappa, losses = fit_by_a_loop(treatment, V, W, *raw, SHARE, LIMIT)
        assert fit.steps[i] == steps
        close(fit.condition_number[i], kappa)
        close(fit.loss[i, : len(losses)], losses, atol=1e-12)


def test_some_of_these_reach_the_share_and_some_do_not(fits):
    steps = np.array([fit.steps for fit in fits.values()])
    assert (steps == LIMIT).any() and (steps < LIMIT).sum() >= 4 and steps.min() > 2


def test_with_both_changes_descent_on_raw_data_is_descent_on_whitened_data(fits):
    raw, whitened = fits["whitening start, gradient times Σ⁻¹"], fits["whitened data"]
    np.testing.assert_array_equal(raw.steps, whitened.steps)
    close(raw.condition_number, whitened.condition_number)
    close(raw.loss, whitened.loss)


def test_networks_that_fit_near_the_limit_are_counted_exactly(fits):
    steps = int(fits["whitened data"].steps[0])
    for limit in (steps - 1, steps, steps + 1):
        fit = descend_to_fit(KEY, WIDTH, 1, "whitened data", SHARE, limit, "few")
        assert fit.steps == min(steps, limit) and fit.loss.shape == (1, limit + 1)
        assert (fit.loss[0, min(steps, limit)] <= SHARE) == (limit >= steps)


def test_long_descents_are_observed_more_densely_at_first(raw):
    fit = descend_to_fit(KEY, WIDTH, 1, "raw data", 0.0, 301, "few")
    _, _, losses = fit_by_a_loop("raw data", *drawn(2, 1)[0], *raw, 0.0, 301)
    assert fit.steps == 301
    gaps = np.diff(fit.step)
    assert fit.step[0] == 0 and fit.step[-1] == 301 and len(fit.step) <= 201
    assert (gaps[:40] == 1).all() and gaps[-1] == 3
    close(fit.loss[0], losses[fit.step], atol=1e-12)


def test_networks_that_diverge_do_not_fit(monkeypatch):
    ends = descents.ends
    hundredth = lambda start: start._replace(largest=start.largest / 100)  # noqa: E731
    monkeypatch.setattr(descents, "ends", lambda *given: hundredth(ends(*given)))
    fit = descend_to_fit(KEY, WIDTH, 2, "whitened data", SHARE, LIMIT, "few")
    assert fit.steps.tolist() == [LIMIT, LIMIT] and np.isnan(fit.loss[:, -1]).all()


def test_a_descent_of_no_steps_is_the_start():
    run = condition_along_descent(KEY, WIDTH, 2, 0.1, 0, 5, 2, "few")
    assert run.step.tolist() == [0] and run.loss.shape == (2, 1)


# Where the matrix stands still


@pytest.mark.parametrize("treatment", descents.TREATMENTS)
def test_a_frozen_descent_is_a_linear_one(treatment, raw):
    how, (x, y) = descents.TREATMENTS[treatment], raw
    Sigma = x.T @ x / len(x)
    frozen = frozen_descent(KEY, WIDTH, 2, treatment, 6, "few")
    assert frozen.step.tolist() == list(range(7))
    for i, (V, W) in enumerate(drawn(2)):
        V = V @ root_of(Sigma, -0.5) if how.whitening_start else V
        P = np.linalg.inv(Sigma) if how.whitened_gradient else np.eye(5)
        z = white(x) if how.whitened_data else x
        S = z.T @ z / len(z)
        optimum = np.linalg.lstsq(z, y)[0].T
        D, losses = W @ V - optimum, []
        R = root_of(S)
        G = np.kron(W @ W.T, R @ P @ R) + np.kron(np.eye(10), R @ V.T @ V @ R)
        for _ in range(7):
            losses.append(np.trace(D @ S @ D.T))
            D = D - (W @ W.T @ D @ S @ P + D @ S @ V.T @ V) / np.linalg.eigvalsh(G)[-1]
        close(frozen.loss[i], np.array(losses) / losses[0], rtol=1e-7, atol=1e-12)


def test_steps_to_a_share_are_counted_in_fractions():
    step, rate = np.array([0, 1, 2, 4, 8]), np.array([[0.5], [1.3]])
    close(steps_to_share(step, np.exp(-rate * step), np.exp(-2)), [4, 2 / 1.3])
