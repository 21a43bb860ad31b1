import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lazyrich import training
from lazyrich.heavy_tails import (
    AdamVariant,
    adam_variant,
    burst_step,
    directions,
    draw,
    optimizer,
    sizes,
)
from lazyrich.heavy_tails.optimizers import NEVER

STEPS = 8


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def gradients():
    """Of two arrays over the steps, at first large and then small."""
    rng, sizes = np.random.default_rng(0), np.array([1, 3, 2, 0.1, 0.5, 0.01, 0.2, 1e-3])
    return [
        {"x": jnp.asarray(s * rng.normal(size=(2, 3))), "y": jnp.asarray(s * rng.normal())}
        for s in sizes
    ]


def changes(transformation, gradients):
    params = jax.tree.map(jnp.zeros_like, gradients[0])
    memory, made = transformation.init(params), []
    for gradient in gradients:
        change, memory = transformation.update(gradient, memory, params)
        made.append(change)
    return made


def by_the_documentation(gradients, rate, eps=1e-8, amsgrad=False, frozen_from=None):
    """PyTorch's Adam as its documentation states it, betas (0.9, 0.999), on one array."""
    m = v = largest = 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.999 * v + (1 - 0.999) * g**2
        largest = np.maximum(largest, v)
        if frozen_from is None or t <= frozen_from:
            v_hat = (largest if amsgrad else v) / (1 - 0.999**t)
        yield -rate * (m / (1 - 0.9**t)) / (np.sqrt(v_hat) + eps)


def agree(made, gradients, **options):
    for part in ("x", "y"):
        given = [np.asarray(gradient[part]) for gradient in gradients]
        expected = list(by_the_documentation(given, **options))
        close(np.stack([change[part] for change in made]), np.stack(expected), rtol=1e-9)


# Variants


def test_without_a_change_it_is_the_adam_of_optax(gradients):
    made = changes(adam_variant(AdamVariant(0.3)), gradients)
    expected = changes(optax.adam(0.3), gradients)
    for mine, its in zip(jax.tree.leaves(made), jax.tree.leaves(expected), strict=True):
        close(mine, its, rtol=1e-11)
    agree(made, gradients, rate=0.3)


@pytest.mark.parametrize(
    "options",
    [
        {"amsgrad": True},
        {"frozen_from": 3},
        {"frozen_from": 1, "amsgrad": True},
        {"epsilon": 0.1},
        {"epsilon": 1e-3, "amsgrad": True},
    ],
)
def test_variants_are_as_documented(options, gradients):
    made = changes(adam_variant(AdamVariant(0.3, **options)), gradients)
    renamed = {"eps" if key == "epsilon" else key: value for key, value in options.items()}
    agree(made, gradients, rate=0.3, **renamed)
    plain = changes(adam_variant(AdamVariant(0.3)), gradients)
    assert not np.allclose(made[-1]["x"], plain[-1]["x"], rtol=1e-3)


def test_amsgrad_keeps_the_largest_second_moment_and_corrects_it():
    gradients = [{"x": jnp.full(1, g)} for g in (1.0, 5.0, 0.0, 0.0, 0.0)]
    transformation = adam_variant(AdamVariant(1.0, amsgrad=True))
    memory, seen = transformation.init(gradients[0]), []
    for gradient in gradients:
        _, memory = transformation.update(gradient, memory)
        seen.append(float(memory.corrected["x"][0]))
    v = 0.001 * np.array([1, 0.999 + 25])
    close(seen[:2], v / (1 - 0.999 ** np.array([1, 2])))
    close(seen[2:], v[1] / (1 - 0.999 ** np.array([3, 4, 5])))


def test_until_it_is_frozen_nothing_differs(gradients):
    plain = changes(adam_variant(AdamVariant(0.3)), gradients)
    frozen = changes(adam_variant(AdamVariant(0.3, frozen_from=4)), gradients)
    same = [bool((a["x"] == b["x"]).all()) for a, b in zip(plain, frozen, strict=True)]
    assert same == [True] * 4 + [False] * 4


def test_one_program_serves_all_variants(gradients):
    many = AdamVariant(
        jnp.array([0.3, 0.3, 0.1]),
        jnp.array([1e-8, 1e-2, 1e-8]),
        jnp.array([False, False, True]),
        jnp.array([2, 100, 100]),
    )

    def last(variant):
        return changes(adam_variant(variant), gradients)[-1]["x"]

    together = training.ensemble(last)(many)
    for i, each in enumerate(together):
        one = AdamVariant(*(float(field[i]) for field in many[:2]), *(f[i] for f in many[2:]))
        close(each, last(one))


def test_changes_keep_the_precision_of_the_gradients(gradients):
    single = jax.tree.map(lambda array: array.astype(jnp.float32), gradients)
    for transformation in (
        adam_variant(AdamVariant(jnp.asarray(0.3, jnp.float32), amsgrad=True)),
        optimizer("Adam", 0.3, 0.9),
        optimizer("GD", jnp.asarray(0.3), jnp.asarray(0.9)),
    ):
        made = changes(transformation, single)
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(made))


# Optimisers


@pytest.mark.parametrize("decay", [1.0, 0.7])
def test_the_rate_decays_from_the_second_step_on(decay, gradients):
    rates = 0.3 * decay ** np.arange(STEPS)
    for mine, g, rate in zip(
        changes(optimizer("GD", 0.3, decay), gradients), gradients, rates, strict=True
    ):
        close(mine["x"], -rate * g["x"])
    units = changes(optax.adam(1.0), gradients)
    for mine, unit, rate in zip(
        changes(optimizer("Adam", 0.3, decay), gradients), units, rates, strict=True
    ):
        close(mine["x"], rate * unit["x"], rtol=1e-11)


def test_adam_is_that_of_the_documentation(gradients):
    agree(changes(optimizer("Adam", 0.3), gradients), gradients, rate=0.3)


def test_the_first_step_of_adam_is_the_sign_of_the_gradient():
    G = directions(draw(jax.random.key(0), sizes(30), tests=1)).gradient
    for transformation in (optimizer("Adam", 2.0), adam_variant(AdamVariant(2.0, amsgrad=True))):
        change, _ = transformation.update(G, transformation.init(G))
        # ε is next to nothing, but where the gradient is too.
        assert (np.sign(change) == -np.sign(G)).all()
        close(change, -2 * np.asarray(G) / (np.abs(G) + 1e-8), rtol=1e-11)
        close(np.abs(change)[np.abs(G) > 1e-5], 2, rtol=1e-3)


def test_a_step_beyond_all_that_are_counted_is_never():
    W, gradient = jnp.ones(2), jnp.array([0.3, -2.0])
    late, never = (adam_variant(AdamVariant(0.1, frozen_from=step)) for step in (10**12, NEVER))
    late, never = (each.update(gradient, each.init(W))[0] for each in (late, never))
    assert late.tolist() == never.tolist() and (late != 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizer("SGD", 0.1), "name must be one of 'GD', 'Adam', got 'SGD'"),
        (lambda: optimizer("GD", -0.1), "rate must be not negative, got -0.1"),
        (lambda: optimizer("GD", np.nan), "rate must be finite, got nan"),
        (lambda: optimizer("Adam", 0.1, 0.0), "decay must be positive, got 0.0"),
        (lambda: adam_variant(AdamVariant(-1.0)), "variant.rate must be not negative, got -1.0"),
        (
            lambda: adam_variant(AdamVariant(0.1, epsilon=0.0)),
            "variant.epsilon must be positive, got 0.0",
        ),
        (
            lambda: adam_variant(AdamVariant(jnp.arange(2))),
            "variant.rate must be an array of floats, got dtype int64",
        ),
    ],
)
def test_what_makes_no_optimizer_is_named(make, message):
    with pytest.raises(ValueError, match="^" + message):
        make()


# Bursts


@pytest.mark.parametrize(("sharpness", "rate", "step"), [(250.0, 0.1, 1000), (260.0, 0.01, 700)])
def test_the_burst_is_where_the_decay_carries_the_sharpness_over_its_threshold(
    sharpness, rate, step
):
    t = np.arange(step, 20_000)
    second_moment = 0.999**t / (1 - 0.999**t)
    grown = sharpness * np.sqrt(second_moment[0] / second_moment)
    found = burst_step(sharpness, rate, step)
    assert t[np.argmax(grown > 38 / rate)] == np.ceil(found)
    # From any step of the same run it is the same.
    close(burst_step(grown[200], rate, step + 200), found)


def test_adam_turns_unstable_at_the_threshold():
    # On ½ λ x² with a frozen v̂ of one, the step is η m̂.
    for factor, grows in ((0.98, False), (1.02, True)):
        curvature, x, m = factor * 38 / 0.1, 1e-6, 0.0
        for _ in range(2000):
            m = 0.9 * m + 0.1 * curvature * x
            x -= 0.1 * m
        assert (abs(x) > 1e-6) == grows


def test_what_has_no_burst_is_named():
    with pytest.raises(ValueError, match="^sharpness must be positive, got 0.0"):
        burst_step(0.0, 0.1, 1000)
    with pytest.raises(ValueError, match="^rate must be positive, got -0.1"):
        burst_step(1.0, -0.1, 1000)
    with pytest.raises(ValueError, match="^step must be from 1 to 1e.50, got 0"):
        burst_step(1.0, 0.1, 0)
    with pytest.raises(ValueError, match="^sharpness and rate and step must broadcast"):
        burst_step(np.ones(2), np.ones(3), 1000)
