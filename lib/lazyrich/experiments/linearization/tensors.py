"""The whole tensors of correlations at the start, beside what training contracts of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import linearization as lin
from lazyrich.arithmetic import einsum, quickly_compiled
from lazyrich.experiments.linearization import family
from lazyrich.training import each


class TensorNorms(NamedTuple):
    """Tensors at the start on the probe, a row a seed."""

    C02: Float[Array, "seeds"]
    """The injective norm of C^{0,2}(x; x_1, x_2) over the four inputs."""
    C03: Float[Array, "seeds"]
    """The injective norm of C^{0,3}(x; x_1, x_2, x_3)."""
    difference: Float[Array, "seeds 2"]
    """The tensors against the residual, over C^{0,2}·c² and C^{0,3}·c³ along the step, less one."""


def tensor_norms_at_start(key: jax.Array, width: int, seeds: int) -> TensorNorms:
    """C^{0,2} and C^{0,3} on the probe of the key, entry by entry, for one hidden layer.

    Args:
        key: draws the probe, which all seeds share, and the weights.
        width: n.
        seeds: the number of networks.
    """
    on_inputs, on_weights = jax.random.split(key)
    (x, c, x_test), F = family.probe(on_inputs), family.one_output(family.network(width).apply)

    @quickly_compiled
    def of_seed(params):
        v = lin.update_direction(F, params, x, c)
        along = lin.contracted(F, params, x_test, v, 3, family.PROBE_RATE)[1:, 0]
        second, third = (
            lin.correlation_tensor(F, params, x_test, x, d, family.PROBE_RATE)[0] for d in (2, 3)
        )
        whole = jnp.stack([einsum("ij,i,j", second, c, c), einsum("ijk,i,j,k", third, c, c, c)])
        norms = [lin.injective_norm(tensor, on_inputs) for tensor in (second, third)]
        return TensorNorms(*norms, whole / along - 1)

    return each(of_seed, family.weights(on_weights, width, 1, seeds))
