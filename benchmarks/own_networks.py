"""The instruments for a network of one's own: kernels, ends of spectra, and reports on weights.

Each measurement is a first call in a process of its own, compiling included, since that is what a
user waits for and what shows the memory. Inputs and weights are normal numbers.
"""

import contextlib
import json
import sys
from typing import NamedTuple

import kernels
import measuring
import numpy as np
from measuring import digits, ratio

OUTPUTS = 10
LIMIT = 12e9  # the bytes beyond which no Jacobian is made
CHANNELS = 1, 64, 128, 256, 256  # of a convolutional network with 10⁶ weights
KERNELS = {  # images, traced
    "64 images, traced": (64, True),
    "64 images, whole": (64, False),
    "256 images, traced": (256, True),
    "256 images, whole": (256, False),
}
ENDS = {"100 samples": 100, "1,000 samples": 1000}
WIDTHS = 100, 850, 850, 128, OUTPUTS  # of a perceptron with 10⁶ weights
TOLERANCE = 1e-3
BLOCKS, VOCABULARY = 12, 50_257
MATRICES = [  # of GPT-2 small
    *(((768, 2304), (768, 768), (768, 3072), (3072, 768)) * BLOCKS),
    (VOCABULARY, 768),
]


class Problem(NamedTuple):
    """A network and its samples."""

    weights: list
    x: np.ndarray


# Kernels of a convolutional network


def convolutional(images, dtype=np.float32):
    random = np.random.default_rng(0)
    pairs = zip(CHANNELS[:-1], CHANNELS[1:], strict=True)
    weights = [random.normal(size=(3, 3, m, n)) / (9 * m) ** 0.5 for m, n in pairs]
    weights.append(random.normal(size=(CHANNELS[-1] * 4, OUTPUTS)) / 32)
    x = random.normal(size=(images, 32, 32, 1))
    return Problem([W.astype(dtype) for W in weights], x.astype(dtype))


def convolve(weights, x):
    import jax

    layout = ("NHWC", "HWIO", "NHWC")
    for W in weights[:-1]:
        x = jax.nn.relu(
            jax.lax.conv_general_dilated(x, W, (2, 2), "SAME", dimension_numbers=layout)
        )
    return x.reshape(len(x), -1) @ weights[-1]


def lazyrich_kernel(problem, traced):
    from lazyrich import empirical_ntk

    return lambda: np.asarray(empirical_ntk(convolve, problem.weights, problem.x, traced=traced))


def jax_kernel(problem, traced):
    """The Jacobian of each sample, contracted array by array, as neural-tangents does it."""
    import jax

    @jax.jit
    def program(weights, x):
        one = jax.jacrev(lambda weights, x: convolve(weights, x[None])[0])
        return contracted(jax.vmap(one, (None, 0))(weights, x), traced)

    return lambda: np.asarray(program(problem.weights, problem.x))


def torch_kernel(problem, traced):
    import torch

    torch.set_num_threads(1)
    weights = [torch.from_numpy(W.transpose(3, 2, 0, 1).copy()) for W in problem.weights[:-1]]
    weights.append(torch.from_numpy(problem.weights[-1]))
    x = torch.from_numpy(problem.x.transpose(0, 3, 1, 2).copy())

    def outputs(weights, x):
        x = x[None]
        for W in weights[:-1]:  # "SAME" with stride 2 pads one pixel at the end
            x = torch.relu(torch.conv2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), W, stride=2))
        return x.permute(0, 2, 3, 1).reshape(-1) @ weights[-1]

    one = torch.func.jacrev(outputs)
    return lambda: contracted(torch.func.vmap(one, (None, 0))(weights, x), traced).numpy()


def contracted(blocks, traced):
    axes = 1 if traced else 2
    rows = [block.reshape((*block.shape[:axes], -1)) for block in blocks]
    rows = [one.reshape(-1, one.shape[-1]) for one in rows]
    return sum(one @ one.T for one in rows)


# Ends of a Gauss-Newton spectrum


def perceptron(samples):
    return kernels.draw(WIDTHS, samples, True, np.float64)


def lazyrich_ends(problem):
    import jax

    import lazyrich

    apply = lambda weights, x: kernels.apply(weights, x, jax.numpy.tanh)  # noqa: E731
    return lambda: np.array(
        lazyrich.gauss_newton_ends(apply, problem.weights, problem.x, tolerance=TOLERANCE)[:2]
    )


def curvlinops_ends(problem):
    """SciPy's eigsh of its Gauss-Newton operator on the outputs, J Jᵀ, to the same residual."""
    import torch
    from curvlinops import JacobianLinearOperator, TransposedJacobianLinearOperator
    from scipy.sparse.linalg import LinearOperator, eigsh

    weights, x = kernels.in_torch(problem)
    layers = []
    for W in weights:
        layer = torch.nn.utils.skip_init(torch.nn.Linear, *W.shape[::-1], bias=False, dtype=W.dtype)
        layer.weight.data = W
        layers += [layer, torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1])
    data, params = [(x, torch.zeros(len(x), OUTPUTS, dtype=x.dtype))], list(model.parameters())
    forth, back = (
        kind(model, params, data, check_deterministic=False)
        for kind in (JacobianLinearOperator, TransposedJacobianLinearOperator)
    )
    number = len(x) * OUTPUTS

    def product(v):
        return (forth @ (back @ torch.from_numpy(v.reshape(-1).copy()))).numpy() / len(x)

    operator = LinearOperator((number, number), product, dtype=np.float64)
    settings = {"k": 1, "tol": TOLERANCE, "ncv": 60, "return_eigenvectors": False}
    return lambda: np.array([eigsh(operator, which=end, **settings)[0] for end in ("SA", "LA")])


def matfree_ends(problem):
    """Lanczos steps with full reorthogonalisation, as many as lazyrich took."""
    import jax
    import jax.numpy as jnp
    from matfree import decomp, eig

    import lazyrich

    apply = lambda weights, x: kernels.apply(weights, x, jnp.tanh)  # noqa: E731
    weights, x = [jnp.asarray(W) for W in problem.weights], jnp.asarray(problem.x)
    steps = lazyrich.gauss_newton_ends(apply, weights, x, tolerance=TOLERANCE).steps
    start = jnp.asarray(np.random.default_rng(0).normal(size=len(x) * OUTPUTS))

    @jax.jit
    def program(weights, x, start):
        outputs = lambda weights: apply(weights, x).ravel()  # noqa: E731
        _, forward = jax.linearize(outputs, weights)
        backward = jax.linear_transpose(forward, weights)
        solve = eig.eigh_partial(decomp.tridiag_sym(steps, custom_vjp=False))
        values, _ = solve(lambda v: forward(backward(v)[0]) / len(x), start)
        return values

    return lambda: np.asarray(program(weights, x, start))[[0, -1]]


# Reports on weights


def normal_weights():
    random = np.random.default_rng(0)
    return {
        f"{number}.weight": random.standard_normal(shape, np.float32)
        for number, shape in enumerate(MATRICES)
    }


def lazyrich_report(weights):
    from lazyrich import weight_report

    return lambda: np.array([row.exponent for row in weight_report(weights).matrices])


def weightwatcher_report(weights):
    """Its fastest description with power-law fits: no plots, no randomised spectra."""
    import torch
    import weightwatcher

    model = torch.nn.Module()
    for name, W in weights.items():
        layer = torch.nn.utils.skip_init(torch.nn.Linear, *W.shape[::-1], bias=False)
        layer.weight.data = torch.from_numpy(W)
        model.add_module(name.split(".")[0], layer)
    torch.set_num_threads(1)
    watcher = weightwatcher.WeightWatcher(model=model, log_level="ERROR")
    return lambda: watcher.analyze(max_N=100_000)["alpha"].to_numpy()


def bound(weights):
    """A product of each matrix with itself, and LAPACK's eigenvalues of what comes out."""

    def call():
        for W in weights.values():
            W = (W if len(W) >= W.shape[1] else W.T).astype(float)
            np.linalg.eigvalsh(W.T @ W)

    return call


METHODS = {
    "kernel": {
        "lazyrich": lazyrich_kernel,
        "JAX Jacobian": jax_kernel,
        "torch.func Jacobian": torch_kernel,
    },
    "ends": {"lazyrich": lazyrich_ends, "curvlinops": curvlinops_ends, "matfree": matfree_ends},
    "weights": {
        "lazyrich": lazyrich_report,
        "weightwatcher": weightwatcher_report,
        "products and LAPACK": bound,
    },
}


def call_of(kind, name, case):
    """The call to be measured, or None where a package is missing."""
    method = METHODS[kind][name]
    try:
        if kind == "kernel":
            images, traced = KERNELS[case]
            return method(convolutional(images), traced)
        return method(perceptron(ENDS[case]) if kind == "ends" else normal_weights())
    except ImportError:
        return None


def first_call(kind, name, case):
    """The seconds and the memory of a first call, and its result."""
    call = call_of(kind, name, case)
    if call is None:
        return None
    before = measuring.peak_memory()
    found = []
    with contextlib.redirect_stdout(sys.stderr):  # some print of themselves
        seconds = measuring.once(lambda: found.append(call()))
    memory = measuring.peak_memory() - before
    result = None if found[0] is None else np.sort(np.ravel(found[0]))[[0, -1]].tolist()
    return {"seconds": seconds, "memory": memory, "ends": result}


def jacobian_bytes(case):
    images, _ = KERNELS[case]
    return 4 * images * OUTPUTS * sum(W.size for W in convolutional(1).weights)


def race(kind, case):
    """The measurements of all methods, in processes of their own."""
    found = {}
    for name in METHODS[kind]:
        print(f"own_networks: {kind}, {case}, {name}", file=sys.stderr)
        if kind == "kernel" and name != "lazyrich" and jacobian_bytes(case) > LIMIT:
            continue
        measured = measuring.apart(__file__, kind, name, case)
        if measured:
            found[name] = measured
    return found


def table(kind, cases, title, note):
    rows = []
    for case in cases:
        found = race(kind, case)
        ours = found["lazyrich"]

        def cell(name, what, found=found):
            return digits(found[name][what]) if name in found else "–"

        names = METHODS[kind]
        rows.append(
            [case]
            + [cell(name, "seconds") for name in names]
            + [cell(name, "memory") for name in names]
            + [
                ratio(found[name]["seconds"] / ours["seconds"]) if name in found else "–"
                for name in list(names)[1:]
            ]
        )
    return {
        "title": title,
        "note": note,
        "columns": ["case"]
        + [f"{name}, s" for name in METHODS[kind]]
        + [f"{name}, MiB" for name in METHODS[kind]]
        + [f"{name} ÷ lazyrich" for name in list(METHODS[kind])[1:]],
        "rows": rows,
    }


def main():
    first = "CPU seconds of one core and the rise of the peak of the memory in a first call, "
    first += "compiling included. "
    tables = [
        table(
            "kernel",
            KERNELS,
            "Your own network: the kernel of a convolutional network",
            first + "About 10⁶ weights, images of 32×32, ten outputs, float32. The Jacobians are "
            "taken sample by sample and contracted array by array, as neural-tangents did; one of "
            f"more than {LIMIT / 1e9:.0f} GB is not run.",
        ),
        table(
            "ends",
            ENDS,
            "Your own network: both ends of a Gauss-Newton spectrum",
            first + f"A perceptron with 10⁶ weights and ten outputs, float64, to a residual of "
            f"{TOLERANCE:g} of each end. curvlinops gives J and Jᵀ to SciPy's eigsh, once for each "
            "end; matfree takes as many steps as lazyrich needed, without knowing when to stop.",
        ),
        table(
            "weights",
            ["GPT-2 small"],
            "Your own network: a report on weights",
            first + "48 matrices and an embedding with the shapes of GPT-2 small, normal numbers "
            "in float32. The last is the bound: a product of each matrix with itself in float64, "
            "and LAPACK's eigenvalues.",
        ),
    ]
    packages = ["jax", "torch", "curvlinops-for-pytorch", "matfree", "weightwatcher"]
    print(json.dumps({"packages": packages, "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_call(*sys.argv[1:])))
    else:
        main()
