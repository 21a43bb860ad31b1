import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import mechanisms
from lazyrich.experiments.mechanisms.cases import aligned, at_targets, random_cases

NEURONS, INPUTS = 11, 6


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture(scope="module")
def many():
    return random_cases(jax.random.key(0), 4000)


def test_the_data_lie_on_a_line_and_say_the_constants(many):
    line, s = many.line, many.setting
    close(jnp.linalg.norm(line.direction, axis=1), np.ones(4000))
    close(line.x, line.a[..., None] * line.direction[:, None], rtol=1e-15)
    close(s.A, (line.a**2).mean(1))
    close(s.y_star, (line.a * line.y).mean(1) / (line.a**2).mean(1))


def test_constants_have_the_distributions_they_should(many):
    s = many.setting
    for positive in (s.gamma, s.eta_u, s.eta_w):
        assert abs(np.log(positive).mean()) < 0.06 and abs(np.log(positive).std() - 1) < 0.04
    # A is E[a²], log-normal, times the mean square of 32 standard normals
    assert abs(np.log(s.A).std() - np.sqrt(1 + 2 / 32)) < 0.04
    assert abs(np.log(s.A).mean() + 1 / 32) < 0.06
    assert abs(s.y_star.mean()) < 0.1 and abs(s.y_star.std() - 2) < 0.08
    noise = many.line.y - s.y_star[:, None] * many.line.a
    assert abs(np.median(noise.std(1) / np.sqrt(s.A)) - 0.5) < 0.02
    assert set(np.unique(s.c)) == {1, 2} and abs(s.c.mean() - 1.5) < 0.03
    logs = np.log(np.stack([s.gamma, s.eta_u, s.eta_w, s.A]))
    assert np.abs(np.corrcoef(logs) - np.eye(4)).max() < 0.06


def test_widths_are_uniform_and_absent_neurons_are_zero(many):
    present = np.asarray(many.u) != 0
    widths = present.sum(1)
    assert (present == (np.arange(NEURONS) < widths[:, None])).all()
    assert ((np.asarray(many.W) != 0).all(2) == present).all()
    assert ((np.asarray(many.W) != 0).any(2) == present).all()
    counts = np.bincount(widths, minlength=NEURONS + 1)
    assert counts[0] == 0 and np.abs(counts[1:] / 4000 - 1 / NEURONS).max() < 0.02
    sizes = np.where(present, many.u**2, 0).sum(1) + (many.W**2).sum((1, 2))
    assert abs(np.median(np.sqrt(sizes / (widths * (1 + INPUTS)))) - 0.5) < 0.03


def test_aligned_cases_have_parallel_layers_and_keep_the_rest(many):
    turned = aligned(many)
    close(turned.v, 0.7 * turned.u, rtol=1e-9, atol=1e-13)
    change = turned.W - many.W
    n = many.line.direction
    close(change, jnp.einsum("cdi,ci,cj->cdj", change, n, n), rtol=1e-9, atol=1e-12)
    assert (turned.u == many.u).all() and (turned.line.y == many.line.y).all()


def test_cases_of_targets_differ_in_the_target_alone():
    cases = at_targets(random_cases(jax.random.key(1), 5))
    v = np.einsum("cdi,ci->cd", cases.W, cases.line.direction)
    N = mechanisms.invariants(cases.setting, cases.u, v).N
    close(cases.setting.y_star, np.arange(5) * N)
    close(cases.line.y, cases.setting.y_star[:, None] * cases.line.a)
    for leaf in jax.tree.leaves(cases._replace(setting=cases.setting[:4], line=cases.line[2])):
        assert (leaf == leaf[:1]).all()
