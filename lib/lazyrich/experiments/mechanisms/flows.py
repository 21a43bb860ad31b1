"""The network itself, trained by automatic differentiation on data along a line.

The training knows nothing of the solution, which only says how long it lasts; it is what the
closed form is held against.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import mechanisms as m
from lazyrich.arithmetic import dot, jit
from lazyrich.experiments.mechanisms.cases import KINDS, NEURONS, Cases, random_cases
from lazyrich.training import gradient_flow, train


class Layers(NamedTuple):
    """All weights of a network."""

    u: Float[Array, "*cases d"]
    """Output weights."""
    W: Float[Array, "*cases d inputs"]
    """Input weights."""


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


def flow_cases(
    key: jax.Array, cases: int, kind: str = "random", observations: int = 60
) -> tuple[Cases, LineRun]:
    """Train random cases by gradient flow until the residual fell to 1e-7 of its start.

    The observations are equidistant in time, but for one: where the output crosses zero, that is
    observed too (elsewhere it lies between the first two).

    Args:
        key: a random key.
        cases: their number.
        kind: of the :mod:`~lazyrich.experiments.mechanisms.cases`, a name in ``KINDS``.
        observations: their number.
    """
    chosen = KINDS[kind](random_cases(key, cases))
    return chosen, _flows(*chosen, _observation_times(chosen, observations))


@jit(static_argnames="observations")
def _observation_times(cases, observations):
    duration, crossing = _duration(cases), _time_to(cases, 0.0)
    crosses = (crossing > 0) & (crossing < duration)
    once = jnp.where(crosses, crossing, duration / (2 * observations))
    times = duration[:, None] * jnp.linspace(0.0, 1.0, observations - 1)
    return jnp.sort(jnp.append(times, once[:, None], axis=1))


@jit
def _duration(cases):
    """The time in which each residual falls to 1e-7 of its start."""
    start, y_star = cases.setting.gamma * (cases.u * cases.v).sum(-1), cases.setting.y_star
    return _time_to(cases, y_star + 1e-7 * (start - y_star))


def _time_to(cases, output):
    return m.time_to_reach(cases.setting, cases.u, cases.v, output)


@jit
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
    speed = np.asarray(m.learning_speed(cases.setting, run.u[:, 0], run.v[:, 0]))
    time = speed[:, None, None] * np.asarray(run.times)[..., None]
    series = [x[chosen] for x in (time, growth, shared, U, V, exact_U, exact_V)]
    return Neurons(chosen[:, None, None], np.arange(NEURONS), *series)


@jit
@jax.vmap
def _in_units_of_the_rates(setting, run):
    exact = m.solve(setting, run.u[0], run.v[0], run.times)
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
        np.asarray(m.learning_speed(setting, *start)),
        np.asarray(m.learning_speed(without, *start)),
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
        key: as for :func:`flow_cases`.
        cases: their number.
        steps: the number of equal steps.
        share: how far to go, as a share of the time that :func:`flow_cases` takes.
    """
    chosen = random_cases(key, cases)
    return _descent_from_flow(chosen, share * _duration(chosen), steps=steps)


@jit(static_argnames="steps")
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
    flowed = jnp.array(m.solve(cases.setting, cases.u, cases.v, times[:, None]))[:, :, 0]
    return jnp.sqrt(((descended - flowed) ** 2).sum((0, 2)))


def largest_of_one_sign(cases: Cases, run: LineRun) -> m.State:
    """The state along training of the case that ends largest, of those that keep their sign."""
    start, end = run.output[:, 0], run.output[:, -1]
    one = np.argmax(np.where(start * end > 0, np.abs(end), 0))
    setting = m.Setting(*(x[one] for x in cases.setting))
    return jax.device_get(m.state(setting, run.u[one], run.v[one]))
