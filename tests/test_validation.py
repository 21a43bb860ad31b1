import inspect
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lazyrich import validation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("array", [np.ones, jnp.ones])
def test_arrays_keep_their_dtype(array, dtype):
    value = validation.floating("x", array((2, 3), dtype), ndim=2)
    assert isinstance(value, jax.Array) and value.dtype == dtype and value.shape == (2, 3)


@pytest.mark.parametrize(
    "value", [1, 1.0, np.float64(1), np.float32(1), np.int64(1), np.int32(1), np.uint8(1)]
)
def test_a_number_becomes_a_float(value):
    assert validation.floating("x", value) == 1.0
    assert jnp.issubdtype(validation.floating("x", value).dtype, jnp.floating)


@pytest.mark.parametrize("value", [True, np.arange(3), jnp.arange(3), 1j, np.array(["a"])])
def test_what_is_not_of_floats_is_refused(value):
    with pytest.raises(ValueError, match="x must be an array of floats, got dtype"):
        validation.floating("x", value)


def test_too_few_axes_are_refused():
    with pytest.raises(ValueError, match=r"x must have at least 2 axes, got shape \(3,\)"):
        validation.floating("x", jnp.ones(3), ndim=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match=f"x must be finite, got {bad}"):
        validation.floating("x", jnp.array([1.0, bad]))
    with pytest.raises(ValueError, match=f"x must be finite, got {bad}"):
        validation.floating("x", bad)


def test_signs_are_checked_at_zero():
    assert validation.positive("x", 1e-300) > 0
    assert validation.nonnegative("x", 0.0) == 0
    with pytest.raises(ValueError, match="x must be positive, got 0.0"):
        validation.positive("x", jnp.array([1.0, 0.0, -1.0]))
    with pytest.raises(ValueError, match="x must .* negative, got -1.0"):
        validation.nonnegative("x", jnp.array([1.0, -1.0, -2.0]))
    with pytest.raises(ValueError, match="at least 1 axes"):
        validation.nonnegative("x", 1.0, ndim=1)


def test_both_ends_of_a_range_are_allowed():
    for value in (-1, -1.0, 0.3, 1, np.float32(1)):
        assert validation.between("x", value, -1, 1) == value
    many = validation.between("x", np.array([-1.0, 1.0], "float32"), -1, 1)
    assert isinstance(many, jax.Array) and many.dtype == np.float32
    for bad in (np.nextafter(1, 2), np.nextafter(-1, -2)):
        with pytest.raises(ValueError, match=f"x must be from -1 to 1, got {bad}"):
            validation.between("x", jnp.array([0.0, bad]), -1, 1)
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        validation.between("x", np.nan, -1, 1)
    with pytest.raises(ValueError, match="x must be an array of floats, got dtype bool"):
        validation.between("x", True, -1, 1)
    assert jax.jit(lambda x: validation.between("x", x, -1, 1))(2.0) == 2


@pytest.mark.parametrize("check", [validation.floating, validation.positive])
def test_within_compiled_code_only_shape_and_dtype_are_checked(check):
    def double(x):
        return 2 * check("x", x)

    values = jnp.array([-1.0, jnp.nan])
    assert jnp.isnan(jax.jit(double)(values)[1])
    assert jax.vmap(double)(values)[0] == -2
    assert jax.grad(double)(-1.0) == 2
    with pytest.raises(ValueError, match="got dtype int"):
        jax.jit(double)(jnp.arange(2))


def test_symmetric_means_equal_to_the_transpose_to_half_the_digits():
    matrix = np.array([[1.0, 3.0], [3.0, -4.0]])
    half = np.finfo(float).eps ** 0.5
    for off in (0.0, 0.9 * 4 * half, -0.9 * 4 * half):
        value = validation.symmetric("x", np.stack([matrix, matrix + [[0, off], [0, 0]]]))
        assert value.shape == (2, 2, 2)
    for off in (1.1 * 4 * half, -1.1 * 4 * half):
        with pytest.raises(ValueError, match="x must be symmetric, got 6.56e-08 between it and"):
            validation.symmetric("x", matrix + [[0, off], [0, 0]])
    with pytest.raises(ValueError, match=r"x must be a square matrix, got shape \(1, 2\)"):
        validation.symmetric("x", matrix[:1])
    assert jax.jit(lambda x: validation.symmetric("x", x))(matrix[::-1]).shape == (2, 2)
    assert validation.symmetric("x", np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("value", [2, np.int64(2)])
def test_a_whole_number_is_given_back_as_an_int(value):
    assert validation.whole("n", value, least=2) == 2
    assert type(validation.whole("n", value)) is int


@pytest.mark.parametrize("value", [-1, True, 2.0, "2", None])
def test_what_is_not_a_whole_number_is_refused(value):
    with pytest.raises(ValueError, match="n must be an integer of at least 0, got "):
        validation.whole("n", value)


@pytest.mark.parametrize(("value", "power"), [(2**31, "31"), (np.int64(2**40), "40")])
def test_a_whole_number_is_one_of_int32(value, power):
    assert validation.whole("n", 2**31 - 1) == 2**31 - 1
    with pytest.raises(
        ValueError, match=rf"^n must be an integer below .*, got about 2\*\*{power}$"
    ):
        validation.whole("n", value)
    with pytest.raises(ValueError, match="^n must be an integer below"):
        validation.whole("n", 10**5000)  # more digits than Python prints


@pytest.mark.parametrize("value", [10**309, -(10**309), Fraction(10**400, 3)])
def test_a_number_beyond_all_floats_is_named(value):
    for check in (validation.floating, validation.positive, validation.known):
        with pytest.raises(ValueError, match="^x must be finite as a float, got a larger number"):
            inspect.unwrap(check)("x", value)


def test_one_of_those_allowed():
    assert validation.one_of("loss", "mse", ("mse", "hinge")) == "mse"
    with pytest.raises(ValueError, match="loss must be one of 'mse', 'hinge', got 'log'"):
        validation.one_of("loss", "log", ("mse", "hinge"))


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize("array", [np.array, jnp.array])
def test_half_precision_is_taken_as_single(array, dtype):
    value = validation.floating("x", array([0.1, 3.0], dtype))
    assert isinstance(value, jax.Array) and value.dtype == np.float32
    np.testing.assert_array_equal(value, np.array([0.1, 3.0], dtype).astype("float32"))


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble])
def test_extended_precision_is_refused(dtype):
    if np.dtype(dtype).itemsize > np.dtype(complex).itemsize:
        dtype_of = re.escape(str(np.dtype(dtype)))
        with pytest.raises(ValueError, match=f"x must be float32 or float64, got dtype {dtype_of}"):
            validation.floating("x", np.ones(2, dtype))


@pytest.mark.parametrize("check", [validation.floating, validation.inputs, validation.samples])
def test_the_byte_order_does_not_matter(check):
    x = np.arange(6.0).reshape(2, 3)
    for order in "<>":
        np.testing.assert_array_equal(check("x", x.astype(f"{order}f8")), x)
    np.testing.assert_array_equal(validation.inputs("x", x.astype(">i2")), x)


def test_a_mask_is_not_dropped():
    masked = np.ma.array([[1.0, 1e6]], mask=[[False, True]])
    checks = [validation.floating, validation.inputs, validation.samples, validation.vector]
    for check in [*checks, validation.parameters, validation.known]:
        with pytest.raises(ValueError, match="x must be an array without a mask, got MaskedArray"):
            check("x", masked)
    with pytest.raises(ValueError, match="tail must be an array without a mask"):
        validation.kind("tail", np.ma.array([3], mask=[False]), "integers")
    with pytest.raises(ValueError, match="p must be an array without a mask"):
        validation.parameters("p", {"w": masked})


def test_numbers_that_float32_would_lose_are_named_where_float64_is_off():
    with jax.enable_x64(False):
        for lost in (1e300, -1e300, 1e-300, np.array([1.0, 1e39]), np.array([0.0, 1e-300])):
            with pytest.raises(ValueError, match="x must be in the range of float32, as jax_en"):
                validation.floating("x", lost)
        assert validation.floating("x", np.array([1.0, 1e-300])).tolist() == [1.0, 0.0]
        assert validation.floating("x", np.array([0.0])).dtype == np.float32
        with pytest.raises(ValueError, match="x must be finite, got nan"):
            validation.floating("x", np.array([np.nan]))


def test_a_result_beyond_its_dtype_is_named_by_what_it_is_from():
    for result in (np.array([np.inf]), np.array([1e-310]), np.array([0.0])):
        with pytest.raises(ValueError, match=r"W must be of a size .* entries up to 3: divide by"):
            validation.in_range("W", np.array([-3.0, 1.0]), result)
    assert validation.in_range("W", np.ones(2), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert validation.in_range("W", np.zeros(2), np.zeros(1)) == 0
    assert jax.jit(lambda x: validation.in_range("W", x, x**2))(1e300) == np.inf


def test_a_result_of_several_values_may_be_zero_where_one_of_them_is():
    values, zero = {"W": np.ones(2), "V": -3.0 * np.ones(1)}, [np.zeros(2), np.zeros(1)]
    with pytest.raises(ValueError, match=r"W must be of a size .* entries up to 3: divide by"):
        validation.in_range("W", values, zero)
    assert validation.in_range("W", values, zero, vanishing=True) is zero
    assert validation.in_range("W", values | {"V": np.zeros(1)}, zero) is zero
    assert validation.in_range("W", np.array([np.inf, 1.0]), zero) is zero
    for bad in (np.inf, -np.inf, np.nan):
        with pytest.raises(ValueError, match="W must be of a size whose result is in the range of"):
            validation.in_range("W", values, [np.ones(1), np.array([1.0, bad])], vanishing=True)


def test_arrays_that_fit_are_finite_and_of_the_first_ones_dtype():
    W, x, mask = validation.fitting(
        W=(np.ones((2, 3), "float32"), "k d"),
        x=(np.full((1, 3), 200, np.uint8), "n d"),
        mask=(jnp.ones((1, 2), bool), "1 k"),
    )
    assert x.tolist() == [[200.0] * 3] and {W.dtype, x.dtype, mask.dtype} == {np.dtype("float32")}
    for bad, sentence in (
        (np.ones((5, 3)), "x must have the dtype of W, float32, got float64"),
        (np.full((5, 3), np.nan, "float32"), "x must be finite, got nan"),
        (np.ones((5, 2), int), r"x must have shape \(n, 3\), got \(5, 2\)"),
        (np.ones((5, 3), complex), "x must be an array of floats, got dtype complex128"),
        (np.ma.ones((5, 3)), "x must be an array without a mask, got MaskedArray"),
    ):
        with pytest.raises(ValueError, match="^" + sentence):
            validation.fitting(W=(W, "k d"), x=(bad, "n d"))
    with pytest.raises(ValueError, match="^W must be an array of floats, got dtype int64"):
        validation.fitting(W=(np.ones((2, 3), int), "k d"))
    with pytest.raises(ValueError, match=r"^x must have shape \(1, k\), got \(2, 3\)"):
        validation.fitting(x=(np.ones((2, 3)), "1 k"))


def test_times_increase():
    validation.increasing("t", jnp.array([[0.0, 1.0], [0.5, 0.5]]))
    with pytest.raises(ValueError, match="t must be increasing, got a step of -0.5"):
        validation.increasing("t", jnp.array([[0.0, 1.0], [1.0, 0.5]]))
    with pytest.raises(ValueError, match=r"t must hold at least one number, got shape \(2, 0\)"):
        validation.increasing("t", jnp.ones((2, 0)))
    jax.jit(lambda t: validation.increasing("t", t))(jnp.array([1.0, 0.0]))


def test_a_scalar_is_one_number():
    assert validation.scalar("x", jnp.array(2.0)) == 2
    with pytest.raises(ValueError, match=r"x must be one number, got shape \(1,\)"):
        validation.scalar("x", jnp.ones(1))


def test_a_vector_is_a_sequence_of_numbers():
    for value in ([1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), jnp.array([1.0, 2.0])):
        assert validation.vector("x", value).tolist() == [1, 2]
        assert isinstance(validation.vector("x", value), jax.Array)
    for bad, shape in (([], r"\(0,\)"), (1.0, r"\(\)"), ([[1.0]], r"\(1, 1\)")):
        with pytest.raises(ValueError, match=f"x must be a sequence of numbers, got shape {shape}"):
            validation.vector("x", np.array(bad))
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        validation.vector("x", [1.0, np.nan])
    with pytest.raises(ValueError, match="x must be an array of floats, got dtype int64"):
        validation.vector("x", [1, 2])


def test_a_schedule_is_of_increasing_integers():
    assert validation.schedule("t", [0, 3, 7]) == (0, 3, 7)
    assert validation.schedule("t", range(2)) == (0, 1)
    for bad in ([], [2, 1], [0, 0]):
        with pytest.raises(ValueError, match="t must hold increasing numbers of steps, got"):
            validation.schedule("t", bad)
    for bad in (-1, True, 2**31):
        sentence = rf"t must hold increasing numbers of steps, got \[0, {bad}\], each an integer"
        with pytest.raises(ValueError, match=sentence):
            validation.schedule("t", [0, bad])


def test_a_matrix_is_one_and_not_empty():
    assert validation.matrix("x", np.ones((2, 1))).shape == (2, 1)
    for shape in ((0, 2), (2, 0), (1, 2, 2)):
        with pytest.raises(ValueError, match="x must be one matrix"):
            validation.matrix("x", np.ones(shape))
    with pytest.raises(ValueError, match="x must have at least 2 axes"):
        validation.matrix("x", np.ones(2))


def test_samples_are_rows_at_least_one():
    assert validation.samples("x", np.ones((1, 3))).shape == (1, 3)
    assert validation.samples("x", np.ones((2, 3), "float32"), entries=3).dtype == np.float32
    assert validation.samples("x", np.ones((2, 0)), entries=0).shape == (2, 0)
    for shape in ((0, 3), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"x must have shape \(samples, entries\), one sample"):
            validation.samples("x", np.ones(shape))
    with pytest.raises(ValueError, match=r"x must have shape \(samples, 4\), .*, got \(2, 3\)"):
        validation.samples("x", np.ones((2, 3)), entries=4)


def test_many_positive_numbers_come_back_in_their_order():
    assert [float(x) for x in validation.positives(rate=2.0, scale=1)] == [2.0, 1.0]
    with pytest.raises(ValueError, match="scale must be positive, got 0.0"):
        validation.positives(rate=2.0, scale=0.0)
    with pytest.raises(ValueError, match=r"rate must be one number, got shape \(2,\)"):
        validation.positives(rate=np.ones(2))


def test_widths_are_positive_integers():
    assert validation.widths("w", [3, 1]) == (3, 1)
    for bad in (5, (3,), (), None):
        with pytest.raises(ValueError, match="w must be a sequence of at least 2 integers, got"):
            validation.widths("w", bad)
    with pytest.raises(ValueError, match="w must be a sequence of at least 3 integers"):
        validation.widths("w", (3, 1), least=3)
    with pytest.raises(ValueError, match="w must be an integer of at least 1, got 0"):
        validation.widths("w", (3, 0))


@pytest.mark.parametrize("bad", ["no", 0, 1.0, None, np.ones(2, bool)])
def test_a_flag_is_a_truth_value(bad):
    assert validation.flag("x", True) is True and validation.flag("x", np.False_) is False
    with pytest.raises(ValueError, match="x must be True or False, got"):
        validation.flag("x", bad)


def test_members_are_rows_of_every_array():
    tree = {"W": np.ones((3, 2)), "none": None, "keys": jax.random.split(jax.random.key(0), 3)}
    assert validation.members("x", tree) == 3 and validation.members("x", np.ones((0, 2))) == 0
    for bad, found in (
        ({"W": np.ones(3), "b": np.ones(2)}, r"3 in x\['W'\], 2 in x\['b'\]"),
        ([np.ones(3), 1.0], r"3 in x\[0\], none in x\[1\]"),
        ((), "no array"),
    ):
        with pytest.raises(ValueError, match=f"x must be alike in the length .* axes, got {found}"):
            validation.members("x", bad)


def test_parameters_are_finite_floats():
    params = {"w": np.ones((2, 3)), "b": 1.0}
    assert jax.tree.all(jax.tree.map(np.array_equal, validation.parameters("p", params), params))
    for bad, sentence in (
        ({}, "p must hold at least one array of floats, got {}"),
        ({"w": np.ones(2, int)}, "p must be an array of floats, got dtype int64"),
        ({"w": np.array([1.0, np.inf])}, "p must be finite, got inf"),
    ):
        with pytest.raises(ValueError, match=sentence):
            validation.parameters("p", bad)


def test_a_tree_is_like_another_in_structure_and_shapes():
    one = {"w": np.ones((2, 3)), "b": 1.0}
    found = validation.like("v", one, "params", {"w": np.zeros((2, 3)), "b": 0.0})
    assert found["w"] is one["w"] and found["b"] == 1 and found["b"].dtype == float
    with pytest.raises(ValueError, match="v must be finite, got nan"):
        validation.like("v", {"w": np.full((2, 3), np.nan), "b": 1.0}, "params", one)
    with pytest.raises(ValueError, match=r"v must be a pytree with the shapes of params, got \("):
        validation.like("v", np.ones(2), "params", one)


def test_a_network_gives_floats_from_parameters_and_samples():
    params, x, outputs = validation.network(lambda w, x: x @ w, np.ones(3), np.ones((2, 3)))
    assert params.shape == (3,) and x.shape == (2, 3)
    assert outputs.shape == (2,) and outputs.dtype == float
    for apply, x, sentence in (
        (lambda w, x: x @ w, np.ones((0, 3)), r"x must hold samples .*, got shape \(0, 3\)"),
        (lambda w, x: x @ w, np.full((2, 3), np.nan), "x must be finite, got nan"),
        (lambda w, x: x @ w, np.ones((2, 4)), r"apply must take params and x, of shape \(2, 4\)"),
        (lambda w, x: x > 0, np.ones((2, 3)), "apply must give an array of floats, got .*bool"),
        (lambda w, x: (x, x), np.ones((2, 3)), "apply must give an array of floats, got"),
    ):
        with pytest.raises(ValueError, match=sentence):
            validation.network(apply, np.ones(3), x)


def test_targets_have_the_shape_and_the_dtype_of_outputs():
    outputs = jax.ShapeDtypeStruct((2, 1), jnp.float32)
    assert validation.as_outputs("y", np.ones((2, 1)), outputs).dtype == jnp.float32
    sentence = r"y must have the shape of the outputs, \(2, 1\), got \(2,\)"
    with pytest.raises(ValueError, match=sentence):
        validation.as_outputs("y", np.ones(2), outputs)


def test_what_jax_cannot_differentiate_is_named():
    sentence = "^apply must be differentiable by jax.vjp: no rule$"
    with (
        pytest.raises(ValueError, match=sentence),
        validation.differentiable("apply", "by jax.vjp"),
    ):
        raise NotImplementedError("no rule\n\nand much more")


def test_samples_may_come_in_nested_lists_and_are_named():
    inputs = inspect.unwrap(validation.inputs)
    assert inputs("x", [[1.0, 2.0]]).shape == (1, 2) and inputs("x", [3, 4]).dtype == int
    for bad, sentence in (
        (1.0, r"x_test must hold samples along its first axis, got shape \(\)"),
        ([[1.0], [np.inf]], "x_test must be finite, got inf"),
        ([[1.0], [1.0, 2.0]], "x_test must be an array of numbers: "),
        (None, "x_test must be an array of numbers, got dtype object"),
        ("a", "x_test must be an array of numbers, got dtype <U1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            inputs("x_test", bad)
    with pytest.raises(ValueError, match=r"apply must take params and x_test, of shape \(2, 4\)"):
        validation.network(lambda w, x: x @ w, np.ones(3), np.ones((2, 4)), "x_test")


def test_a_function_gives_floats_of_a_shape():
    assert validation.giving("f", "two", (2,), lambda w: 2 * w, np.ones(2)).dtype == float
    giving = inspect.unwrap(validation.giving)
    for bad, got in (
        (None, "be a function, got NoneType"),
        (lambda w: w[0], r"give two, got float64 of shape \(\)"),
        (lambda w: w > 0, r"give two, got bool of shape \(2,\)"),
        (lambda w: (w, w), "give two, got a tuple"),
        (lambda w: None, "give two, got a NoneType"),
        (lambda w: w @ np.ones(3), "give two: dot_general"),
    ):
        with pytest.raises(ValueError, match=f"^f must {got}"):
            giving("f", "two", (2,), bad, np.ones(2))


def test_the_first_order_that_is_not_finite_is_named():
    terms = np.array([[1.0, 2.0], [1.0, np.inf], [np.nan, 0.0]])
    with pytest.raises(ValueError, match="^f must be smooth, got inf or nan in order 3"):
        validation.finite_orders("f must be smooth", terms, first=2)
    trees = ({"a": 1.0}, {"a": np.array([np.nan])})
    with pytest.raises(ValueError, match="in order 1"):
        validation.finite_orders("f must be smooth", trees)
    assert validation.finite_orders("f must be smooth", terms[:1]) is not None
    assert jnp.isnan(jax.jit(lambda terms: validation.finite_orders("f", terms))(terms)[2, 0])


# Of what comes from elsewhere: the annotations that tests check would refuse it first.


def test_what_is_no_schedule_or_name_at_all_is_named():
    schedule, one_of = map(inspect.unwrap, (validation.schedule, validation.one_of))
    for bad in (5, None, 2.5, "12"):
        with pytest.raises(ValueError, match=f"t must hold .* numbers of steps, got {bad!r}, each"):
            schedule("t", bad)
    for bad in ([1], {}, np.ones(2)):
        with pytest.raises(ValueError, match="^x must be one of 'a', 'b', got "):
            one_of("x", bad, ("a", "b"))


def test_keys_are_random_keys():
    for good in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert validation.random_key("key", good) is good
    assert jax.jit(lambda key: validation.random_key("key", key))(jax.random.key(0)).shape == ()
    for bad in (5, 5.0, "a", np.ones(2), jax.random.split(jax.random.key(0))):
        with pytest.raises(ValueError, match="^key must be one jax.random.key, got"):
            validation.random_key("key", bad)


def test_axes_of_one_name_have_one_length():
    W, x = validation.axes(W=([[1.0, 2.0]], "h d"), x=(jnp.full((5, 2), jnp.nan), "n d"))
    assert isinstance(W, jax.Array) and W.tolist() == [[1, 2]] and x.shape == (5, 2)
    for bad, message in (
        (jnp.ones((5, 3)), r"x must have shape \(n, 2\), got \(5, 3\)"),
        (jnp.ones(2), r"x must have shape \(n, 2\), got \(2,\)"),
        (jnp.ones((0, 2)), r"x must have shape \(n, 2\), got \(0, 2\)"),
        (np.ones((5, 2), int), "x must be an array of floats, got dtype int64"),
    ):
        with pytest.raises(ValueError, match="^" + message):
            validation.axes(W=(np.ones((3, 2)), "h d"), x=(bad, "n d"))
    with pytest.raises(ValueError, match=r"^X must have shape \(n, n\), got \(2, 3\)"):
        validation.axes(X=(np.ones((2, 3)), "n n"))
    with pytest.raises(ValueError, match=r"^x must have shape \(n, 2\), got \(5, 3\)"):
        jax.jit(lambda W, x: validation.axes(W=(W, "h d"), x=(x, "n d")))(
            jnp.ones((3, 2)), jnp.ones((5, 3))
        )


def test_shapes_that_broadcast_pass():
    validation.broadcasting(x=np.ones((3, 1)), y=np.ones(2), z=np.ones(()))
    with pytest.raises(ValueError, match=r"^x and y must .*, got shapes \(3,\) and \(2,\)"):
        validation.broadcasting(x=np.ones(3), y=jnp.ones(2))


def test_a_known_number_is_none_that_is_traced():
    value = validation.known("x", np.float32(0.5))
    assert type(value) is np.ndarray and value.dtype == np.float64 and value == 0.5
    with pytest.raises(ValueError, match="^x must be a known number, got one that jit"):
        jax.jit(lambda x: validation.known("x", x))(1.0)
    with pytest.raises(ValueError, match="^x must be finite, got inf"):
        validation.known("x", np.inf)


def test_a_unit_vector_is_one_to_half_its_digits():
    for dtype in ("float32", "float64"):
        assert validation.unit("x", np.array([0.6, 0.8], dtype)).dtype == dtype
    with pytest.raises(ValueError, match="^x must be a unit vector, got one of length 1.00001"):
        validation.unit("x", np.array([1.00001, 0.0]))
    with pytest.raises(ValueError, match=r"^x must be a sequence of numbers, got shape \(1, 2\)"):
        validation.unit("x", np.array([[0.6, 0.8]]))


def test_kinds_and_precisions_are_named():
    assert validation.kind("n", 3, "integers") == 3
    assert not validation.kind("x", jnp.array(False), "truth values")
    with pytest.raises(ValueError, match="^n must be of integers, got dtype float64"):
        validation.kind("n", 3.0, "integers")
    with pytest.raises(ValueError, match="^n must be of truth values, got dtype int64"):
        validation.kind("n", 1, "truth values")
    for good in (float, "float32", jnp.float32, np.dtype("float64")):
        assert validation.precision("dtype", good) == np.dtype(good)
    for bad in (int, "float16", [1], object()):
        with pytest.raises(ValueError, match="^dtype must be float32 or float64, got"):
            validation.precision("dtype", bad)


def test_a_type_is_named():
    assert validation.instance("x", (1,), tuple) == (1,)
    with pytest.raises(ValueError, match="^x must be a tuple, got a list"):
        validation.instance("x", [1], tuple)
    with pytest.raises(ValueError, match="^x must be an OSError, got an int"):
        validation.instance("x", 1, OSError)
