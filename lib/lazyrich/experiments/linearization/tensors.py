"""The whole tensors of correlations at the start, beside what training contracts of them."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich.arithmetic import einsum
from lazyrich.experiments.linearization import family
from lazyrich.linearization import contracted, correlation_tensor, injective_norm, update_direction
from lazyrich.training import each


class TensorNorms(NamedTuple):
    """Tensors at the start on the probe, a row a seed."""

    C02: Float[Array, "seeds"]
    """The injective norm of C^{0,2}(x; x_1, x_2) over the four inputs."""
    C03: Float[Array, "seeds"]
    """The injective norm of C^{0,3}(x; x_1, x_2, x_3)."""
    difference: Float[Array, "seeds 2"]
    """The tensors against the residual, over C^{0,2}·c² and C^{0,3}·c³ along the step, less one."""


def tensor_norms_at_start(key: jax.Array, width: int, seeds: int, rate: float = 0.5) -> TensorNorms:
    """C^{0,2} and C^{0,3} on the probe of the key, entry by entry, for one hidden layer.

    Args:
        key: draws the probe, which all seeds share, and the weights.
        width: n.
        seeds: the number of networks.
        rate: η.
    """
    on_inputs, on_weights = jax.random.split(key)
    probe, net = family.probe(on_inputs), family.network(width)

    def apply(params, x):
        return net.apply(params, x)[:, 0]

    @partial(jax.jit, compiler_options=family.BRIEF)
    def of_seed(params):
        c, v = probe.residual, update_direction(apply, params, probe.x, probe.residual)
        along = contracted(apply, params, probe.x_test, v, 3, rate)[1:, 0]
        second, third = (
            correlation_tensor(apply, params, probe.x_test, probe.x, order, rate)[0]
            for order in (2, 3)
        )
        whole = jnp.stack([einsum("ij,i,j", second, c, c), einsum("ijk,i,j,k", third, c, c, c)])
        norms = injective_norm(second, on_inputs), injective_norm(third, on_inputs)
        return TensorNorms(*norms, whole / along - 1)

    return each(of_seed, family.weights(on_weights, width, 1, seeds))
