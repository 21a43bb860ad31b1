import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lazyrich import training

CURVATURE = np.array([1.0, 0.5, 0.1])


def bowl(params, step=None):
    return (jnp.asarray(CURVATURE) * params["x"] ** 2).sum() / 2 + (params["y"] - 1) ** 2


@pytest.fixture
def start():
    return {"x": jnp.array([1.0, -2.0, 3.0]), "y": jnp.array(0.5)}


def test_training_is_the_loop_that_the_optimizer_describes(start):
    def loss(params, step):
        return bowl(params) * (1 + step)  # another loss at each step

    optimizer = optax.sgd(0.05, momentum=0.9)
    trained = training.train(loss, start, optimizer, [0, 1, 4, 7], lambda p, step: (p, step))
    params, memory, expected = start, optimizer.init(start), []
    for step in range(8):
        expected.append(params)
        change, memory = optimizer.update(jax.grad(loss)(params, step), memory, params)
        params = optax.apply_updates(params, change)
    observed, steps = trained.observed
    assert steps.tolist() == [0, 1, 4, 7] and trained.steps == 7
    for i, step in enumerate([0, 1, 4, 7]):
        np.testing.assert_allclose(observed["x"][i], expected[step]["x"], rtol=1e-13)
        np.testing.assert_allclose(observed["y"][i], expected[step]["y"], rtol=1e-13)
    assert (trained.params["x"] == observed["x"][-1]).all()


def test_training_rests_once_the_loss_is_low_enough():
    # x halves at each step; the loss x²/2 is first at or below 1/32 with x = 1/4, after two steps
    loss, observe = lambda x, step: x**2 / 2, lambda x, step: (x, step)
    schedule = [0, 1, 2, 3, 5, 9]
    trained = training.train(loss, 1.0, optax.sgd(0.5), schedule, observe, until=1 / 32)
    assert trained.observed[0].tolist() == [1, 1 / 2, 1 / 4, 1 / 8, 1 / 8, 1 / 8]
    assert trained.observed[1].tolist() == [0, 1, 2, 3, 3, 3] and trained.steps == 3
    assert training.train(loss, 1.0, optax.sgd(0.5), [9]).steps == 9


def test_parameters_are_changed_before_each_step_and_observed_after_it():
    loss, observe = lambda x, step: x @ jnp.array([1.0, 3.0]), lambda x, step: x

    def normalise(x):
        return x / jnp.linalg.norm(x)

    trained = training.train(
        loss, jnp.array([3.0, 4.0]), optax.sgd(0.1), [0, 1, 2, 5], observe, before=normalise
    )
    x, expected = np.array([3.0, 4.0]), []
    for step in range(6):
        if step in (0, 1, 2, 5):
            expected.append(x)
        x = x / np.hypot(*x) - 0.1 * np.array([1.0, 3.0])
    np.testing.assert_allclose(trained.observed, expected, rtol=1e-13)
    assert (trained.params == trained.observed[-1]).all()
    assert (np.abs(np.hypot(*trained.observed.T) - 1) > 0.05).all()  # none is normalised


def test_loss_and_gradient_are_taken_at_the_changed_parameters():
    loss = lambda x, step: x**2  # noqa: E731
    halved = training.train(
        loss, 1.0, optax.sgd(0.25), [1, 2, 9], lambda x, step: x, until=0.1, before=lambda x: x / 2
    )
    # 1 → 1/2 → 1/4, the loss 1/4; then 1/8 → 1/16 with the loss 1/64, and rest
    np.testing.assert_allclose(halved.observed, [1 / 4, 1 / 16, 1 / 16], rtol=1e-15)
    assert halved.steps == 2


def test_training_goes_on_where_an_earlier_one_ended(start):
    def loss(params, step):
        return bowl(params) * (1 + step)

    optimizer, observe = optax.adam(0.05), lambda p, step: (p, step)
    whole = training.train(loss, start, optimizer, [0, 4, 7], observe)
    first = training.train(loss, start, optimizer, [0, 4], observe)
    rest = training.train(loss, first, optimizer, [4, 7], observe)
    assert rest.steps == 7 and rest.observed[1].tolist() == [4, 7]
    jax.tree.map(np.testing.assert_array_equal, rest.params, whole.params)
    jax.tree.map(np.testing.assert_array_equal, rest.memory, whole.memory)
    # Without what Adam remembers it would be another training.
    anew = training.train(loss, first.params, optimizer, [3], observe)
    assert (anew.params["x"] != whole.params["x"]).all()


def test_parameters_with_a_mask_are_refused():
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    message = "params must be an array without a mask"
    with pytest.raises(ValueError, match=message):
        training.train(lambda x, step: (x**2).sum(), masked, optax.sgd(0.1), [1])
    with pytest.raises(ValueError, match=message):
        training.gradient_flow(lambda x: (x**2).sum(), masked, [0.0, 1.0])


def test_training_that_diverges_is_a_result():
    loss = lambda x, step: x**4  # noqa: E731
    trained = training.train(loss, 3.0, optax.sgd(1.0), [0, 2, 500], lambda x, step: x)
    assert np.isfinite(trained.observed[:2]).all() and not np.isfinite(trained.observed[2])
    assert trained.steps < 20  # it rests at nan


def test_nothing_is_observed_unless_asked_for(start):
    trained = training.train(bowl, start, optax.sgd(0.1), [3])
    assert trained.observed is None and trained.steps == 3


@pytest.mark.parametrize("schedule", [[], [2, 1], [0, 0], [1, 1, 2]])
def test_a_schedule_must_increase(schedule, start):
    with pytest.raises(ValueError, match="schedule must hold increasing numbers of steps, got"):
        training.train(bowl, start, optax.sgd(0.1), schedule)


def test_a_schedule_must_count_steps(start):
    with pytest.raises(ValueError, match=r"schedule must .*, got \[-1\], each an integer"):
        training.train(bowl, start, optax.sgd(0.1), [-1])


def test_flow_of_a_quadratic_loss_is_exponential(start):
    # one rate for all that is below "x", and another for "y"
    times, rates = np.array([0.0, 0.3, 1.0, 5.0]), {"x": 1.7, "y": 0.4}
    start["x"] = [start["x"][:1], start["x"][1:]]

    def loss(params):
        return bowl({"x": jnp.concatenate(params["x"]), "y": params["y"]})

    x, y = training.gradient_flow(
        loss, start, times, rates, lambda params: (jnp.concatenate(params["x"]), 2 * params["y"])
    )
    expected = np.exp(-1.7 * np.outer(times, CURVATURE)) * [1.0, -2.0, 3.0]
    np.testing.assert_allclose(x, expected, rtol=3e-8)
    np.testing.assert_allclose(y, 2 - np.exp(-2 * 0.4 * times), rtol=3e-8)


def test_times_of_a_flow_that_do_not_fit_are_named(start):
    with pytest.raises(ValueError, match="times must be not negative, got -1.0"):
        training.gradient_flow(bowl, start, np.array([-1.0, 0.0]))
    with pytest.raises(ValueError, match="times must have at least 1 axes"):
        training.gradient_flow(bowl, start, 1.0)


def test_an_ensemble_is_a_loop():
    def steps(x, y):
        return {"end": jax.lax.while_loop(lambda x: x < y["limit"], lambda x: 2 * x, x)}

    x, limits = jnp.array([1.0, 3.0, 0.5]), jnp.array([100.0, 5.0, 7.0])
    ends = training.ensemble(steps)(x, {"limit": limits})["end"]
    expected = [steps(*pair)["end"] for pair in zip(x, [{"limit": y} for y in limits], strict=True)]
    assert ends.tolist() == [float(end) for end in expected] == [128, 6, 8]


def test_members_of_an_ensemble_are_as_many_in_each_argument():
    add = training.ensemble(lambda x, y: x + y["of it"])
    with pytest.raises(
        ValueError, match=r"got 3 in arguments\[0\], 4 in arguments\[1\]\['of it'\]"
    ):
        add(jnp.ones(3), {"of it": jnp.ones((4, 2))})
    with pytest.raises(ValueError, match=r"got 3 in arguments\[0\], none in arguments\[1\]"):
        add(jnp.ones(3), {"of it": 1.0})


def test_the_mean_squared_error_is_halved():
    predictions, targets = jnp.array([1.0, 2.0, 5.0, 0.0]), jnp.array([1.0, 0.0, 4.0, 1.0])
    assert training.mean_squared_error(predictions, targets) == (4 + 1 + 1) / 4 / 2


def test_an_error_is_of_two_arrays_of_one_shape():
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 1\) and \(3,\)"):
        training.mean_squared_error(jnp.ones((3, 1)), jnp.ones(3))
    with pytest.raises(ValueError, match="times must be increasing, got a step of -1.0"):
        training.gradient_flow(lambda x: x**2, 1.0, np.array([1.0, 0.0]))


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_program_for_one_member_serves_any_number(device, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: device)

    @jax.jit
    def steps(x, y, nothing):
        assert nothing is None
        return {"end": jax.lax.while_loop(lambda x: x < y["limit"], lambda x: 2 * x, x)}

    x, limits = jnp.array([1.0, 3.0, 0.5]), jnp.array([100.0, 5.0, 7.0])
    for count in (3, 2):
        ends = training.each(steps, x[:count], {"limit": limits[:count]}, None)["end"]
        assert ends.tolist() == [128, 6, 8][:count]
    assert steps._cache_size() == (1 if device == "cpu" else 0)
    with pytest.raises(ValueError):
        training.each(steps, x, {"limit": limits[:2]}, None)


def test_results_are_stacked_along_a_new_axis():
    each = ({"a": jnp.full(3, i), "b": (jnp.asarray(i),)} for i in range(2))
    both = training.stacked(each)
    assert both["a"].tolist() == [[0, 0, 0], [1, 1, 1]] and both["b"][0].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["params", "times", "rates"])
def test_a_flow_takes_any_byte_order_and_no_mask(name):
    arguments = {"params": np.ones(2), "times": np.array([0.0, 0.5]), "rates": np.array(2.0)}
    flow = lambda **others: training.gradient_flow(  # noqa: E731
        lambda x: (x**2).sum() / 2, **{**arguments, **others}
    )
    value = arguments[name]
    np.testing.assert_array_equal(flow(**{name: value.astype(">f8")}), flow())
    with pytest.raises(ValueError, match=f"{name} must be an array without a mask"):
        flow(**{name: np.ma.array(value, mask=np.zeros(value.shape, bool))})


def test_members_have_any_byte_order_and_no_mask():
    x = np.arange(3.0)
    double = jax.jit(lambda one: 2 * one)
    assert training.each(double, x.astype(">f8")).tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(ValueError, match="members must be an array without a mask"):
        training.each(double, np.ma.array(x, mask=[0, 0, 1]))


def test_a_loss_is_a_number():
    for loss, sentence in (
        (lambda x, step=0: x, r"loss must give a number, got float64 of shape \(2,\)"),
        (lambda x, step=0: x @ jnp.ones(3), "loss must give a number: "),
    ):
        with pytest.raises(ValueError, match=sentence):
            training.train(loss, np.ones(2), optax.sgd(0.1), [1])
        with pytest.raises(ValueError, match=sentence):
            training.gradient_flow(loss, np.ones(2), [1.0])


def test_training_does_not_go_back():
    loss = lambda x, step: x**2 / 2  # noqa: E731
    trained = training.train(loss, 1.0, optax.sgd(0.5), [0, 3])
    with pytest.raises(ValueError, match=r"schedule must begin after 3 steps, .* got \(0, 1\)"):
        training.train(loss, trained, optax.sgd(0.5), [0, 1])
    with pytest.raises(ValueError, match="optimizer must be a GradientTransformation, got a float"):
        inspect.unwrap(training.train)(loss, 1.0, 0.1, [0, 1])


def test_half_precision_has_its_error_in_single():
    error = training.mean_squared_error(np.full(3, 300, np.float16), np.zeros(3, np.float16))
    assert error == 45000 and error.dtype == np.float32
    for bad in (np.ones(3, complex), np.ones(0)):
        with pytest.raises(ValueError, match="targets must be of real numbers|one shape"):
            training.mean_squared_error(np.ones(3), bad)
