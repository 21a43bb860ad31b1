from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.heavy_tails import VARIANTS, draw, long_run, shape
from lazyrich.spectra import hill

KEY = jax.random.key(12)
D, RATE, SCHEDULE = 6, 0.4, (3, 4, 9)
run = partial(long_run, KEY, RATE, inputs=D, seeds=2)


def close(measured, expected, rtol=1e-8, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def plain(problem, steps, frozen_from=None, amsgrad=False, epsilon=1e-8):
    """After each step Hill's exponent, the loss at its end and start, and the mean of √v̂."""
    W, a, (x, y) = problem.W, problem.a, problem.train
    (h, d), m, v, largest = W.shape, 0.0, 0.0, 0.0
    seen = []
    for t in range(1, steps + 1):
        hidden = np.tanh(x @ W.T / d**0.5)
        r = hidden @ a / h**0.5 - y
        G = 2 / (len(y) * (h * d) ** 0.5) * (np.outer(a, r) * (1 - hidden.T**2)) @ x
        m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G**2
        largest = np.maximum(largest, v)
        if frozen_from is None or t <= frozen_from:
            v_hat = (largest if amsgrad else v) / (1 - 0.999**t)
        W = W - RATE * m / (1 - 0.9**t) / (np.sqrt(v_hat) + epsilon)
        values = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
        after = ((np.tanh(x @ W.T / d**0.5) @ a / h**0.5 - y) ** 2).mean()
        seen.append([hill(jnp.asarray(values)), after, (r**2).mean(), np.sqrt(v_hat.mean())])
    return np.array(seen)


OPTIONS = {
    "as it is": {},
    "v̂ frozen": {"frozen_from": 4},
    "AMSGrad": {"amsgrad": True},
    "ε = 1e-5": {"epsilon": 1e-5},
    "ε = 1e-3": {"epsilon": 1e-3},
}


@pytest.fixture(scope="module")
def all_variants():
    return run(list(VARIANTS), schedule=SCHEDULE, frozen_from=4, double=True)


def test_a_long_run_is_a_plain_loop(all_variants):
    assert list(VARIANTS) == list(OPTIONS)
    assert all_variants.step.tolist() == list(SCHEDULE)
    for i in range(2):
        problem = jax.tree.map(np.asarray, draw(jax.random.fold_in(KEY, i), shape(D)))
        for j, options in enumerate(OPTIONS.values()):
            exponents, losses, before, moments = plain(problem, 9, **options).T
            at = np.array(SCHEDULE) - 1
            close(all_variants.hill[i, j], exponents[at])
            close(all_variants.loss[i, j], losses[at])
            close(all_variants.second_moment[i, j], moments[at])
            largest = before[:3].max(), before[3], before[4:].max()
            close(all_variants.largest_loss[i, j], largest)


def test_a_frozen_run_differs_once_it_is_frozen(all_variants):
    as_it_is, frozen = 0, 1
    for part in (all_variants.hill, all_variants.loss, all_variants.second_moment):
        np.testing.assert_array_equal(part[:, frozen, :2], part[:, as_it_is, :2])
        assert (part[:, frozen, 2] != part[:, as_it_is, 2]).all()
    moments = all_variants.second_moment
    np.testing.assert_array_equal(moments[:, frozen, 1], moments[:, frozen, 2])


def test_by_default_it_is_frozen_after_a_thousand_steps():
    late = run(["v̂ frozen", "as it is"], schedule=(1000, 1001))
    frozen, as_it_is = np.moveaxis(np.asarray(late.second_moment), 1, 0)
    np.testing.assert_array_equal(frozen[:, 0], as_it_is[:, 0])
    np.testing.assert_array_equal(frozen[:, 1], frozen[:, 0])
    assert (as_it_is[:, 1] != as_it_is[:, 0]).all()


def test_a_run_does_not_depend_on_what_is_observed_or_run_beside_it(all_variants):
    other = run(["AMSGrad", "as it is"], schedule=(0, 4, 9), double=True)
    assert other.step.tolist() == [0, 4, 9]
    for part in ("hill", "loss", "second_moment"):
        mine, its = getattr(other, part), getattr(all_variants, part)
        close(mine[:, 0, 1:], its[:, 2, 1:])
        close(mine[:, 1, 1:], its[:, 0, 1:])
    assert (other.largest_loss[..., 0] == 0).all() and (other.second_moment[..., 0] == 0).all()
    start = draw(jax.random.fold_in(KEY, 0), shape(D)).W
    close(other.hill[0, :, 0], hill(jnp.linalg.svd(start, compute_uv=False) ** 2))
    close(other.largest_loss[..., 1], all_variants.largest_loss[:, [2, 0], :2].max(-1))


def test_long_runs_are_in_single_precision_by_default(all_variants):
    single = run(["as it is"], schedule=SCHEDULE)
    assert single.loss.dtype == jnp.float32 and all_variants.loss.dtype == jnp.float64
    assert single.hill.dtype == jnp.float64
    close(single.loss[:, 0], all_variants.loss[:, 0], rtol=1e-3)
    close(single.hill[:, 0], all_variants.hill[:, 0], rtol=1e-3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"rate": 0.0}, "rate must be positive, got 0.0"),
        ({"rate": np.nan}, "rate must be finite, got nan"),
        ({"rate": np.ones(2)}, r"rate must be one number, got shape \(2,\)"),
        ({"rate": np.array(1)}, "rate must be an array of floats, got dtype int64"),
        ({"variants": ["Adam"]}, "variants must be one of 'as it is', .*, got 'Adam'"),
        ({"variants": []}, r"variants must hold at least one name, got \[\]"),
        ({"inputs": 1}, "inputs must be an integer of at least 2, got 1"),
        ({"seeds": 0}, "seeds must be an integer of at least 1, got 0"),
        ({"schedule": (4, 2)}, r"schedule must hold increasing numbers of steps, got \(4, 2\)"),
        ({"schedule": ()}, r"schedule must hold increasing numbers of steps, got \(\)"),
        ({"frozen_from": 10**12}, r"frozen_from must be an integer below 2\*\*31, got about"),
        ({"frozen_from": 0}, "frozen_from must be an integer of at least 1, got 0"),
        ({"double": 1}, "double must be True or False, got 1"),
    ],
)
def test_what_makes_no_long_run_is_named(bad, message, unchecked):
    given = {"rate": 0.1, "variants": ["AMSGrad"], "inputs": D, "seeds": 1, "schedule": (1,)}
    with pytest.raises(ValueError, match="^" + message):
        unchecked(long_run)(KEY, **given | bad)
