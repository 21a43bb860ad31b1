import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import roots_hermitenorm
from scipy.stats import norm

from lazyrich.heavy_tails import (
    Sizes,
    directions,
    draw,
    equal_norm_rates,
    first_step_law,
    first_step_loss,
    largest_stable_rate,
    loss,
    outputs,
    overlap_losses,
    residual_power,
    sizes,
)

PAPER = sizes(1000)
MU_1, V_1 = 0.60570551, 0.09752374


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


# The law


@pytest.mark.parametrize(
    ("samples", "q2", "signal", "sign_norm"),
    [(1000, 2.0224, 5.413, 0.7998), (2000, 1.3196, 7.064, 0.8244), (8000, 0.7926, 16.97, 0.8869)],
)
def test_the_law_has_the_numbers_of_the_table(samples, q2, signal, sign_norm):
    law = first_step_law(Sizes(1000, 1500, samples))
    close(law.q_norm**2, q2, atol=5e-5)
    close(law.signal, signal, atol=5e-4 if signal < 10 else 5e-3)
    close(law.sign_norm, sign_norm, atol=5e-5)


def test_the_law_has_the_numbers_of_the_paper_s_shape():
    law = first_step_law(PAPER)
    close(law.residual_power, 1.4055, atol=5e-5)
    close(law.teacher_overlap, 0.4353, atol=5e-5)
    close(law.remainder, 0.376, atol=5e-4)
    close(law.stable_rank, 1.14, atol=5e-3)
    close(residual_power(0.0), 0.39429 + 0.92125, atol=1e-5)
    close(residual_power(0.7) - residual_power(0.0), 0.49)


@pytest.mark.parametrize(("sizes", "noise"), [((50, 80, 70), 0.0), ((90, 40, 300), 0.8)])
def test_the_law_is_that_of_independent_entries(sizes, noise):
    d, h, n = sizes
    law = first_step_law(Sizes(*sizes), noise)
    power = residual_power(noise)
    # The entries of G are 2/√(hd) a_j (μ₁ q_k + the mean of v₁ E r² over n): all as squares.
    signal, rest = MU_1**2 * law.q_norm**2 / d, V_1 * power / n
    close(law.q_norm**2, MU_1**2 + 0.25 + d / n * power, rtol=1e-7)
    close(law.gradient_norm, 2 * np.sqrt(signal), rtol=1e-7)
    close(law.remainder, np.sqrt(rest / signal), rtol=1e-7)
    close(law.signal, signal / rest, rtol=1e-7)
    close(law.stable_rank, (signal + rest) / signal, rtol=1e-7)
    close(law.teacher_overlap, 0.5 / law.q_norm)
    # The mean sign of a normal entry is an error function of its mean, here a normal one too.
    square = quad(
        lambda g: (2 * norm.cdf(np.sqrt(signal / rest) * g) - 1) ** 2 * norm.pdf(g), -12, 12
    )[0]
    close(law.sign_norm**2, square, rtol=1e-6)


def test_the_rates_of_equal_norms():
    rates, law = equal_norm_rates(PAPER), first_step_law(PAPER)
    spectral, frobenius = 1500**0.5 + 1000**0.5, 1.5e6**0.5
    close(rates["GD", "spectral"] * law.gradient_norm, spectral)
    close(rates["GD", "Frobenius"] * law.gradient_norm * np.hypot(1, law.remainder), frobenius)
    close(rates["Adam", "spectral"] * law.sign_norm * frobenius, spectral)
    assert rates["Adam", "Frobenius"] == 1
    assert len(rates) == 4


def test_the_rates_of_equal_norms_scale_with_the_size():
    small, large = (equal_norm_rates(sizes(d)) for d in (100, 1600))
    slopes = {which: np.log(large[which] / small[which]) / np.log(16) for which in small}
    expected = {
        ("GD", "spectral"): 1,
        ("GD", "Frobenius"): 1.5,
        ("Adam", "spectral"): -0.5,
        ("Adam", "Frobenius"): 0,
    }
    assert slopes == pytest.approx(expected)


# The gradient


@pytest.fixture(scope="module")
def many():
    """Problems of one shape, with the directions of each."""
    drawn = [draw(jax.random.key(seed), sizes(100), tests=1) for seed in range(12)]
    return [(problem, directions(problem)) for problem in drawn]


def test_the_gradient_is_the_derivative_of_the_loss(many):
    problem, found = many[0]
    W, a = np.asarray(problem.W), np.asarray(problem.a)
    x, y = map(np.asarray, problem.train)
    (h, d), n = W.shape, len(y)

    def mean_square(W):
        return ((np.tanh(x @ W.T / d**0.5) @ a / h**0.5 - y) ** 2).mean()

    r = np.tanh(x @ W.T / d**0.5) @ a / h**0.5 - y
    slopes = 1 / np.cosh(W @ x.T / d**0.5) ** 2
    close(found.gradient, 2 / (n * (h * d) ** 0.5) * (np.outer(a, r) * slopes) @ x, atol=1e-15)
    rng = np.random.default_rng(0)
    for _ in range(3):
        D, e = rng.normal(size=W.shape), 1e-4
        change = (mean_square(W + e * D) - mean_square(W - e * D)) / (2 * e)
        close((found.gradient * D).sum(), change, rtol=1e-6)
    close(loss(problem.W, problem.a, problem.train), mean_square(W))


def test_the_rank_one_part_is_of_a_and_q(many):
    problem, found = many[0]
    x, y = problem.train
    q = sum((outputs(problem.W, problem.a, x) - y)[i] * x[i] for i in range(len(y))) / len(y)
    close(found.q, q, atol=1e-14)
    A = 2 * MU_1 / 15_000**0.5 * np.outer(problem.a, q)
    close(found.rank_one, A, rtol=1e-6, atol=1e-9)


def test_what_is_measured_follows_the_law(many):
    law, measured = first_step_law(sizes(100)), []
    for problem, found in many:
        G, A = map(np.asarray, (found.gradient, found.rank_one))
        q = np.asarray(found.q)
        r2 = float(loss(problem.W, problem.a, problem.train))
        measured.append(
            [
                r2,
                np.linalg.norm(q),
                abs(q @ problem.teacher) / np.linalg.norm(q),
                np.linalg.norm(G - A) / np.linalg.norm(A),
                (np.linalg.norm(G) / np.linalg.norm(G, 2)) ** 2,
                np.linalg.norm(G, 2),
                law.signal,
                np.linalg.norm(np.sign(G), 2) / G.size**0.5,
            ]
        )
    mean, error = np.mean(measured, 0), np.std(measured, 0) / len(many) ** 0.5
    allowed = np.array([0.05, 0.03, 0.03, 0.03, 0.02, 0.005, 1e-9, 0.01])
    assert (np.abs(mean - law) <= allowed + 2 * error).all(), (mean, law, error)


# The loss after it


@pytest.mark.parametrize(("rate", "samples"), [(0.1, 2000), (1.0, 8000), (3.0, 2000)])
def test_the_first_step_loss_is_a_sum_of_integrals(rate, samples):
    sizes = Sizes(1000, 700, samples)
    law = first_step_law(sizes)
    kappa_s, seen = law.sign_norm, np.sqrt(law.signal / (1 + law.signal))
    tau = (1 + rate**2 * (1 - kappa_s**2)) ** 0.5
    own, teacher = (np.sqrt(2 / np.pi) * x / law.q_norm * seen / kappa_s for x in (MU_1, 0.5))

    points, weights = roots_hermitenorm(600)

    def mean(function):
        return function(points) @ weights / weights.sum()

    def of(function):
        return lambda z: mean(lambda g: function(tau * g[:, None] + rate * kappa_s * z).T)

    phi, psi = of(np.tanh), of(lambda u: np.tanh(u) ** 2)
    slope = of(lambda u: 1 / np.cosh(u) ** 2)
    power = 2 / np.pi * 700 * mean(lambda z: phi(z) ** 2)
    power -= 2 * np.sqrt(2 * 700 / np.pi) * own * mean(lambda z: phi(z) * slope(z) * z)
    power += mean(lambda z: psi(z) - 2 / np.pi * phi(z) ** 2)
    power += own**2 * mean(lambda z: slope(z) ** 2 * (z**2 - 1))
    shared = np.sqrt(2 * 700 / np.pi) * teacher * mean(lambda z: phi(z) * z)
    shared += own * teacher * mean(lambda z: slope(z) * (1 - z**2))
    found = first_step_loss(sizes, rate)
    close(found.power, power, rtol=1e-7)
    close(found.test, power - shared + 0.92125 + 0.09, rtol=1e-5)


def test_a_step_of_nothing_leaves_the_start():
    found = first_step_loss(PAPER, 0.0, noise=0.4)
    close(found.power, 0.39429, atol=1e-5)
    close(found.test, residual_power(0.4))


def test_the_first_step_loss_is_that_of_an_adam_step(many):
    x, xi = jax.random.normal(jax.random.key(9), (1000, 101))[:, :100], 0.3
    for rate in (0.1, 1.0):
        measured = []
        for problem, found in many:
            f = outputs(problem.W - rate * np.sign(found.gradient), problem.a, x)
            y = np.logaddexp(0, x @ problem.teacher)
            measured.append([(f**2).mean(), ((f - y) ** 2).mean() + xi**2])
        error = np.std(measured, 0) / len(measured) ** 0.5
        law = np.array(first_step_loss(sizes(100), rate))
        assert (np.abs(np.mean(measured, 0) - law) <= 0.03 * law + 2.5 * error).all()


def test_the_largest_rates_have_the_loss_of_signs():
    # E sign(u) sign(v) of normal u, v with correlation κ_s² is (2/π) arcsin κ_s².
    share = 2 / np.pi * np.arcsin(first_step_law(PAPER).sign_norm ** 2)
    limit = 2 / np.pi * PAPER.hidden * share + 1 - 2 / np.pi * share
    for rate in (1e3, 1e6, 1e50):
        close(first_step_loss(PAPER, rate).power, limit, rtol=1e-4)


# The vectors of the gradient


@pytest.mark.parametrize(("d", "h", "n"), [(120, 180, 240), (150, 100, 150)])
def test_the_top_vectors_of_the_gradient_miss_a_and_q_by_the_law(d, h, n):
    shape, missed = Sizes(d, h, n), []
    for seed in range(24):
        problem = draw(jax.random.key(seed), shape, tests=1)
        G, _, q = map(np.asarray, directions(problem))
        v = q / np.linalg.norm(q)
        for _ in range(20):
            v = G.T @ (G @ v)
            v /= np.linalg.norm(v)
        a, u = np.asarray(problem.a), G @ v
        ends = abs(u @ a) / np.linalg.norm(u) / np.linalg.norm(a), abs(v @ q) / np.linalg.norm(q)
        missed.append([d * (1 - overlap) for overlap in ends])
    law, error = np.array(overlap_losses(shape)), np.std(missed, 0) / 24**0.5
    assert (np.abs(np.mean(missed, 0) / law - 1) <= 0.04 + 2.5 * error / law).all()


def test_the_misses_have_the_numbers_of_the_paper_s_shape():
    close(overlap_losses(PAPER), [0.3592, 0.1895], atol=5e-5)
    more = overlap_losses(Sizes(1000, 1500, 2000), noise=0.9)
    assert (np.array(more) > overlap_losses(PAPER)).all()


# Stability


def test_the_largest_stable_rate_is_that_of_the_tangent_kernel():
    shape = Sizes(1000, 700, 3000)
    top = MU_1**2 * (1 + 3**0.5) ** 2 + V_1  # of μ₁² X Xᵀ/d + v₁
    close(largest_stable_rate(shape), 3000 / top, rtol=1e-6)
    assert largest_stable_rate(sizes(300)) * 4 == pytest.approx(largest_stable_rate(sizes(1200)))


@pytest.mark.parametrize(
    ("function", "bad", "message"),
    [
        (residual_power, {"noise": -0.1}, "noise must be not negative, got -0.1"),
        (residual_power, {"noise": np.nan}, "noise must be finite, got nan"),
        (residual_power, {"noise": np.ones(2)}, r"noise must be one number, got shape \(2,\)"),
        (first_step_law, {"sizes": (1, 3, 4)}, "inputs must be an integer of at least 2, got 1"),
        (first_step_law, {"sizes": (4, 0, 4)}, "hidden must be an integer of at least 1, got 0"),
        (first_step_law, {"sizes": (4, 3, 0)}, "samples must be an integer of at least 1, got 0"),
        (first_step_law, {"sizes": PAPER, "noise": -1.0}, "noise must be not negative, got -1.0"),
        (equal_norm_rates, {"sizes": PAPER, "noise": np.inf}, "noise must be finite, got inf"),
        (residual_power, {"noise": 1e300}, "noise must be from 0 to 1e.50, got 1e.300"),
        (residual_power, {"noise": 10**400}, "noise must be finite as a float, got a larger"),
        (first_step_law, {"sizes": PAPER, "noise": 1e300}, "noise must be from 0 to 1e.50, got"),
        (equal_norm_rates, {"sizes": PAPER, "noise": 1e300}, "noise must be from 0 to 1e.50, got"),
        (overlap_losses, {"sizes": PAPER, "noise": -1.0}, "noise must be not negative, got -1.0"),
        (overlap_losses, {"sizes": (4, 0, 4)}, "hidden must be an integer of at least 1, got 0"),
        (largest_stable_rate, {"sizes": (1, 3, 4)}, "inputs must be an integer of at least 2"),
        (first_step_loss, {"sizes": PAPER, "rate": 1e300}, "rate must be from 0 to 1e.50, got"),
        (first_step_loss, {"sizes": PAPER, "rate": -1.0}, "rate must be not negative, got -1.0"),
        (first_step_loss, {"sizes": PAPER, "rate": np.nan}, "rate must be finite, got nan"),
        (first_step_loss, {"sizes": PAPER, "rate": np.ones(2)}, "rate must be one number, got"),
        (first_step_loss, {"sizes": PAPER, "rate": np.array(1)}, "rate must be an array of floats"),
    ],
)
def test_what_makes_no_first_step_is_named(function, bad, message, unchecked):
    if "sizes" in bad:
        bad = bad | {"sizes": Sizes(*bad["sizes"])}
    with pytest.raises(ValueError, match="^" + message):
        unchecked(function)(**bad)
