"""Spectra of the Gauss-Newton matrix: deep linear networks, and one hidden ReLU layer.

The loss is ½ |F − y|², averaged over the samples; the networks are those of :mod:`kernels`. Asked
for are all eigenvalues that are not zero: inputs × outputs of a linear network, by the Kronecker
sum of :mod:`lazyrich.conditioning.linear`, and samples × outputs of a ReLU network, by the sample
side of :mod:`lazyrich.conditioning.relu`. A method gives a function without arguments, whose result
is ascending; Lanczos gives the two ends only.
"""

import json
import sys

import kernels
import measuring
import numpy as np
from kernels import draw, in_torch
from measuring import digits, milliseconds

CASES = {  # inputs, width, depth, outputs, samples
    "linear": {
        "32, 128, 4, 10; 32 samples": (32, 128, 4, 10, 32),
        "32, 128, 4, 10; 128 samples": (32, 128, 4, 10, 128),
        "64, 512, 8, 10; 256 samples": (64, 512, 8, 10, 256),
        "196, 1024, 8, 10; 784 samples": (196, 1024, 8, 10, 784),
    },
    "ReLU": {
        "64, 512, 2, 10; 50 samples": (64, 512, 2, 10, 50),
        "196, 1024, 2, 10; 100 samples": (196, 1024, 2, 10, 100),
    },
}
GROWTH = (32, 128, 4, 10, 64), (64, 512, 8, 10, 256)
SPARE = 20  # Lanczos vectors that eigsh keeps beyond the eigenvalues asked for: faster than its 2 k
STEPS = (20, 40, 80)  # of Lanczos: the first that finds both ends to six digits
PATIENCE = 5  # seconds after which more steps are not tried


def problem(kind, inputs, width, depth, outputs, samples):
    widths = (inputs, *[width] * (depth - 1), outputs)
    return draw(widths, samples, kind == "ReLU", np.float64)


def rank(problem):
    n, d, k = *problem.x.shape, len(problem.weights[-1])
    return k * (n if problem.relu else min(n, d))


# The methods.


def lazyrich(problem):
    import jax.numpy as jnp

    from lazyrich import conditioning, spectra

    weights, x = [jnp.asarray(W) for W in problem.weights], jnp.asarray(problem.x)

    def linear():
        inputs = conditioning.on_range(conditioning.second_moment(x))
        return np.asarray(conditioning.linear_spectrum(weights, inputs))

    def relu():
        return np.asarray(spectra.eigenvalues(conditioning.leaky_relu_matrix(weights, x, 0.0)))

    return relu if problem.relu else linear


def torch_layers(problem):
    """The same algebra as one writes it down in PyTorch."""
    import torch

    weights, x = in_torch(problem)
    kernel = kernels.torch_layers(problem)

    def linear():
        root = torch.linalg.cholesky(x.T @ x / len(x))
        k, s = len(weights[-1]), len(root)
        before, after = [root], [torch.eye(k, dtype=x.dtype)]
        for W, V in zip(weights[:-1], weights[:0:-1], strict=True):
            before.append(W @ before[-1])
            after.append(after[-1] @ V)
        A = torch.stack([product @ product.T for product in reversed(after)])
        C = torch.stack([product.T @ product for product in before])
        matrix = torch.einsum("lab,lst->asbt", A, C).reshape(k * s, k * s)
        return torch.linalg.eigvalsh(matrix).numpy()

    def relu():
        return torch.linalg.eigvalsh(kernel() / len(x)).numpy()

    return relu if problem.relu else linear


def jax_jacobian(problem):
    kernel, n, r = kernels.jax_jacobian(problem), len(problem.x), rank(problem)
    return lambda: np.linalg.eigvalsh(np.asarray(kernel()))[-r:] / n


def torch_jacobian(problem):
    import torch

    kernel, n, r = kernels.torch_jacobian(problem), len(problem.x), rank(problem)
    return lambda: torch.linalg.eigvalsh(kernel()).numpy()[-r:] / n


def curvlinops(problem):
    """Its linear operators: all pairs by SciPy's eigsh, or where that is faster the Jacobian.

    Where the samples are few, all rows of the Jacobian come out of one product; with more of them
    that product is too large, and the vectors of the Gauss-Newton matrix are fewer.
    """
    import torch
    from curvlinops import GGNLinearOperator, TransposedJacobianLinearOperator
    from scipy.sparse.linalg import eigsh

    weights, x = in_torch(problem)
    layers = []
    for W in weights:
        layer = torch.nn.utils.skip_init(torch.nn.Linear, *W.shape[::-1], bias=False, dtype=W.dtype)
        layer.weight.data = W
        layers += [layer, torch.nn.ReLU() if problem.relu else torch.nn.Identity()]
    model, loss = torch.nn.Sequential(*layers[:-1]), torch.nn.MSELoss(reduction="sum")
    data, params = [(x, torch.zeros(len(x), len(weights[-1]), dtype=x.dtype))], model.parameters()

    def rows():
        operator = TransposedJacobianLinearOperator(
            model, list(params), data, check_deterministic=False
        )
        identity = torch.eye(operator.shape[1], dtype=x.dtype)

        def call():
            columns = operator @ identity
            return torch.linalg.eigvalsh(columns.T @ columns).numpy() / len(x)

        return call

    def pairs():
        operator = GGNLinearOperator(model, loss, list(params), data, check_deterministic=False)
        operator, r = operator.to_scipy(), rank(problem)
        start = operator @ np.random.default_rng(1).normal(size=operator.shape[0])
        basis = {"ncv": r + SPARE, "v0": start, "which": "LA", "return_eigenvectors": False}
        return lambda: np.sort(eigsh(operator, r, **basis)) / (2 * len(x))

    return rows() if problem.relu else pairs()


def matfree(problem):
    """The two ends, by Lanczos steps on the full matrix from a start in its range."""
    ends = lazyrich(problem)()[[0, -1]]
    for steps in STEPS:
        call = lanczos(problem, steps)
        if np.allclose(call(), ends, rtol=1e-6, atol=0):
            return call
        if measuring.once(call) > PATIENCE:
            break
    return None


def lanczos(problem, steps):
    import jax
    import jax.numpy as jnp
    from matfree import decomp, eig

    weights, x = [jnp.asarray(W) for W in problem.weights], jnp.asarray(problem.x)
    activation = jax.nn.relu if problem.relu else lambda z: z
    start = jnp.asarray(np.random.default_rng(1).normal(size=(len(x), len(weights[-1]))))

    @jax.jit
    def program(weights, x, start):
        def outputs(weights):
            return kernels.apply(weights, x, activation)

        _, forward = jax.linearize(outputs, weights)
        backward = jax.linear_transpose(forward, weights)
        solve = eig.eigh_partial(decomp.tridiag_sym(steps, custom_vjp=False))
        values, _ = solve(lambda v: backward(forward(v) / len(x))[0], backward(start)[0])
        return values

    return lambda: np.asarray(program(weights, x, start))[[0, -1]]


METHODS = {
    "lazyrich": lazyrich,
    "same algebra in PyTorch": torch_layers,
    "JAX Jacobian": jax_jacobian,
    "torch.func Jacobian": torch_jacobian,
    "curvlinops": curvlinops,
    "matfree, two ends": matfree,
}


# The measurement.


def needs(name, problem):
    """The bytes of the Jacobian, or of the basis that Lanczos iterations keep."""
    vectors = {
        "curvlinops": rank(problem) + SPARE * (not problem.relu),
        "matfree, two ends": max(STEPS),
    }
    if name in vectors:
        return vectors[name] * sum(W.size for W in problem.weights) * problem.x.itemsize
    return kernels.needs(name, problem)


def agree(name, found, expected):
    if len(found) == 2:
        expected = expected[[0, -1]]
    off = abs(found - expected).max() / expected[-1]
    if not (off < (1e-6 if len(found) == 2 else 1e-12) and found.dtype == expected.dtype):
        raise ArithmeticError(f"{name} is {off:.1e} off, in {found.dtype}")


def limits(problem):
    """A product of matrices, and LAPACK on matrices of these sizes."""
    random = np.random.default_rng(2)
    d, r = problem.x.shape[1], rank(problem)
    matrix, moment = random.normal(size=(r, r)), np.eye(d) + random.normal(size=(d, d)) / d

    def lapack():
        np.linalg.eigvalsh(matrix)
        if not problem.relu:
            np.linalg.eigh(moment)

    return {"product": kernels.product(np.float64), "LAPACK": lapack}


def measured(kind, sizes, names=tuple(METHODS)):
    one = problem(kind, *sizes)
    methods = {name: METHODS[name] for name in names}
    return kernels.race(one, methods, needs, agree, limits(one))


def first_calls_apart(kind, case, problem):
    """What the first call of each method takes that fits: None if it is not installed.

    All but Lanczos, which has to be called before it is known in how many steps.
    """
    names = [name for name in tuple(METHODS)[:-1] if needs(name, problem) <= kernels.LIMIT]
    return {name: measuring.apart(__file__, name, kind, case) for name in names}


def first_call(name, kind, case):
    try:
        call = METHODS[name](problem(kind, *CASES[kind][case]))
    except ImportError:
        return None
    return measuring.first_call(call)


def operations(problem):
    """Those of the products of matrices in the library's formula."""
    (n, d), k = problem.x.shape, len(problem.weights[-1])
    if problem.relu:
        m = len(problem.weights[0])
        return 2 * (n * d * m + (n * k) ** 2 * m + n**2 * (d + m))
    first, *inner, last = problem.weights
    s, widths, depth = min(n, d), [len(W) for W in problem.weights[:-1]], len(problem.weights)
    moment = n * d**2
    before = s * (first.size + sum(W.size for W in inner))
    after = k * (last.size + sum(W.size for W in inner))
    grams = s**2 * (d + sum(widths)) + k**2 * sum(widths)
    return 2 * (moment + before + after + grams + depth * (k * s) ** 2)


# The tables.


NOTES = {
    "linear": "In float64, with normal samples. Medians of CPU seconds of one core, compiled "
    "before, in memory that is kept for reuse; the spectra agree to 1e-12 of the largest "
    "eigenvalue. All eigenvalues of dense matrices are LAPACK's, NumPy's or PyTorch's own, for "
    "values only. Each Jacobian is taken sample by sample and multiplied with itself array by "
    "array. With curvlinops, SciPy's eigsh finds all values from products with the Gauss-Newton "
    f"matrix. matfree's Lanczos steps on that matrix find its two ends to six digits, or do not in "
    f"{STEPS[-1]} steps, nor in {PATIENCE} s (–). What needs more than "
    f"{kernels.LIMIT / 1e9:.0f} GB, for the Jacobian or for the vectors kept, is not run. ",
    "ReLU": "As before, for one hidden layer and so few samples that samples × outputs is less "
    "than the number of parameters; curvlinops makes the Jacobian, which is faster here. ",
}
GAINS = {
    "linear": "The gain over the others is algebra that anyone can use: a matrix of inputs × "
    "outputs rows instead of one of samples × outputs or of all parameters. In PyTorch it takes as "
    "long; the compiled program adds nothing.",
    "ReLU": "Here too the gain is algebra: products with samples × outputs rows, layer by layer.",
}
TITLES = {
    "linear": "Gauss-Newton spectrum of deep linear networks",
    "ReLU": "Gauss-Newton spectrum of a ReLU network",
}


def speed(kind, races):
    names = [name for name in METHODS if any(name in {**s, **large} for s, large in races.values())]
    rows = [
        [case, *kernels.times(race, names, "lazyrich", names[1:])] for case, race in races.items()
    ]
    return {
        "title": TITLES[kind],
        "note": NOTES[kind] + GAINS[kind],
        "columns": ["inputs, width, depth, outputs; samples", *(f"{name}, ms" for name in names)]
        + [f"{name} ÷ lazyrich" for name in names[1:]],
        "rows": rows,
    }


def reached(races, first_calls):
    names = tuple(METHODS)[:-1]
    rows = []
    for (kind, case), (seconds, _) in races.items():
        one = problem(kind, *CASES[kind][case])
        products = operations(one) * seconds["product"] / (2 * 512**3)
        least = products + seconds["LAPACK"]
        took = first_calls[kind, case]
        memory = [f"{took[name]['memory']:.0f}" if took.get(name) else "–" for name in names]
        rows.append(
            [f"{kind}: {case}", milliseconds(products), milliseconds(seconds["LAPACK"])]
            + [f"{100 * least / seconds['lazyrich']:.0f} %", digits(took["lazyrich"]["first"])]
            + memory
        )
    return {
        "title": "Gauss-Newton spectra: lower bound, first call and memory",
        "note": "The bound is the time of the products of matrices, at the rate of a product of "
        "size 512, and LAPACK's for the eigenvalues; then the share of it in our time. The first "
        "call is of a fresh process, compilation included; the memory is by how much it raises "
        "the peak above that of the imports, in MiB.",
        "columns": ["case", "products, ms", "LAPACK, ms", "reached", "first call, s"]
        + [f"{name}, MiB" for name in names],
        "rows": rows,
    }


def growth():
    small, large = GROWTH
    rows = []
    for sizes, name in [(small, "lazyrich"), (small, "JAX Jacobian"), (large, "lazyrich")]:
        once = measured("linear", sizes, names=(name,))[0][name]
        row = [f"{name}, from {sizes[:-1]} and {sizes[-1]} samples"]
        for axis in (2, 1, 0, 4):
            doubled = tuple(2 * size if i == axis else size for i, size in enumerate(sizes))
            row.append(digits(measured("linear", doubled, names=(name,))[0][name] / once))
        rows.append(row)
    return {
        "title": "Gauss-Newton spectrum of deep linear networks: growth of the time",
        "note": "By which factor the time grows as one size is doubled. The eigenvalues of the "
        "small matrix take most of ours, and neither depth nor width nor samples changes it.",
        "columns": ["method", "depth", "width", "inputs", "samples"],
        "rows": rows,
    }


def main():
    cases = {(kind, case): sizes for kind in CASES for case, sizes in CASES[kind].items()}
    print("gauss_newton: memory", file=sys.stderr)  # first, since this process will hold some of it
    first_calls = {of: first_calls_apart(*of, problem(of[0], *cases[of])) for of in cases}
    races = {}
    for (kind, case), sizes in cases.items():
        print(f"gauss_newton: {kind}, {case}", file=sys.stderr)
        races[kind, case] = measured(kind, sizes)
    print("gauss_newton: growth", file=sys.stderr)
    tables = [speed(kind, {case: races[kind, case] for case in CASES[kind]}) for kind in CASES]
    tables += [growth(), reached(races, first_calls)]
    packages = ["jax", "numpy", "torch", "scipy", "curvlinops-for-pytorch", "matfree"]
    print(json.dumps({"packages": packages, "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_call(*sys.argv[1:])))
    else:
        main()
