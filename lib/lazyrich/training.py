"""Trainers: gradient descent as a scan, gradient flow as an ODE, and what they observe.

A trainer is one pure function, to be compiled and mapped over an ensemble as a whole. What is
observed along the way is any function of the parameters; its results come back stacked along
time. Training that diverges is a result: its parameters become inf or nan, and no error is raised.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import all_known, jit
from lazyrich.validation import ArrayLike


def _itself(params):
    return params


class Trained(NamedTuple):
    """What training leaves."""

    params: Any
    """The parameters at the end."""
    steps: Array
    """The number of steps taken."""
    observed: Any
    """The observations, stacked along their first axis."""
    memory: Any
    """What the optimizer remembers, with which training goes on."""


def train(
    loss: Callable,
    params: Any,
    optimizer: optax.GradientTransformation,
    schedule: Sequence[int],
    observe: Callable | None = None,
    until: ArrayLike = -jnp.inf,
    before: Callable | None = None,
) -> Trained:
    """Minimise a loss by an optax optimizer, observing on a schedule.

    Args:
        loss: ``loss(params, step) -> number``; the step lets it choose its batch.
        params: a pytree; or what an earlier training left, a :class:`Trained`, with which it goes
            on: its steps count on, and its optimizer, of the same kind, has the same memory.
        optimizer: an optax transformation, as ``optax.sgd(0.1)``.
        schedule: after how many steps to observe, increasing; 0 is the start, the last one ends
            the training.
        observe: ``observe(params, step) -> pytree``; by default nothing is observed.
        until: training rests after the first step that began at or below this loss, or at nan;
            the observations that remain repeat the last one.
        before: ``before(params) -> params``, what becomes of the parameters before each step, as
            in weight normalisation; observed is what the step makes of them.

    Raises:
        ValueError: if the schedule is not an increasing sequence of integers ≥ 0, or begins before
            what an earlier training has taken; if params are not finite floats, loss does not give
            a number of them, or optimizer is none of optax.

    >>> loss = lambda x, step: x**2 / 2
    >>> trained = train(loss, 1.0, optax.sgd(0.5), [0, 1, 3], lambda x, step: x)
    >>> trained.observed.tolist()
    [1.0, 0.5, 0.125]
    >>> train(loss, trained, optax.sgd(0.5), [3, 4], lambda x, step: x).observed.tolist()
    [0.125, 0.0625]
    """
    steps = validation.schedule("schedule", schedule)
    validation.instance("optimizer", optimizer, optax.GradientTransformation)
    taken, memory = (params.steps, params.memory) if isinstance(params, Trained) else (0, None)
    if not isinstance(taken, jax.core.Tracer) and steps[0] < taken:
        raise ValueError(f"schedule must begin after {taken} steps, which were taken, got {steps}")
    params = _arrays(params.params if isinstance(params, Trained) else params)
    memory = optimizer.init(params) if memory is None else memory
    [until] = validation.axes(until=(until, ""))
    value = validation.giving("loss", "a number", (), loss, params, 0)
    observe = observe or (lambda params, step: None)
    before = before or _itself
    value_and_grad = jax.value_and_grad(loss)

    def update(carry):
        params, memory, step, _ = carry
        params = before(params)
        value, gradient = value_and_grad(params, step)
        change, memory = optimizer.update(gradient, memory, params)
        return optax.apply_updates(params, change), memory, step + 1, value

    def interval(carry, end):
        def going(carry):
            _, _, step, value = carry
            return (step < end) & (value > until)

        carry = jax.lax.while_loop(going, update, carry)
        return carry, observe(carry[0], carry[2])

    start = (params, memory, taken, jnp.full((), jnp.inf, value.dtype))
    (params, memory, step, _), observed = jax.lax.scan(interval, start, jnp.asarray(steps))
    return Trained(params, step, observed, memory)


def gradient_flow(
    loss: Callable,
    params: Any,
    times: ArrayLike,
    rates: Any = 1.0,
    observe: Callable | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Any:
    """Gradient flow dθ/dt = −rate · ∂loss/∂θ, by an adaptive Runge-Kutta method of order 8.

    Args:
        loss: ``loss(params) -> number``.
        params: a pytree, at time 0.
        times: when to observe, increasing and not negative, shape (times,).
        rates: the learning rates, a pytree of numbers with the structure of `params` or a prefix
            of it.
        observe: ``observe(params) -> pytree``; by default the parameters themselves.
        rtol, atol: relative and absolute tolerance of a step. At the default, weights at the end
            are right to about 1e-11. Between two steps they are interpolated, at a lower order:
            to about 1e-9, at 1e-12 and 1e-14 to 1e-10. For more digits take smaller ones.

    Returns:
        The observations, stacked along time. They are inf after a step limit of a million.
    """
    times = validation.increasing("times", validation.nonnegative("times", times, ndim=1))
    params = _arrays(params)
    rates = validation.parameters("rates", rates)
    validation.positives(rtol=rtol, atol=atol)
    validation.giving("loss", "a number", (), loss, params)
    gradient = jax.grad(loss)

    def field(params):
        return jax.tree.map(
            lambda rate, slope: jax.tree.map(lambda s: -rate.astype(s.dtype) * s, slope),
            rates,
            gradient(params),
        )

    return integrate(field, params, times, rtol, atol, observe or _itself)


def integrate(
    field: Callable, start: Any, times: Array, rtol: float, atol: float, observe: Callable = _itself
) -> Any:
    """The flow dθ/dt = field(θ) from a pytree of arrays, of what fits, observed at times.

    The first step moves the parameters by a hundredth of their size. Diffrax' own is a hundred
    times as long, in which a far start can overflow, and then no step is ever taken.
    """
    import diffrax  # here, since it takes longer to load than all the rest

    size, speed = optax.tree.norm(start), optax.tree.norm(field(start))
    moves = (size > 0) & (speed > 0)
    first = jnp.where(moves, 0.01 * size / jnp.where(moves, speed, 1), 1e-6 * times[-1])

    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, now, _: field(now)),
        diffrax.Dopri8(),
        t0=jnp.zeros_like(times[0]),
        t1=times[-1],
        dt0=jnp.minimum(first, times[-1]),
        y0=start,
        saveat=diffrax.SaveAt(ts=times, fn=lambda t, now, _: observe(now)),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        adjoint=diffrax.ForwardMode(),
        max_steps=1_000_000,
        throw=False,
    ).ys


def ensemble(function: Callable) -> Callable:
    """Compile a function of one network for many: mapped on a CPU, vectorised on a GPU.

    The arguments of the result have one more axis in front, of one length in all. On a CPU each
    member takes only its own number of steps; on a GPU all run at once, as long as the longest.

    Where this process has several devices, that axis is split over them. Each runs its own members
    and keeps their results, and none waits for another. If the devices do not divide the members,
    the last one is repeated to fill up; the copies are cut off again, for which the results are
    gathered on every device at the end. An ensemble within another stays on one device.

    Several devices of a CPU share the threads on which LAPACK decomposes many matrices at once, and
    with JAX 0.10.2 can wait for them for ever. There `function` must decompose one matrix at a
    time, if need be by ``jax.lax.map``.

    Raises:
        ValueError: if the arguments differ in the length of their first axes.

    >>> ensemble(lambda x, y: x + y)(jnp.arange(3.0), jnp.ones(3)).tolist()
    [1.0, 2.0, 3.0]
    """

    def many(*arguments):
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda one: function(*one), arguments)
        return jax.vmap(function)(*arguments)

    @jit
    def mapped(*arguments):
        members, devices = validation.members("arguments", arguments), jax.local_devices()
        within_another = jax.sharding.get_abstract_mesh().manual_axes
        if len(devices) == 1 or within_another:
            return many(*arguments)
        return _sharded(many, devices, members)(*arguments)

    return mapped


def _sharded(many, devices, members):
    """A function of many members, split over devices, the last one repeated to fill up."""
    mesh, spec = _axis_of(devices)
    # The check would refuse loops that begin alike on all devices, as those of training do.
    split = jax.shard_map(many, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    filled = _filled(members, len(devices))

    def function(*arguments):
        # Taken by their numbers, since a concatenation would be sent from device to device.
        results = split(*jax.tree.map(lambda x: jnp.asarray(x)[filled], arguments))
        return jax.tree.map(lambda x: x[:members], results)

    return function


def _axis_of(devices):
    """A mesh of devices with one axis, and that axis for the members."""
    return jax.sharding.Mesh(devices, "members"), jax.sharding.PartitionSpec("members")


def _filled(members, devices):
    """The numbers of the members, the last one repeated so often that the devices divide them."""
    return np.minimum(np.arange(members + -members % devices), members - 1)


def each(function: Callable, *members: Any) -> Any:
    """A function of one network for many: one after another on a CPU, at once on a GPU.

    The members have one more axis in front, and so has what comes back. In contrast to an
    :func:`ensemble`, the function itself is not compiled: what it calls is, on a CPU for one
    member, so that a program serves any number of them and takes the memory of one.

    Several GPUs share the members as those of an ensemble, but in common programs: in a loop of
    unknown length, they wait for the longest of all. The devices of a CPU do not share them.

    Raises:
        ValueError: if the members differ in the length of their first axes.

    >>> each(jax.jit(lambda x, y: x + y), jnp.arange(3.0), jnp.ones(3)).tolist()
    [1.0, 2.0, 3.0]
    """
    members = jax.tree.map(partial(validation.array_of, "members"), members)
    number, devices = validation.members("members", members), jax.local_devices()
    if jax.default_backend() == "cpu":
        leaves, tree = jax.tree.flatten(members)
        rows = zip(*map(np.asarray, leaves), strict=True)
        return stacked(function(*jax.tree.unflatten(tree, row)) for row in rows)
    if len(devices) == 1:
        return jax.vmap(function)(*members)
    filled, axis = _filled(number, len(devices)), jax.sharding.NamedSharding(*_axis_of(devices))
    spread = jax.device_put(jax.tree.map(lambda x: jnp.asarray(x)[filled], members), axis)
    return jax.tree.map(lambda x: x[:number], jax.vmap(function)(*spread))


def stacked(results: Iterable) -> Any:
    """Results of members that were run one by one, pytrees alike, with these on a leading axis.

    One member at a time needs the memory of one, and programs that know nothing of how many follow.

    Raises:
        ValueError: under ``jit``, ``vmap`` or ``grad``, which members run one by one cannot pass.
            Any numbers may, inf and nan among them.

    >>> stacked([{"x": 1.0}, {"x": 2.0}])["x"].tolist()
    [1.0, 2.0]
    """
    results = jax.tree.map(partial(validation.array_of, "results"), list(results))
    if not all_known(results):
        raise ValueError("results must be known numbers, got some that jit, vmap or grad traces")
    return jax.device_put(jax.tree.map(lambda *each: np.stack(each), *results))


def mean_squared_error(predictions: ArrayLike, targets: ArrayLike) -> Float[Array, ""]:
    """½ mean (f − y)², of predictions and targets of one shape; inf or nan where they diverge."""
    predictions = validation.filled(
        "predictions", validation.kind("predictions", predictions, "floats")
    )
    targets = validation.kind("targets", targets, "real numbers")
    if jnp.shape(predictions) != jnp.shape(targets):
        shapes = f"{jnp.shape(predictions)} and {jnp.shape(targets)}"
        raise ValueError(f"predictions and targets must have one shape, got {shapes}")
    return jnp.mean(jnp.subtract(predictions, targets) ** 2) / 2


def _arrays(params):
    return jax.tree.map(jnp.asarray, validation.parameters("params", params))
