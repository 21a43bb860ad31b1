import jax
import numpy as np
import pytest

from closeness import close_rows
from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import ensembles
from lazyrich.mechanisms import Setting

ONES = Setting()


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.mark.parametrize("symmetric", [False, True])
def test_scaled_networks_flow_to_the_fixed_point(symmetric):
    key = jax.random.key(2)
    small, change = (ensembles.flow_scaled(key, k, 4, 4, symmetric) for k in (0.5, 1.5))
    close(change.before, small.before, atol=1e-15)
    u, v = ensembles.normal_weights(key, 1.5, 4, 4, symmetric)
    start = mechanisms.state(ONES, u, v)
    assert symmetric == (np.abs(start.output) < 1e-14).all()
    end = mechanisms.state(ONES, *mechanisms.fixed_point(ONES, u, v))
    N, N_perp = mechanisms.invariants(ONES, u, v)
    close(change.before, np.abs(start.cosine), atol=1e-15)
    close(change.after, np.abs(end.cosine), rtol=1e-8)
    close(change.kernel, end.kernel / start.kernel, rtol=1e-8)
    close(change.scale, end.scale / start.scale, rtol=1e-8)
    close(change.after_law, 1 / np.hypot(1, N_perp))
    close(change.kernel_limit, N / (start.kernel / 2))


def test_large_starts_end_where_their_law_says():
    change = ensembles.flow_scaled(jax.random.key(2), 30.0, 20, 4)
    close(change.kernel, change.kernel_limit, atol=1e-3)
    close(change.after, change.after_law, atol=1e-5)


def test_weights_are_normal_and_symmetric_ones_cancel():
    key = jax.random.key(1)
    u, v = 0.8 * jax.random.normal(key, (2, 2, 4))
    plain, symmetric = (ensembles.normal_weights(key, 0.8, 2, 4, one) for one in (False, True))
    close(plain.u, u)
    close(plain.v, v)
    close(symmetric.u, np.concatenate([u[:, :2], -u[:, :2]], axis=1))
    close(symmetric.v, np.concatenate([v[:, :2], v[:, :2]], axis=1))


def test_the_plateau_is_watched_until_twice_the_time_of_half_fit():
    run = ensembles.flow_plateau(jax.random.key(2), 0.1, 3, 4, 5)
    u, v = 0.1 * jax.random.normal(jax.random.key(2), (2, 3, 4))
    assert (run.times[:, 0] == 0).all()
    close(run.times[:, 2], run.half)
    close(run.half, mechanisms.time_to_reach(ONES, u, v, 0.5))
    close_rows(run.output, run.exact, 1e-9)
    close(run.output[:, 0], (u * v).sum(-1))
    close(run.exact, mechanisms.evolve(ONES, u, v, run.times).output)
    close(run.output[:, 2], 0.5, rtol=1e-9)
    assert np.abs(run.late).max() < 1e-8


def test_a_trained_network_is_late_by_its_error_over_its_slope():
    u, v = 0.1 * jax.random.normal(jax.random.key(2), (2, 3, 4))
    half = mechanisms.time_to_reach(ONES, u, v, 0.5)
    times = half[:, None] * np.array([0.0, 1.001, 2.0])
    trained = mechanisms.solve(ONES, u, v, times)
    run = ensembles._plateau(u, v, half, times, trained)
    close(run.late, 0.001, rtol=0.01)


def test_what_the_short_formula_leaves_out_is_the_next_order():
    run = ensembles.flow_plateau(jax.random.key(2), 0.01, 3, 4, 3)
    close(run.left_out, 1, rtol=0.01)
    close(run.short, run.half, rtol=1e-6)
    close(run.wait, run.half * 2, rtol=1e-6)


def test_the_network_at_60_degrees_is_the_nearest_of_all():
    key, setting = jax.random.key(3), Setting(eta_u=0.7, eta_w=1.3)
    along = ensembles.flow_at_60_degrees(key, 0.5, 2.0, 12, 3)
    u, v = 0.5 * jax.random.normal(key, (2, 12, 2))
    cosines = mechanisms.state(setting, u, v).cosine
    one = np.argmin(np.abs(cosines - 0.5))
    expected = mechanisms.evolve(setting, u[one], v[one], np.array([0.0, 1.0, 2.0]))
    for series, law in zip(along, expected, strict=True):
        close(series, law, rtol=1e-8)


def test_a_typical_plateau_is_the_median_over_networks():
    key, scales = jax.random.key(2), np.array([0.01, 0.1])
    typical = ensembles.typical_plateau(key, scales, 5, 4)
    for k, value in zip(scales, typical, strict=True):
        close(value, np.median(ensembles.flow_plateau(key, k, 5, 4, 3).short))


def test_turning_is_split_off_up_to_near_the_target():
    u, v = np.array([0.5, 0.2]), np.array([0.3, -0.1])
    along = mechanisms.evolve(ONES, u, v, np.linspace(0, 9, 2001))
    split = ensembles.split(along)
    close(split.share, split.law, atol=1e-4)
    close(split.progress[[0, -1]], [0, 1], atol=0.01)
    intervals = (np.abs(along.residual) > 0.01).sum() - 1
    assert len(split.progress) == len(split.share) == len(split.law) == intervals
    middle = (along.cosine[1:] + along.cosine[:-1]) / 2
    close(split.law, 1 - middle[:intervals] ** 2)


def test_networks_err_off_the_line_by_what_their_noise_is_amplified():
    means = []
    for scale in (0.5, 2.0):
        error, formula = ensembles.off_the_line(jax.random.key(0), scale, 400, d=8, inputs=5)
        assert error.shape == formula.shape == (400,)
        close(error.mean(), formula.mean(), rtol=0.15)
        means.append(formula.mean())
    assert means[1] > 4 * means[0]
