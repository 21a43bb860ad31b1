"""Tangent kernels of fully connected networks: layer by layer, against the Jacobian.

Networks without biases, F(x) = W^L φ(⋯ φ(W^1 x)) with φ = ReLU or none, W_ij ~ N(0, 1/fan-in) and
normal inputs. Asked for is J Jᵀ, J the Jacobian with a row a sample and output. A method gives a
function without arguments, or None where it fails; one whose package is missing is left out.

What the spectra of :mod:`gauss_newton` need too stands here.
"""

import json
import sys
from itertools import pairwise
from typing import NamedTuple

import measuring
import numpy as np
from measuring import digits, milliseconds, ratio

INPUTS = 64
CASES = {  # samples, width, depth, outputs
    "64 samples, width 256, depth 3": (64, 256, 3, 1),
    "128 samples, width 512, depth 4": (128, 512, 4, 1),
    "256 samples, width 1,024, depth 4": (256, 1024, 4, 1),
    "64 samples, width 512, depth 4, 10 outputs": (64, 512, 4, 10),
    "256 samples, width 1,024, depth 4, 10 outputs": (256, 1024, 4, 10),
}
ROUNDS = 5
LIMIT = 4e9  # the bytes beyond which nothing is run


class Problem(NamedTuple):
    """A network and its samples."""

    weights: list
    x: np.ndarray
    relu: bool


def draw(widths, samples, relu, dtype):
    random = np.random.default_rng(0)
    shapes = [(later, earlier) for earlier, later in pairwise(widths)]
    weights = [random.normal(size=shape) / shape[1] ** 0.5 for shape in shapes]
    x = random.normal(size=(samples, widths[0]))
    return Problem([W.astype(dtype) for W in weights], x.astype(dtype), relu)


def problem(samples, width, depth, outputs):
    return draw((INPUTS, *[width] * (depth - 1), outputs), samples, True, np.float32)


def apply(weights, x, activation):
    """The outputs, for arrays of JAX and of PyTorch alike."""
    *hidden, last = weights
    for W in hidden:
        x = activation(x @ W.T)
    return x @ last.T


# The methods.


def lazyrich(problem):
    """The public function, called as it is."""
    import jax

    kernel, arguments = of_library(problem)
    return lambda: jax.block_until_ready(kernel(*arguments))


def lazyrich_in_jit(problem):
    """The same inside a program of the user's."""
    import jax

    kernel, arguments = of_library(problem)
    program = jax.jit(kernel)
    return lambda: jax.block_until_ready(program(*arguments))


def of_library(problem):
    import jax.numpy as jnp

    from lazyrich import kernels, networks

    network = networks.fully_connected((problem.x.shape[1], *map(len, problem.weights)))
    params = [{"weight": jnp.asarray(W)} for W in problem.weights]
    arguments = params, jnp.asarray(problem.x)
    return lambda params, x: kernels.empirical_ntk(network, params, x), arguments


def torch_layers(problem):
    """The same algebra, layer by layer, as one writes it down in PyTorch."""
    import torch

    weights, x = in_torch(problem)
    n, k = len(x), len(weights[-1])

    def call():
        features, slopes = [x], []
        for W in weights[:-1]:
            z = features[-1] @ W.T
            features.append(torch.relu(z) if problem.relu else z)
            slopes.append((z > 0)[:, None] if problem.relu else 1)
        back, kernel = torch.eye(k, dtype=x.dtype).expand(n, k, k), 0
        for layer in reversed(range(len(weights))):
            h, D = features[layer], back.reshape(n * k, -1)
            kernel = kernel + (h @ h.T)[:, None, :, None] * (D @ D.T).reshape(n, k, n, k)
            if layer:
                back = back @ weights[layer] * slopes[layer - 1]
        return kernel.reshape(n * k, n * k)

    return call


def jax_jacobian(problem):
    """The Jacobian of each sample, and its product with itself array by array."""
    import jax
    import jax.numpy as jnp

    weights, x = [jnp.asarray(W) for W in problem.weights], jnp.asarray(problem.x)
    activation = jax.nn.relu if problem.relu else lambda z: z

    @jax.jit
    def program(weights, x):
        one = jax.jacrev(lambda weights, x: apply(weights, x, activation))
        return gram(jax.vmap(one, (None, 0))(weights, x))

    return lambda: jax.block_until_ready(program(weights, x))


def torch_jacobian(problem):
    """The same with PyTorch."""
    import torch

    weights, x = in_torch(problem)
    activation = torch.relu if problem.relu else lambda z: z
    one = torch.func.jacrev(lambda weights, x: apply(weights, x, activation))
    return lambda: gram(torch.func.vmap(one, (None, 0))(weights, x))


def gram(blocks):
    rows = [block.reshape(block.shape[0] * block.shape[1], -1) for block in blocks]
    return sum(block @ block.T for block in rows)


def in_torch(problem):
    import torch

    torch.set_num_threads(1)
    return tuple(map(torch.from_numpy, problem.weights)), torch.from_numpy(problem.x)


METHODS = {
    "lazyrich": lazyrich,
    "lazyrich in jit": lazyrich_in_jit,
    "same algebra in PyTorch": torch_layers,
    "JAX Jacobian": jax_jacobian,
    "torch.func Jacobian": torch_jacobian,
}


# The measurement.


def jacobian_bytes(problem):
    entries = sum(W.size for W in problem.weights) * len(problem.x) * len(problem.weights[-1])
    return entries * problem.x.itemsize


def needs(name, problem):
    """The bytes that a method cannot do without, where they may be many."""
    return jacobian_bytes(problem) if name.endswith("Jacobian") else 0


def race(problem, methods, needs, agree, limits):
    """The median seconds of what agrees and fits, and of the limits, and what the others need."""
    calls, too_large, expected = {}, {}, None
    for name, method in methods.items():
        if needs(name, problem) > LIMIT:
            too_large[name] = needs(name, problem)
            continue
        try:
            call = method(problem)
        except ImportError:
            continue
        if call is None:
            continue
        found = np.asarray(call())
        expected = found if expected is None else expected
        agree(name, found, expected)
        calls[name] = call
    return measuring.seconds(calls | limits, ROUNDS), too_large


def agree(name, found, expected):
    off = abs(found - expected).max() / abs(expected).max()
    if not (off < 1e-5 and found.dtype == expected.dtype):
        raise ArithmeticError(f"{name} is {off:.1e} off, in {found.dtype}")


def product(dtype):
    """A product of matrices of size 512, for the rate of operations."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.eye(512, dtype=dtype)
    program = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(program(matrix, matrix))


def operations(problem):
    """Those of the products: forward, backward, and of each layer's two matrices of products."""
    n, k = len(problem.x), len(problem.weights[-1])
    forward = n * sum(W.size for W in problem.weights[:-1])
    backward = n * k * sum(W.size for W in problem.weights[1:])
    before = n**2 * sum(W.shape[1] for W in problem.weights)
    after = (n * k) ** 2 * sum(len(W) for W in problem.weights[:-1])
    return 2 * (forward + backward + before + after)


def measured(case):
    one = problem(*CASES[case])
    return race(one, METHODS, needs, agree, {"product": product(np.float32)})


# The tables.


def times(race, methods, ours, peers):
    """The cells of a row: the time of each method, and the ratio of each peer to ours."""
    seconds, too_large = race

    def cell(name):
        if name in too_large:
            return f"not run: {digits(too_large[name] / 1e9)} GB"
        return milliseconds(seconds[name]) if name in seconds else "–"

    def factor(name):
        return ratio(seconds[name] / seconds[ours]) if name in seconds else "–"

    return [cell(name) for name in methods] + [factor(name) for name in peers]


def speed(races):
    peers = ("same algebra in PyTorch", "JAX Jacobian", "torch.func Jacobian")
    rows = [[case, *times(race, METHODS, "lazyrich in jit", peers)] for case, race in races.items()]
    return {
        "title": "Tangent kernels of ReLU networks",
        "note": f"In float32, of {INPUTS} inputs and, unless said otherwise, one output; depth "
        "counts the matrices. Medians of CPU seconds of one core, compiled before, in memory that "
        "is kept for reuse. The results agree to 1e-5 of the largest entry. Each Jacobian is "
        "taken sample by sample (vmap of jacrev), and multiplied with itself array by array; one "
        f"of more than {LIMIT / 1e9:.0f} GB is not run. neural-tangents, where the algebra is "
        "known as structured derivatives, is not among them: version 0.6.5 asks JAX for names "
        "that it no longer has. Nearly all of the gain over the Jacobians is algebra that anyone "
        "can use: written down in PyTorch it is as fast from width 512 on. The compiled program "
        "adds to it where little is to be computed; outside of one, JAX starts operation after "
        "operation, which costs some milliseconds.",
        "columns": ["case", *(f"{name}, ms" for name in METHODS)]
        + [f"{name} ÷ lazyrich in jit" for name in peers],
        "rows": rows,
    }


def reached(races):
    names = ("lazyrich", "lazyrich in jit", "torch.func Jacobian")
    rows = []
    for case, (seconds, _) in races.items():
        least = operations(problem(*CASES[case])) * seconds["product"] / (2 * 512**3)
        took = {name: measuring.apart(__file__, name, case) for name in names if name in seconds}
        shares = [f"{100 * least / seconds[name]:.0f} %" for name in names[:2]]
        first = [digits(took[name]["first"]) for name in names[:2]]
        memory = [f"{took[name]['memory']:.0f}" if name in took else "–" for name in names]
        rows.append([case, milliseconds(least), *shares, *first, *memory])
    return {
        "title": "Tangent kernels: lower bound, first call and memory",
        "note": "The bound is the time of the products of matrices that the algebra needs, at the "
        "rate of a product of size 512; then the share of that rate which is reached. The first "
        "call and by how much it raises the peak of the memory are of a fresh process, above its "
        "imports, compilation included.",
        "columns": ["case", "bound, ms", *(f"{name}, of the rate" for name in names[:2])]
        + [f"{name}, first call, s" for name in names[:2]]
        + [f"{name}, MiB" for name in names],
        "rows": rows,
    }


def main():
    races = {}
    for case in CASES:
        print(f"kernels: {case}", file=sys.stderr)
        races[case] = measured(case)
    print("kernels: memory", file=sys.stderr)
    tables = [speed(races), reached(races)]
    print(json.dumps({"packages": ["jax", "torch"], "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        name, case = sys.argv[1:]
        print(json.dumps(measuring.first_call(METHODS[name](problem(*CASES[case])))))
    else:
        main()
