"""Small networks of three kinds, their parameters and shapes of inputs, and dense Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from lazyrich import networks

DRAWS = np.random.default_rng(0)


def drawn(*shape):
    return DRAWS.normal(size=shape)


def mlp(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def convolutional(params, x):
    layout = ("NHWC", "HWIO", "NHWC")
    for kernel in params[:-1]:
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        x = jax.nn.relu(x)
    return x.mean((1, 2)) @ params[-1]


def attention(params, x):
    """Queries and keys share their weights; the outputs are a tuple."""
    q, v = x @ params["qk"], x @ params["v"]
    weights = jax.nn.softmax(q @ q.swapaxes(-1, -2))
    mixed = weights @ v
    return mixed.mean(1), {"gate": jnp.tanh(mixed[:, 0] @ params["v"].T)}


NETWORKS = {
    "mlp": (mlp, {"in": drawn(3, 4), "out": drawn(4, 2)}, (3,)),
    "convolutional": (
        convolutional,
        [drawn(3, 3, 1, 2), drawn(3, 3, 2, 3), drawn(3, 2)],
        (4, 4, 1),
    ),
    "attention": (attention, {"qk": drawn(3, 2), "v": drawn(3, 3)}, (4, 3)),
}


SAMPLES, OUTPUTS = 4, 2


def layered():
    """A fully connected network of two layers, its parameters, and samples."""
    rng = np.random.default_rng(0)
    apply = networks.fully_connected((3, 5, OUTPUTS), jnp.tanh).apply
    params = [{"weight": jnp.asarray(rng.normal(size=shape))} for shape in ((5, 3), (OUTPUTS, 5))]
    return apply, params, jnp.asarray(rng.normal(size=(SAMPLES, 3)))


def dense(apply, params, x):
    """The Jacobian of all outputs, a sample at a time and forwards."""
    start, unravel = ravel_pytree(params)

    def of_sample(start, one):
        return ravel_pytree(apply(unravel(start), one[None]))[0]

    return np.concatenate([jax.jacfwd(of_sample)(start, one) for one in jnp.asarray(x)])
