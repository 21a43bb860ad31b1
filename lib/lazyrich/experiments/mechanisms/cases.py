"""Networks with all their input weights, and data along a line: many of each, at random.

The network is f(x) = γ Σ_i u_i (w_i·x) with all its input weights W, of shape (d, inputs).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import mechanisms as m
from lazyrich.arithmetic import jit
from lazyrich.draws import standard_normals

SAMPLES, NEURONS, INPUTS = 32, 11, 6


class Line(NamedTuple):
    """Data on one line, x_i = a_i n."""

    x: Float[Array, "*cases samples inputs"]
    """Inputs a_i n."""
    y: Float[Array, "*cases samples"]
    """Labels."""
    a: Float[Array, "*cases samples"]
    """Positions along the line."""
    direction: Float[Array, "*cases inputs"]
    """The unit vector n."""


class Cases(NamedTuple):
    """Networks with their data, all on one leading axis."""

    setting: m.Setting
    """The constants, with A and y* those of the data."""
    u: Float[Array, "cases d"]
    """Output weights at the start; the neurons that a narrower network lacks are zero."""
    W: Float[Array, "cases d inputs"]
    """Input weights at the start."""
    line: Line
    """Data on a line."""

    @property
    def v(self) -> Float[Array, "cases d"]:
        """The input weights along the data, v = W n."""
        return jnp.einsum("cdi,ci->cd", self.W, self.line.direction)


def random_cases(key: jax.Array, cases: int) -> Cases:
    """Networks of random width, scale, rates, data and loss.

    The width is uniform on 1…11; γ, η_u, η_w and E[a²] are log-normal (E[a²] up to the scatter of
    32 samples), y* is normal with deviation 2, the weights are normal with a log-normal deviation
    of median ½, and c is 1 or 2.
    """
    on_normal, on_uniform = jax.random.split(key)
    shapes = (5,), (), (SAMPLES,), (SAMPLES,), (INPUTS,), (NEURONS,), (NEURONS, INPUTS)
    normals = standard_normals(on_normal, shapes, (cases,))
    return _cases(*normals, *jax.random.uniform(on_uniform, (2, cases, 1)))


@jit
def _cases(scales, slope, a, noise, direction, u, W, width, choice):
    gamma, eta_u, eta_w, power, std = jnp.exp(scales.T)
    a = jnp.sqrt(power)[:, None] * a
    y = 2 * slope[:, None] * a + jnp.sqrt(power)[:, None] * noise / 2
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    present = jnp.arange(NEURONS) < 1 + jnp.floor(NEURONS * width)
    A = (a**2).mean(-1)
    y_star, c = (a * y).mean(-1) / A, jnp.where(choice[:, 0] < 0.5, 1.0, 2.0)
    setting = m.Setting(gamma, eta_u, eta_w, A, y_star, c)
    line = Line(a[..., None] * direction[:, None], y, a, direction)
    size = std[:, None] / 2 * present
    return Cases(setting, size * u, size[..., None] * W, line)


@jit
def aligned(cases: Cases) -> Cases:
    """The same cases with parallel layers, v = 0.7 u."""
    change = 0.7 * cases.u - cases.v
    return cases._replace(W=cases.W + jnp.einsum("cd,ci->cdi", change, cases.line.direction))


@jit
def at_targets(cases: Cases) -> Cases:
    """The first case as often as there are cases, without label noise, at targets from 0 to 4 N."""
    cases = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), cases)
    N = m.invariants(cases.setting, cases.u, cases.v).N
    y_star = jnp.linspace(0.0, 4.0, len(N)) * N
    line = cases.line._replace(y=y_star[:, None] * cases.line.a)
    return cases._replace(setting=cases.setting._replace(y_star=y_star), line=line)


KINDS = {"random": lambda cases: cases, "aligned": aligned, "targets": at_targets}
"""The kinds of cases, as functions of random ones."""
