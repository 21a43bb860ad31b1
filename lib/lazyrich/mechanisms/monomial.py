"""A monomial activation: f = γ Σ_i u_i v_i^β, for which one internal time is still shared.

On the line the network f(x) = γ Σ_i u_i (w_i·x)^β with a = 1 has the flow

    du_i/dt = −η_u h v_i^β,   dv_i/dt = −β η_w h u_i v_i^{β−1}

with one scalar h(t) for all neurons (h = c γ (F − y*) for the squared loss), so every neuron
follows its own curve C_i = u_i²/η_u − v_i²/(β η_w) = const, and all of them at one speed: the
internal time S = ∫ h dt.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.mechanisms.setting import Setting, checked, checked_setting, in_range
from lazyrich.validation import ArrayLike


def neuron_constants(
    setting: Setting, u: ArrayLike, v: ArrayLike, power: int
) -> Float[Array, "*shape d"]:
    """The conserved C_i = u_i²/η_u − v_i²/(β η_w) of each neuron, shape (…, d).

    Args:
        setting: the constants; only the rates count.
        u: output weights, shape (…, d).
        v: input weights along the data, shape (…, d).
        power: the exponent β ≥ 1 of the activation; 1 is the linear network.
    """
    setting, u, v = checked(setting, u, v)
    power = validation.whole("power", power, least=1)
    eta_u, eta_w = (jnp.asarray(rate)[..., None] for rate in (setting.eta_u, setting.eta_w))
    return in_range(u**2 / eta_u - v**2 / (power * eta_w))


def quadratic_output_weights(
    setting: Setting, u: ArrayLike, C: ArrayLike, S: ArrayLike
) -> Float[Array, "*shape"]:
    """The output weight of a neuron with β = 2 at internal time S, in closed form.

    With U := u/√η_u the flow is dU/dS = −2 η_w √η_u (U² − C), hence

        U(S) = (U(0) + C τ)/(1 + U(0) τ),   τ = tanh(√C k S)/√C,   k = 2 η_w √η_u,

    where tanh(√C x)/√C is tan(√−C x)/√−C for C < 0 and x for C = 0. Beyond the internal time at
    which the weight diverges the answer is ``nan``, or ``inf`` just before where no float holds it.

    Args:
        setting: the constants; only the rates count.
        u: output weights at the start.
        C: their constants from :func:`neuron_constants`, broadcasting against u.
        S: internal times, broadcasting against u.
    """
    setting, u, C, S = _broadcasting(setting, u=u, C=C, S=S)
    root_u = jnp.sqrt(setting.eta_u)
    U = u / root_u
    x = 2 * setting.eta_w * root_u * S
    tau = _tau(C, x)
    s = jnp.sqrt(jnp.where(C < 0, -C, 1))
    finite = jnp.where(C < 0, jnp.abs(jnp.arctan(U / s) - s * x) < jnp.pi / 2, 1 + U * tau > 0)
    return jnp.where(finite, root_u * (U + C * tau) / (1 + U * tau), jnp.nan)


def internal_time(
    setting: Setting, u: ArrayLike, C: ArrayLike, later: ArrayLike
) -> Float[Array, "*shape"]:
    """The internal time S at which a neuron with β = 2 has its output weight at `later`.

    Inverts :func:`quadratic_output_weights`: what one neuron's weight says about all the others.
    It is the first such time, with |√−C k S| < π/2 for C < 0, and ``nan`` where there is none, or
    ``inf`` where no float holds it.
    """
    setting, u, C, later = _broadcasting(setting, u=u, C=C, later=later)
    root_u = jnp.sqrt(setting.eta_u)
    U, after = u / root_u, later / root_u
    tau = (U - after) / (U * after - C)
    return _inverse(C, tau) / (2 * setting.eta_w * root_u)


def _broadcasting(setting, **arrays):
    """A setting and arrays of floats, all of which broadcast against each other."""
    arrays = {name: validation.floating(name, value) for name, value in arrays.items()}
    return checked_setting(setting, **arrays), *arrays.values()


def _tau(C, x):
    """tanh(√C x)/√C, an entire function of C x² over x; tan for C < 0."""
    return _odd(C, x, jnp.tanh, jnp.tan, (1, -1 / 3, 2 / 15))


def _inverse(C, tau):
    """artanh(√C τ)/√C, which inverts :func:`_tau`; arctan for C < 0."""
    return _odd(C, tau, jnp.arctanh, jnp.arctan, (1, 1 / 3, 1 / 5))


def _odd(C, x, positive, negative, series):
    """f(√C x)/√C for an odd f, by the series of f near C x² = 0, where the root has no slope."""
    square = C * x * x
    near = jnp.abs(square) < 1e-5
    s = jnp.sqrt(jnp.where(near, 1, jnp.abs(C)))
    above = positive(jnp.where(near | (C < 0), 0, s * x))
    below = negative(jnp.where(near | (C > 0), 0, s * x))
    small = x * jnp.polyval(jnp.array(series[::-1], square.dtype), jnp.where(near, square, 0))
    return jnp.where(near, small, (above + below) / s)
