"""The phase diagram of infinite width: from scaling exponents to kernel or feature learning.

As the width d grows let γ = d^c_γ, η_u = d^r_u, η_w = d^r_w, std(u_i) = d^s_u, std(v_i) = d^s_w,
with the data and the target fixed. The scalars of the exact solution are powers of d, and their
exponents decide the phase.
"""

from typing import NamedTuple

from lazyrich import validation
from lazyrich.mechanisms.setting import Setting, Weights, both_layers, in_range
from lazyrich.validation import ArrayLike


class Scaling(NamedTuple):
    """A parametrisation, as the exponents of the width d."""

    gamma: float
    """Exponent c_γ of the output scale."""
    rate_u: float
    """Exponent r_u of the output layer's learning rate."""
    rate_w: float
    """Exponent r_w of the input layer's learning rate."""
    std_u: float
    """Exponent s_u of the output layer's standard deviation."""
    std_w: float
    """Exponent s_w of the input layer's standard deviation."""


class Exponents(NamedTuple):
    """The exponents of the width d that a parametrisation implies."""

    size: float
    """m, of M(0) and N: m = max(e_u, e_w) with e_u = c_γ + 1 + 2 s_u + (r_w − r_u)/2, and
    e_w = c_γ + 1 + 2 s_w + (r_u − r_w)/2."""
    across: float
    """n⊥ = (e_u + e_w)/2 ≤ m, of N⊥."""
    output: float
    """φ = n⊥ − ½, of |F(0)|."""
    speed: float
    """ℓ = c_γ + (r_u + r_w)/2 + max(m, 0), of λ."""
    kernel_change: float
    """Of |κ(∞)/κ(0) − 1|: −2m + 2 max(φ, 0) if m > 0; of κ(∞)/κ(0): −m otherwise."""


SCHEMES = {
    "NTK": Scaling(-0.5, 0, 0, 0, 0),
    "mean field": Scaling(-1, 1, 1, 0, 0),
    "maximal update": Scaling(0, -1, 1, -1, 0),
    "Kaiming, rates 1/d": Scaling(0, -1, -1, -0.5, 0),
    "Kaiming, rates 1": Scaling(0, 0, 0, -0.5, 0),
    "Xavier, rates 1": Scaling(0, 0, 0, -0.5, -0.5),
    "mean field, rates 1": Scaling(-1, 0, 0, 0, 0),
    "NTK, last layer only": Scaling(-0.5, 0, -2, 0, 0),
    "small initialisation": Scaling(0, 0, 0, -1, -1),
    "lazy but aligning": Scaling(0, -1, 0, -1, 0),
}
"""Named parametrisations. Kaiming is fan-in; Xavier is for an input dimension that stays fixed."""


def exponents(scaling: Scaling) -> Exponents:
    """The exponents of a parametrisation.

    >>> exponents(SCHEMES["NTK"])
    Exponents(size=0.5, across=0.5, output=0.0, speed=0.0, kernel_change=-1.0)
    """
    gamma, rate_u, rate_w, std_u, std_w = map(float, _checked(scaling))
    e_u = gamma + 1 + 2 * std_u + (rate_w - rate_u) / 2
    e_w = gamma + 1 + 2 * std_w + (rate_u - rate_w) / 2
    # Sums of decimal fractions carry rounding, and a phase asks whether an exponent is zero.
    e_u, e_w = round(e_u, 12), round(e_w, 12)
    size, across = max(e_u, e_w), (e_u + e_w) / 2
    output = across - 0.5
    speed = round(gamma + (rate_u + rate_w) / 2 + max(size, 0.0), 12)
    change = -2 * size + 2 * max(output, 0.0) if size > 0 else -size
    return Exponents(size, across, output, speed, change)


def feature_learning(std_u: float, std_w: float) -> Scaling:
    """The parametrisation that learns features from a given initialisation, at a step size of one.

    γ = d^(−1−s_u−s_w), η_u = d^(1+2s_u) and η_w = d^(1+2s_w) are the one solution of
    e_u = e_w = ℓ = 0. With these, U = u/√η_u and V = v/√η_w are 1/√d times standard normal and
    γ √(η_u η_w) = 1, whatever the initialisation: all of them are one network in other units.

    Args:
        std_u: exponent s_u of the output layer's standard deviation.
        std_w: exponent s_w of the input layer's.

    >>> feature_learning(-0.5, 0.0)
    Scaling(gamma=-0.5, rate_u=0.0, rate_w=1.0, std_u=-0.5, std_w=0.0)
    """
    std_u = float(validation.floating("std_u", std_u))
    std_w = float(validation.floating("std_w", std_w))
    return Scaling(-1 - std_u - std_w, 1 + 2 * std_u, 1 + 2 * std_w, std_u, std_w)


def phase(scaling: Scaling) -> str:
    """The phase: ``"kernel"`` if m > 0, else ``"feature"``, with what else there is to say.

    A kernel phase with n⊥ ≤ 0 is ``"kernel, turning"``: the kernel is frozen while the output
    layer turns. A feature phase with m < 0 is ``"feature, plateau"``. Speeds other than ℓ = 0 add
    ``", unstable"`` (ℓ > 0: a step size of one diverges) or ``", frozen"`` (ℓ < 0: nothing moves
    in a time of order one).

    >>> phase(SCHEMES["mean field"]), phase(SCHEMES["lazy but aligning"])
    ('feature', 'kernel, turning')
    """
    e = exponents(scaling)
    if e.size > 0:
        name = "kernel" if e.across > 0 else "kernel, turning"
    else:
        name = "feature" if e.size == 0 else "feature, plateau"
    return name + (", unstable" if e.speed > 0 else ", frozen" if e.speed < 0 else "")


def at_width(scaling: Scaling, u: ArrayLike, v: ArrayLike) -> tuple[Setting, Weights]:
    """The constants and the weights of a parametrisation, all prefactors one.

    Args:
        scaling: the exponents.
        u: standard normal draws, shape (…, d); the width is their last axis.
        v: likewise for the input layer.

    Returns:
        The setting with A = y* = c = 1, and the weights scaled from the draws.
    """
    s, u, v = _checked(scaling), *both_layers(u, v)
    d = float(u.shape[-1])
    setting = Setting(gamma=d**s.gamma, eta_u=d**s.rate_u, eta_w=d**s.rate_w)
    return in_range((setting, Weights(d**s.std_u * u, d**s.std_w * v)))


def _checked(scaling):
    """A scaling of finite numbers."""
    validation.instance("scaling", scaling, Scaling)
    named = zip(Scaling._fields, scaling, strict=True)
    return Scaling(*(validation.floating(f"scaling.{name}", value) for name, value in named))
