"""Descent to a level of the loss: how networks that learn at different speeds are compared.

The last step is shortened so that the loss is exact. Else the loss of whole steps, some per cent of
it, would drown the small differences between a network and its linear model.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

MOST_STEPS = 20_000
SECANTS = 5  # of a curve that is almost a line


def descend_to(
    step: Callable, loss: Callable, state: Any, level: Any, most: int = MOST_STEPS
) -> tuple[Any, Int[Array, ""]]:
    """The state where a descent reaches a loss, and the number of steps, the shortened one too.

    All is nan where it does not get there, as where steps diverge.

    Args:
        step: ``step(state, share) -> state``, by a share of a whole step from 0 to 1.
        loss: ``loss(state) -> number``, which a step makes smaller.
        state: a pytree of floats, above that loss.
        level: the loss to reach.
        most: how many steps at most.

    >>> state, steps = descend_to(lambda x, share: x * (1 - share / 2), lambda x: x, 1.0, 0.2)
    >>> float(state), int(steps)
    (0.2, 3)
    """

    def unfinished(progress):
        _, ahead, steps = progress
        return (loss(ahead) > level) & (steps < most)

    def proceed(progress):
        _, ahead, steps = progress
        return ahead, step(ahead, 1.0), steps + 1

    def secant(_, points):
        before, excess_before, share, excess, _ = points
        slope = (excess - excess_before) / jnp.where(share == before, 1, share - before)
        closer = jnp.clip(share - excess / jnp.where(slope == 0, 1, slope), 0, 1)
        there = step(last, closer)
        return share, excess, closer, loss(there) - level, there

    state = jax.tree.map(jnp.asarray, state)
    last, ahead, steps = jax.lax.while_loop(unfinished, proceed, (state, state, 0))
    zero, excess = jnp.zeros_like(loss(state)), loss(ahead) - level
    points = zero, loss(last) - level, zero + 1, excess, ahead
    *_, there = jax.lax.fori_loop(0, SECANTS, secant, points)
    found = jax.tree.map(lambda a: jnp.where(excess <= 0, a, jnp.nan), there)
    return found, jnp.asarray(steps)
