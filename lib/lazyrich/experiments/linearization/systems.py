"""Systems other than fully connected networks: do their derivative correlations fall as fast?

All read a short sequence, x of shape (samples, 4 · 5) as four tokens of five numbers, give one
output, and are in NTK parametrisation: standard normal weights, and a factor fan-in^(−½) in front
of each sum over neurons. The activation φ is tanh, the hidden state h is n wide, and the output is
v·h where no other is given:

- *convolution*: two layers of three taps, around the ring of the tokens, and the mean over them;
- *residual*: the tokens side by side, h ← W x, two blocks h ← h + W φ(h), and the output v·φ(h);
- *recurrent*: h ← φ(W h + U x_t), with the same W and U for each token, and the last h;
- *attention*: one head over the embedded tokens, h ← Σ_t softmax(q·k_t/n) V e_t, and the mean of
  v·φ(h) over the queries;
- *attention, sharp*: the same with q·k_t/√n.

The last is the exception. A logit q·k/n is of size n^(−½), and so is its derivative by the
parameters: it moves too little for the softmax to bend. A logit q·k/√n is a random number of size
one even in the limit; it moves by order one, the output's derivative by it is of order one, and the
softmax bends. So C^{0,2}, C^{0,3} and C^{1,1} do not fall, however wide the head: a sum over
neurons is read by a nonlinearity over which no second sum averages.

An optimizer other than gradient descent contracts the same derivatives with another direction than
the gradient g. The first step of Adam is that of its signs, which are taken here at the length
|g|²/|g|_1, at which the step lowers the cost as much as the gradient does, to first order. Momentum
has the gradient as its first direction.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich.arithmetic import einsum, matmul, quickly_compiled, root_mean_square
from lazyrich.experiments.linearization import family
from lazyrich.experiments.linearization.first_steps import Correlations, on_probe
from lazyrich.training import stacked

TOKENS, ENTRIES, TAPS, BLOCKS, TESTS = 4, 5, 3, 2, 4
INPUTS = TOKENS * ENTRIES


class System(NamedTuple):
    """A family of networks of any width."""

    init: Callable
    """``init(key, width) -> params``, standard normal."""
    apply: Callable
    """``apply(params, x) -> outputs``, shapes (samples, 20) and (samples, 1)."""


def system_correlations(
    key: jax.Array,
    system: str,
    width: int,
    seeds: int,
    direction: str = "gradient",
    order: int = 2,
) -> Correlations:
    """C^{0,1}, …, C^{0,order} and C^{1,1} of a system at the start.

    The probe is that of :func:`~lazyrich.experiments.linearization.family.probe`, in twenty
    dimensions and with four further inputs, over which root mean squares are taken. All seeds and
    widths share it; the weights of different widths have nothing to do with each other.

    Args:
        key: draws the probe and, for each seed, the weights.
        system: its name, in :data:`SYSTEMS`.
        width: n.
        seeds: the number of networks.
        direction: what the derivatives are contracted with, in :data:`DIRECTIONS`.
        order: the largest d of C^{0,d}.
    """
    on_inputs, on_weights = jax.random.split(key)
    probe, (init, apply) = family.probe(on_inputs, INPUTS, TESTS), SYSTEMS[system]
    F = family.one_output(apply)

    # A program of this call alone, whose memory goes with it.
    @quickly_compiled
    def of_seed(params):
        rate, turned = family.PROBE_RATE, DIRECTIONS[direction]
        found = on_probe(F, params, probe, order, 1, rate, turned)
        return Correlations(*(jax.vmap(root_mean_square)(values) for values in found))

    return stacked(of_seed(init(one, width)) for one in family.seed_keys(on_weights, seeds))


def sign_step(gradient):
    """The signs s of the gradient g, as long as g·g = g·s asks: Adam's first direction."""
    square, total = (
        sum(size(leaf).sum() for leaf in jax.tree.leaves(gradient))
        for size in (jnp.square, jnp.abs)
    )
    return jax.tree.map(lambda leaf: square / total * jnp.sign(leaf), gradient)


DIRECTIONS: dict[str, Callable] = {"gradient": lambda gradient: gradient, "signs": sign_step}
"""The first directions of optimizers, as functions of the gradient."""


def _drawn(on_weights, **shapes):
    """Standard normal weights by name."""
    return jax.device_put(
        {
            name: family.first_normal(jax.random.fold_in(on_weights, i), shape)
            for i, (name, shape) in enumerate(shapes.items())
        }
    )


def _tokens(x: Float[Array, "samples inputs"]) -> Float[Array, "samples tokens entries"]:
    return x.reshape(len(x), TOKENS, ENTRIES)


def _dense(W, h):
    """W h/√fan-in along the last axis."""
    return matmul(h, W.T) / W.shape[1] ** 0.5


def _convolution(key, width):
    return _drawn(key, first=(TAPS, width, ENTRIES), second=(TAPS, width, width), output=(1, width))


def _apply_convolution(params, x):
    h = _tokens(x)
    for W in (params["first"], params["second"]):
        taps = (_dense(one, jnp.roll(h, tap - 1, axis=1)) for tap, one in enumerate(W))
        h = jnp.tanh(sum(taps) / TAPS**0.5)
    return _dense(params["output"], h.mean(1))


def _residual(key, width):
    hidden = {"embedding": (width, INPUTS), "blocks": (BLOCKS, width, width)}
    return _drawn(key, **hidden, output=(1, width))


def _apply_residual(params, x):
    h = _dense(params["embedding"], x)
    for W in params["blocks"]:
        h = h + _dense(W, jnp.tanh(h))
    return _dense(params["output"], jnp.tanh(h))


def _recurrent(key, width):
    return _drawn(key, inputs=(width, ENTRIES), state=(width, width), output=(1, width))


def _apply_recurrent(params, x):
    h = jnp.zeros((len(x), len(params["state"])), x.dtype)
    for token in jnp.moveaxis(_tokens(x), 1, 0):
        h = jnp.tanh(_dense(params["state"], h) + _dense(params["inputs"], token))
    return _dense(params["output"], h)


def _attention(key, width):
    squares = dict.fromkeys(("query", "key", "value"), (width, width))
    return _drawn(key, embedding=(width, ENTRIES), **squares, output=(1, width))


def _apply_attention(params, x, exponent):
    h = _dense(params["embedding"], _tokens(x))
    query, key, value = (_dense(params[name], h) for name in ("query", "key", "value"))
    logits = einsum("sqi,ski->sqk", query, key) / query.shape[-1] ** exponent
    mixed = jnp.tanh(matmul(jax.nn.softmax(logits), value))
    return _dense(params["output"], mixed.mean(1))


SYSTEMS: dict[str, System] = {
    "convolution": System(_convolution, _apply_convolution),
    "residual": System(_residual, _apply_residual),
    "recurrent": System(_recurrent, _apply_recurrent),
    "attention": System(_attention, partial(_apply_attention, exponent=1.0)),
    "attention, sharp": System(_attention, partial(_apply_attention, exponent=0.5)),
}
"""The systems by name."""
