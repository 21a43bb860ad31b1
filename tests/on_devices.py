"""Ensembles of the chapters; run as a program, they leave their numbers in a file.

A program has the devices that its environment asks for, so that tests start it for several.
"""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np

from lazyrich.experiments.conditioning import descents
from lazyrich.experiments.heavy_tails import students
from lazyrich.experiments.linearization import beside_linear, first_steps
from lazyrich.experiments.mechanisms import relu_digits
from lazyrich.training import each, ensemble

KEY = jax.random.key(5)
RUNS = {
    # Sixteen members, a scan with observations.
    "deviations": lambda: beside_linear.gradient_descent(KEY, 6, 16, (0, 3, 8)),
    # Eleven members, none of which ends its training at the same step.
    "digits": lambda: relu_digits.train_on_digits(
        KEY, 1.5, 8, train_images=40, seeds=11, steps=300, observations=3, until=0.2
    ),
    # Eight members, whose training rests once it fits.
    "fit": lambda: descents.descend_to_fit(KEY, 12, 8, limit=40),
    # Three members, whose scan decomposes matrices.
    "students": lambda: students.train_students(
        KEY, "Adam", (0.03, 0.1, 0.3), 60, 1, (0, 2, 5), double=True
    ),
}


AS_ON_A_GPU = {
    # Twelve members, which the eight devices do not divide.
    "vectorised": lambda: beside_linear.gradient_descent(KEY, 6, 12, (0, 3, 8)),
    "correlations": lambda: first_steps.correlations_at_start(KEY, 6, 12),
}


def numbers():
    """All arrays of all runs, by name."""
    results = {name: jax.tree.leaves(run()) for name, run in RUNS.items()}
    backend, jax.default_backend = jax.default_backend, lambda: "gpu"
    results |= {name: jax.tree.leaves(run()) for name, run in AS_ON_A_GPU.items()}
    jax.default_backend = backend
    return {
        f"{name} {i}": leaf for name, leaves in results.items() for i, leaf in enumerate(leaves)
    }


def sizes(array):
    """How many members each device keeps, by its number."""
    return {shard.device.id: len(shard.data) for shard in array.addressable_shards}


def communication(members):
    """The operations between devices in the program of an ensemble of so many members."""
    program = ensemble(lambda x: jax.lax.fori_loop(0, 5, lambda _, x: jnp.sin(x @ x), x))
    text = program.lower(jnp.ones((members, 4, 4))).compile().as_text()
    return re.findall(r"(all-gather|all-reduce|all-to-all|collective-permute)\(", text)


if __name__ == "__main__":
    found = numbers()
    np.savez(sys.argv[1], **{name: np.asarray(array) for name, array in found.items()})
    nested = ensemble(lambda x: ensemble(jnp.sin)(x).sum())(jnp.ones((8, 3)))
    jax.default_backend = lambda: "gpu"
    spread = each(jax.jit(jnp.sin), jnp.ones(8))
    seen = {
        "spread": sizes(spread),
        "fit": sizes(found["fit 0"]),
        "digits": sizes(found["digits 0"]),
        "nested": sizes(nested),
        "communication": communication(16),
    }
    print(json.dumps(seen))
