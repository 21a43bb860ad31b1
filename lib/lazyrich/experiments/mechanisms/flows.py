"""The network itself, trained by automatic differentiation on data along a line.

The training knows nothing of the solution; it is what the closed form is held against. The network
is f(x) = γ Σ_i u_i (w_i·x) with all its input weights W, of shape (d, inputs).
"""

import math
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich.arithmetic import dot
from lazyrich.draws import standard_normal
from lazyrich.mechanisms.setting import Setting, State, invariants, state
from lazyrich.mechanisms.solution import learning_speed, solve, time_to_reach
from lazyrich.training import gradient_flow, train

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


class Layers(NamedTuple):
    """All weights of a network."""

    u: Float[Array, "*cases d"]
    """Output weights."""
    W: Float[Array, "*cases d inputs"]
    """Input weights."""


class Cases(NamedTuple):
    """Networks with their data, all on one leading axis."""

    setting: Setting
    """The constants, with A and y* those of the data."""
    u: Float[Array, "cases d"]
    """Output weights at the start; the neurons that a narrower network lacks are zero."""
    W: Float[Array, "cases d inputs"]
    """Input weights at the start."""
    line: Line
    """Data on a line."""


class LineRun(NamedTuple):
    """Networks along training: what autodiff and the definitions say."""

    times: Float[Array, "cases times"]
    """Times of observation."""
    u: Float[Array, "cases times d"]
    """Output weights."""
    v: Float[Array, "cases times d"]
    """Input weights along the data, v = W n."""
    across: Float[Array, "cases times d inputs"]
    """Input weights across the data, W − v nᵀ."""
    output: Float[Array, "cases times"]
    """Output F on the line, the network's value at the unit vector n."""
    kernel: Float[Array, "cases times"]
    """Tangent kernel κ on the line, with the rates inside, from derivatives of the network."""
    loss: Float[Array, "cases times"]
    """Training loss."""


def predict(gamma, u, W, x: Float[Array, "samples inputs"]) -> Float[Array, "samples"]:
    """The network's outputs, γ x Wᵀ u."""
    return gamma * dot(dot(x, W.T), u)


def random_cases(key: jax.Array, cases: int) -> Cases:
    """Networks of random width, scale, rates, data and loss.

    The width is uniform on 1…11; γ, η_u, η_w and E[a²] are log-normal (E[a²] up to the scatter of
    32 samples), y* is normal with deviation 2, the weights are normal with a log-normal deviation
    of median ½, and c is 1 or 2.
    """
    on_normal, on_uniform = jax.random.split(key)
    # One draw of each kind, cut into pieces: compiling a draw takes longer than all the rest.
    shapes = (5,), (), (SAMPLES,), (SAMPLES,), (INPUTS,), (NEURONS,), (NEURONS, INPUTS)
    cuts = list(accumulate(math.prod(shape) for shape in shapes))
    normal = np.split(standard_normal(on_normal, (cases, cuts[-1])), cuts[:-1], axis=1)
    pieces = [piece.reshape(cases, *shape) for piece, shape in zip(normal, shapes, strict=True)]
    return _cases(*pieces, *jax.random.uniform(on_uniform, (2, cases, 1)))


@jax.jit
def _cases(scales, slope, a, noise, direction, u, W, width, choice):
    gamma, eta_u, eta_w, power, std = jnp.exp(scales.T)
    a = jnp.sqrt(power)[:, None] * a
    y = 2 * slope[:, None] * a + jnp.sqrt(power)[:, None] * noise / 2
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    present = jnp.arange(NEURONS) < 1 + jnp.floor(NEURONS * width)
    A = (a**2).mean(-1)
    y_star, c = (a * y).mean(-1) / A, jnp.where(choice[:, 0] < 0.5, 1.0, 2.0)
    setting = Setting(gamma, eta_u, eta_w, A, y_star, c)
    line = Line(a[..., None] * direction[:, None], y, a, direction)
    size = std[:, None] / 2 * present
    return Cases(setting, size * u, size[..., None] * W, line)


def along_line(cases: Cases) -> Float[Array, "cases d"]:
    """The input weights along the data, v = W n."""
    return jnp.einsum("cdi,ci->cd", cases.W, cases.line.direction)


@jax.jit
def aligned(cases: Cases) -> Cases:
    """The same cases with parallel layers, v = 0.7 u."""
    change = 0.7 * cases.u - along_line(cases)
    return cases._replace(W=cases.W + jnp.einsum("cd,ci->cdi", change, cases.line.direction))


@jax.jit
def at_targets(cases: Cases) -> Cases:
    """The first case as often as there are cases, without label noise, at targets from 0 to 4 N."""
    cases = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), cases)
    N = invariants(cases.setting, cases.u, along_line(cases)).N
    y_star = jnp.linspace(0.0, 4.0, len(N)) * N
    line = cases.line._replace(y=y_star[:, None] * cases.line.a)
    return cases._replace(setting=cases.setting._replace(y_star=y_star), line=line)


KINDS = {"random": lambda cases: cases, "aligned": aligned, "targets": at_targets}


def flow_cases(
    key: jax.Array, cases: int, kind: str = "random", observations: int = 60
) -> tuple[Cases, LineRun]:
    """Train :func:`random_cases` by gradient flow until the residual fell to 1e-7 of its start.

    The observations are equidistant in time, but for one: where the output crosses zero, that is
    observed too (elsewhere it lies between the first two).

    Args:
        key: a random key.
        cases: their number.
        kind: ``"random"``, ``"aligned"`` or ``"targets"``, see :func:`aligned`, :func:`at_targets`.
        observations: their number.
    """
    chosen = KINDS[kind](random_cases(key, cases))
    return chosen, _flows(*chosen, _observation_times(chosen, observations))


@partial(jax.jit, static_argnames="observations")
def _observation_times(cases, observations):
    duration, crossing = _duration(cases), _time_to(cases, 0.0)
    crosses = (crossing > 0) & (crossing < duration)
    once = jnp.where(crosses, crossing, duration / (2 * observations))
    times = duration[:, None] * jnp.linspace(0.0, 1.0, observations - 1)
    return jnp.sort(jnp.append(times, once[:, None], axis=1))


@jax.jit
def _duration(cases, least=1e-7):
    """The time in which each residual falls to a share of its start."""
    start = cases.setting.gamma * (cases.u * along_line(cases)).sum(-1)
    return _time_to(cases, cases.setting.y_star + least * (start - cases.setting.y_star))


def _time_to(cases, output):
    return time_to_reach(cases.setting, cases.u, along_line(cases), output)


@jax.jit
@jax.vmap
def _flows(setting, u, W, line, times):
    def observe(params):
        f = lambda params: predict(setting.gamma, *params, line.direction[None])[0]  # noqa: E731
        output, slope = jax.value_and_grad(f)(params)
        kernel = setting.eta_u * (slope.u**2).sum() + setting.eta_w * (slope.W**2).sum()
        v = dot(params.W, line.direction)
        across = params.W - jnp.outer(v, line.direction)
        return params.u, v, across, output, kernel, loss(params)

    loss, rates = _loss(setting, line), Layers(setting.eta_u, setting.eta_w)
    return LineRun(times, *gradient_flow(loss, Layers(u, W), times, rates, observe, 1e-13, 1e-15))


def _loss(setting, line):
    """The loss (c/2) mean (f − y)² over the points of the line."""

    def loss(params, step=0):
        error = predict(setting.gamma, *params, line.x) - line.y
        return setting.c * (error**2).mean() / 2

    return loss


class Neurons(NamedTuple):
    """The neurons of some networks along training; those that a network lacks are nan."""

    network: Float[Array, "networks 1 1"]
    """The number of the network among the cases."""
    neuron: Float[Array, "neurons"]
    """The number of the neuron."""
    time: Float[Array, "networks times 1"]
    """λ t."""
    growth: Float[Array, "networks times neurons"]
    """p_i(t)/p_i(0)."""
    shared: Float[Array, "networks times 1"]
    """The factor that all neurons share, e^s, in closed form."""
    U: Float[Array, "networks times neurons"]
    """u_i/√η_u."""
    V: Float[Array, "networks times neurons"]
    """v_i/√η_w."""
    exact_U: Float[Array, "networks times neurons"]
    """U in closed form."""
    exact_V: Float[Array, "networks times neurons"]
    """V in closed form."""


def neurons(cases: Cases, run: LineRun, networks: int = 4) -> Neurons:
    """The neurons of the networks that grow or shrink most, of those with three or more."""
    (U, V), (exact_U, exact_V) = jax.device_get(_in_units_of_the_rates(cases.setting, run))
    missing = run.u[:, 0] == 0
    p, exact_p = np.where(missing[:, None], np.nan, [U + V, exact_U + exact_V])
    growth, exact = p / p[:, :1], exact_p / exact_p[:, :1]
    shared = np.nanmean(exact, axis=-1, keepdims=True)
    wide = np.flatnonzero((~missing).sum(1) >= 3)
    chosen = wide[np.argsort(-np.abs(np.log(shared[wide, -1, 0])))][:networks]
    time = np.asarray(learning_speed(cases.setting, run.u[:, 0], run.v[:, 0]))[:, None] * run.times
    series = [x[chosen] for x in (time[..., None], growth, shared, U, V, exact_U, exact_V)]
    return Neurons(chosen[:, None, None], np.arange(NEURONS), *series)


@jax.jit
@jax.vmap
def _in_units_of_the_rates(setting, run):
    exact = solve(setting, run.u[0], run.v[0], run.times)
    units = jnp.sqrt(setting.eta_u), jnp.sqrt(setting.eta_w)
    return [[w / unit for w, unit in zip(ws, units, strict=True)] for ws in (run[1:3], exact)]


class Speeds(NamedTuple):
    """How fast the residual decays, a row a network."""

    measured: Float[Array, "cases"]
    """The rate in the last quarter of the training."""
    law: Float[Array, "cases"]
    """λ."""
    without_target: Float[Array, "cases"]
    """λ at the target zero, 2cAγgN."""


def speeds(cases: Cases, run: LineRun) -> Speeds:
    """The speed of learning of trained cases, measured and as the closed form says."""
    setting, start = cases.setting, (run.u[:, 0], run.v[:, 0])
    without = setting._replace(y_star=np.zeros_like(setting.y_star))
    return Speeds(
        final_rate(run.times, run.output - setting.y_star[:, None]),
        np.asarray(learning_speed(setting, *start)),
        np.asarray(learning_speed(without, *start)),
    )


def final_rate(times: Float[Array, "cases times"], residual: Float[Array, "cases times"]) -> Array:
    """The rate at which each residual decays in the last quarter of its observations.

    The least-squares slope of −ln |residual| against time, shape (cases,).
    """
    late = slice(-(times.shape[1] // 4), None)
    times, logs = times[:, late], np.log(np.abs(residual[:, late]))
    centred = times - times.mean(1, keepdims=True)
    return -(centred * logs).sum(1) / (centred**2).sum(1)


def descent_from_flow(
    key: jax.Array, cases: int, steps: int, share: float
) -> Float[Array, "cases"]:
    """How far gradient descent by autodiff ends from the gradient flow, over all moving weights.

    Args:
        key: as for :func:`random_cases`.
        cases: their number.
        steps: the number of equal steps.
        share: how far to go, as a share of the time that :func:`flow_cases` takes.
    """
    chosen = random_cases(key, cases)
    return _descent_from_flow(chosen, share * _duration(chosen), steps=steps)


@partial(jax.jit, static_argnames="steps")
def _descent_from_flow(cases, times, steps):
    def descend(setting, u, W, line, time):
        rate = time / steps
        optimizer = optax.partition(
            {"u": optax.sgd(rate * setting.eta_u), "W": optax.sgd(rate * setting.eta_w)},
            Layers("u", "W"),
        )
        params = train(_loss(setting, line), Layers(u, W), optimizer, [steps]).params
        return params.u, dot(params.W, line.direction)

    descended = jnp.array(jax.vmap(descend)(*cases, times))
    flowed = jnp.array(solve(cases.setting, cases.u, along_line(cases), times[:, None]))[:, :, 0]
    return jnp.sqrt(((descended - flowed) ** 2).sum((0, 2)))


def largest_of_one_sign(cases: Cases, run: LineRun) -> State:
    """The state along training of the case that ends largest, of those that keep their sign."""
    start, end = run.output[:, 0], run.output[:, -1]
    one = np.argmax(np.where(start * end > 0, np.abs(end), 0))
    return jax.device_get(state(Setting(*(x[one] for x in cases.setting)), run.u[one], run.v[one]))
