"""What the first step of a ReLU network owes to neurons that cross their kink.

A step at the rate r moves z_i by δ_i = r n^(−½) u_i b_i. A neuron whose z changes its sign adds
n^(−½) u (|δ| − |z|) to the distance from the linear model, all others nothing of it. For small δ
the density of z near zero is that at zero, p = (2π |x|²/p_in)^(−½), a side counts, and so the mean
square of that part over the weights is

    n · E[u² |δ|³ p/3]/n = r³ n^(−3/2) · E|u|⁵/3 · p · E[|b|³ | z = 0],   E|u|⁵ = 8 √(2/π),

with b = Σ_j c_j φ'(z_j) x_j·x/p_in as of neurons whose z at x is zero.
"""

import math

import jax
import numpy as np
from jaxtyping import Float

from lazyrich.experiments.linearization import family

DRAWS = 1000


def crossing_at_start(
    key: jax.Array, width: int, seeds: int, rate: float = 1.0
) -> Float[np.ndarray, "seeds"]:
    """The leading mean square of what crossings add to one step, over the test inputs.

    Args:
        key: draws a task and the weights for each seed, those of
            :func:`~lazyrich.experiments.linearization.first_steps.one_step_at_start`.
        width: n, of one hidden layer of ReLU.
        seeds: the number of networks.
        rate: r.
    """
    factor = rate**3 * width**-1.5 * 8 * math.sqrt(2 / math.pi) / 3
    return factor * np.array([_of_seed(one, width) for one in family.seed_keys(key, seeds)])


def _of_seed(key, width):
    x, y, x_test = map(np.asarray, family.toy_task(key))
    first, last = (np.asarray(layer["weight"]) for layer in family.weights_of_one(key, width, 1))
    outputs = np.maximum(x @ first.T / family.INPUTS**0.5, 0) @ last[0] / width**0.5
    c, gram = (outputs - y) / len(y), x @ x.T / family.INPUTS
    # What else a seed draws has its numbers below 5.
    normal = family.first_normal(jax.random.fold_in(key, 5), (DRAWS, family.TRAIN))

    def of_input(point):
        to_point, square = x @ point / family.INPUTS, point @ point / family.INPUTS
        given = gram - np.outer(to_point, to_point) / square  # covariance of z_j at z = 0
        z = normal @ np.linalg.cholesky(given + 1e-12 * np.eye(len(x))).T
        cubes = np.abs((z > 0) @ (c * to_point)) ** 3
        return cubes.mean() / math.sqrt(2 * math.pi * square)

    return np.mean([of_input(point) for point in x_test])
