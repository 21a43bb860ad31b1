import jax
import numpy as np
import pytest

from lazyrich.experiments.linearization.quadratic_runs import (
    distance_in_the_plane,
    quadratic_system,
    train_systems,
)
from linearization.small import close, stepped

KEY, ETA = jax.random.key(0), 0.3


@pytest.mark.parametrize(
    ("kind", "m"), [("share", 4), ("signs", 1), ("orthogonal", 1), ("even", 4)]
)
def test_a_run_is_that_of_its_matrix(kind, m):
    run = train_systems(KEY, 32, kind, 2, m, steps=20)
    for seed in range(2):
        A, H = quadratic_system(jax.random.fold_in(KEY, seed), 32, kind, m)
        close(np.linalg.norm(A), 1.0, rtol=1e-13)
        close(run.deviation[seed], stepped(A, H, 20, ETA), rtol=1e-11, atol=1e-14)
        close(run.C02[seed], ETA**2 / 2 * A @ np.diag(H) @ A, rtol=1e-12, atol=1e-17)
        close(run.C11[seed], ETA**1.5 * np.linalg.norm(np.diag(H) @ A), rtol=1e-12, atol=1e-17)
        close(run.hessian_norm[seed], m**-0.5 if kind == "even" else 1, rtol=1e-15)


def test_by_default_a_run_takes_sixty_steps_of_three_tenths():
    run = train_systems(KEY, 8, "signs", 2)
    for seed in range(2):
        A, H = quadratic_system(jax.random.fold_in(KEY, seed), 8, "signs", 1)
        close(run.deviation[seed], stepped(A, H, 60, ETA), rtol=1e-11, atol=1e-14)


def test_a_share_of_axes_has_curvature_or_all_have_a_sign():
    _, H = quadratic_system(KEY, 64, "share", 4)
    assert sorted(np.unique(H)) == [0, 1] and H.sum() == 16
    assert (np.abs(quadratic_system(KEY, 64, "signs", 1)[1]) == 1).all()
    A, H = quadratic_system(KEY, 64, "orthogonal", 1)
    assert (A * H == 0).all() and np.abs(H).sum() == (A != 0).sum() == 32


def test_without_correlations_a_curved_system_is_linear():
    run = train_systems(KEY, 512, "orthogonal", 3)
    assert (run.C02 == 0).all() and (run.C11 == 0).all() and (run.deviation < 1e-14).all()


def test_random_signs_tend_to_their_limit():
    run = train_systems(KEY, 2**17, "signs", 2)
    close(run.deviation, distance_in_the_plane("signs", 0.0), rtol=0.02)
    close(run.C11, ETA**1.5, rtol=1e-12)


def test_an_even_curvature_turns_the_gradient_along_itself():
    run = train_systems(KEY, 8, "even", 2, m=16)
    close(run.C11, ETA**1.5 / 4, rtol=1e-12)
    close(run.C02, ETA**2 / 8, rtol=1e-12)


@pytest.mark.parametrize(("kind", "m"), [("share", 4), ("signs", 1), ("even", 4)])
def test_training_is_a_map_of_the_plane(kind, m):
    run = train_systems(KEY, 64, kind, 3, m, steps=30)
    close(run.deviation, distance_in_the_plane(kind, 2 * run.C02 / ETA**2, 30), rtol=1e-12)


def test_the_map_is_exact_where_A_and_HA_are_orthogonal():
    A, H = np.full(8, 8**-0.5), np.tile([1.0, -1.0], 4)
    close(distance_in_the_plane("signs", 0.0), stepped(A, H, 60, ETA), rtol=1e-12)
    close(distance_in_the_plane("signs", 0.0), 0.1198, rtol=1e-3)
    assert distance_in_the_plane("share", np.zeros(2)).tolist() == [0, 0]
