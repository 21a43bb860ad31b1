"""Spectra of weight matrices, and power laws fitted to them over all cuts.

A fit gives the exponent and the distance at the best cut that leaves a tail of three, which is the
least that the package powerlaw leaves. A spectrum is of WᵀW for an h × d matrix W, ascending. A
method gives a function without arguments.
"""

import json
import sys
import warnings

import kernels
import measuring
import numpy as np
from measuring import digits, milliseconds

FITS = {"100 eigenvalues": 100, "1,000 eigenvalues": 1000}
SPECTRA = {"150 × 100": (150, 100), "1,500 × 1,000": (1500, 1000), "1,000 × 1,500": (1000, 1500)}
SMALLEST_TAIL = 3


def eigenvalues(size):
    """Those of a heavy-tailed matrix."""
    W = np.random.default_rng(0).standard_t(2.5, size=(3 * size // 2, size))
    return np.linalg.svd(W, compute_uv=False)[::-1] ** 2


def weights(height, width):
    return np.random.default_rng(0).normal(size=(height, width))


# The methods: fits.


def lazyrich(values):
    import jax.numpy as jnp

    from lazyrich import spectra

    values = jnp.asarray(values)
    return lambda: np.array(spectra.power_law_fit(values, SMALLEST_TAIL)[:2])


def arrays(values):
    """The same sums in NumPy, with an array of all pairs."""

    def call():
        logs = np.log(values)
        gaps = np.arange(len(logs) - 1, 0, -1) * np.diff(logs)
        cuts = len(logs) + 1 - SMALLEST_TAIL
        sizes = len(logs) - np.arange(cuts)
        rates = sizes / np.cumsum(gaps[::-1])[::-1][:cuts]
        steps = np.arange(len(logs)) - np.arange(cuts)[:, None]
        with np.errstate(over="ignore"):  # below the cut
            off = 1 - np.exp(rates[:, None] * (logs[:cuts, None] - logs)) - steps / sizes[:, None]
        distances = np.where(steps >= 0, np.abs(off), 0).max(axis=1)
        best = np.argmin(distances)
        return np.array([1 + rates[best], distances[best]])

    return call


def loop(values):
    """Cut after cut in NumPy, as weightwatcher does it."""

    def call():
        logs, best = np.log(values), (np.inf, np.inf)
        for i in range(len(values) + 1 - SMALLEST_TAIL):
            tail, N = values[i:], len(values) - i
            exponent = 1 + N / (logs[i:].sum() - N * logs[i])
            off = 1 - (tail / tail[0]) ** (1 - exponent) - np.arange(N) / N
            best = min(best, (np.abs(off).max(), exponent))
        return np.array(best[::-1])

    return call


def powerlaw(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import powerlaw

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = powerlaw.Fit(values, verbose=0, parameter_ranges={"alpha": [0, np.inf]})
            return np.array([fit.power_law.alpha, fit.power_law.D])

    return call


# The methods: spectra.


def gram(W):
    import jax.numpy as jnp

    from lazyrich import spectra

    W = jnp.asarray(W)
    return lambda: np.asarray(spectra.weight_spectrum(W))


def singular_values(W):
    """NumPy's, without vectors."""

    def call():
        values = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
        return np.concatenate([np.zeros(W.shape[1] - len(values)), values])

    return call


def decomposition(W):
    """NumPy's, with vectors."""

    def call():
        values = np.linalg.svd(W, full_matrices=False)[1][::-1] ** 2
        return np.concatenate([np.zeros(W.shape[1] - len(values)), values])

    return call


def eigenvectors(W):
    """Those of WᵀW by JAX, whatever the shape of W."""
    import jax
    import jax.numpy as jnp

    program = jax.jit(lambda W: jnp.linalg.eigh(W.T @ W)[0])
    W = jnp.asarray(W)
    return lambda: np.asarray(program(W))


METHODS = {
    "fit": {
        "lazyrich": lazyrich,
        "same sums in NumPy": arrays,
        "loop in NumPy": loop,
        "powerlaw": powerlaw,
    },
    "spectrum": {
        "lazyrich": gram,
        "singular values": singular_values,
        "SVD": decomposition,
        "eigh of WᵀW": eigenvectors,
    },
}
CASES = {"fit": FITS, "spectrum": SPECTRA}


# The measurement.


def problem(kind, case):
    return eigenvalues(FITS[case]) if kind == "fit" else weights(*SPECTRA[case])


def agree(name, found, expected):
    off = abs(found - expected).max() / abs(expected).max()
    if not (off < 1e-9 and found.dtype == expected.dtype):
        raise ArithmeticError(f"{name} is {off:.1e} off, in {found.dtype}")


def limits(kind, problem):
    """The product and LAPACK, which no spectrum by a Gram matrix can do without."""
    if kind == "fit":
        return {}
    W = problem if problem.shape[0] >= problem.shape[1] else problem.T
    matrix = W.T @ W

    def least():
        np.linalg.eigvalsh(matrix)
        W.T @ W

    return {"least": least}


def measured(kind, case):
    one = problem(kind, case)
    return kernels.race(one, METHODS[kind], lambda *_: 0, agree, limits(kind, one))


def first_call(kind, name, case):
    """What a first call takes, None if the package is missing."""
    try:
        call = METHODS[kind][name](problem(kind, case))
    except ImportError:
        return None
    return measuring.first_call(call)


# The tables.

TITLES = {
    "fit": "Power-law fit over all cuts",
    "spectrum": "Spectrum of a weight matrix",
}
NOTES = {
    "fit": "In float64, of a heavy-tailed random matrix. Medians of CPU seconds of one core, in "
    "memory that is kept for reuse; exponent and distance agree to nine digits. powerlaw takes all "
    "exponents here; it also offers discrete data and other laws. All are NumPy's arithmetic, with "
    "nothing to compile. The gain is that few cuts are looked at in full: where the law of one is "
    "farthest off, those of others are too, and this rules them out. Anyone can search so. Of 100 "
    "eigenvalues the calls themselves take most of the time.",
    "spectrum": "In float64, h × d. As before; the spectra agree to nine digits of the largest "
    "eigenvalue. All are LAPACK's: the gain is in asking it for the values only, of the smaller "
    "Gram matrix. The squares lose what is below 1e-16 of the largest, which singular values keep.",
}


def speed(kind, races):
    names = [name for name in METHODS[kind] if any(name in seconds for seconds, _ in races)]
    rows = [
        [case, *kernels.times(race, names, "lazyrich", names[1:])]
        for case, race in zip(CASES[kind], races, strict=True)
    ]
    return {
        "title": TITLES[kind],
        "note": NOTES[kind],
        "columns": ["case", *(f"{name}, ms" for name in names)]
        + [f"{name} ÷ lazyrich" for name in names[1:]],
        "rows": rows,
    }


def reached(races):
    rows = []
    for kind, cases in CASES.items():
        for case, (seconds, _) in zip(cases, races[kind], strict=True):
            took = {
                name: measuring.apart(__file__, kind, name, case)
                for name in METHODS[kind]
                if name in seconds
            }
            least, share = "–", "–"
            if "least" in seconds:
                least = milliseconds(seconds["least"])
                share = f"{100 * seconds['least'] / seconds['lazyrich']:.0f} %"
            memory = ", ".join(f"{name} {took[name]['memory']:.0f}" for name in took)
            first = digits(took["lazyrich"]["first"])
            rows.append([f"{kind}, {case}", least, share, first, memory])
    return {
        "title": "Tails and spectra: lower bound, first call and memory",
        "note": "The bound of a spectrum is the time of the product and of LAPACK's values; a fit "
        "has none, since how many cuts are looked at depends on the spectrum. The first call is "
        "of a fresh process, compilation included; the memory is by how much it raises the peak "
        "above that of the imports.",
        "columns": ["case", "bound, ms", "reached", "first call, s", "memory, MiB"],
        "rows": rows,
    }


def main():
    races = {}
    for kind, cases in CASES.items():
        print(f"tails: {kind}", file=sys.stderr)
        races[kind] = [measured(kind, case) for case in cases]
    print("tails: memory", file=sys.stderr)
    tables = [*(speed(kind, races[kind]) for kind in CASES), reached(races)]
    print(json.dumps({"packages": ["jax", "numpy", "powerlaw"], "tables": tables}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_call(*sys.argv[1:])))
    else:
        main()
