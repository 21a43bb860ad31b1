import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazyrich.draws import normal
from lazyrich.experiments.linearization.systems import DIRECTIONS, SYSTEMS, system_correlations
from lazyrich.training import stacked
from linearization.small import close, drawn

KEY = jax.random.key(0)


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def by_loops(name, params, x):
    """The output of a system of width n on one input, sum by sum."""
    p = {key: np.asarray(leaf) for key, leaf in params.items()}
    n, v, phi, tokens = p["output"].shape[1], p["output"][0], np.tanh, x.reshape(4, 5)
    if name == "residual":
        h = p["embedding"] @ x / 20**0.5
        for W in p["blocks"]:
            h = h + W @ phi(h) / n**0.5
        return v @ phi(h) / n**0.5
    if name == "recurrent":
        h = np.zeros(n)
        for token in tokens:
            h = phi(p["state"] @ h / n**0.5 + p["inputs"] @ token / 5**0.5)
        return v @ h / n**0.5
    if name == "convolution":
        h = tokens
        for W in (p["first"], p["second"]):
            fan_in = (3 * h.shape[1]) ** 0.5
            h = np.stack(
                [
                    phi(sum(W[tap] @ h[(place + 1 - tap) % 4] for tap in range(3)) / fan_in)
                    for place in range(4)
                ]
            )
        return v @ h.mean(0) / n**0.5
    e = tokens @ p["embedding"].T / 5**0.5
    size, mixed = n if name == "attention" else n**0.5, []
    for token in e:
        q = p["query"] @ token / n**0.5
        shares = softmax(np.array([q @ (p["key"] @ other) / n**0.5 / size for other in e]))
        mixed.append(
            phi(sum(s * p["value"] @ one for s, one in zip(shares, e, strict=True)) / n**0.5)
        )
    return v @ np.mean(mixed, 0) / n**0.5


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_computes_its_formula(name):
    params = SYSTEMS[name].init(KEY, 6)
    outputs = SYSTEMS[name].apply(params, drawn(3, 20))
    assert outputs.shape == (3, 1)
    expected = [by_loops(name, params, np.asarray(x)) for x in drawn(3, 20)]
    close(outputs[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("name", SYSTEMS)
def test_outputs_stay_of_order_one_in_width(name):
    sizes = []
    for width in (4, 64):
        keys = jax.random.split(KEY, 100)
        params = stacked(SYSTEMS[name].init(key, width) for key in keys)
        outputs = jax.vmap(lambda p: SYSTEMS[name].apply(p, drawn(3, 20)))(params)
        sizes.append(np.sqrt((np.asarray(outputs) ** 2).mean()))
    assert 0.05 < sizes[1] < 3 and 0.6 < sizes[1] / sizes[0] < 1.6


@pytest.mark.parametrize(
    ("name", "direction"), [("recurrent", "gradient"), ("attention, sharp", "signs")]
)
def test_correlations_are_those_of_the_dense_derivatives(name, direction):
    measured = system_correlations(KEY, name, 2, 2, direction, order=3)
    on_inputs, on_weights = jax.random.split(KEY)
    params = SYSTEMS[name].init(jax.random.fold_in(on_weights, 1), 2)
    flat, unravel = ravel_pytree(params)
    x = normal(on_inputs, (8, 20))

    def network(flat, x):
        return SYSTEMS[name].apply(unravel(flat), x)[:, 0]

    v = np.array([0.5, -0.5, 0.5, -0.5]) @ np.asarray(jax.jacrev(network)(flat, x[:4]))
    if direction == "signs":
        v = np.sign(v) * (v @ v) / np.abs(v).sum()
    gradient = jax.jacrev(lambda flat: network(flat, x[4:]))
    derivatives = gradient, jax.jacfwd(gradient), jax.jacfwd(jax.jacfwd(gradient))
    J, H, T = (np.asarray(jax.jit(derivative)(flat)) for derivative in derivatives)
    rms = lambda values: np.sqrt(np.mean(values**2))  # noqa: E731
    expected = [rms(J @ v / 2), rms(H @ v @ v / 8), rms(T @ v @ v @ v / 48)]
    close(measured.C0[1], expected, rtol=1e-9, atol=1e-14)
    close(measured.C1[1], [0.5**1.5 * rms(np.linalg.norm(H @ v, axis=-1))], rtol=1e-9)


def test_the_signs_lower_the_cost_as_much_as_the_gradient():
    gradient = {"a": drawn(3, 2), "b": drawn(4)}
    g, s = (ravel_pytree(tree)[0] for tree in (gradient, DIRECTIONS["signs"](gradient)))
    close(g @ s, g @ g, rtol=1e-12)
    close(jnp.abs(s), jnp.abs(s[0]), rtol=1e-12)
    assert (jnp.sign(s) == jnp.sign(g)).all()
    assert DIRECTIONS["gradient"](gradient) is gradient


def test_the_gradient_turns_less_in_wider_attention_unless_it_is_sharp():
    turns = {}
    for name in ("attention", "attention, sharp"):
        runs = (system_correlations(KEY, name, width, 16) for width in (8, 128))
        turns[name] = [float(jnp.median(run.C1)) for run in runs]
    assert turns["attention"][1] < turns["attention"][0] / 2.5
    assert turns["attention, sharp"][1] > turns["attention, sharp"][0] / 2


def test_lower_orders_are_those_of_higher_ones():
    one, three = (system_correlations(KEY, "recurrent", 4, 2, order=order) for order in (1, 3))
    close(one.C0, three.C0[:, :1], rtol=1e-12)
    close(one.C1, three.C1, rtol=1e-12)
