import jax
import numpy as np
import pytest

from lazyrich.conditioning import descents, kaiming

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
        name: descents.descend_to_fit(KEY, WIDTH, 2, name, SHARE, LIMIT, "few")
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
        fit = descents.descend_to_fit(KEY, WIDTH, 1, "whitened data", SHARE, limit, "few")
        assert fit.steps == min(steps, limit) and fit.loss.shape == (1, limit + 1)
        assert (fit.loss[0, min(steps, limit)] <= SHARE) == (limit >= steps)


def test_long_descents_are_observed_more_densely_at_first(raw):
    fit = descents.descend_to_fit(KEY, WIDTH, 1, "raw data", 0.0, 301, "few")
    _, _, losses = fit_by_a_loop("raw data", *drawn(2, 1)[0], *raw, 0.0, 301)
    assert fit.steps == 301
    gaps = np.diff(fit.step)
    assert fit.step[0] == 0 and fit.step[-1] == 301 and len(fit.step) <= 201
    assert (gaps[:40] == 1).all() and gaps[-1] == 3
    close(fit.loss[0], losses[fit.step], atol=1e-12)


def test_networks_that_diverge_do_not_fit(monkeypatch):
    ends = descents._ends
    monkeypatch.setattr(descents, "_ends", lambda *given: (ends(*given)[0], ends(*given)[1] / 100))
    fit = descents.descend_to_fit(KEY, WIDTH, 2, "whitened data", SHARE, LIMIT, "few")
    assert fit.steps.tolist() == [LIMIT, LIMIT] and np.isnan(fit.loss[:, -1]).all()
