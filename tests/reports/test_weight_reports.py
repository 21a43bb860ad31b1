import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from lazyrich import spectra
from lazyrich.reports import plot_spectrum, random_hill, weight_report

DRAWS = np.random.default_rng(0)


def drawn(*shape):
    return DRAWS.normal(size=shape)


W = drawn(90, 60) / 3


@pytest.fixture(scope="module")
def row():
    """The only row of a report on one matrix."""
    [row] = weight_report({"W": W}, replicas=20, rivals=True).matrices
    return row


def test_a_row_is_what_dense_linear_algebra_and_the_spectra_say(row):
    singular = np.linalg.svd(W, compute_uv=False)
    values = np.sort(singular**2)
    shape = spectra.shape(values, 90)
    fit = spectra.power_law_fit(values)
    expected = {
        "sigma": float(shape.variance) ** 0.5,
        "edge": float(shape.edge) ** 0.5,
        "largest": singular[0],
        "outliers": int((values > 1.2 * float(shape.edge)).sum()),
        "stable_rank": (singular**2).sum() / singular[0] ** 2,
        "hill": float(spectra.hill(values)),
        "exponent": float(fit.exponent),
        "tail": int(fit.tail),
        "distance": float(fit.distance),
        "p_value": float(spectra.power_law_goodness(jax.random.key(0), values, 20).p_value),
        "log_normal": float(spectra.likelihood_ratio(values, fit.tail, "log-normal").ratio),
        "exponential": float(spectra.likelihood_ratio(values, fit.tail, "exponential").ratio),
    }
    for name, number in expected.items():
        np.testing.assert_allclose(getattr(row, name), number, rtol=1e-7, err_msg=name)
    assert (row.name, row.shape, row.rows, row.matrix) == ("W", (90, 60), (0,), (90, 60))
    assert row.form == "Random-like" == shape.name
    np.testing.assert_allclose(row.sigma, 1 / 3, rtol=0.03)
    np.testing.assert_allclose(row.edge, row.sigma * (90**0.5 + 60**0.5))


def test_the_tail_of_random_weights_is_that_of_random_matrices():
    mean, deviation = random_hill(90, 60, draws=200)
    dense = [
        float(spectra.hill(np.linalg.eigvalsh(X.T @ X)))
        for X in np.random.default_rng(1).normal(size=(200, 90, 60))
    ]
    error = np.hypot(np.std(dense), deviation) / 200**0.5
    assert abs(np.mean(dense) - mean) < 4 * error
    np.testing.assert_allclose(np.std(dense), deviation, rtol=4 / 400**0.5)


@pytest.mark.parametrize("turned", [False, True])
def test_a_spike_is_an_outlier_in_either_direction(turned):
    one, other = (scipy.linalg.qr(drawn(n, 1), mode="economic")[0] for n in (90, 60))
    spiked = W + 20 * one @ other.T
    [row] = weight_report([spiked.T if turned else spiked]).matrices
    assert (row.outliers, row.form) == (1, "Bulk+Spike")
    assert row.matrix == ((60, 90) if turned else (90, 60))
    np.testing.assert_allclose(row.largest, np.linalg.norm(spiked, 2))


@pytest.mark.parametrize("name", ["kernel", "weight"])
def test_a_convolution_has_its_outputs_as_rows(name):
    kernel = drawn(3, 3, 4, 40) if name == "kernel" else drawn(40, 4, 3, 3)
    axis = 3 if name == "kernel" else 0
    [row] = weight_report({name: kernel}).matrices
    assert (row.shape, row.rows, row.matrix) == (kernel.shape, (axis,), (40, 36))
    rows = np.moveaxis(kernel, axis, 0).reshape(40, -1)
    np.testing.assert_allclose(row.largest, np.linalg.norm(rows, 2))
    [other] = weight_report({name: kernel}, smallest=4, rows=lambda name, shape: (0, 1)).matrices
    assert other.rows == (0, 1)
    rows = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    assert other.matrix == rows.shape
    np.testing.assert_allclose(other.largest, np.linalg.norm(rows, 2))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32, ">f8"])
def test_any_precision_is_read(dtype):
    rounded = W.astype(dtype)
    [row], [exact] = (weight_report([X]).matrices for X in (rounded, rounded.astype(float)))
    assert row[4:] == exact[4:]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32])
def test_what_half_precision_rounds_away_is_no_collapse_of_rank(dtype):
    random = DRAWS.normal(size=(300, 300)) / 300**0.5
    spiked = random.copy()
    spiked[0] *= 15
    [row], [other] = (weight_report([X.astype(dtype)]).matrices for X in (random, spiked))
    assert (row.form, row.outliers, other.form, other.outliers) == (
        *("Random-like", 0),
        *("Bulk+Spike", 1),
    )
    low = drawn(200, 4) @ drawn(4, 100)
    [low] = weight_report([low.astype(dtype)]).matrices
    assert (low.form, low.sigma) == ("Rank-collapse", 0)


def test_attention_of_flax_has_its_heads_as_rows():
    [row] = weight_report({"attention": {"query": {"kernel": drawn(64, 4, 16)}}}).matrices
    assert (row.rows, row.matrix) == ((1, 2), (64, 64))


def test_views_are_tied_only_where_they_are_the_same_matrix():
    both = drawn(64, 64)
    report = weight_report({"even": both[::2], "first": both[:32], "same": both[:32]})
    assert [row.name for row in report.matrices] == ["even", "first"]
    assert report.left_out[0].why == "tied to first"


def test_what_holds_no_array_is_refused():
    for params in ({}, "model.safetensors", {"a": "b"}, lambda x: x):
        with pytest.raises(ValueError, match="params must be a pytree with arrays, got"):
            weight_report(params)


def test_tensors_of_pytorch_are_read():
    torch = pytest.importorskip("torch")
    state = torch.nn.Linear(30, 40).state_dict() | {"half": torch.ones(30, 30).bfloat16()}
    report = weight_report(state)
    assert [row.name for row in report.matrices] == ["weight"]
    assert {one.name: one.why for one in report.left_out} == {
        "bias": "one axis",
        "half": "of rank 1 or zero",
    }


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_rows_are_free_of_scale(scale):
    [row], [scaled] = (weight_report([X]).matrices for X in (W, W * scale))
    for name in ("sigma", "edge", "largest"):
        np.testing.assert_allclose(getattr(scaled, name), scale * getattr(row, name), rtol=1e-12)
    np.testing.assert_allclose(scaled[8:15], row[8:15], rtol=1e-7)
    assert (scaled.outliers, scaled.form) == (row.outliers, row.form)


def test_what_is_left_out_says_why():
    tied = drawn(30, 30)
    params = {
        "a": tied,
        "b": tied,
        "few": drawn(30, 19),
        "ids": np.zeros((30, 30), int),
        "nan": tied * np.nan,
        "none": np.zeros((30, 30)),
        "masked": np.ma.array(tied, mask=tied > 0, copy=True),
        "other number": 1.0,
        "view": tied[::2][:, :30],
        "another view": tied[:15],
        "number": 1.0,
        "one": np.outer(np.arange(1, 31.0), np.ones(40)),
        "shift": drawn(30),
        "word": "relu",
    }
    report = weight_report(params)
    assert [row.name for row in report.matrices] == ["a"]
    assert {one.name: one.why for one in report.left_out} == {
        "b": "tied to a",
        "few": "fewer than 20 rows or columns",
        "ids": "of int64, not of floats",
        "nan": "not finite",
        "none": "of rank 1 or zero",
        "masked": "masked",
        "number": "float, no array",
        "one": "of rank 1 or zero",
        "other number": "float, no array",
        "view": "fewer than 20 rows or columns",
        "another view": "fewer than 20 rows or columns",
        "shift": "one axis",
        "word": "str, no array",
    }
    jax_tied = jnp.asarray(tied)
    assert weight_report([jax_tied, jax_tied]).left_out[0].why == "tied to 0"


def test_the_table_has_a_line_a_matrix_and_one_for_each_left_out():
    report = weight_report({"W": W, "shift": drawn(4)}, replicas=3)
    head, line, left = str(report).splitlines()
    assert head.split("  ")[0] == "weights" and " p " in head
    assert line.startswith("W        90×60") and line.endswith("Random-like")
    assert left == "left out: shift (4,): one axis"


def test_an_orthogonal_matrix_has_a_report():
    [row] = weight_report([np.eye(30)], replicas=3, rivals=True).matrices
    assert (row.largest, row.stable_rank, row.hill) == (1, 30, np.inf)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"smallest": 2}, "smallest must be an integer of at least 3, got 2"),
        ({"replicas": -1}, "replicas must be an integer of at least 0, got -1"),
        ({"rows": lambda name, shape: 3}, r"rows must give some axes of shape \(25, 5, 9\)"),
        ({"rows": lambda name, shape: (0, 1, 2)}, "but not all, got"),
        ({"rows": lambda name, shape: None}, "rows must give some axes"),
        ({"rows": lambda name, shape: 1.5}, "rows must give some axes"),
        ({"rows": lambda name, shape: True}, "rows must give some axes"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        weight_report([drawn(25, 5, 9)], **settings)


def test_the_picture_shows_the_spectrum_over_the_law():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure = plot_spectrum(W, "layer")
    left, right = figure.axes
    assert figure.get_suptitle() == "layer, 90×60: Random-like"
    [law] = [line for line in left.lines if line.get_label() == "random weights"]
    s, density = law.get_data()
    np.testing.assert_allclose(np.trapezoid(density, s), 1, rtol=1e-3)
    heights, edges = (
        [bar.get_height() for bar in left.patches],
        [bar.get_width() for bar in left.patches],
    )
    np.testing.assert_allclose(np.dot(heights, edges), 1)
    values, share = right.lines[0].get_data()
    np.testing.assert_allclose(values, np.linalg.eigvalsh(W.T @ W))
    np.testing.assert_allclose(share, np.arange(60, 0, -1) / 60)
    plt.close(figure)
    with pytest.raises(
        ValueError, match="W must be a matrix of floats with a spectrum, got: of rank 1"
    ):
        plot_spectrum(np.zeros((30, 30)))
    awkward = plot_spectrum(W, "a$\\bad{$ \x1b[31m")
    awkward.canvas.draw()
    plt.close(awkward)
