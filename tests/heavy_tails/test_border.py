"""What does not fit is named before anything is computed, whatever function it is given to."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.heavy_tails import (
    AdamVariant,
    Samples,
    Sizes,
    Update,
    adam_variant,
    alignment_law,
    burst_step,
    directions,
    draw,
    features,
    first_step_law,
    first_step_loss,
    kernel_alignment,
    least_squares_loss,
    linear_alignment,
    linear_features_loss,
    loss,
    optimizer,
    outlier,
    outputs,
    overlaps,
    parity_floor,
    ridge_losses,
    spike_law,
    update,
    weight_metrics,
)

KEY = jax.random.key(3)
D, H, N = 4, 6, 8
SIZES = Sizes(D, H, N)
PROBLEM = draw(KEY, SIZES, tests=7)
W, a, (x, y) = PROBLEM.W, PROBLEM.a, PROBLEM.train


def given(function, **bad):
    """A function with arguments that fit, but for some."""
    arguments = {
        "key": KEY,
        "optimizer": "GD",
        "rate": 0.1,
        "sizes": SIZES,
    }
    taken = inspect.signature(function).parameters
    needed = {name: arguments[name] for name in taken if name in arguments}
    return partial(function, **needed | bad)


def named(call, message, unchecked):
    call = partial(unchecked(call.func), *call.args, **call.keywords)
    with pytest.raises(ValueError, match="^" + message):
        call()


# Arrays


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            partial(loss, W, a, Samples(x, y[:, None])),
            r"samples.y must have shape \(8,\), got \(8, 1\)",
        ),
        (
            partial(loss, W, a, Samples(x, y[:1])),
            r"samples.y must have shape \(8,\), got \(1,\)",
        ),
        (
            partial(loss, W, a, Samples(x[:, :3], y)),
            r"samples.x must have shape \(n, 4\), got \(8, 3\)",
        ),
        (partial(loss, W, a, (x, y)), "samples must be a Samples, got a tuple"),
        (partial(outputs, W, a[:, None], x), r"a must have shape \(6,\), got \(6, 1\)"),
        (partial(outputs, W, a[:5], x), r"a must have shape \(6,\), got \(5,\)"),
        (partial(features, W, x[0]), r"x must have shape \(n, 4\), got \(4,\)"),
        (partial(features, W[0], x), r"W must have shape \(h, d\), got \(4,\)"),
        (partial(features, W, x[:0]), r"x must have shape \(n, 4\), got \(0, 4\)"),
        (
            partial(features, np.ones((H, D), int), x),
            "W must be an array of floats, got dtype int64",
        ),
        (
            partial(features, W, x, scale=np.ones(H)),
            r"scale must be one number, got shape \(6,\)",
        ),
        (partial(overlaps, W, W.T), r"M must have shape \(6, 4\), got \(4, 6\)"),
        (
            partial(weight_metrics, W, PROBLEM.teacher[:3]),
            r"teacher must have shape \(4,\), got \(3,\)",
        ),
        (
            partial(weight_metrics, W, 2 * PROBLEM.teacher),
            "teacher must be a unit vector, got one of length 2",
        ),
        (partial(weight_metrics, W, jnp.full(D, jnp.nan)), "teacher must be finite, got nan"),
        (
            partial(ridge_losses, W, PROBLEM, ridge=np.zeros(0)),
            r"ridge must hold at least one number, got shape \(0,\)",
        ),
        (partial(ridge_losses, 1.0, PROBLEM), r"W must have shape \(h, d\), got \(\)"),
        (partial(kernel_alignment, W[0], PROBLEM), r"W must have shape \(h, d\), got \(4,\)"),
    ],
)
def test_an_array_of_another_shape_is_named(call, message, unchecked):
    named(call, message, unchecked)


@pytest.mark.parametrize("function", [directions, partial(ridge_losses, W)])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (tuple(PROBLEM), "problem must be a Problem, got a tuple"),
        (PROBLEM._replace(a=a[:3]), r"problem.a must have shape \(6,\), got \(3,\)"),
        (
            PROBLEM._replace(teacher=jnp.ones(3)),
            r"problem.teacher must have shape \(4,\), got \(3,\)",
        ),
        (PROBLEM._replace(train=(x, y)), "problem.train must be a Samples, got a tuple"),
        (
            PROBLEM._replace(probe=Samples(x, y[:, None])),
            r"problem.probe.y must have shape \(8,\), got \(8, 1\)",
        ),
        (
            PROBLEM._replace(test=Samples(x[:, :2], y)),
            r"problem.test.x must have shape \(test, 4\), got \(8, 2\)",
        ),
    ],
)
def test_a_problem_whose_parts_do_not_fit_is_named(function, bad, message, unchecked):
    named(partial(function, problem=bad), message, unchecked)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (features, (W, x)),
        (outputs, (W, a, x)),
        (loss, (W, a, PROBLEM.train)),
        (overlaps, (W, 2 * W)),
        (weight_metrics, (W, PROBLEM.teacher)),
        (ridge_losses, (W, PROBLEM)),
        (kernel_alignment, (W, PROBLEM)),
        (directions, (PROBLEM,)),
    ],
)
def test_lists_are_taken_as_the_arrays_they_hold(function, arguments, unchecked):
    function, lists = unchecked(function), jax.tree.map(lambda each: each.tolist(), arguments)
    jax.tree.map(np.testing.assert_array_equal, function(*lists), function(*arguments))


def test_what_fits_is_taken_in_compiled_code_and_keeps_its_precision():
    expected = loss(W, a, PROBLEM.train)
    np.testing.assert_allclose(jax.jit(loss)(W, a, PROBLEM.train), expected)
    many = jax.vmap(loss, (0, None, None))(jnp.stack([W, 2 * W]), a, PROBLEM.train)
    np.testing.assert_allclose(many[0], expected)
    single = jax.tree.map(lambda each: each.astype("float32"), PROBLEM)
    assert features(single.W, single.train.x, scale=0.5).dtype == jnp.float32
    assert loss(single.W, single.a, single.train).dtype == jnp.float32


# Keys, sizes, names and numbers


@pytest.mark.parametrize("bad", [5, "seed", np.ones(2), jax.random.split(KEY)])
def test_a_key_is_one_random_key(bad, unchecked):
    named(given(draw, key=bad), "key must be one jax.random.key, got", unchecked)


@pytest.mark.parametrize("function", [first_step_law, least_squares_loss, draw, outlier])
@pytest.mark.parametrize("bad", [5, (D, H), (D, H, N, 1), np.array([D, H, N]), None])
def test_sizes_are_three(function, bad, unchecked):
    arguments = {"p_norm2": 1.0, "variance": 1.0} if function is outlier else {}
    call = given(function, sizes=bad, **arguments)
    named(call, r"sizes must be \(d, h, n\), got", unchecked)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (given(draw, dtype=int), "dtype must be float32 or float64, got <class 'int'>"),
        (given(draw, dtype="float16"), "dtype must be float32 or float64, got 'float16'"),
        (given(draw, dtype=[1]), r"dtype must be float32 or float64, got \[1\]"),
        (partial(optimizer, "GD", np.ones(2)), r"rate must be one number, got shape \(2,\)"),
        (
            partial(optimizer, "GD", 0.1, np.ones(2)),
            r"decay must be one number, got shape \(2,\)",
        ),
        (partial(adam_variant, 0.1), "variant must be an AdamVariant, got a float"),
        (
            partial(adam_variant, AdamVariant(0.1, amsgrad=1)),
            "variant.amsgrad must be of truth values, got dtype int64",
        ),
        (
            partial(adam_variant, AdamVariant(0.1, frozen_from=2.5)),
            "variant.frozen_from must be of integers, got dtype float64",
        ),
        (
            partial(adam_variant, AdamVariant(np.ones(2))),
            r"variant.rate must be one number, got shape \(2,\)",
        ),
        (
            partial(outlier, np.ones(2), np.ones(3), SIZES),
            r"p_norm2 and variance must broadcast .*, got shapes \(2,\) and \(3,\)",
        ),
        (partial(linear_alignment, (1.0, 1.0, 1.0), SIZES), "after must be an Update, got a tuple"),
        (
            partial(linear_alignment, Update(-1.0, 1.0, 1.0), SIZES),
            "after.variance must be positive, got -1.0",
        ),
        (
            partial(linear_alignment, Update(1.0, 1.0, np.nan), SIZES),
            "after.teacher must be finite, got nan",
        ),
        (
            partial(linear_alignment, Update(np.ones(2), np.ones(3), 1.0), SIZES),
            "after.variance and after.p_norm2 and after.teacher must broadcast",
        ),
    ],
)
def test_what_is_no_such_thing_is_named(call, message, unchecked):
    named(call, message, unchecked)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda rate: update("GD", rate, SIZES), "rate"),
        (lambda rate: spike_law("Adam", rate, SIZES).sigma, "rate"),
        (lambda rate: alignment_law("Adam", rate, SIZES), "rate"),
        (lambda rate: inspect.unwrap(first_step_loss)(SIZES, rate), "rate"),
        (lambda ridge: linear_features_loss(np.ones(4), np.ones(4), SIZES, ridge), "ridge"),
        (lambda rate: burst_step(100.0, rate, 1000), "rate"),
        (lambda p_norm2: outlier(p_norm2, 1.0, SIZES), "p_norm2"),
        (inspect.unwrap(parity_floor), "noise"),
    ],
)
def test_closed_forms_are_of_known_numbers(function, name):
    with pytest.raises(ValueError, match=f"^{name} must be a known number, got one that jit"):
        jax.jit(function)(0.5)
    # Of what is known there they are constants.
    assert jax.jit(lambda x: x * spike_law("GD", 0.5, SIZES).sigma)(2.0) > 0


# What is no mistake: matrices with nothing or little in them


def test_weights_without_features_have_no_alignment():
    losses = ridge_losses(0 * W, PROBLEM)
    np.testing.assert_allclose(losses.train, (PROBLEM.probe.y**2).mean())
    assert np.isnan(losses.alignment) and np.isnan(kernel_alignment(0 * W, PROBLEM))


def test_matrices_with_little_in_them_have_their_spectra():
    beta = PROBLEM.teacher
    assert (weight_metrics(0 * W, beta).eigenvalues == 0).all()
    assert 0 <= weight_metrics(0 * W, beta).teacher <= 1 + 1e-12
    rank_one = weight_metrics(jnp.outer(a, beta), beta)
    np.testing.assert_allclose(rank_one.eigenvalues, [0, 0, 0, a @ a], atol=1e-12 * (a @ a))
    np.testing.assert_allclose(rank_one.teacher, 1)
    for update_ in (0 * W, jnp.outer(a, beta)):
        found = overlaps(W, update_)
        assert np.isfinite(found.left).all() and np.isfinite(found.right).all()
        np.testing.assert_allclose(found.right.sum(0), 1)
