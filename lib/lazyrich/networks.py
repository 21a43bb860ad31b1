"""Networks: pairs of pure functions, with the parametrisation as an argument.

A network is ``init(key) -> params`` and ``apply(params, x) -> outputs``, with inputs of shape
(samples, inputs), outputs of shape (samples, outputs) and any pytree of parameters. The layered
ones here also show the input of each layer, and how the outputs depend on what it computes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from lazyrich import validation
from lazyrich.arithmetic import matmul
from lazyrich.draws import standard_normals


class Network(NamedTuple):
    """A network, and what its layers see."""

    init: Callable
    """``init(key) -> params``."""
    apply: Callable
    """``apply(params, x) -> outputs``."""
    features: Callable
    """``features(params, x) ->`` the inputs of all layers, one array of shape (samples, width)
    each; the last is the hidden representation that the output layer reads."""
    layers: Sequence["LayerScale"]
    """How each layer is scaled."""
    sensitivities: Callable | None = None
    """``sensitivities(params, x) ->`` the features and, for each layer, the derivatives of the
    outputs with respect to what it computes, one array of shape (samples, outputs, width) each;
    the last is the identity. Together they are the derivative by the layer's weights,
    ∂F_c/∂W_ij = multiplier · sensitivity_ci · feature_j; a bias counts as the weight of one more
    feature, a constant. None if they are not known."""


class LayerScale(NamedTuple):
    """How a layer is scaled: it computes multiplier · W x, with W_ij ~ N(0, std²) at the start."""

    multiplier: float
    """Factor in front of the layer."""
    std: float
    """Standard deviation of its weights at the start."""


def standard(widths: Sequence[int], gain: float) -> list[LayerScale]:
    """Standard parametrisation: no multiplier, std gain/√fan-in (gain 1 in the output layer)."""
    gains = [gain] * (len(widths) - 2) + [1.0]
    return [LayerScale(1.0, g / fan_in**0.5) for g, fan_in in zip(gains, widths[:-1], strict=True)]


def maximal_update(widths: Sequence[int], gain: float) -> list[LayerScale]:
    """Maximal-update parametrisation for SGD, with one learning rate for all layers.

    Relative to :func:`standard`, the input layer gets the multiplier √n with its std divided by
    √n (n its width), so that it starts the same and moves n times as fast; the output layer gets
    the multiplier 1/√n (n its fan-in) with its std kept, so that it starts √n times smaller and
    moves n times as slowly.

    Source: Yang & Hu, *Tensor programs IV* (arXiv 2011.14522).
    """
    first, *inner, last = standard(widths, gain)
    rise, fall = widths[1] ** 0.5, widths[-2] ** -0.5
    return [LayerScale(rise, first.std / rise), *inner, LayerScale(fall, last.std)]


def neural_tangent(widths: Sequence[int], gain: float) -> list[LayerScale]:
    """NTK parametrisation: multiplier gain/√fan-in (gain 1 in the output layer), std 1.

    It starts as :func:`standard` does, with a tangent kernel that stays finite at large width.

    Source: Jacot, Gabriel & Hongler, *Neural tangent kernel* (arXiv 1806.07572).
    """
    return [LayerScale(layer.std, 1.0) for layer in standard(widths, gain)]


def fully_connected(
    widths: Sequence[int],
    activation: Callable = jax.nn.relu,
    parametrisation: Callable = standard,
    gain: float = 2**0.5,
    scale: float = 1.0,
    bias: float = 0.0,
) -> Network:
    """A fully connected network F(x) = W^L φ(… φ(W^1 x)), with biases or without.

    Its parameters are a list with a dict ``{"weight": W}`` a layer, W of shape (fan-out, fan-in);
    with biases ``{"weight": W, "bias": b}``, and the layer computes multiplier · W x + bias · b.

    Args:
        widths: numbers of inputs, hidden units and outputs, at least three.
        activation: φ.
        parametrisation: a function ``(widths, gain) -> [LayerScale, …]``: :func:`standard`,
            :func:`neural_tangent`, :func:`maximal_update` or one of your own.
        gain: of the hidden layers, √2 for ReLU.
        scale: a factor on all weights at the start.
        bias: the factor of the biases, which start standard normal; 0 for none.

    Raises:
        ValueError: if a width is not a positive integer, there is no hidden layer, activation is
            no function, gain or scale is not positive, or bias is negative.

    >>> network = fully_connected((3, 8, 1))
    >>> params = network.init(jax.random.key(0))
    >>> network.apply(params, jax.numpy.ones((5, 3))).shape
    (5, 1)
    """
    widths = validation.widths("widths", widths, least=3)
    if not callable(activation):
        raise ValueError(f"activation must be a function, got {activation!r}")
    validation.positive("gain", gain)
    validation.positive("scale", scale)
    validation.nonnegative("bias", bias)
    biased = bias != 0
    layers = parametrisation(widths, gain)

    shapes = [(rows, columns + biased) for columns, rows in pairwise(widths)]

    def init(key: jax.Array) -> list[dict[str, Array]]:
        validation.random_key("key", key)
        normals = standard_normals(key, shapes)
        return [
            _layer(normal, columns, scale * layer.std)
            for layer, normal, columns in zip(layers, normals, widths[:-1], strict=True)
        ]

    def affine(layer, params, x):
        product = layer.multiplier * matmul(x, params["weight"].T)
        return product + bias * params["bias"] if biased else product

    def with_constant(layer, x):
        return jnp.pad(x, ((0, 0), (0, 1)), constant_values=bias / layer.multiplier)

    def features(
        params, x: Shaped[Array | np.ndarray, "samples inputs"]
    ) -> list[Float[Array, "samples _"]]:
        inputs = [_as_floats(x, params)]
        for layer, one in zip(layers[:-1], params[:-1], strict=True):
            inputs.append(activation(affine(layer, one, inputs[-1])))
        return inputs

    def apply(
        params, x: Shaped[Array | np.ndarray, "samples inputs"]
    ) -> Float[Array, "samples outputs"]:
        return affine(layers[-1], params[-1], features(params, x)[-1])

    def sensitivities(params, x: Shaped[Array | np.ndarray, "samples inputs"]):
        inputs, slopes = [_as_floats(x, params)], []
        for layer, one in zip(layers[:-1], params[:-1], strict=True):
            z = affine(layer, one, inputs[-1])
            value, slope = _with_slope(activation, z)
            inputs.append(value)
            slopes.append(slope)
        outputs = jnp.eye(widths[-1], dtype=inputs[-1].dtype)
        back = [jnp.broadcast_to(outputs, (len(x), *outputs.shape))]
        for layer, one, slope in zip(layers[:0:-1], params[:0:-1], slopes[::-1], strict=True):
            back.append(layer.multiplier * matmul(back[-1], one["weight"]) * slope[:, None])
        if biased:
            inputs = [with_constant(layer, x) for layer, x in zip(layers, inputs, strict=True)]
        return inputs, back[::-1]

    return Network(init, apply, features, layers, sensitivities)


def _layer(normal, columns, std):
    """The parameters of a layer from its draws, of which the last column is that of a bias."""
    weight = {"weight": jnp.asarray(std * normal[:, :columns], normal.dtype)}
    biased = normal.shape[1] > columns
    return weight | {"bias": jnp.asarray(normal[:, columns])} if biased else weight


def _as_floats(x, params):
    """Inputs in the precision of the weights if they are integers, whose products overflow."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(params[0]["weight"].dtype)


def _with_slope(activation, z):
    """An activation and its derivative, forwards or, if it has none forwards, backwards."""
    forwards = jax.vmap(lambda t: jax.jvp(activation, (z,), (t,)), out_axes=(None, 0))
    try:
        # By vmap, since jvp alone fails only when what is traced is compiled.
        value, slopes = forwards(jnp.ones_like(z)[None])
        return value, slopes[0]
    except (TypeError, NotImplementedError):  # as of a jax.custom_vjp
        value, pull = jax.vjp(activation, z)
        return value, *pull(jnp.ones_like(value))
