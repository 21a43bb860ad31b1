import jax
import numpy as np
import pytest

from lazyrich.conditioning import kaiming, linear_rank
from lazyrich.draws import normal
from lazyrich.experiments.conditioning.agreement import (
    aligned_bounds,
    hessians,
    linear_spectra,
    normalised_spectra,
    pruned_kernels,
    two_layer_numbers,
)

KEY = jax.random.key(3)


def close(measured, expected, rtol=0.0, atol=1e-12):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def coloured(widths, samples):
    """The weights, and the samples."""
    on_weights, on_data = jax.random.split(KEY)
    x = np.asarray(normal(on_data, (samples, widths[0])))
    return list(map(np.asarray, kaiming(on_weights, widths))), x * np.linspace(0.3, 2, widths[0])


def jacobian(weights, x):
    """∂F/∂W^l = W^(L:l+1) ⊗ (W^(l−1:1) x)ᵀ, samples and outputs by parameters."""
    rows = []
    for sample in x:
        after, blocks, before = np.eye(len(weights[-1])), [], [sample]
        for W in weights[:-1]:
            before.append(W @ before[-1])
        for W, h in zip(weights[::-1], before[::-1], strict=True):
            blocks.append(np.kron(after, h))
            after = after @ W
        rows.append(np.hstack(blocks[::-1]))
    return np.concatenate(rows)


def exact(pair, expected):
    """The closed form is the non-zero part of what automatic differentiation gives."""
    measured, automatic = pair
    top, n = expected[-1], len(measured)
    assert len(automatic) == len(expected) > n
    close(automatic, expected, atol=1e-12 * top)
    close(measured, automatic[-n:], atol=1e-12 * top)
    close(automatic[:-n], 0, atol=1e-12 * top)


@pytest.mark.parametrize(
    ("widths", "skip"), [((5, 7, 3), 0.0), ((5, 7, 3), 0.5), ((4, 3, 4, 2), 1.0)]
)
def test_the_closed_form_is_checked_on_coloured_data(widths, skip):
    weights, x = coloured(widths, 12)
    weights = [W + skip * np.eye(*W.shape) for W in weights]
    J = jacobian(weights, x)
    spectra = linear_spectra(KEY, widths, 12, skip)
    assert len(spectra.exact) == widths[0] * widths[-1] == linear_rank(widths)
    exact(spectra, np.linalg.eigvalsh(J.T @ J / 12))


def test_two_layers_are_checked_with_all_their_eigenvalues():
    weights, x = coloured((5, 7, 3), 40)
    J = jacobian(weights, x)
    values = np.linalg.eigvalsh(J.T @ J / 40)
    kappa, automatic = two_layer_numbers(KEY, (5, 7, 3))
    close(automatic, values, atol=1e-12 * values[-1])
    close(kappa, values[-1] / values[-15], rtol=1e-9)


def test_batch_normalisation_is_checked_through_the_statistics_of_the_batch():
    (V, W), x = coloured((4, 5, 2), 12)
    z = (x - x.mean(0)) @ V.T
    s = z.std(0)
    unit, rows = z / s, []
    for c in range(2):
        # The mean and the deviation of a hidden unit move with its weights.
        slope = (x - x.mean(0))[:, None] - unit[..., None] * (unit.T @ (x - x.mean(0))) / 12
        by_V = W[c][:, None] * slope / s[:, None]
        by_W = np.zeros((12, 2, 5))
        by_W[:, c] = unit
        parts = by_V.reshape(12, -1), W[c] * unit, np.tile(W[c], (12, 1)), by_W.reshape(12, -1)
        rows.append(np.hstack(parts))
    J = np.concatenate(rows)
    spectra = normalised_spectra(KEY, (4, 5, 2), 12)
    assert len(spectra.exact) == 4 * 2 + 2
    exact(spectra, np.linalg.eigvalsh(J.T @ J / 12))


@pytest.mark.parametrize("widths", [(4, 5, 2), (3, 4, 3, 2)])
def test_the_hessian_is_checked_part_by_part(widths):
    d, n = widths[0], 30
    on_weights, on_data = jax.random.split(KEY)
    weights = list(map(np.asarray, kaiming(on_weights, widths)))
    x, y = np.split(np.asarray(normal(on_data, (n, d + 2))), [d], axis=1)
    F = x
    for W in weights:
        F = F @ W.T
    whole, parts, functional, Omega = hessians(KEY, widths)
    close(Omega, (F - y).T @ x / n)
    J = jacobian(weights, x)
    close(parts.gauss_newton, J.T @ J / n)
    close(whole, sum(parts))
    close(functional, parts.functional)
    assert np.abs(functional).max() > 0.01
    # Along a random direction, by the losses at three points, to fourth order.
    direction = np.random.default_rng(0).normal(size=len(whole))

    def loss(t):
        F, at = x, 0
        for W in weights:
            F = F @ (W + t * direction[at : at + W.size].reshape(W.shape)).T
            at += W.size
        return ((F - y) ** 2).sum() / (2 * n)

    h = 1e-3
    bend = [-loss(-2 * h), 16 * loss(-h), -30 * loss(0), 16 * loss(h), -loss(2 * h)]
    close(sum(bend) / (12 * h**2), direction @ whole @ direction, rtol=1e-6)


@pytest.mark.parametrize("coloured", [False, True])
def test_layers_that_share_their_singular_vectors_attain_the_ratio_of_sums(coloured):
    one = aligned_bounds(KEY, (4, 6, 5, 3), coloured)
    close(one.ratio_of_sums / one.condition_number, 1)
    assert 1.2 * one.condition_number < one.loose < np.inf
    assert (one.condition_number > 100) == coloured  # κ(Σ) = 100 is a factor


def test_the_kernel_of_kept_weights_is_differentiated_with_its_mask():
    kept, automatic = pruned_kernels(KEY, "GELU")
    close(kept, automatic, rtol=1e-10)
    whole, _ = pruned_kernels(KEY, "GELU", share=0.0)
    assert kept.shape == (15, 15) and np.trace(kept) < 0.9 * np.trace(whole)
