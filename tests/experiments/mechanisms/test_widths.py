import jax
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import widths
from lazyrich.mechanisms import SCHEMES, Scaling, Setting

NARROW, WIDE, NETWORKS = 64, 4096, 16
each_scheme = pytest.mark.parametrize("name", SCHEMES)


@pytest.fixture(scope="module")
def runs():
    """Each scheme at two widths, with paired draws."""
    key = jax.random.key(0)
    return {
        name: [widths.run_at_width(key, name, width, NETWORKS, WIDE) for width in (NARROW, WIDE)]
        for name in SCHEMES
    }


def exponent(narrow, wide):
    typical = [np.sqrt(np.mean(np.square(values))) for values in (narrow, wide)]
    return np.log(typical[1] / typical[0]) / np.log(WIDE / NARROW)


def descended(setting, u, v):
    """F after 200 steps, with both rates multiplied by 1/8, 1 and 8, the roots of the width."""
    faster = [
        setting._replace(eta_u=by * setting.eta_u, eta_w=by * setting.eta_w) for by in (1 / 8, 1, 8)
    ]
    return np.stack([mechanisms.descend(s, u, v, 200).output[:, -1] for s in faster], axis=1)


@each_scheme
def test_a_run_measures_the_networks_of_its_width(runs, name):
    u, v = jax.random.normal(jax.random.key(0), (2, NETWORKS, WIDE))[..., :NARROW]
    setting, (u, v) = mechanisms.at_width(SCHEMES[name], u, v)
    start, run = mechanisms.state(setting, u, v), runs[name][0]
    end = mechanisms.state(setting, *mechanisms.fixed_point(setting, u, v))
    M = end.kernel / (2 * setting.gamma * np.sqrt(setting.eta_u * setting.eta_w))
    growth = end.kernel / start.kernel
    expected = widths.WidthRun(
        start.output,
        start.cosine,
        end.cosine,
        1 / M,
        np.abs(growth - 1) if mechanisms.exponents(SCHEMES[name]).size > 0 else growth,
        end.kernel,
        start.scale,
        end.scale,
        descended(setting, u, v),
    )
    for measured, value in zip(run, expected, strict=True):
        np.testing.assert_allclose(measured, value, rtol=1e-7, atol=1e-12)


@each_scheme
def test_measured_exponents_are_those_of_the_table(runs, name):
    e = mechanisms.exponents(SCHEMES[name])
    narrow, wide = runs[name]
    assert abs(exponent(narrow.output, wide.output) - e.output) < 0.2
    assert abs(exponent(narrow.speed, wide.speed) - e.speed) < 0.1
    assert abs(exponent(narrow.movement, wide.movement) - e.kernel_change) < 0.25


def test_steps_of_one_diverge_exactly_above_the_line(runs):
    for name, scaling in SCHEMES.items():
        speed = mechanisms.exponents(scaling).speed
        for i, by in enumerate(widths.RATE_POWERS):
            descended = runs[name][1].descended[:, i]
            if speed + by > 0:
                assert not np.isfinite(descended).any()
            elif speed + by == 0:
                assert (np.abs(descended - 1) < 0.5).all()
            else:
                assert np.isfinite(descended).all()
        if speed < 0:
            assert (np.abs(runs[name][1].descended[:, 1]) < 0.5).all()


@pytest.mark.parametrize("scheme", ["NTK", "lazy but aligning", (0.3, 0.2, -0.4, -0.5, -0.9)])
def test_trained_networks_end_where_the_closed_form_says(scheme):
    run = widths.train_at_width(jax.random.key(1), scheme, 20, 3)
    u, v = jax.random.normal(jax.random.key(1), (2, 3, 20))
    scaling = SCHEMES[scheme] if isinstance(scheme, str) else Scaling(*scheme)
    setting, start = mechanisms.at_width(scaling, u, v)
    end = mechanisms.state(setting, *mechanisms.fixed_point(setting, *start))
    before = mechanisms.state(setting, *start)
    np.testing.assert_allclose(run.kernel, end.kernel / before.kernel, rtol=1e-6)
    np.testing.assert_allclose(run.kernel - 1, run.change, atol=1e-6)
    np.testing.assert_allclose(run.cosine, np.abs(end.cosine), rtol=1e-6)
    np.testing.assert_allclose(run.scale, end.scale, rtol=1e-6)
    np.testing.assert_allclose(run.across, before.scale * np.sin(np.arccos(before.cosine)), 1e-6)
    np.testing.assert_allclose(run.rate, run.speed, rtol=1e-3)
    np.testing.assert_allclose(run.speed, end.kernel, rtol=1e-9)


def test_starts_are_those_of_their_parametrisation():
    run = widths.starts_at_width(jax.random.key(3), "lazy but aligning", 20, 6)
    u, v = jax.random.normal(jax.random.fold_in(jax.random.key(3), 20), (2, 6, 20))
    np.testing.assert_allclose(run.output, (u * v).sum(1) / 20, rtol=1e-9, atol=1e-12)
    lengths = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    np.testing.assert_allclose(run.cosine, (u * v).sum(1) / lengths, rtol=1e-9, atol=1e-12)


def test_the_ratio_of_rates_leaves_their_product():
    ratios = (-0.5, 0.0, 1.0)
    key = jax.random.key(4)
    change = widths.kernel_change_by_ratio(key, "maximal update", 16, 5, ratios)
    assert change.shape == (5, 3)
    u, v = jax.random.normal(key, (2, 5, 16))
    for i, r in enumerate(ratios):
        setting = Setting(eta_u=16.0**r, eta_w=16.0**-r)  # γ = 1
        expected = mechanisms.kernel_change(setting, u / 16, v)
        np.testing.assert_allclose(change[:, i], np.abs(expected), rtol=1e-10)


def test_the_plane_is_the_kernel_change_of_each_pair_of_exponents():
    key, gammas, rates = jax.random.key(2), (-1.5, -0.5), (-1.0, 0.0, 0.5)
    plane = widths.kernel_change_at(key, 16, gammas, rates, networks=5)
    assert plane.shape == (2, 3)
    u, v = jax.random.normal(jax.random.fold_in(key, 16), (2, 5, 16))
    for i, j in np.ndindex(2, 3):
        setting = Setting(16.0 ** gammas[i], 16.0 ** rates[j], 16.0 ** rates[j])
        change = mechanisms.kernel_change(setting, u, v)
        np.testing.assert_allclose(plane[i, j], np.median(np.abs(change)), rtol=1e-12)
