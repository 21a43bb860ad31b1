"""The time at which the solution passes an output, exactly, and to first order for a small start.

The notation is that of :mod:`lazyrich.mechanisms.setting`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot
from lazyrich.mechanisms.setting import (
    Setting,
    checked,
    hypotenuse,
    in_range,
    over_networks,
    parts,
    quotient,
    shared_rate,
)
from lazyrich.validation import ArrayLike


def time_to_reach(
    setting: Setting, u: ArrayLike, v: ArrayLike, output: ArrayLike
) -> Float[Array, "*shape"]:
    """The time at which the output passes a value strictly between F(0) and y*, shape (…).

    From dF/dt = −2ω (F − y*) √(N² + F²), with ω and λ as in
    :func:`~lazyrich.mechanisms.solution.solve`,

        λ t = ln [(N² + y* F + E √(N² + F²))/|y* − F|], from F(0) to the output.

    Elsewhere the output never gets there, and the answer is ``inf`` (0 at F(0) itself).
    """
    output = validation.floating("output", output)
    times = _time_to_reach(*checked(setting, u, v, numbers={"output": output}))
    return in_range(times, infinite=True)


def plateau_time(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape"]:
    """The time at which the output reaches y*/2 from a small start, to first order, shape (…).

    It is (1/λ) (ln [2 |y*|/(M(0) ± F(0))] − M(0)/|y*|), with the sign of y*. What it leaves out is
    (9/4 N² ∓ M(0) F(0)/2)/(λ y*²) and higher orders; :func:`time_to_reach` is exact. A start in
    the saddle takes ``inf``, and y* = 0 has ``nan``.
    """
    return _plateau_time(*checked(setting, u, v))


@over_networks("(d),(d)->()")
def _plateau_time(s, u, v):
    _, _, plus, minus, _, E = parts(s, u, v)
    size, ahead = jnp.abs(s.y_star), jnp.where(s.y_star >= 0, plus, minus)
    speed = 2 * s.c * s.A * s.gamma * shared_rate(s) * E
    return (jnp.log(2 * size / ahead) - (plus + minus) / 2 / size) / speed


@over_networks("(d),(d),()->()")
def _time_to_reach(s, u, v, output):
    *_, N, _ = parts(s, u, v)
    start, omega = s.gamma * dot(u, v), s.c * s.A * s.gamma * shared_rate(s)
    y = jnp.abs(s.y_star)
    # Mirror y* < 0, u → −u, so that the output climbs; where it changes sign, in two parts.
    sign = jnp.where(s.y_star == 0, jnp.where(start < 0, -1, 1), jnp.sign(s.y_star))
    F0, F1 = sign * start, sign * output
    time = _time_below_zero(omega, N, y, jnp.minimum(F0, 0), jnp.minimum(F1, 0))
    time += _time_above_zero(omega, N, y, jnp.maximum(F0, 0), jnp.maximum(F1, 0))
    between = (output - start) * (output - s.y_star) < 0
    return jnp.where(output == start, 0, jnp.where(between, time, jnp.inf))


def _time_above_zero(omega, N, y, F0, F1):
    """The time from F0 ≥ 0 to F1 ≥ 0, both on the same side of y ≥ 0.

    With Q(F) = N² + y F + E √(N² + F²) the ratio Q(F1)(y − F0)/(Q(F0)(y − F1)) is taken as 1 + E w,
    where w has no difference but F1 − F0 and y − F1: so short times keep their digits.
    """
    E, middle, across, H0, _ = _between(N, y, F0, F1)
    unit = jnp.where(E > 0, y, 1)  # K and Q lose their scale with E, and w the same of both
    K = hypotenuse(N, unit) + unit * middle + across
    Q = N * N + unit * F0 + hypotenuse(N, unit) * H0
    return _time(omega, E, (F1 - F0) * K, Q * (y - F1))


def _time_below_zero(omega, N, y, F0, F1):
    """The time from F0 ≤ 0 up to F1 ≤ 0: as above, with N²(y − F)²/Q(F), which does not cancel."""
    E, middle, across, H0, H1 = _between(N, y, F0, F1)
    tanh, sech = quotient(F1, H1), quotient(N, H1)
    both = tanh * quotient(F0, H0)
    rest = y * y + 2 * N * N * both / (1 + both + sech * quotient(N, H0))
    K = quotient(rest, E + across) - y * middle
    P = H1 * quotient(y * y + (N * tanh) ** 2, E + N * sech) - y * F1
    return _time(omega, E, (F1 - F0) * K, P * (y - F0))


def _between(N, y, F0, F1):
    """For F = N sinh θ of one sign: E, tanh of the mean θ, N cosh δ/cosh of it with 2δ = θ1 − θ0.

    And √(N² + F²) at both ends.
    """
    H0, H1 = hypotenuse(N, F0), hypotenuse(N, F1)
    f0, f1 = quotient(jnp.abs(F0), H0), quotient(jnp.abs(F1), H1)
    across = N * quotient(f0 * quotient(N, H1) + f1 * quotient(N, H0), f0 + f1)
    return hypotenuse(N, y), quotient(F0 + F1, H0 + H1), across, H0, H1


def _time(omega, E, numerator, denominator):
    """ln(1 + E w)/(2ωE) for w = numerator/denominator; w/(2ω) where E vanishes."""
    moves = numerator != 0
    reached = moves & (denominator != 0)
    w = numerator / jnp.where(reached, denominator, 1)
    x = jnp.where(reached, E * w, 0)
    short = x < 1e-5  # the series, since E may be zero
    time = jnp.where(short, w * (1 - x / 2 + x * x / 3), jnp.log1p(x) / jnp.where(short, 1, E))
    return jnp.where(reached, time / (2 * omega), jnp.where(moves, jnp.inf, 0))
