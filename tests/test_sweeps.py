import jax
import jax.numpy as jnp
import joblib
import numpy as np
import pytest

from lazyrich import sweeps


def test_sizes_are_those_of_the_scale():
    choices = {"seeds": (4, 24, 200), "widths": ([64], [64, 256], [64, 256, 1024])}
    for i, scale in enumerate(sweeps.SCALES):
        chosen = sweeps.sizes(scale, **choices)
        assert vars(chosen) == {name: choice[i] for name, choice in choices.items()}


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(
        ValueError, match="scale must be one of 'quick', 'book', 'paper', got 'large'"
    ):
        sweeps.sizes("large", seeds=(1, 2, 3))
    with pytest.raises(ValueError, match=r"seeds must be a triple .*, got \(1, 2\)"):
        sweeps.sizes("book", seeds=(1, 2))


def test_a_grid_is_a_product_whose_last_axis_runs_fastest():
    points = sweeps.grid(width=[1, 2], scheme=["a", "b", "c"])
    assert [(point["width"], point["scheme"]) for point in points] == [
        (1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c"),
    ]  # fmt: skip
    assert sweeps.grid(width=[1], scheme=[]) == [] and sweeps.grid() == [{}]


def shifted(key, shift, scale=1.0):
    return {"draw": jax.random.normal(key, (2,)) + shift, "scale": scale}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_gives_paired_results_in_order(jobs):
    points = sweeps.grid(shift=[0.0, 1.0, -2.0], scale=[1.0, 3.0])
    with joblib.parallel_config("threading", n_jobs=jobs):
        results = sweeps.sweep(shifted, points, jax.random.key(3))
    draw = np.asarray(jax.random.normal(jax.random.key(3), (2,)))
    for result, point in zip(results, points, strict=True):
        assert type(result["draw"]) is np.ndarray and type(result["scale"]) is np.ndarray
        np.testing.assert_allclose(result["draw"], draw + point["shift"])
        assert result["scale"] == point["scale"]


def test_a_sweep_needs_points():
    with pytest.raises(ValueError, match="points must hold at least one point, got none"):
        sweeps.sweep(shifted, [], jax.random.key(0))


def test_results_are_stacked_on_the_axes_of_the_grid():
    results = [(jnp.full(3, i), float(i)) for i in range(6)]
    vectors, numbers = sweeps.stack(results, 2, 3)
    assert vectors.shape == (2, 3, 3) and numbers.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert vectors[1, 0].tolist() == [3, 3, 3]
    assert sweeps.stack(results)[0].shape == (6, 3)
    with pytest.raises(ValueError, match="cannot reshape"):
        sweeps.stack(results, 2, 2)


def test_a_key_keeps_its_kind():
    key = jax.random.key(3, impl="rbg")
    [draw] = sweeps.sweep(lambda key: jax.random.normal(key, (2,)), [{}], key)
    assert (draw == np.asarray(jax.random.normal(key, (2,)))).all()
