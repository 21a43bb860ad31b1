import jax
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms import widths
from lazyrich.mechanisms import SCHEMES, Setting

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
        mechanisms.descend(setting, u, v, 200).output[:, -1],
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
        descended = runs[name][1].descended
        if speed > 0:
            assert not np.isfinite(descended).any()
        elif speed == 0:
            assert (np.abs(descended - 1) < 0.5).all()
        else:
            assert (np.abs(descended) < 0.5).all()


def test_the_plane_is_the_kernel_change_of_each_pair_of_exponents():
    key, gammas, rates = jax.random.key(2), (-1.5, -0.5), (-1.0, 0.0, 0.5)
    plane = widths.kernel_change_at(key, 16, gammas, rates, networks=5)
    assert plane.shape == (2, 3)
    u, v = jax.random.normal(jax.random.fold_in(key, 16), (2, 5, 16))
    for i, j in np.ndindex(2, 3):
        setting = Setting(16.0 ** gammas[i], 16.0 ** rates[j], 16.0 ** rates[j])
        change = mechanisms.kernel_change(setting, u, v)
        np.testing.assert_allclose(plane[i, j], np.median(np.abs(change)), rtol=1e-12)
