"""Trajectories of the exact model: the closed form against solvers of differential equations.

The model is that of :mod:`lazyrich.mechanisms` with y* = A = c = η_u = η_w = 1 and γ = 1/√d,

    du_i/dt = −h v_i,   dv_i/dt = −h u_i,   h = γ (F − 1),   F = γ u·v,

from normal weights of variance 1/√d, so that N ≈ 1 at any width d: the learning speed is
λ ≈ 2√2 γ, and the kernel grows by about 40 %. Asked for are, at 200 times up to λt ≈ 10, the
``scalars`` output, kernel and cosine, or all ``weights``.

A method gives its variants by name, as functions of a tolerance that return a tuple of arrays;
in each of them the axis of the times is the only one of its length.
"""

import bisect
import functools
import json
import sys
from typing import NamedTuple

import measuring
import numpy as np
from measuring import digits, milliseconds, once, ratio

TIMES = 200
CASES = {
    "width 10": (10,),
    "width 100": (100,),
    "width 1,000": (1000,),
    "width 10,000": (10_000,),
    "256 networks, width 100": (256, 100),
}
SOLVERS = ("Tsit5", "Dopri8")
LARGEST = "256 networks, width 100"
TARGET = 1e-8


class Problem(NamedTuple):
    """The start, of shape (2, …, d), the scale γ and the times."""

    weights: np.ndarray
    gamma: float
    times: np.ndarray


def problem(shape):
    weights = np.random.default_rng(0).normal(size=(2, *shape)) / shape[-1] ** 0.25
    times = np.linspace(0, 10 * (shape[-1] / 8) ** 0.5, TIMES)
    return Problem(weights, shape[-1] ** -0.5, times)


# The methods.


def lazyrich(problem, kind):
    """The public functions of the library, with their checks."""
    import jax

    evaluate, arguments = of_library(problem, kind)
    return {"": lambda tolerance: jax.block_until_ready(evaluate(*arguments))}


def lazyrich_in_jit(problem, kind):
    """The same inside a program of the user's, where they check shapes only."""
    import jax

    evaluate, arguments = of_library(problem, kind)
    program = jax.jit(evaluate)
    return {"": lambda tolerance: jax.block_until_ready(program(*arguments))}


def of_library(problem, kind):
    import jax.numpy as jnp

    from lazyrich.mechanisms import Setting, evolve, solve

    def evolved(*arguments):
        state = evolve(*arguments)
        return state.output, state.kernel, state.cosine

    u, v = problem.weights
    arguments = jnp.asarray(u), jnp.asarray(v), jnp.asarray(problem.times)
    evaluate = evolved if kind == "scalars" else solve
    return evaluate, (Setting(gamma=problem.gamma), *arguments)


def closed_form(problem, kind, dtype=np.float64):
    """The closed form as one writes it down in NumPy."""
    (u, v), t, g = (np.asarray(value, dtype) for value in (problem.weights, *problem[:0:-1]))

    def evaluate(tolerance=None):
        p, q = u + v, u - v
        a, b = (g / 2 * (part * part).sum(-1)[..., None] for part in (p, q))
        E = np.sqrt(1 + a * b)
        decay = 2 * g * E * t
        plus, S = 1 + np.exp(-decay), -np.expm1(-decay) / E
        z = (plus + (b + 1) * S) / (plus + (a - 1) * S)
        if kind == "weights":
            root = np.sqrt(z)[..., None]
            growing, shrinking = root * p[..., None, :] / 2, q[..., None, :] / 2 / root
            return growing + shrinking, growing - shrinking
        output = (a * z - b / z) / 2
        return output, g * (a * z + b / z), output / np.sqrt(output**2 + across(g, u, v)[..., None])

    return {"": evaluate}


def diffrax(problem, kind):
    """Networks as one system, each with its own steps (vmapped), or one after the other."""
    import jax
    import jax.numpy as jnp

    g, observe = problem.gamma, observer(problem, kind)
    weights, size = jnp.asarray(problem.weights), problem.weights.shape[-1] ** -0.25

    def field(t, weights, _):
        return slope(g, weights)[..., None] * weights[::-1]

    def alone(solver, weights, tolerance):
        return integrate(solver, field, weights, problem.times, tolerance, size, observe)

    def vmapped(solver, weights, tolerance):
        return jax.vmap(lambda one: alone(solver, one, tolerance), 1)(weights)

    def in_turn(solver, weights, tolerance):
        networks = jnp.moveaxis(weights, 1, 0)
        return jax.lax.map(lambda one: alone(solver, one, tolerance), networks)

    modes = {"": alone}
    if weights.ndim > 2:
        modes = {"one system": alone, "vmapped": vmapped, "in turn": in_turn}
    return variants(modes, weights)


def diffrax_restated(problem, kind):
    """One equation a network, dF/dt = −κ (F − 1): κ follows from F since N is conserved."""
    import jax.numpy as jnp

    g = problem.gamma

    def restated(solver, weights, tolerance):
        u, v = weights
        N_squared = g**2 / 4 * ((u + v) ** 2).sum(-1) * ((u - v) ** 2).sum(-1)

        def kernel(output):
            return 2 * g * jnp.sqrt(N_squared + output**2)

        def field(t, output, _):
            return -kernel(output) * (output - 1)

        output = integrate(solver, field, g * (u * v).sum(-1), problem.times, tolerance)
        return output, kernel(output), output / jnp.sqrt(output**2 + across(g, u, v))

    return variants({"": restated}, jnp.asarray(problem.weights))


def integrate(solver, field, start, times, tolerance, size=1.0, observe=lambda y: y):
    """Steps of adaptive size, forward only, of which no more is kept than what is observed."""
    import diffrax

    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        getattr(diffrax, solver)(),
        times[0],
        times[-1],
        None,
        start,
        saveat=diffrax.SaveAt(ts=times, fn=lambda t, y, _: observe(y)),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance * size),
        adjoint=diffrax.ForwardMode(),
        throw=False,
    ).ys


def variants(modes, weights):
    """Each mode with each solver, compiled; the tolerance is an argument of the program.

    With own steps for every network Dopri8 was never the faster one, and is left out.
    """
    import jax

    def variant(mode, solver):
        program = jax.jit(lambda weights, tolerance: mode(solver, weights, tolerance))
        return lambda tolerance: jax.block_until_ready(program(weights, tolerance))

    return {
        f"{solver} {name}".strip(): variant(mode, solver)
        for name, mode in modes.items()
        for solver in (SOLVERS if name in ("", "one system") else SOLVERS[:1])
    }


def scipy(problem, kind):
    """DOP853, and LSODA by ``odeint``, whose loop is compiled; networks as one system or in turn.

    ``odeint`` cannot keep the scalars alone. It is told that the Jacobian is diagonal, which saves
    it the matrix; Adams' method, which it takes here, uses none.
    """
    from scipy.integrate import DOP853, odeint

    g, times, observe = problem.gamma, problem.times, observer(problem, kind)

    def system(weights):
        start, size = weights.ravel(), weights.shape[-1] ** -0.25

        def field(t, y):
            y = y.reshape(weights.shape)
            return (slope(g, y)[..., None] * y[::-1]).ravel()

        def observed(rows):
            return observe(np.moveaxis(rows.reshape(-1, *weights.shape), 1, 0))

        def dop853(tolerance):
            solver = DOP853(field, 0, start, times[-1], rtol=tolerance, atol=tolerance * size)
            parts, done = [], 0
            while solver.status == "running":
                solver.step()
                upto = np.searchsorted(times, solver.t, side="right")
                if upto > done:
                    parts.append(observed(solver.dense_output()(times[done:upto]).T))
                    done = upto
            return tuple(map(np.concatenate, zip(*parts, strict=True)))

        def lsoda(tolerance):
            rows = odeint(
                field, start, times, tfirst=True, rtol=tolerance, atol=tolerance * size, ml=0, mu=0
            )
            return observed(rows)

        return {"DOP853": dop853, "LSODA": lsoda}

    together = system(problem.weights)
    if problem.weights.ndim == 2:
        return together
    networks = [system(one)["LSODA"] for one in np.moveaxis(problem.weights, 1, 0)]

    def in_turn(tolerance):
        results = [network(tolerance) for network in networks]
        return tuple(map(np.stack, zip(*results, strict=True)))

    together = {f"{name} one system": call for name, call in together.items()}
    return together | {"LSODA in turn": in_turn}


def slope(g, weights):
    """−h = γ (1 − F)."""
    return g - g**2 * (weights[0] * weights[1]).sum(-1)


def across(g, u, v):
    """N⊥²."""
    return g**2 * ((u * u).sum(-1) * (v * v).sum(-1) - (u * v).sum(-1) ** 2)


def observer(problem, kind):
    """What is kept of weights (u, v): the scalars, or all."""
    g = problem.gamma

    def scalars(weights):
        u, v = weights
        uu, vv, output = (u * u).sum(-1), (v * v).sum(-1), g * (u * v).sum(-1)
        return output, g**2 * (uu + vv), output / (g * (uu * vv) ** 0.5)

    return scalars if kind == "scalars" else tuple


METHODS = {
    "lazyrich": lazyrich,
    "lazyrich in jit": lazyrich_in_jit,
    "closed form in NumPy": closed_form,
    "diffrax": diffrax,
    "SciPy": scipy,
    "diffrax on F": diffrax_restated,
}
KINDS = {"scalars": tuple(METHODS), "weights": tuple(METHODS)[:-1]}


# The measurement.


class Entry(NamedTuple):
    """The fastest variant of a method, with the largest tolerance that is accurate enough."""

    variant: str
    tolerance: float
    accuracy: float
    call: object


def race(problem, kind, target=TARGET, names=None):
    """The entry of each method that reaches the target, and the median seconds of all."""
    exact = closed_form(problem, kind, np.longdouble)[""]()
    exact = [values.astype(np.float64) for values in exact]
    entries = {}
    for name in names or KINDS[kind]:
        found = [
            entry
            for variant, call in METHODS[name](problem, kind).items()
            if (entry := tuned(variant, call, exact, kind, target))
        ]
        if found:
            entries[name] = min(found, key=lambda entry: min(once(entry.call) for _ in range(3)))
    calls = {name: entry.call for name, entry in entries.items()}
    return entries, measuring.seconds(calls | limits(problem, exact))


def tuned(variant, call, exact, kind, target):
    """The entry of a variant, or None where no tolerance suffices."""
    tolerances = target * 10.0 ** np.arange(2, -4, -0.25)
    tolerances = tolerances[tolerances > 2.3e-14]  # the least that solvers take
    reached = functools.cache(lambda i: accuracy(call(tolerances[i]), exact, kind))
    first = bisect.bisect_left(range(len(tolerances)), True, key=lambda i: reached(i) <= target)
    if first == len(tolerances):
        return None
    call = functools.partial(call, tolerances[first])
    return Entry(variant, tolerances[first], reached(first), call)


def accuracy(result, exact, kind):
    """The largest relative error: of a scalar over its maximum in time, of a layer in norm."""
    errors = []
    for found, true in zip(result, exact, strict=True):
        found, true = (np.moveaxis(x, np.shape(x).index(TIMES), 0) for x in (found, true))
        if kind == "scalars":
            errors.append(np.max(abs(found - true) / abs(true).max(0)))
        else:
            error, size = (np.linalg.norm(x, axis=-1) for x in (found - true, true))
            errors.append(np.max(error / size))
    return float(np.max(errors))


def limits(problem, exact):
    """Compiled programs that bound the time from below.

    One that does nothing; one that reads the start and writes arrays of the result's shapes; and
    a product of matrices of size 512, for the rate of operations.
    """
    import jax
    import jax.numpy as jnp

    shapes, start, matrix = [x.shape for x in exact], jnp.asarray(problem.weights), jnp.eye(512)
    programs = {
        "empty": (lambda x: x + 1, jnp.zeros(())),
        "moved": (lambda x: [jnp.full(s, x.sum() + i) for i, s in enumerate(shapes)], start),
        "product": (lambda x: x @ x, matrix),
    }

    def call(program, argument):
        program = jax.jit(program)
        return lambda: jax.block_until_ready(program(argument))

    return {name: call(*program) for name, program in programs.items()}


def bound(problem, kind, seconds):
    """The seconds that no compiled program can beat here, and what they are spent on.

    The operations are at least three dot products a network, and a time 20 operations and six
    roots, quotients and exponentials, taken as 10 each; with weights also two a weight and time.
    """
    pairs, networks = problem.weights[0].size, problem.weights[0, ..., 0].size
    operations = 6 * pairs + 80 * TIMES * networks + 4 * TIMES * pairs * (kind == "weights")
    computing = operations * seconds["product"] / (2 * 512**3)
    if computing > seconds["moved"]:
        return computing, "operations"
    return seconds["moved"], "call" if seconds["moved"] < 4 * seconds["empty"] else "memory"


def first_call(name, kind, case, variant, tolerance):
    """What the first call of a variant takes."""
    call = METHODS[name](problem(CASES[case]), kind)[variant]
    return measuring.first_call(lambda: call(float(tolerance)))


# The tables.

NOTES = {
    "scalars": "Medians of CPU seconds of one core, compiled before, in memory that is kept for "
    "reuse. In jit: inside a program of the user's, where values are not checked. diffrax and "
    "SciPy take their fastest variant at the largest tolerance that reaches 1e-8, and keep these "
    "scalars only. Nearly all of the gain over them is algebra that anyone can use: the closed "
    "form, here also in plain NumPy, or the one equation for the output F, of which kernel and "
    "angle are functions. The compiled program adds to it with many networks only, and at small "
    "widths the checks of a call take much of lazyrich's time.",
    "weights": "As before, with both layers kept at all times. Here the compiled program gains "
    "too: it goes through the memory once, which the closed form in NumPy does several times.",
}
TITLES = {
    "scalars": "Trajectories: output, kernel and angle at 200 times, to 1e-8",
    "weights": "Trajectories: all weights at 200 times, to 1e-8",
}


def speed(kind, races):
    rows = []
    for case, (_, seconds) in races.items():
        times = [milliseconds(seconds[name]) for name in KINDS[kind]]
        factors = [ratio(seconds[name] / seconds["lazyrich"]) for name in ("diffrax", "SciPy")]
        rows.append([case, *times, *factors])
    columns = ["case", *(f"{name}, ms" for name in KINDS[kind])]
    columns += ["diffrax ÷ lazyrich", "SciPy ÷ lazyrich"]
    return {"title": TITLES[kind], "note": NOTES[kind], "columns": columns, "rows": rows}


def reached(races):
    names = ("lazyrich", "closed form in NumPy", "diffrax", "SciPy")
    rows = []
    for (kind, case), (entries, seconds) in races.items():
        least, spent = bound(problem(CASES[case]), kind, seconds)
        reached = [f"{entries[name].accuracy:.0e} {entries[name].variant}" for name in names]
        above = [ratio(seconds[name] / least) for name in ("lazyrich", "lazyrich in jit")]
        rows.append([f"{kind}, {case}", *reached, milliseconds(least), spent, *above])
    return {
        "title": "Trajectories: accuracy and lower bound",
        "note": "The largest relative error against the closed form in extended precision, and "
        "the variant that was fastest; then the time that no compiled program can beat: that of "
        "reading the start and writing a result of this shape, or of the operations at the rate "
        "of a matrix product, whichever is more. A call: so little is to be done that starting a "
        "program takes longer.",
        "columns": ["case", *names, "bound, ms", "bound by", "lazyrich ÷ bound", "in jit ÷ bound"],
        "rows": rows,
    }


def growth(races):
    steps = [("width 10", "width 100"), ("width 100", "width 1,000")]
    steps += [("width 1,000", "width 10,000"), ("width 100", "256 networks, width 100")]
    rows = [
        [f"{name}, {kind}"]
        + [digits(races[kind, new][1][name] / races[kind, old][1][name]) for old, new in steps]
        for kind, names in KINDS.items()
        for name in names
    ]
    return {
        "title": "Trajectories: growth of the time",
        "note": "By which factor the time grows as the width grows tenfold, and from one network "
        "of width 100 to 256.",
        "columns": ["method", "10 to 100", "100 to 1,000", "1,000 to 10,000", "1 to 256 networks"],
        "rows": rows,
    }


def first_calls(races):
    rows = []
    for kind, names in KINDS.items():
        for name in names:
            if name == "lazyrich in jit":
                continue
            entry = races[kind, LARGEST][0][name]
            call = name, kind, LARGEST, entry.variant, entry.tolerance
            took = measuring.apart(__file__, *call)
            numbers = [digits(took["first"]), f"{took['memory']:.0f}", milliseconds(took["later"])]
            rows.append([f"{name}, {kind}", *numbers])
    return {
        "title": f"Trajectories: first call and memory, {LARGEST}",
        "note": "CPU seconds of the first call in a fresh process, compilation included; by how "
        "much it raises the peak of the memory above that of the imports; and the calls after it. "
        "Here memory is allocated as usual: an array above 32 MiB (with glibc) is made of fresh "
        "pages at every call, and with all weights these take most of the time.",
        "columns": ["method", "first call, s", "memory, MiB", "later calls, ms"],
        "rows": rows,
    }


def precision(case="width 10,000", targets=(1e-4, 1e-6, 1e-8, 1e-10, 1e-12)):
    names = ("lazyrich", "diffrax", "SciPy")
    rows = []
    for target in targets:
        _, seconds = race(problem(CASES[case]), "scalars", target, names)
        times = [milliseconds(seconds[name]) if name in seconds else "–" for name in names]
        rows.append([f"{target:.0e}", *times])
    return {
        "title": f"Trajectories: work against precision, scalars at {case}",
        "note": "Each solver's fastest variant at the largest tolerance that reaches the "
        "accuracy; the closed form is exact to rounding at one price.",
        "columns": ["relative accuracy", *(f"{name}, ms" for name in names)],
        "rows": rows,
    }


def main():
    races = {}
    for kind in KINDS:
        for case, shape in CASES.items():
            print(f"trajectories: {kind}, {case}", file=sys.stderr)
            races[kind, case] = race(problem(shape), kind)
    tables = [speed(kind, {case: races[kind, case] for case in CASES}) for kind in KINDS]
    print("trajectories: accuracy, growth, memory and precision", file=sys.stderr)
    tables += [reached(races), growth(races), first_calls(races), precision()]
    print(json.dumps({"packages": ["jax", "diffrax", "numpy", "scipy"], "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_call(*sys.argv[1:])))
    else:
        main()
