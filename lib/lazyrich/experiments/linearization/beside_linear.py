"""Networks of the family in training, beside their linear models and Taylor models."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lazyrich import linearization as lin
from lazyrich.arithmetic import quickly_compiled, root_mean_square
from lazyrich.experiments.linearization import family
from lazyrich.training import each, mean_squared_error, train


def gradient_descent(
    key: jax.Array,
    width: int,
    seeds: int,
    schedule: tuple[int, ...],
    rate: float = 0.5,
    activation: str = "tanh",
    sharpness: float = 1.0,
    sharpening: float = 0.0,
    a: float = 0.5,
    scale: float = 1.0,
    centred: bool = False,
    offset: float = 0.0,
    rescaled: bool = False,
) -> lin.Deviations:
    """Gradient descent with all samples in each step.

    Args:
        key: draws a task and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η_0, the rate of the kernel: the network's own is η_0 n^(2a−1)/scale².
        activation: φ, by its name.
        sharpness, sharpening: of φ(β z)/β, with β = sharpness · n^sharpening.
        a: the exponent of the scaling.
        scale: a further external scale of the outputs.
        centred: whether the outputs at the start are taken off.
        offset: the mean of the output weights.
        rescaled: whether the training inputs have one length.
    """
    network = family.network(width, 1, activation, sharpness * width**sharpening)
    alpha = scale * family.external_scale(width, a)

    def of_seed(params, task):
        return lin.train_beside_linear(network, params, *task, rate, schedule, alpha, centred)

    params = family.weights(key, width, 1, seeds, offset)
    return each(of_seed, params, family.toy_tasks(key, seeds, rescaled))


def stochastic_gradient_descent(
    key: jax.Array,
    width: int,
    seeds: int,
    schedule: tuple[int, ...],
    rate: float = 0.25,
    noise: float = 0.0,
) -> lin.Deviations:
    """Stochastic gradient descent in NTK scaling, one random sample a step, its residual F − y.

    The linear model sees the same samples and the same noise, and the training inputs have one
    length.

    Args:
        key: draws a task, the order of its samples, their noise and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        schedule: after how many steps to observe, increasing.
        rate: η.
        noise: standard deviation of what each step adds to the target of its sample; with it the
            residuals do not decay.
    """
    steps = max(schedule[-1], 1)

    def of_seed(params, task, samples, noise):
        return lin.train_beside_linear(
            family.network(width), params, *task, rate, schedule, samples=samples, noise=noise
        )

    return each(
        of_seed,
        family.weights(key, width, 1, seeds),
        family.toy_tasks(key, seeds, rescaled=True),
        family.order_of_samples(key, seeds, steps),
        noise * family.noise_of_samples(key, seeds, steps),
    )


def taylor_distances(
    key: jax.Array,
    width: int,
    seeds: int,
    orders: tuple[int, ...] = (1, 2, 3),
    rate: float = 1.0,
    steps: int = 40,
    activation: str = "tanh",
) -> Float[Array, "seeds orders"]:
    """How far Taylor models of some orders are from the network, each trained by itself.

    Args:
        key: draws a task, its training inputs of one length, and the weights for each seed.
        width: n, of one hidden layer.
        seeds: the number of networks.
        orders: of the Taylor models about the start.
        rate: η.
        steps: of gradient descent with all samples in each step.
        activation: φ, by its name.

    Returns:
        The distances of the outputs at the end, root mean squares over the test inputs.
    """
    apply = family.network(width, 1, activation).apply

    @quickly_compiled
    def of_seed(params, task):
        def trained(apply):
            def loss(params, _):
                return mean_squared_error(apply(params, task.x)[:, 0], task.y)

            end = train(loss, params, optax.sgd(rate), [steps]).params
            return apply(end, task.x_test)[:, 0]

        outputs = trained(apply)
        models = (lin.taylor_expand(apply, params, order) for order in orders)
        return jnp.stack([root_mean_square(trained(model) - outputs) for model in models])

    tasks = family.toy_tasks(key, seeds, rescaled=True)
    return each(of_seed, family.weights(key, width, 1, seeds), tasks)
