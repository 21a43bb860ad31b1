import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.mechanisms import SCHEMES, Scaling, Setting

# Exponents of γ, η_u, η_w, std(u), std(v); then m, φ, ℓ and that of the kernel's change; the phase.
TABLE = {
    "NTK": ((-1 / 2, 0, 0, 0, 0), (1 / 2, 0, 0, -1), "kernel"),
    "mean field": ((-1, 1, 1, 0, 0), (0, -1 / 2, 0, 0), "feature"),
    "maximal update": ((0, -1, 1, -1, 0), (0, -1 / 2, 0, 0), "feature"),
    "Kaiming, rates 1/d": ((0, -1, -1, -1 / 2, 0), (1, 0, 0, -2), "kernel"),
    "Kaiming, rates 1": ((0, 0, 0, -1 / 2, 0), (1, 0, 1, -2), "kernel, unstable"),
    "Xavier, rates 1": ((0, 0, 0, -1 / 2, -1 / 2), (0, -1 / 2, 0, 0), "feature"),
    "mean field, rates 1": ((-1, 0, 0, 0, 0), (0, -1 / 2, -1, 0), "feature, frozen"),
    "NTK, last layer only": ((-1 / 2, 0, -2, 0, 0), (3 / 2, 0, 0, -3), "kernel"),
    "small initialisation": ((0, 0, 0, -1, -1), (-1, -3 / 2, 0, 1), "feature, plateau"),
    "lazy but aligning": ((0, -1, 0, -1, 0), (1 / 2, -1 / 2, 0, -1), "kernel, turning"),
}
each_scheme = pytest.mark.parametrize("name", TABLE)


def test_the_named_schemes_are_those_of_the_table():
    assert list(SCHEMES) == list(TABLE)
    for name, (scaling, _, _) in TABLE.items():
        assert tuple(SCHEMES[name]) == scaling


@each_scheme
def test_a_scheme_has_the_exponents_of_the_table(name):
    size, output, speed, change = TABLE[name][1]
    e = mechanisms.exponents(SCHEMES[name])
    assert (e.size, e.output, e.speed, e.kernel_change) == (size, output, speed, change)
    assert e.across == e.output + 1 / 2


@each_scheme
def test_a_scheme_has_the_phase_of_the_table(name):
    assert mechanisms.phase(SCHEMES[name]) == TABLE[name][2]


def test_the_exponents_of_a_generic_scaling_are_sums():
    # e_u = −0.1 + 1 + 0.6 + 0.35 and e_w = −0.1 + 1 − 0.4 − 0.35
    e = mechanisms.exponents(Scaling(-0.1, 0.2, 0.9, 0.3, -0.2))
    np.testing.assert_allclose(e, (1.85, 1.0, 0.5, -0.1 + 0.55 + 1.85, -3.7 + 1.0))
    # the other layer leads, and the output stays small
    e = mechanisms.exponents(Scaling(-0.1, 0.9, 0.2, -0.8, 0.2))
    np.testing.assert_allclose(e, (1.65, 0.3, -0.2, -0.1 + 0.55 + 1.65, -3.3), atol=1e-15)


@pytest.mark.parametrize(
    ("scaling", "phase"),
    [
        (Scaling(-0.5, 0.5, 0.5, 0, 0), "kernel, unstable"),
        (Scaling(-0.5, -0.5, -0.5, 0, 0), "kernel, frozen"),
        (Scaling(-1, 2, 2, 0, 0), "feature, unstable"),
        (Scaling(-2, 2, 2, 0, 0), "feature, plateau"),
        (Scaling(-2, 1, 1, 0, 0), "feature, plateau, frozen"),
        (Scaling(0, -1, 0, -1.5, 0), "kernel, turning"),
    ],
)
def test_a_phase_says_all_there_is_to_say(scaling, phase):
    assert mechanisms.phase(scaling) == phase


def test_weights_and_constants_are_powers_of_the_width():
    u, v = np.random.default_rng(0).normal(size=(2, 5, 16))
    setting, weights = mechanisms.at_width(
        Scaling(0.5, -0.25, 0.75, -1, 0.25), jnp.asarray(u), jnp.asarray(v)
    )
    assert setting == Setting(4.0, 0.5, 8.0, 1.0, 1.0, 1.0)
    np.testing.assert_allclose(weights.u, u / 16)
    np.testing.assert_allclose(weights.v, 2 * v)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="scaling.rate_w must be finite, got nan"):
        mechanisms.exponents(Scaling(0, 0, float("nan"), 0, 0))
    good, bad = jnp.ones(2), jnp.array([1.0, jnp.nan])
    for name, draws in (("u", (bad, good)), ("v", (good, bad))):
        with pytest.raises(ValueError, match=f"{name} must be finite, got nan"):
            mechanisms.at_width(SCHEMES["NTK"], *draws)


def test_a_phase_does_not_depend_on_rounding():
    assert mechanisms.phase(Scaling(-0.7, 0.7, 0.7, -0.15, -0.15)) == "feature"
    assert mechanisms.phase(Scaling(-0.7 + 1e-9, 0.7, 0.7, -0.15, -0.15)) == "kernel, unstable"


def test_scalings_and_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="scaling.gamma must be finite, got nan"):
        mechanisms.at_width(Scaling(np.nan, 0, 0, 0, 0), np.ones(2), np.ones(2))
    for u, v in ((np.ones(2), np.ones(3)), (np.ones(0), np.ones(0))):
        with pytest.raises(ValueError, match="u and v must have as many neurons, got shapes"):
            mechanisms.at_width(SCHEMES["NTK"], u, v)


@pytest.mark.parametrize("stds", [(0.0, 0.0), (-0.5, 0.0), (0.7, -1.3), (-2.0, 0.4)])
def test_every_start_has_a_parametrisation_that_learns_features(stds):
    scaling = mechanisms.feature_learning(*stds)
    assert (scaling.std_u, scaling.std_w) == stds
    assert all(type(exponent) is float for exponent in scaling)
    e = mechanisms.exponents(scaling)
    np.testing.assert_allclose((e.size, e.across, e.speed, e.kernel_change), 0, atol=1e-12)
    # The same network in other units as mean field.
    u, v = np.random.default_rng(0).normal(size=(2, 3, 16))
    for of in (mechanisms.kernel_change, mechanisms.learning_speed):
        expected, found = (
            of(setting, *start)
            for setting, start in (
                mechanisms.at_width(one, u, v) for one in (SCHEMES["mean field"], scaling)
            )
        )
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("stds", [(np.nan, 0.0), (0.0, np.inf)])
def test_a_start_is_given_by_finite_exponents(stds):
    with pytest.raises(ValueError, match="std_"):
        mechanisms.feature_learning(*stds)
