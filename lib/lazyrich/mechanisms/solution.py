"""The solution in closed form: weights, output, kernel and angle at any time.

The notation is that of :mod:`lazyrich.mechanisms.setting`. Everything can be differentiated. In
float32 that takes weights above 1e-9, since the squares of outputs stand in the denominators of
gradients.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import dot, jit
from lazyrich.mechanisms.setting import (
    Setting,
    State,
    Weights,
    across,
    checked,
    checked_setting,
    hypotenuse,
    in_range,
    over_networks,
    parts,
    quotient,
    root,
    shared_rate,
)
from lazyrich.validation import ArrayLike


def solve(setting: Setting, u: ArrayLike, v: ArrayLike, times: ArrayLike) -> Weights:
    """The weights of both layers at any times, in closed form.

    With ω := c A γ g, M₊ := M + F and M₋ := M − F at the start, E := √(y*² + M₊ M₋) and λ := 2ωE,

        z := e^{2s} = X/Y,   X = (1 + ε) + (M₋ + y*) T,   Y = (1 + ε) + (M₊ − y*) T,
        ε := e^{−λt},        T := (1 − ε)/E,

    from which u = (√η_u/2)(√z p + q/√z) and v = (√η_w/2)(√z p − q/√z). The difference E − |y*|
    inside X or Y is taken as N²/(E + |y*|), so that no digit is lost to a small start or a late
    time, and the saddles p(0) = 0 and q(0) = 0 need no case of their own. Rates that differ by a
    factor r cost the layer of the smaller part of p and q a relative error of √r times rounding.

    Args:
        setting: the constants of the flow.
        u: output weights at time 0, shape (…, d).
        v: input weights along the data at time 0, shape (…, d).
        times: times t ≥ 0, shape (…, times).

    Returns:
        The weights, shape (…, times, d).

    Raises:
        ValueError: if a constant but y* is not positive, a shape does not fit, or an entry is
            not finite.

    >>> import jax.numpy as jnp
    >>> start, times = jnp.eye(2), jnp.array([0.0, 9.0])
    >>> u, v = solve(Setting(y_star=2.0), start[0], start[1], times)
    >>> jnp.round((u * v).sum(-1), 4).tolist()
    [0.0, 2.0]
    """
    times = validation.nonnegative("times", times, ndim=1)
    return in_range(_solve(*checked(setting, u, v, series={"times": times})))


def evolve(setting: Setting, u: ArrayLike, v: ArrayLike, times: ArrayLike) -> State:
    """Output, residual, kernel, angle and scale at any times, without the weights.

    As :func:`solve`, with κ = γ g (M₊ z + M₋/z) and F = (M₊ z − M₋/z)/2. The residual is
    F − y* = 4 ε (F(0) − y*)/(X Y), exact to rounding however late; the output is taken from
    whichever of the two has the smaller rounding error. Costs O(d) once and O(1) a time.

    Returns:
        The scalars, each of shape (…, times).
    """
    times = validation.nonnegative("times", times, ndim=1)
    return in_range(_evolve(*checked(setting, u, v, series={"times": times})))


def fixed_point(setting: Setting, u: ArrayLike, v: ArrayLike) -> Weights:
    """The weights after infinite time, shape (…, d).

    F = y*, with z = (y* + E)/M₊. The exceptions end in the saddle u = v = 0: p(0) = 0 with
    y* > 0, and q(0) = 0 with y* < 0.
    """
    return in_range(_fixed_point(*checked(setting, u, v)))


def learning_speed(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape"]:
    """The rate λ at which the residual decays in the end, shape (…).

    λ² = (2 c A γ g)² (y*² + N²): a part of the target, and a part of the kernel at the start.
    Also λ = c A κ(∞).
    """
    return in_range(_learning_speed(*checked(setting, u, v)))


def kernel_change(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape"]:
    """The relative change of the tangent kernel by training, κ(∞)/κ(0) − 1, shape (…).

    It is (y*² − F(0)²)/(M(0) (E + M(0))), which keeps its digits however small it is. Weights
    that all vanish give ``inf``.
    """
    return in_range(_kernel_change(*checked(setting, u, v)), infinite=True)


def kernel_law(setting: Setting, output: ArrayLike, N: ArrayLike) -> Float[Array, "*shape"]:
    """The tangent kernel as a function of the output, κ = 2 γ g √(N² + F²).

    It holds for every loss, since it needs no more than the shared exponential.
    """
    output, N = validation.floating("output", output), validation.nonnegative("N", N)
    return in_range(_kernel_law(checked_setting(setting, output=output, N=N), output, N))


def cosine_law(output: ArrayLike, N_perp: ArrayLike) -> Float[Array, "*shape"]:
    """The cosine between the layers as a function of the output, F/√(F² + N⊥²); for every loss."""
    output = validation.floating("output", output)
    N_perp = validation.nonnegative("N_perp", N_perp)
    validation.broadcasting(output=output, N_perp=N_perp)
    return _cosine_law(output, N_perp)


def orthogonal_error(
    setting: Setting, u: ArrayLike, std_w: ArrayLike, squared_length: ArrayLike
) -> Float[Array, "*shape"]:
    """The mean squared error off the data line, γ² σ_w² |u|² |x⊥|², shape (…).

    The input weights across the line keep their start, here independent of variance σ_w²; at a
    test point a n + x⊥ whose target depends on a only, u amplifies them.

    Args:
        setting: the constants of the flow; only γ counts.
        u: output weights, shape (…, d), those after training to judge a trained network.
        std_w: standard deviation σ_w of the input weights at the start.
        squared_length: mean of |x⊥|².
    """
    u, std_w = validation.floating("u", u, ndim=1), validation.nonnegative("std_w", std_w)
    square = validation.nonnegative("squared_length", squared_length)
    networks = {"u without its last axis": u[..., 0] if u.size else u.sum(-1)}
    gamma = checked_setting(setting, **networks, std_w=std_w, squared_length=square).gamma
    return in_range(_orthogonal_error(gamma, u, std_w, square))


@jit
def _kernel_law(s, output, N):
    return 2 * s.gamma * shared_rate(s) * hypotenuse(N, output)


@jit
def _cosine_law(output, N_perp):
    return quotient(output, hypotenuse(N_perp, output))


@jit
def _orthogonal_error(gamma, u, std_w, squared_length):
    return (gamma * std_w) ** 2 * (u * u).sum(-1) * squared_length


@over_networks("(d),(d),(t)->(t,d),(t,d)", Weights)
def _solve(s, u, v, times):
    p, q, plus, minus, N, E = parts(s, u, v)
    X, Y, _ = _ratio(s, plus, minus, N, E, times)
    return _rotated(s, p, q, X, Y)


@over_networks("(d),(d),(t)->(t),(t),(t),(t),(t)", State)
def _evolve(s, u, v, times):
    _, _, plus, minus, N, E = parts(s, u, v)
    X, Y, epsilon = _ratio(s, plus, minus, N, E, times)
    grow, shrink = _factors(X, Y)
    plus, minus = plus * grow * grow, minus * shrink * shrink
    product = jnp.where(X * Y > 0, X * Y, 1)
    start = s.gamma * dot(u, v) - s.y_star
    early = (plus + minus) / 2 < jnp.abs(s.y_star) / 2
    residual = jnp.where(early, (plus - minus) / 2 - s.y_star, 4 * epsilon * start / product)
    output = jnp.where(early, (plus - minus) / 2, s.y_star + residual)
    N_perp = s.gamma * across(u, v)
    scale = hypotenuse(output, N_perp)
    kernel = s.gamma * shared_rate(s) * (plus + minus)
    return output, residual, kernel, quotient(output, scale), scale


@over_networks("(d),(d)->(d),(d)", Weights)
def _fixed_point(s, u, v):
    p, q, plus, minus, _, E = parts(s, u, v)
    size, up = jnp.abs(s.y_star), s.y_star >= 0
    return _rotated(s, p, q, jnp.where(up, E + size, minus), jnp.where(up, plus, E + size))


@over_networks("(d),(d)->()")
def _learning_speed(s, u, v):
    *_, E = parts(s, u, v)
    return 2 * s.c * s.A * s.gamma * shared_rate(s) * E


@over_networks("(d),(d)->()")
def _kernel_change(s, u, v):
    _, _, plus, minus, _, E = parts(s, u, v)
    M = (plus + minus) / 2
    difference = (s.y_star - s.gamma * dot(u, v)) * (s.y_star + s.gamma * dot(u, v))
    return jnp.where(M > 0, difference / jnp.where(M > 0, M * (E + M), 1), jnp.inf)


def _ratio(s, plus, minus, N, E, times):
    """X and Y with e^{2s(t)} = X/Y, and ε."""
    omega = s.c * s.A * s.gamma * shared_rate(s)
    decay = 2 * omega * E * times
    epsilon = jnp.exp(-decay)
    # T = (1 − ε)/E tends to 2ωt as E → 0.
    safe = jnp.where(decay > 0, decay, 1)
    T = 2 * omega * times * jnp.where(decay > 0, -jnp.expm1(-safe) / safe, 1)
    size = jnp.abs(s.y_star)
    gap = N * quotient(N, E + size)
    ahead, behind = 1 + epsilon + size * T, 2 * epsilon + gap * T
    up = s.y_star >= 0
    X = minus * T + jnp.where(up, ahead, behind)
    Y = plus * T + jnp.where(up, behind, ahead)
    return X, Y, epsilon


def _rotated(s, p, q, X, Y):
    grow, shrink = _factors(X, Y)
    p, q = jnp.multiply.outer(grow, p), jnp.multiply.outer(shrink, q)
    return jnp.sqrt(s.eta_u) / 2 * (p + q), jnp.sqrt(s.eta_w) / 2 * (p - q)


def _factors(X, Y):
    """√(X/Y) and √(Y/X); 0 over a vanishing denominator, where p or q is zero."""
    root_X, root_Y = root(X), root(Y)
    grow = jnp.where(Y > 0, root_X / jnp.where(Y > 0, root_Y, 1), 0)
    shrink = jnp.where(X > 0, root_Y / jnp.where(X > 0, root_X, 1), 0)
    return grow, shrink
