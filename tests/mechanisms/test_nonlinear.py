import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import mechanisms, networks


def close(measured, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


def drawn(shape):
    return jnp.asarray(np.random.default_rng(len(shape) + sum(shape)).normal(size=shape))


def drawn_params(*widths):
    return [{"weight": drawn((n, m))} for n, m in zip(widths[1:], widths[:-1], strict=True)]


# Neighbouring layers


def test_neighbouring_layers_of_a_line_have_the_cosine_of_their_angle():
    params = drawn_params(1, 9, 1)
    v, u = params[0]["weight"][:, 0], params[1]["weight"][0]
    expected = np.abs(u @ v) / np.linalg.norm(u) / np.linalg.norm(v)
    close(mechanisms.layer_cosines(params), [expected])


def test_neighbouring_layers_are_compared_in_frobenius_norms():
    params = drawn_params(4, 6, 5, 2)
    W = [np.asarray(layer["weight"]) for layer in params]
    norm = np.linalg.norm
    expected = [norm(b @ a) / norm(a) / norm(b) for a, b in zip(W[:-1], W[1:], strict=True)]
    close(mechanisms.layer_cosines(params), expected)


def test_layers_of_rank_one_that_fit_are_aligned():
    x, y, z = drawn((4,)), drawn((6,)), drawn((5,))
    params = [{"weight": jnp.outer(y, x)}, {"weight": jnp.outer(z, y)}]
    close(mechanisms.layer_cosines(params), [1.0])
    silent = [params[0], {"weight": jnp.zeros((5, 6))}]
    assert mechanisms.layer_cosines(silent).tolist() == [0]


@pytest.mark.parametrize("shapes", [[(3, 2)], [(3, 2), (1, 4)], [(3, 2), (3,)], [(0, 2), (1, 0)]])
def test_layers_that_do_not_fit_have_no_cosine(shapes):
    params = [{"weight": jnp.ones(shape)} for shape in shapes]
    with pytest.raises(ValueError, match="params must be two or more layers that fit"):
        mechanisms.layer_cosines(params)


def test_gaussian_layers_start_at_one_over_the_root_of_the_width():
    n, draws = 400, np.random.default_rng(0)
    params = [{"weight": draws.normal(size=(n, 90))}, {"weight": draws.normal(size=(50, n))}]
    close(mechanisms.layer_cosines(params), [n**-0.5], rtol=0.05)


# Angle and scale


@pytest.mark.parametrize("parametrisation", [networks.standard, networks.maximal_update])
def test_an_output_is_scale_times_cosine(parametrisation):
    network = networks.fully_connected((3, 6, 5, 1), parametrisation=parametrisation)
    params, x = drawn_params(3, 6, 5, 1), drawn((7, 3))
    angle = mechanisms.alignment(network, params, x)
    hidden, u = network.features(params, x)[-1], params[-1]["weight"][0]
    assert (np.abs(angle.cosine) <= 1).all()
    close(angle.scale * angle.cosine, network.apply(params, x)[:, 0])
    multiplier = 1 if parametrisation is networks.standard else 5**-0.5
    close(angle.scale, multiplier * np.linalg.norm(u) * np.linalg.norm(hidden, axis=1))


def test_a_silent_layer_has_no_angle():
    network = networks.fully_connected((2, 3, 1))
    params = [{"weight": -jnp.ones((3, 2))}, {"weight": jnp.array([[0.3, -0.5, 0.1]])}]
    angle = mechanisms.alignment(network, params, jnp.array([[1.0, 1.0], [-1.0, -1.0]]))
    assert angle.cosine[0] == 0 and angle.scale[0] == 0 and angle.scale[1] > 0


@pytest.mark.parametrize("scale", [1e-290, 1e-200, 1e200, 1e290])
def test_the_angle_of_a_homogeneous_network_does_not_depend_on_the_size_of_its_inputs(scale):
    network, params, x = networks.fully_connected((3, 6, 1)), drawn_params(3, 6, 1), drawn((7, 3))
    expected, angle = (mechanisms.alignment(network, params, size * x) for size in (1, scale))
    close(angle.cosine, expected.cosine)
    close(angle.scale, scale * expected.scale)


def test_bytes_have_the_angle_of_the_same_numbers():
    network, params = networks.fully_connected((3, 6, 1)), drawn_params(3, 6, 1)
    x = np.array([[200, 3, 90], [0, 255, 1]], "uint8")
    of_bytes, of_floats = (mechanisms.alignment(network, params, y) for y in (x, x.astype(float)))
    close(of_bytes.cosine, of_floats.cosine)


def test_networks_of_several_outputs_have_no_angle():
    network = networks.fully_connected((2, 3, 2))
    with pytest.raises(ValueError, match="network must have one output, got 2"):
        mechanisms.alignment(network, drawn_params(2, 3, 2), jnp.ones((1, 2)))


# The share of turning


def test_turning_takes_the_square_of_the_sine_in_a_linear_network():
    # cos ζ = f/√(f² + N²) and R = √(f² + N²), for N = 1 and N = 2
    f = np.linspace(0.5, 1.0, 101)[:, None] * np.array([1.0, -1.1, 0.9])
    N = np.array([1.0, 2.0])[:, None, None]
    scale = np.sqrt(f**2 + N**2)
    share, law = mechanisms.turning_share(f / scale, scale, axis=1)
    assert share.shape == law.shape == (2, 100, 3)
    close(share, law, rtol=1e-4)
    middle = ((f / scale)[:, 1:] + (f / scale)[:, :-1]) / 2
    close(law, 1 - middle**2)
    close(
        mechanisms.turning_share(f[:, 0] / scale[0, :, 0], scale[0, :, 0]),
        (share[0, :, 0], law[0, :, 0]),
    )


def test_turning_alone_and_rescaling_alone_are_the_ends():
    growth = np.exp(np.linspace(0, 1, 5))
    close(mechanisms.turning_share(0.1 * growth, np.ones(5))[0], 1)
    share, law = mechanisms.turning_share(np.full(5, 0.6), growth)
    close(share, 0, atol=1e-12)
    close(law, 1 - 0.6**2)


def test_intervals_without_learning_or_with_a_change_of_sign_do_not_count():
    still = np.array([0.5, 0.5, 0.5]), np.array([1.0, 1.01, 1.03])
    flips = np.array([0.5, -0.5, -0.6]), np.array([1.0, 5.0, 1.0])
    silent = np.array([0.0, 0.5, 0.0]), np.array([0.0, 1.0, 0.0])
    for (cosine, scale), counted in ((still, [False, False]), (flips, [False, True])):
        for values in mechanisms.turning_share(cosine, scale, least=0.02):
            assert (np.isfinite(values) == counted).all()
    assert np.isnan(mechanisms.turning_share(*silent)).all()
    least = mechanisms.turning_share(*still, least=0.0099)[0]
    assert np.isfinite(least).tolist() == [True, True]
