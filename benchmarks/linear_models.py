"""Kernels along training, linear models at all times, and Taylor coefficients along a direction.

The networks are those of :mod:`kernels`, with one output, and tanh in the last of the three tasks:

- *along*: the tangent kernel after each step of gradient descent on ½ mean (F − y)²;
- *linear*: the linear model on such a path, at the training inputs and as many others, after each
  step from the start on;
- *coefficients*: those of t ↦ F(θ + t v) up to an order, v another draw of the weights.

A method gives a function without arguments. What is compiled takes all that is drawn as arguments.
"""

import json
import math
import sys
from typing import NamedTuple

import kernels
import measuring
import numpy as np
from kernels import INPUTS, apply, draw, in_torch
from measuring import digits, milliseconds

RATE = 0.01
CASES = {
    "along": {"64 samples, width 256, depth 3; 50 steps": (64, 256, 3, 50)},
    "linear": {
        "64 samples, width 256, depth 3; 500 steps": (64, 256, 3, 500),
        "64 samples, width 256, depth 3; 5,000 steps": (64, 256, 3, 5000),
    },
    "coefficients": {
        "width 512, order 4": (64, 512, 3, 4),
        "width 512, order 6": (64, 512, 3, 6),
        "width 2,048, order 4": (64, 2048, 3, 4),
        "width 2,048, order 6": (64, 2048, 3, 6),
    },
}


class Problem(NamedTuple):
    """A network and its samples, and what each task adds."""

    weights: list
    x: np.ndarray
    relu: bool
    y: np.ndarray
    others: np.ndarray
    direction: list
    count: int
    """Steps, or the order."""


def problem(kind, samples, width, depth, count):
    widths = (INPUTS, *[width] * (depth - 1), 1)
    network = draw(widths, 2 * samples, kind != "coefficients", np.float64)
    random = np.random.default_rng(1)
    y = np.sin(random.normal(size=samples))
    direction = [random.normal(size=W.shape) / W.shape[1] ** 0.5 for W in network.weights]
    x, others = np.split(network.x, 2)
    return Problem(network.weights, x, network.relu, y, others, direction, count)


def in_jax(problem):
    """A network of the library, its parameters, and the samples."""
    import jax
    import jax.numpy as jnp

    from lazyrich import networks

    widths = (problem.x.shape[1], *map(len, problem.weights))
    network = networks.fully_connected(widths, jax.nn.relu if problem.relu else jnp.tanh)
    params, direction = (
        [{"weight": jnp.asarray(W)} for W in arrays]
        for arrays in (problem.weights, problem.direction)
    )
    return network, params, direction, *map(jnp.asarray, (problem.x, problem.y, problem.others))


def compiled(function, *arguments):
    import jax

    program = jax.jit(function)
    return lambda: jax.block_until_ready(program(*arguments))


# The kernel along training.


def along_lazyrich(problem):
    import optax

    from lazyrich import training
    from lazyrich.kernels import empirical_ntk

    network, params, _, x, y, _ = in_jax(problem)
    schedule = range(1, problem.count + 1)

    def run(params, x, y):
        def loss(params, step):
            return training.mean_squared_error(network.apply(params, x)[:, 0], y)

        def observe(params, step):
            return empirical_ntk(network, params, x)

        return training.train(loss, params, optax.sgd(RATE), schedule, observe).observed

    return compiled(run, params, x, y)


def along_jax(problem):
    """A loop over a compiled step, and a compiled kernel through the Jacobian."""
    import jax
    import jax.numpy as jnp

    weights, x, y = jax.tree.map(jnp.asarray, (problem.weights, problem.x, problem.y))

    @jax.jit
    def step(weights, x, y):
        loss = lambda weights: ((apply(weights, x, jax.nn.relu)[:, 0] - y) ** 2).mean() / 2  # noqa: E731
        return [W - RATE * slope for W, slope in zip(weights, jax.grad(loss)(weights), strict=True)]

    @jax.jit
    def kernel(weights, x):
        one = jax.jacrev(lambda weights, x: apply(weights, x, jax.nn.relu))
        return kernels.gram(jax.vmap(one, (None, 0))(weights, x))

    def call():
        moved, found = weights, []
        for _ in range(problem.count):
            moved = step(moved, x, y)
            found.append(kernel(moved, x))
        return jax.block_until_ready(found)

    return call


def along_torch(kernel):
    """A loop in PyTorch, with a kernel of :mod:`kernels`."""

    def method(problem):
        import torch

        _, x = in_torch(problem)
        y = torch.from_numpy(problem.y)

        def call():
            moved, found = problem.weights, []
            for _ in range(problem.count):
                leaves = [torch.tensor(W, requires_grad=True) for W in moved]
                loss = ((apply(leaves, x, torch.relu)[:, 0] - y) ** 2).mean() / 2
                slopes = torch.autograd.grad(loss, leaves)
                moved = [
                    (W.detach() - RATE * slope).numpy()
                    for W, slope in zip(leaves, slopes, strict=True)
                ]
                found.append(kernel(problem._replace(weights=moved))())
            return torch.stack(found)

        return call

    return method


# The linear model.


def linear_lazyrich(problem):
    """The public functions, called as they are."""
    import jax

    predict, arguments = of_library(problem)
    return lambda: jax.block_until_ready(predict(*arguments))


def linear_in_jit(problem):
    predict, arguments = of_library(problem)
    return compiled(predict, *arguments)


def of_library(problem):
    import jax.numpy as jnp

    from lazyrich import linearization as lin
    from lazyrich.kernels import empirical_ntk

    network, params, _, x, y, others = in_jax(problem)
    times = np.arange(problem.count + 1)

    def predict(params, x, y, others):
        both = jnp.concatenate([x, others])
        kernel = empirical_ntk(network, params, both, x)
        return lin.predict_linear(network.apply(params, both)[:, 0], kernel, y, RATE, times)

    return predict, (params, x, y, others)


def linear_torch(problem):
    """The same algebra as one writes it down in PyTorch."""
    import torch

    weights, x = in_torch(problem)
    y, others = torch.from_numpy(problem.y), torch.from_numpy(problem.others)
    both, n = torch.cat([x, others]), len(x)
    kernel = kernels.torch_layers(problem._replace(x=both.numpy()))

    def call():
        T, outputs = kernel()[:, :n], apply(weights, both, torch.relu)[:, 0]
        values, Q = torch.linalg.eigh(T[:n])
        shares = RATE / n * values
        times = torch.arange(problem.count + 1, dtype=T.dtype)[:, None]
        moved = (1 - (1 - shares) ** times) / shares * (Q.T @ (outputs[:n] - y))
        return outputs - RATE / n * (moved @ Q.T) @ T.T

    return call


def linear_steps(problem):
    """A scan over the outputs, with the library's kernel."""
    import jax.numpy as jnp

    from lazyrich import linearization as lin
    from lazyrich.kernels import empirical_ntk

    network, params, _, x, y, others = in_jax(problem)

    def run(params, x, y, others):
        both = jnp.concatenate([x, others])
        kernel = empirical_ntk(network, params, both, x)
        slope = lambda outputs: (outputs - y) / len(y)  # noqa: E731
        outputs = network.apply(params, both)[:, 0]
        return lin.descend_linear(outputs, kernel, slope, RATE, problem.count)

    return compiled(run, params, x, y, others)


def linear_parameters(problem):
    """A scan over the parameters of the linearised network."""
    import jax
    import jax.numpy as jnp

    network, params, _, x, y, others = in_jax(problem)

    def run(params, x, y, others):
        def outputs(params, x):
            return network.apply(params, x)[:, 0]

        start, forward = jax.linearize(
            lambda params: outputs(params, jnp.concatenate([x, others])), params
        )
        _, back = jax.vjp(lambda params: outputs(params, x), params)

        def step(way, _):
            now = start + forward(way)
            [slope] = back((now[: len(y)] - y) / len(y))
            return jax.tree.map(lambda w, s: w - RATE * s, way, slope), now

        still = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(step, still, length=problem.count + 1)[1]

    return compiled(run, params, x, y, others)


# Taylor coefficients.


def coefficients_lazyrich(problem):
    coefficients, arguments = series(problem)
    return compiled(coefficients, *arguments)


def series(problem):
    from lazyrich import derivatives

    network, params, direction, x, _, _ = in_jax(problem)

    def coefficients(params, direction, x):
        return derivatives.taylor_coefficients(
            lambda p: network.apply(p, x), params, direction, problem.count
        )

    return coefficients, (params, direction, x)


def coefficients_jet(problem):
    """JAX's Taylor mode."""
    import jax.numpy as jnp
    from jax.experimental.jet import jet

    network, params, direction, x, _, _ = in_jax(problem)
    factorials = np.array([math.factorial(k) for k in range(problem.count + 1)], float)

    def run(params, direction, x):
        none = [jnp.zeros(())] * (problem.count - 1)

        def function(t):
            moved = [
                {"weight": W["weight"] + t * V["weight"]}
                for W, V in zip(params, direction, strict=True)
            ]
            return network.apply(moved, x)

        value, rest = jet(function, (jnp.zeros(()),), ([jnp.ones(()), *none],))
        return jnp.stack([value, *rest]) / factorials[:, None, None]

    return compiled(run, params, direction, x)


def coefficients_torch(problem):
    """Derivatives of derivatives, forwards."""
    import torch

    weights, x = in_torch(problem)
    direction = [torch.from_numpy(V) for V in problem.direction]

    def longer(g):
        def more(t):
            values, slopes = torch.func.jvp(g, (t,), (torch.ones_like(t),))
            return torch.cat([values[:1], slopes])

        return more

    def g(t):
        moved = [W + t * V for W, V in zip(weights, direction, strict=True)]
        return apply(moved, x, torch.tanh)[None]

    for _ in range(problem.count):
        g = longer(g)
    factorials = torch.tensor([math.factorial(k) for k in range(problem.count + 1)])
    return lambda: g(torch.zeros((), dtype=x.dtype)) / factorials[:, None, None]


def coefficients_series(problem):
    """The series layer by layer, as one writes it down in PyTorch."""
    import torch

    weights, x = in_torch(problem)
    direction, order = [torch.from_numpy(V) for V in problem.direction], problem.count

    def affine(W, V, h):
        """That of (W + t V) h, of which all orders at once meet each matrix."""
        orders, n, width = h.shape
        flat = h.reshape(orders * n, width)
        by_W, by_V = ((flat @ A.T).reshape(orders, n, -1) for A in (W, V))
        z = torch.zeros((order + 1, *by_W.shape[1:]), dtype=h.dtype)
        z[:orders] += by_W
        z[1 : orders + 1] += by_V[:order]
        return z

    def tanh(z):
        """That of h = tanh z, from h' = (1 − h²) z'."""
        h, s = torch.empty_like(z), torch.empty_like(z)
        h[0] = torch.tanh(z[0])
        s[0] = 1 - h[0] ** 2
        for k in range(1, order + 1):
            h[k] = sum(j * z[j] * s[k - j] for j in range(1, k + 1)) / k
            s[k] = -sum(h[j] * h[k - j] for j in range(k + 1))
        return h

    def call():
        h = x[None]
        for W, V in zip(weights[:-1], direction[:-1], strict=True):
            h = tanh(affine(W, V, h))
        return affine(weights[-1], direction[-1], h)

    return call


METHODS = {
    "along": {
        "lazyrich": along_lazyrich,
        "same algebra in PyTorch": along_torch(kernels.torch_layers),
        "JAX Jacobian": along_jax,
        "torch.func Jacobian": along_torch(kernels.torch_jacobian),
    },
    "linear": {
        "lazyrich in jit": linear_in_jit,
        "lazyrich": linear_lazyrich,
        "same algebra in PyTorch": linear_torch,
        "JAX scan, outputs": linear_steps,
        "JAX scan, parameters": linear_parameters,
    },
    "coefficients": {
        "lazyrich in jit": coefficients_lazyrich,
        "series in PyTorch": coefficients_series,
        "JAX jet": coefficients_jet,
        "torch.func jvp": coefficients_torch,
    },
}


# The measurement.


def agree(name, found, expected):
    off = abs(found - expected).max() / abs(expected).max()
    if not (off < 1e-8 and found.shape == expected.shape):
        raise ArithmeticError(f"{name} is {off:.1e} off, of shape {found.shape}")


def limits(kind, problem):
    """A product of matrices of size 512, and LAPACK on the kernel's size."""
    product = {"product": kernels.product(np.float64)}
    if kind != "linear":
        return product
    matrix = np.random.default_rng(2).normal(size=2 * [len(problem.x)])
    return product | {"LAPACK": lambda: np.linalg.eigh(matrix + matrix.T)}


def measured(kind, case):
    one = problem(kind, *CASES[kind][case])
    race = kernels.race(one, METHODS[kind], lambda *_: 0, agree, limits(kind, one))
    return race[0]


def operations(kind, problem):
    """Those of the products of matrices in the library's formula."""
    n, sizes, count = len(problem.x), [W.size for W in problem.weights], problem.count
    if kind == "coefficients":
        first, *later = sizes
        return 2 * n * (2 * first + (2 * count + 1) * sum(later))
    if kind == "along":
        one = kernels.operations(problem)
        return count * (one + 2 * n * (3 * sum(sizes) - sizes[0]))
    before, after = sum(W.shape[1] for W in problem.weights), sum(map(len, problem.weights))
    kernel = 2 * n * (sum(sizes) + sum(sizes[1:])) + 2 * n * n * (before + after)
    return 2 * (kernel + (count + 1) * 3 * n * n)


def first_call(kind, case, name):
    return measuring.first_call(METHODS[kind][name](problem(kind, *CASES[kind][case])))


# The tables.


TITLES = {
    "along": "The kernel at every step of training",
    "linear": "The linear model at all times",
    "coefficients": "Taylor coefficients along a direction",
}
NOTES = {
    "along": "In float64, for ReLU, one output and full-batch gradient descent: the kernel after "
    "each step. The library's is one compiled program, with the kernel observed inside of the "
    "training; the others are loops over steps.",
    "linear": "The outputs of the linear model of such a network at its training inputs and as "
    "many others, at the start and after each step, its kernel included. In closed form by one "
    "eigendecomposition, against scans over the steps, in the space of the outputs and in that of "
    "the parameters. neural-tangents, which has both, is not among them: version 0.6.5 asks JAX "
    "for names that it no longer has.",
    "coefficients": "The coefficients of the outputs of 64 samples in t, at θ + t v, up to an "
    "order, for two hidden layers with tanh. By derivatives of derivatives in one compiled "
    "program, in JAX's Taylor mode, by derivatives of derivatives in PyTorch, and by the series "
    "itself, layer by layer, as one writes it down for this network.",
}
BOUND = (
    "The bound is the time of the products of matrices at the rate of one of size 512, and for "
    "the linear model LAPACK's own. The first call, compilation included, and by how much it "
    "raises the peak of the memory, are of a fresh process."
)


def speed(kind, races):
    ours, *peers = METHODS[kind]
    peers = [name for name in peers if name != "lazyrich"]
    rows = [
        [case, *kernels.times((race, {}), METHODS[kind], ours, peers)]
        + [milliseconds(least := bound(kind, case, race)), digits(race[ours] / least)]
        for case, race in races.items()
    ]
    return {
        "title": TITLES[kind],
        "note": f"{NOTES[kind]} Medians of CPU seconds of one core, compiled before, in memory "
        "that is kept for reuse; all agree to 1e-8 of the largest entry.",
        "columns": ["case", *(f"{name}, ms" for name in METHODS[kind])]
        + [f"{name} ÷ {ours}" for name in peers]
        + ["bound, ms", f"{ours} ÷ bound"],
        "rows": rows,
    }


def bound(kind, case, race):
    one = problem(kind, *CASES[kind][case])
    return operations(kind, one) * race["product"] / (2 * 512**3) + race.get("LAPACK", 0.0)


def first_calls(races):
    rows = []
    for kind, cases in races.items():
        for case, race in cases.items():
            for name in (name for name in METHODS[kind] if name in race):
                took = measuring.apart(__file__, kind, case, name)
                rows.append([case, name, digits(took["first"]), f"{took['memory']:.0f}"])
    return {
        "title": "Training, linear models and coefficients: first call and memory",
        "note": BOUND,
        "columns": ["case", "method", "first call, s", "memory, MiB"],
        "rows": rows,
    }


def main():
    races = {kind: {} for kind in CASES}
    for kind, cases in CASES.items():
        for case in cases:
            print(f"linear models: {kind}, {case}", file=sys.stderr)
            races[kind][case] = measured(kind, case)
    tables = [speed(kind, races[kind]) for kind in CASES]
    print("linear models: first calls", file=sys.stderr)
    tables.append(first_calls(races))
    print(json.dumps({"packages": ["jax", "torch"], "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_call(*sys.argv[1:])))
    else:
        main()
