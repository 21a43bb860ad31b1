import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich import spectra
from lazyrich.spectra import SHAPES

HEIGHT, WIDTH = 150, 100


def bulk(size=WIDTH, ratio=WIDTH / HEIGHT):
    """Eigenvalues that lie as the law does, of median and edge as at h = 1, τ = 1."""
    return np.array(spectra.marchenko_pastur_quantile((np.arange(size) + 0.5) / size, ratio))


def with_top(*tops):
    """That bulk with the largest in its place: the median of the others moves a little."""
    edge = float(spectra.marchenko_pastur_edges(WIDTH / HEIGHT)[1])
    return np.concatenate([bulk(WIDTH - len(tops)), edge * np.array(tops)])


def heavy(exponent, width=WIDTH, seed=0):
    return 1 + np.random.default_rng(seed).pareto(exponent - 1, size=width)


EXAMPLES = {
    "Rank-collapse": np.concatenate([np.full(11, 1e-4), bulk(WIDTH - 11)]),
    "Heavy-tailed": heavy(1.8),
    "Bulk-decay": with_top(1.3, 1.4, 1.5, 1.6),
    "Bulk+Spike": with_top(1.3),
    "Bleeding-out": with_top(1.12),
    "Random-like": bulk(),
}


def by_hand(values, height):
    """The rule, word by word, for one spectrum."""
    values, d = np.sort(values), len(values)
    c = d / height
    center = float(spectra.marchenko_pastur_median(c))
    variance = np.median(values) / (height * center)
    edge = height * variance * (1 + np.sqrt(c)) ** 2
    above, outliers = (values > edge).sum(), (values > 1.2 * edge).sum()
    rest = values[values <= 1.2 * edge]
    rest = rest / np.median(rest) * center
    law = np.asarray(spectra.marchenko_pastur_distribution(rest, c))
    steps = np.arange(len(rest) + 1) / len(rest)
    distance = max((steps[1:] - law).max(), (law - steps[:-1]).max())
    tail = values[d // 2 :]
    hill = 1 + len(tail) / np.log(tail / tail[0]).sum()
    of_law = float(spectra.marchenko_pastur_hill(c))
    if (values < 1e-3 * np.median(values)).sum() > 0.1 * d:
        name = "Rank-collapse"
    elif hill <= of_law - 0.3 and above > d / 50:
        name = "Heavy-tailed"
    elif distance > max(0.05, 6 / d) or outliers > max(3, d / 100):
        name = "Bulk-decay"
    elif outliers >= 1:
        name = "Bulk+Spike"
    elif values[-1] > 1.05 * edge:
        name = "Bleeding-out"
    else:
        name = "Random-like"
    return name, (variance, edge, above, outliers, distance, hill, of_law)


@pytest.mark.parametrize("name", SHAPES)
def test_a_spectrum_has_the_shape_it_was_made_to_have(name):
    assert spectra.shape(EXAMPLES[name], HEIGHT).name == name
    assert tuple(EXAMPLES) == SHAPES


def test_many_spectra_are_named_at_once_and_by_number_in_compiled_code():
    values = np.stack(list(EXAMPLES.values()))
    many = spectra.shape(values, HEIGHT)
    assert many.name.tolist() == list(SHAPES)
    codes = jax.jit(jax.vmap(lambda row: spectra.shape(row, HEIGHT).code))(values)
    assert codes.tolist() == list(range(len(SHAPES))) == many.code.tolist()
    assert many.hill_of_law.shape == () and many.edge.shape == (len(SHAPES),)
    assert spectra.shape(values[None], HEIGHT).name.shape == (1, len(SHAPES))


kinds = st.sampled_from(["noise", "spike", "student", "pareto", "log-normal", "low rank"])


@given(kind=kinds, seed=st.integers(0, 999), strength=st.floats(0.0, 2.0))
def test_the_rule_is_the_one_that_is_written(kind, seed, strength):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(HEIGHT, WIDTH))
    if kind == "spike":
        W[0] += strength * np.sqrt(HEIGHT)
    elif kind == "student":
        W += strength * rng.standard_t(2, size=W.shape)
    elif kind == "low rank":
        W[:, : int(30 * strength)] *= 1e-4
    values = np.array(spectra.weight_spectrum(W))
    if kind == "pareto":
        values = heavy(1.3 + strength, seed=seed)
    elif kind == "log-normal":
        values = np.exp(strength * rng.normal(size=WIDTH))
    name, numbers = by_hand(values, HEIGHT)
    shape = spectra.shape(3.7 * values[::-1], HEIGHT)
    assert shape.name == name
    expected = np.multiply(numbers, [3.7, 3.7, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(np.stack(shape[1:]), expected, rtol=1e-9)


def test_an_odd_number_of_eigenvalues_has_one_in_the_middle():
    values = heavy(2.5, width=31)
    assert spectra.shape(values, 40).name == by_hand(values, 40)[0]
    np.testing.assert_allclose(np.stack(spectra.shape(values, 40)[1:]), by_hand(values, 40)[1])


@pytest.mark.parametrize("width", [100, 300])
def test_a_matrix_of_independent_entries_is_random_like(width):
    W = np.random.default_rng(0).normal(size=(5, 3 * width // 2, width))
    shape = spectra.shape(jax.vmap(spectra.weight_spectrum)(W), 3 * width // 2)
    assert set(shape.name) <= {"Random-like", "Bleeding-out"}
    assert (shape.name == "Random-like").sum() >= 4
    np.testing.assert_allclose(shape.variance, 1, atol=10 / width)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"low": 10}, "Bulk-decay"),  # a tenth is not more than a tenth
        ({"low": 11}, "Rank-collapse"),
        ({"tops": (1.3, 1.4, 1.5)}, "Bulk+Spike"),
        ({"tops": (1.3, 1.4, 1.5, 1.6)}, "Bulk-decay"),
    ],
)
def test_numbers_of_eigenvalues_decide_from_one_more_on(changed, name):
    values = with_top(*changed.get("tops", ()))
    values[: changed.get("low", 0)] = 1e-5
    assert spectra.shape(values, HEIGHT).name == name


def test_zeros_are_a_collapse_even_where_the_median_is_one():
    for zeros in (11, 50, 51, 99):
        values = np.concatenate([np.zeros(zeros), 1 + np.arange(100.0 - zeros)])
        shape = spectra.shape(values, HEIGHT)
        assert shape.name == "Rank-collapse"
        assert np.isfinite(np.stack(shape[1:])).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_what_is_no_spectrum_has_no_name_in_compiled_code(wrong):
    values = np.stack([np.r_[bulk(99), wrong], bulk(), np.zeros(WIDTH)])
    shape = jax.jit(lambda values: spectra.shape(values, HEIGHT))(values)
    assert shape.code.tolist() == [-1, 5, -1]
    assert shape.name.tolist() == ["none", "Random-like", "none"]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("power", "dtype"), [(1000, float), (-900, float), (90, np.float32)])
def test_a_shape_is_free_of_scale(name, power, dtype):
    values = EXAMPLES[name].astype(dtype)
    one, scaled = (
        spectra.shape(values * np.asarray(2, dtype) ** exponent, HEIGHT) for exponent in (0, power)
    )
    np.testing.assert_allclose(scaled.hill, one.hill, rtol=1e-5)
    assert scaled.edge == one.edge * 2.0**power and scaled.variance == one.variance * 2.0**power
    for judged in ("code", "above", "outliers", "bulk_distance"):
        assert getattr(scaled, judged) == getattr(one, judged)
    largest = np.finfo(dtype).max / values.max() / 2
    assert spectra.shape(values * largest, HEIGHT).name == name


def test_single_precision_stays_single():
    shape = spectra.shape(jnp.asarray(EXAMPLES["Bulk+Spike"], "float32"), HEIGHT)
    assert shape.name == "Bulk+Spike"
    for number in (shape.variance, shape.edge, shape.bulk_distance, shape.hill, shape.hill_of_law):
        assert number.dtype == np.float32


@pytest.mark.parametrize(
    ("values", "height", "message"),
    [
        (np.ones(3), 2, "height must be at least the number of eigenvalues, 3, got 2"),
        (np.ones(3), 0, "height must be an integer of at least 1, got 0"),
        (np.zeros(3), 3, "at least 1 positive numbers a spectrum, got 0"),
        (np.array([1.0, np.nan]), 3, "eigenvalues must be finite, got nan"),
        (np.array([1.0, -1.0]), 3, "eigenvalues must be not negative, got -1.0"),
    ],
)
def test_what_has_no_shape_is_named(values, height, message):
    with pytest.raises(ValueError, match=message):
        spectra.shape(values, height)
