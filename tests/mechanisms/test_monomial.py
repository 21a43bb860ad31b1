import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from lazyrich import mechanisms
from lazyrich.mechanisms import Setting, monomial

S = Setting(gamma=0.7, eta_u=1.3, eta_w=0.4, A=1.0, y_star=-1.5, c=2.0)
U, V = np.array([0.9, -0.4, 0.6]), np.array([0.5, 0.8, -1.1])
TIMES = np.linspace(0, 2, 9)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def flow(power, u=U, v=V):
    """Weights of shape (times, d) and the internal times of the squared loss, by SciPy."""

    def field(_, y):
        u, v = y[:-1].reshape(2, -1)
        h = S.c * S.gamma * (S.gamma * (u * v**power).sum() - S.y_star)
        slopes = -S.eta_u * h * v**power, -power * S.eta_w * h * u * v ** (power - 1)
        return np.concatenate([*slopes, [h]])

    start = np.concatenate([u, v, [0.0]])
    y = solve_ivp(field, (0, TIMES[-1]), start, "DOP853", TIMES, rtol=1e-12, atol=1e-14).y.T
    return *np.moveaxis(y[:, :-1].reshape(len(TIMES), 2, -1), 1, 0), y[:, -1]


@pytest.mark.parametrize("power", [1, 2, 3])
def test_each_neuron_keeps_its_constant(power):
    u, v, _ = flow(power)
    constants = mechanisms.neuron_constants(S, u, v, power)
    close(constants, np.broadcast_to(constants[0], constants.shape), atol=1e-10)
    close(constants[0], U**2 / 1.3 - V**2 / (power * 0.4), rtol=1e-14)
    assert np.ptp(u, axis=0).max() > 0.1


@pytest.mark.parametrize("sign", [1, 0, -1])
def test_quadratic_neurons_follow_the_closed_form_in_internal_time(sign):
    # C = (u² − shift)/η_u has the sign of the shift's opposite
    v = np.sqrt(2 * S.eta_w * (U**2 / S.eta_u - sign * np.array([0.3, 0.1, 0.2])))
    C = mechanisms.neuron_constants(S, U, v, 2)
    C = np.where(np.abs(C) < 1e-15, 0, C)
    assert (np.sign(C) == sign).all()
    u, _, internal = flow(2, U, v)
    assert np.ptp(u, axis=0).min() > 0.05
    predicted = mechanisms.quadratic_output_weights(S, U, C, internal[:, None])
    close(predicted, u, atol=1e-9)
    close(mechanisms.internal_time(S, U, C, u[1:]) - internal[1:, None], 0, atol=1e-7)


def test_mixed_signs_of_the_constants_are_told_apart():
    C = mechanisms.neuron_constants(S, U, V, 2)
    assert (C > 0).any() and (C < 0).any()
    u, _, internal = flow(2)
    close(mechanisms.quadratic_output_weights(S, U, C, internal[:, None]), u, atol=1e-9)


@given(st.floats(-3, 3), st.floats(-2, 2), st.floats(-0.2, 0.2))
def test_the_internal_time_inverts_the_closed_form(u, C, internal):
    # τ stays below a pole for |√−C k S| < π/2, and what is at its fixed point has no time
    later = mechanisms.quadratic_output_weights(S, u, C, internal)
    rest = abs(u**2 / S.eta_u - C) < 1e-3
    if not rest and abs(later) < 100:
        close(mechanisms.internal_time(S, u, C, later), internal, atol=1e-9)


def test_the_closed_form_is_smooth_where_the_constant_vanishes():
    middle = mechanisms.quadratic_output_weights(S, 0.8, 0.0, 0.7)
    close(middle, 0.8 / (1 + 2 * 0.4 * 0.8 * 0.7), rtol=1e-14)
    for C in (1e-9, -1e-9):
        close(mechanisms.quadratic_output_weights(S, 0.8, C, 0.7), middle, rtol=1e-8)


def there(u, C, internal):
    return mechanisms.quadratic_output_weights(S, u, C, internal)


def back(u, C, internal):
    return mechanisms.internal_time(S, u, C, there(u, C, internal) + 0.1)


def slope(function, C, argument):
    """The derivative by one argument, and the quotient of differences."""
    point, shift = np.array([0.8, C, 0.7]), 1e-5 * np.eye(3)[argument]
    quotient = (function(*(point + shift)) - function(*(point - shift))) / 2e-5
    return jax.grad(function, argument)(*point), quotient


@pytest.mark.parametrize("C", [0.4, 1e-5, 1e-9, 0.0, -1e-9, -1e-5, -0.4])
@pytest.mark.parametrize("function", [there, back])
def test_gradients_are_derivatives_for_constants_of_any_sign(function, C):
    for argument in range(3):
        close(*slope(function, C, argument), rtol=1e-7)


@pytest.mark.parametrize("function", [there, back])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_series_meets_the_root(function, sign):
    C = sign * np.geomspace(1e-6, 1e-3, 31)
    jumps = np.diff(function(0.8, C, 0.7) - function(0.8, 0.0, 0.7)) / np.diff(C)
    close(jumps, jumps[0], rtol=5e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_series_is_accurate_up_to_where_it_ends(sign):
    root = np.sqrt(9.9e-6)
    there, back = (np.tanh, np.arctanh) if sign > 0 else (np.tan, np.arctan)
    C = jnp.float64(sign * root**2)
    close(monomial._tau(C, 1.0), there(root) / root, rtol=1e-14)
    close(monomial._inverse(C, 1.0), back(root) / root, rtol=1e-14)


def test_constants_broadcast_over_networks():
    many = S._replace(eta_u=np.array([[1.3], [0.6]]), eta_w=np.array([0.4, 0.9, 1.0]))
    constants = mechanisms.neuron_constants(many, U, V, 3)
    assert constants.shape == (2, 3, 3)
    close(constants[1, 2], U**2 / 0.6 - V**2 / 3)
    times = mechanisms.internal_time(S._replace(eta_w=np.array([0.4, 0.8])), 0.9, 0.2, 0.7)
    close(times[0], 2 * times[1])


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="power must be an integer of at least 1, got 0"):
        mechanisms.neuron_constants(S, U, V, 0)
    with pytest.raises(ValueError, match="as many neurons"):
        mechanisms.neuron_constants(S, U, V[:2], 2)
    bad = S._replace(eta_u=0.0)
    functions = {
        mechanisms.quadratic_output_weights: ("u", "C", "S"),
        mechanisms.internal_time: ("u", "C", "later"),
    }
    for function, names in functions.items():
        with pytest.raises(ValueError, match="setting.eta_u must be positive, got 0.0"):
            function(bad, 1.0, 1.0, 1.0)
        for i, name in enumerate(names):
            values = [1.0, 1.0, 1.0]
            values[i] = np.nan
            with pytest.raises(ValueError, match=f"{name} must be finite, got nan"):
                function(S, *values)


def test_beyond_its_divergence_a_weight_is_no_number():
    # U = 1/(1 + kS) for C = 0 diverges at S = −1/k, U = tan(arctan U0 − kS) for C = −1 likewise
    unit = Setting()
    for C, end in ((0.0, -0.5), (-1.0, -np.pi / 8), (0.25, -np.arctanh(0.5))):
        before, after = end + 1e-3, end - 1e-3
        assert mechanisms.quadratic_output_weights(unit, 1.0, C, before) > 100
        assert np.isnan(mechanisms.quadratic_output_weights(unit, 1.0, C, after))
    # from below zero the tangent passes zero, beyond a quarter of its period
    far = mechanisms.quadratic_output_weights(unit, -3.0, -1.0, -1.2)
    close(far, np.tan(np.arctan(-3.0) + 2.4))
    assert np.isnan(mechanisms.internal_time(unit, 1.0, 0.5, 0.1))
