"""The model, and what it conserves: a one-hidden-layer linear network on one line of data.

The network is f(x) = γ Σ_i u_i (w_i·x), i = 1…d, and the data lie on a line, x = a n with a unit
vector n and a random scalar a. Only v_i := w_i·n moves, and on the line f(a n) = a F with the
**output** F := γ u·v. With A := E[a²] and y* := E[a y]/E[a²] the loss (c/2) E(f − y)² is
(c/2) A (F − y*)² plus a constant, and gradient flow with the rates η_u, η_w of the two layers is

    du_i/dt = −η_u h v_i,   dv_i/dt = −η_w h u_i,   h := c γ A (F − y*).

Write g := √(η_u η_w), p := u/√η_u + v/√η_w, q := u/√η_u − v/√η_w. Then dp/dt = −g h p and
dq/dt = +g h q: **all neurons share one exponential**, p(t) = e^s p(0), q(t) = e^{−s} q(0). With
M := γ g (|p|² + |q|²)/4 the tangent kernel on the line is a a' κ, κ = 2 γ g M, and

    N := √(M² − F²) = γ g |p||q|/2,    N⊥ := γ |u||v| sin ζ,    ζ := angle(u, v)

are conserved. So κ = 2 γ g √(N² + F²) and cot ζ = F/N⊥ follow from the output alone.

Source: Xu & Ziyin, *Three mechanisms of feature learning in a linear network*
(arXiv 2401.07085); the formulas are derived anew here.

Every function is vectorised over networks: the fields of a :class:`Setting` and the leading axes
of the weights broadcast against each other. The tangent kernel must be in the range of the floats,
and so must be what is asked, unless its function says when it is inf or nan.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import all_known, binary_unit, dot, jit
from lazyrich.validation import ArrayLike


class Setting(NamedTuple):
    """The constants of the flow: output scale, rates, data and loss.

    Each is a number, or an array that broadcasts against the leading axes of the weights.
    """

    gamma: ArrayLike = 1.0
    """Output scale γ > 0 in f(x) = γ Σ_i u_i (w_i·x)."""
    eta_u: ArrayLike = 1.0
    """Learning rate η_u > 0 of the output layer."""
    eta_w: ArrayLike = 1.0
    """Learning rate η_w > 0 of the input layer."""
    A: ArrayLike = 1.0
    """Second moment A = E[a²] > 0 of the data."""
    y_star: ArrayLike = 1.0
    """Target y* = E[a y]/E[a²] of the output F, of any sign."""
    c: ArrayLike = 1.0
    """Factor c > 0 of the loss (c/2) E(f − y)²."""


class Weights(NamedTuple):
    """The weights that move: of the output layer, and of the input layer along the line."""

    u: Float[Array, "*shape d"]
    """Output weights u_i."""
    v: Float[Array, "*shape d"]
    """Input weights along the data, v_i = w_i·n."""


class State(NamedTuple):
    """What a network does and is on the line, as scalars."""

    output: Float[Array, "*shape"]
    """F = γ u·v."""
    residual: Float[Array, "*shape"]
    """F − y*."""
    kernel: Float[Array, "*shape"]
    """κ = γ² (η_u |v|² + η_w |u|²), the tangent kernel with the layers' rates inside."""
    cosine: Float[Array, "*shape"]
    """cos ζ between the layers, 0 if one of them vanishes."""
    scale: Float[Array, "*shape"]
    """R = γ |u||v|, so that F = R cos ζ."""


class Amplitudes(NamedTuple):
    """The coordinates in which the neurons do not mix."""

    p: Float[Array, "*shape d"]
    """p_i = u_i/√η_u + v_i/√η_w, which grow as e^s."""
    q: Float[Array, "*shape d"]
    """q_i = u_i/√η_u − v_i/√η_w, which fall as e^{−s}."""


class Invariants(NamedTuple):
    """The two scalars that gradient flow conserves."""

    N: Float[Array, "*shape"]
    """N = √(M² − F²) = γ g |p||q|/2."""
    N_perp: Float[Array, "*shape"]
    """N⊥ = γ |u||v| sin ζ ≤ N, with equality if the layers are balanced."""


def state(setting: Setting, u: ArrayLike, v: ArrayLike) -> State:
    """The scalars of given weights, from their definitions, each of shape (…)."""
    return in_range(_state(*checked(setting, u, v)))


def amplitudes(setting: Setting, u: ArrayLike, v: ArrayLike) -> Amplitudes:
    """The amplitudes p and q of every neuron, each of shape (…, d)."""
    return in_range(_amplitudes(*checked(setting, u, v)))


def invariants(setting: Setting, u: ArrayLike, v: ArrayLike) -> Invariants:
    """The conserved N and N⊥, each of shape (…), at no cancellation.

    N comes from |p||q|, N⊥ from the part of the longer layer across the other. Both cost O(d).
    """
    return in_range(_invariants(*checked(setting, u, v)))


def balance(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape d d"]:
    """The conserved layer balance u_i u_j/η_u − v_i v_j/η_w, shape (…, d, d)."""
    return in_range(_balance(*checked(setting, u, v)))


def areas(setting: Setting, u: ArrayLike, v: ArrayLike) -> Float[Array, "*shape d d"]:
    """The conserved areas u_i v_j − u_j v_i, shape (…, d, d); N⊥ is γ times their norm over √2."""
    return in_range(_areas(*checked(setting, u, v)))


# The formulas for one network; `over_networks` compiles them and vectorises over networks.


def over_networks(signature, result=None):
    """Compile a formula of one network, f(setting, …), and broadcast it over networks."""

    def decorate(formula):
        def one(*arguments):
            return formula(Setting(*arguments[:6]), *arguments[6:])

        many = jnp.vectorize(one, signature="(),(),(),(),(),()," + signature)

        @jit
        def compiled(setting, *arguments):
            values = many(*setting, *arguments)
            return values if result is None else result(*values)

        return compiled

    return decorate


@over_networks("(d),(d)->(),(),(),(),()", State)
def _state(s, u, v):
    output, scale = s.gamma * dot(u, v), s.gamma * length(u) * length(v)
    kernel = s.gamma**2 * (s.eta_u * dot(v, v) + s.eta_w * dot(u, u))
    return output, output - s.y_star, kernel, quotient(output, scale), scale


@over_networks("(d),(d)->(d),(d)", Amplitudes)
def _amplitudes(s, u, v):
    return parts(s, u, v)[:2]


@over_networks("(d),(d)->(),()", Invariants)
def _invariants(s, u, v):
    *_, N, _ = parts(s, u, v)
    return N, s.gamma * across(u, v)


@over_networks("(d),(d)->(d,d)")
def _balance(s, u, v):
    return jnp.outer(u, u) / s.eta_u - jnp.outer(v, v) / s.eta_w


@over_networks("(d),(d)->(d,d)")
def _areas(s, u, v):
    return jnp.outer(u, v) - jnp.outer(v, u)


def parts(s, u, v):
    """p, q, M + F, M − F, N and E = √(y*² + N²)."""
    p = u / jnp.sqrt(s.eta_u) + v / jnp.sqrt(s.eta_w)
    q = u / jnp.sqrt(s.eta_u) - v / jnp.sqrt(s.eta_w)
    plus, minus = (s.gamma * shared_rate(s) / 2 * dot(part, part) for part in (p, q))
    N = s.gamma * shared_rate(s) / 2 * length(p) * length(q)
    return p, q, plus, minus, N, hypotenuse(s.y_star, N)


def shared_rate(s):
    """The rate g = √(η_u η_w)."""
    return jnp.sqrt(s.eta_u * s.eta_w)


def across(u, v):
    """|u||v| sin ζ, from the part of v across u: u·u v·v − (u·v)² would cancel, even below 0."""
    direction = u / _unit(u)
    square = dot(direction, direction)
    along = dot(direction, v) / jnp.where(square > 0, square, 1)
    return length(u) * length(v - along * direction)


def length(x):
    """|x| of a vector, also where its square is no float."""
    unit = _unit(x)
    return unit * root(dot(x / unit, x / unit))


def _unit(x):
    return jax.lax.stop_gradient(binary_unit(jnp, jnp.abs(x).max()))


def root(x):
    """√x, with gradient 0 instead of NaN at x = 0."""
    return jnp.where(x == 0, 0, jnp.sqrt(jnp.where(x == 0, 1, x)))


def hypotenuse(x, y):
    """√(x² + y²), with gradient 0 instead of NaN where both vanish."""
    somewhere = (x != 0) | (y != 0)
    return jnp.where(somewhere, jnp.hypot(jnp.where(somewhere, x, 1), y), 0)


def quotient(x, y):
    """x/y, and 0 where y = 0."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


def checked(setting, u, v, numbers=None, series=None):
    """The arguments as arrays of one dtype, or an error that names the one that does not fit.

    By their names come also numbers, one a network, and series, of which a network has many along
    their last axis.
    """
    u, v = both_layers(u, v)
    if u.dtype != v.dtype:
        raise ValueError(f"u and v must have one dtype, got {u.dtype} and {v.dtype}")
    setting = checked_setting(setting, u.dtype)
    numbers, series = (
        {n: x.astype(u.dtype) for n, x in (d or {}).items()} for d in (numbers, series)
    )
    try:
        jnp.broadcast_shapes(
            *(x.shape for x in (*setting, *numbers.values())),
            *(x.shape[:-1] for x in (u, v, *series.values())),
        )
    except ValueError:
        others = numbers | series
        shapes = {name: x.shape for name, x in (setting._asdict() | others).items() if x.ndim}
        raise ValueError(
            f"{', '.join(['setting', *others, 'u'])} and v must broadcast over networks, "
            f"got u {u.shape}, v {v.shape}, {shapes}"
        ) from None
    _kernel_in_range(setting, u, v)
    return setting, u, v, *numbers.values(), *series.values()


def both_layers(u, v):
    """The weights of both layers as arrays, with as many neurons, at least one."""
    u, v = validation.floating("u", u, ndim=1), validation.floating("v", v, ndim=1)
    if u.shape[-1] != v.shape[-1] or u.shape[-1] == 0:
        raise ValueError(f"u and v must have as many neurons, got shapes {u.shape} and {v.shape}")
    return u, v


def checked_setting(setting, dtype=None, **others):
    """A setting of arrays, each checked for its range, which broadcast against others."""
    validation.instance("setting", setting, Setting)
    arrays = [
        (validation.floating if name == "y_star" else validation.positive)(f"setting.{name}", value)
        for name, value in setting._asdict().items()
    ]
    if others:
        names = [f"setting.{name}" for name in setting._fields]
        validation.broadcasting(**dict(zip(names, arrays, strict=True)), **others)
    return Setting(*(value if dtype is None else value.astype(dtype) for value in arrays))


def _kernel_in_range(setting, u, v):
    """Refuse weights whose squares, on which all formulas rest, are no floats."""
    arguments = (setting.gamma, setting.eta_u, setting.eta_w, u, v)
    if all_known(arguments):
        gamma, eta_u, eta_w, u, v = map(np.asarray, arguments)
        with np.errstate(all="ignore"):
            kernel = gamma**2 * (eta_u * (v * v).sum(-1) + eta_w * (u * u).sum(-1))
        largest = np.array([np.abs(x).max(initial=0) for x in (u, v)])
        validation.in_range("u and v", largest, np.asarray(kernel))


def in_range(result, infinite=False):
    """A result, finite where it is known (or infinite where that is an answer)."""
    for x in jax.tree.leaves(result):
        if not isinstance(x, jax.core.Tracer):
            x = np.asarray(x)
            if not (np.isfinite(x) | (infinite & np.isinf(x))).all():
                raise ValueError(
                    f"setting, weights and times must be of sizes whose results are in the range "
                    f"of {x.dtype}"
                )
    return result
