"""The equivalent linear network: what Gaussian equivalence leaves of training, step by step.

On normal inputs φ(z) acts as μ₁ z and a noise. Of the weights W and v of the linear network it
needs no more than the moments

    A = WᵀW/n,   h = Wᵀv/n,   s = |v|²/n,

so that a width costs nothing. With X̃ = X/√d, c = η (y − f)/N, u = μ₁ X̃ᵀc and k = γ/√n a step of
gradient descent at the rate η γ² adds v g ᵀ to W and W g to v, where g = k u, and so does

    A ← A + h gᵀ + g hᵀ + s g gᵀ,   h ← h + A g + s g + (h·g) g,   s ← s + 2 h·g + gᵀA g,
    f ← f + μ₁ X̃ ((A + s) u + k (h·u) u) + (κ_v + κ_w s) c,

exactly for a linear network, which has no nuggets κ_v and κ_w. Its tangent kernel at γ = 1 is
K = μ₁² X̃ (A + s) X̃ᵀ + (κ_v + κ_w s) I. At γ = 0 the moments stay, and f is the linear model.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import dot, einsum, jit, matmul
from lazyrich.lenses.constants import GaussianMoments
from lazyrich.lenses.levels import descend_to
from lazyrich.validation import ArrayLike


class LayerMoments(NamedTuple):
    """The second moments of the two layers of weights."""

    hidden: Float[Array, "*batch d d"]
    """A = WᵀW/n."""
    cross: Float[Array, "*batch d"]
    """h = Wᵀv/n."""
    output: Float[Array, "*batch"]
    """s = |v|²/n."""


class EquivalentRun(NamedTuple):
    """Where the equivalent linear network reaches a loss."""

    moments: LayerMoments
    """Those of its layers."""
    outputs: Float[Array, "n"]
    """f on the training samples, from which that at the start is taken off."""
    residual: Float[Array, "n"]
    """The residual y − f accumulated over time, Σ c."""
    steps: Int[Array, ""]
    """Their number, with the shortened one."""


class EquivalentReadings(NamedTuple):
    """What the four instruments read of an equivalent linear network."""

    cosine: Float[Array, "*batch"]
    """cos(v, Wβ) = h·β/√(s β·Aβ)."""
    trace: Float[Array, "*batch"]
    """tr K/N."""
    target: Float[Array, "*batch"]
    """yᵀKy/|y|²."""
    ends: Float[Array, "*batch 2"]
    """The smallest and the largest eigenvalue of K."""
    spectrum: Float[Array, "*batch d"]
    """Eigenvalues of WᵀW/n, ascending."""


def infinite_start(inputs: int) -> LayerMoments:
    """The moments of infinitely many neurons with weights ~ N(0, 1): I, 0 and 1.

    >>> infinite_start(2).hidden.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    d = validation.whole("inputs", inputs, least=1)
    return LayerMoments(jnp.eye(d), jnp.zeros(d), jnp.ones(()))


def wishart_start(key: jax.Array, inputs: int, width: int) -> LayerMoments:
    """The moments of n neurons with weights ~ N(0, 1), without these.

    The moments of the d + 1 columns (W, v) are a Wishart matrix T Tᵀ/n, by Bartlett with T lower
    triangular, T_ij ~ N(0, 1) below the diagonal and T_ii² ~ χ² with n − i degrees of freedom: so
    any width costs d². For n ≤ d there are no such numbers, and the weights are drawn.

    Args:
        key: a random key.
        inputs: d.
        width: n.

    >>> bool(abs(wishart_start(jax.random.key(0), 2, 10**8).output - 1) < 1e-3)
    True
    """
    key = validation.random_key("key", key)
    d = validation.whole("inputs", inputs, least=1)
    return drawn_start(key, d, validation.whole("width", width, least=1))


def drawn_start(key, d, n):
    """:func:`wishart_start` of sizes that fit."""
    return _drawn_start(key, float(n), d, columns=min(n, d + 1))


@jit(static_argnames=("d", "columns"))
def _drawn_start(key, n, d, columns):
    normal_key, chi_key = jax.random.split(key)
    T = jax.random.normal(normal_key, (d + 1, columns))
    if columns == d + 1:
        T = jnp.tril(T, -1)
        T = T + jnp.diag(jnp.sqrt(jax.random.chisquare(chi_key, n - jnp.arange(d + 1.0))))
    moments = matmul(T, T.T) / n
    return LayerMoments(moments[:d, :d], moments[:d, d], moments[d, d])


def layer_moments(W: ArrayLike, v: ArrayLike) -> LayerMoments:
    """The moments of given weights, of which a start is one case and a trained network another.

    Args:
        W: hidden weights w_i in rows.
        v: output weights.

    Raises:
        ValueError: if shapes do not fit, or the moments are not in the range of floats.

    >>> layer_moments(jnp.eye(2), jnp.array([1.0, 0.0])).cross.tolist()
    [0.5, 0.0]
    """
    W, v = validation.fitting(W=(W, "h d"), v=(v, "h"))
    n = len(v)
    moments = LayerMoments(matmul(W.T, W) / n, matmul(W.T, v) / n, dot(v, v) / n)
    return validation.in_range("W and v", (W, v), moments)


def train_equivalent(
    x: ArrayLike,
    y: ArrayLike,
    moments: GaussianMoments,
    scale: ArrayLike,
    width: ArrayLike,
    rate: ArrayLike,
    level: ArrayLike,
    start: LayerMoments,
) -> EquivalentRun:
    """The equivalent linear network by gradient descent on ½ mean (f − y)², to a share of its loss.

    The last step is shortened, by a smaller rate, so that the loss is exact. All is nan where the
    loss is not reached in 20,000 steps, as where steps diverge.

    Args:
        x: inputs.
        y: labels.
        moments: of the activation.
        scale: γ, not negative; 0 is the linear model.
        width: n.
        rate: η, that of the linear model: the weights learn at η γ².
        level: ε, the loss over that at the start, from 0.001 to 0.999.
        start: A, h and s.

    Raises:
        ValueError: if shapes do not fit, a number is out of range, or an entry is not finite.

    >>> from lazyrich.lenses.constants import gaussian_moments
    >>> erf, x = gaussian_moments(jax.scipy.special.erf), jnp.eye(2)
    >>> run = train_equivalent(x, jnp.ones(2), erf, 1.0, 4, 0.1, 0.25, infinite_start(2))
    >>> run.outputs.round(4).tolist()
    [0.5, 0.5]
    """
    validation.instance("moments", moments, GaussianMoments)
    x, y, *start = _fitting("start", start, x=(x, "n d"), y=(y, "n"))
    scale = validation.scalar("scale", validation.nonnegative("scale", scale))
    width, rate = validation.positives(width=width, rate=rate)
    level = validation.scalar("level", validation.between("level", level, 1e-3, 0.999))
    return trained(x, y, LayerMoments(*start), scale, width, rate, level, moments)


def equivalent_kernel(
    state: LayerMoments, x: ArrayLike, moments: GaussianMoments
) -> Float[Array, "n n"]:
    """K = μ₁² X̃ (A + s) X̃ᵀ + (κ_v + κ_w s) I, the tangent kernel of the equivalent network.

    Args:
        state: A, h and s.
        x: inputs.
        moments: of the activation.

    Raises:
        ValueError: if shapes do not fit, or the kernel is not in the range of floats.
    """
    validation.instance("moments", moments, GaussianMoments)
    x, *parts = _fitting("state", state, x=(x, "n d"))
    return validation.in_range(
        "state and x", (x, parts), kernel_of(LayerMoments(*parts), x, moments)
    )


def equivalent_readings(
    state: LayerMoments,
    x: ArrayLike,
    y: ArrayLike,
    direction: ArrayLike,
    moments: GaussianMoments,
) -> EquivalentReadings:
    """Cosine, kernel and spectrum of weights of an equivalent linear network.

    The cosine is nan where a layer vanishes along β, and the target kernel where y does.

    Args:
        state: A, h and s.
        x: inputs.
        y: labels.
        direction: β, of length one.
        moments: of the activation.

    Raises:
        ValueError: if β has another length, shapes do not fit, or a reading is not in the range of
            floats.
    """
    validation.instance("moments", moments, GaussianMoments)
    direction = validation.unit("direction", direction)
    arrays = {"x": (x, "n d"), "y": (y, "n"), "direction": (direction, "d")}
    x, y, direction, *parts = _fitting("state", state, **arrays)
    found = readings(LayerMoments(*parts), x, y, direction, moments)
    validation.in_range("state and x", (x, parts), found[1:2] + found[3:])
    return found


def _fitting(of, state, **arrays):
    """Arrays, and the parts of an argument of moments, as floats of shapes that fit."""
    validation.instance(of, state, LayerMoments)
    parts = {"hidden": "d d", "cross": "d", "output": ""}
    of_state = {f"{of}.{name}": (getattr(state, name), axes) for name, axes in parts.items()}
    return validation.fitting(**arrays, **of_state)


@jit
def trained(x, y, start, scale, width, rate, level, moments):
    """:func:`train_equivalent` of what fits."""
    scale, width, rate, level = (jnp.asarray(a, x.dtype) for a in (scale, width, rate, level))
    k, unit = scale / jnp.sqrt(width), x / x.shape[1] ** 0.5

    def step(state, share):
        (A, h, s), f, total = state
        c = share * rate * (y - f) / len(y)
        u = moments.slope * matmul(unit.T, c)
        Au, along, g = matmul(A, u), dot(h, u), k * u
        f = f + moments.slope * matmul(unit, Au + (s + k * along) * u)
        f = f + (moments.output_nugget + moments.hidden_nugget * s) * c
        outer = jnp.outer(h, g)
        moved = LayerMoments(
            A + outer + outer.T + s * jnp.outer(g, g),
            h + k * Au + (s + k * along) * g,
            s + 2 * k * along + k**2 * dot(u, Au),
        )
        return moved, f, total + c

    def loss(state):
        return ((y - state[1]) ** 2).sum()

    first = (start, jnp.zeros_like(y), jnp.zeros_like(y))
    state, steps = descend_to(step, loss, first, level * loss(first))
    return EquivalentRun(*state, steps)


def kernel_of(state, x, moments):
    """:func:`equivalent_kernel` of what fits."""
    inner, nugget = _kernel_parts(state, moments)
    return einsum("ni,ij,mj->nm", x, inner, x) + nugget * jnp.eye(len(x), dtype=x.dtype)


def _kernel_parts(state, moments):
    """What stands between the inputs in K, μ₁² (A + s)/d, and the nugget κ_v + κ_w s."""
    A, _, s = state
    inner = moments.slope**2 / len(A) * (A + s * jnp.eye(len(A), dtype=A.dtype))
    return inner, moments.output_nugget + moments.hidden_nugget * s


@jit
def readings(state, x, y, direction, moments):
    """:func:`equivalent_readings` of what fits; K has d eigenvalues beside its nugget, at most."""
    A, h, s = state
    samples, d = x.shape
    inner, nugget = _kernel_parts(state, moments)
    upper = jnp.linalg.qr(x, mode="r")
    small, along = matmul(upper, matmul(inner, upper.T)), matmul(x.T, y)
    values = jnp.linalg.eigvalsh(small)
    smallest = values[0] if samples <= d else jnp.minimum(values[0], 0)
    return EquivalentReadings(
        dot(h, direction) / jnp.sqrt(s * dot(direction, matmul(A, direction))),
        jnp.trace(small) / samples + nugget,
        dot(along, matmul(inner, along)) / dot(y, y) + nugget,
        jnp.stack([smallest, values[-1]]) + nugget,
        jnp.linalg.eigvalsh(A),
    )
