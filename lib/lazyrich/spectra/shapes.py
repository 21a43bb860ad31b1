"""A rule that names the shape of a weight spectrum, from noise to a heavy tail."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, numpy_if_known
from lazyrich.spectra import marchenko_pastur as law
from lazyrich.spectra.power_law import ascending, hill_of_sorted
from lazyrich.validation import ArrayLike

SHAPES = (
    "Rank-collapse",
    "Heavy-tailed",
    "Bulk-decay",
    "Bulk+Spike",
    "Bleeding-out",
    "Random-like",
)
"""The names, in the order in which they are tried; a code is a place here."""


class Shape(NamedTuple):
    """The shape of a spectrum and what it was judged by."""

    code: Int[Array, "*batch"]
    """The place of the name in :data:`SHAPES`; −1 of what is no spectrum, under ``jit``."""
    variance: Float[Array, "*batch"]
    """τ² = median(ℓ)/(h · median of the law), the variance of the entries behind the bulk."""
    edge: Float[Array, "*batch"]
    """h τ² (1 + √c)², the upper edge of the law of that variance."""
    above: Int[Array, "*batch"]
    """n_1, the number of eigenvalues above the edge."""
    outliers: Int[Array, "*batch"]
    """n_1.2, the number of those above 1.2 times the edge."""
    bulk_distance: Float[Array, "*batch"]
    """KS_b, the distance from the law of the others, rescaled by their own median."""
    hill: Float[Array, "*batch"]
    """Hill's estimate at the median."""
    hill_of_law: Float[Array, ""]
    """α_MP, that of the law."""

    @property
    def name(self) -> np.ndarray | str:
        """The name, outside of compiled code; of many spectra an array of names.

        Raises:
            ValueError: under ``jit``, where only the code is known to the program.
        """
        if isinstance(self.code, jax.core.Tracer):
            raise ValueError("name must be taken outside of jit and vmap, where code is to be used")
        return np.asarray((*SHAPES, "none"))[np.asarray(self.code)]


def shape(eigenvalues: ArrayLike, height: int) -> Shape:
    """The name of a spectrum's shape: of these rules the first that applies.

    1. *Rank-collapse*: more than a tenth of ℓ is below 1e-3 × median, or zero.
    2. *Heavy-tailed*: Hill ≤ α_MP − 0.3 and n_1 > d/50.
    3. *Bulk-decay*: KS_b > max(0.05, 6/d) or n_1.2 > max(3, d/100).
    4. *Bulk+Spike*: n_1.2 ≥ 1.
    5. *Bleeding-out*: ℓ_max > 1.05 edge.
    6. *Random-like*.

    All is read against the Marchenko-Pastur law of the same c = d/h, scaled to the same median. A
    straight line on logarithmic axes is no evidence of a power law, and this rule asks for none.
    If the median is zero, so is the edge; then Hill is 1 and the distance that of the smaller half
    from the law. Hill is ``inf`` if all eigenvalues from the median on are equal.

    Args:
        eigenvalues: of WᵀW, in any order, none negative, shape (…, d).
        height: the number h ≥ d of rows of W; for h < d give the h eigenvalues of WWᵀ, and d.

    Raises:
        ValueError: if an eigenvalue is negative or not finite, none is positive, or h < d. Where
            this is not known yet, under ``jit``, the code is −1.

    >>> from jax import numpy as jnp, random
    >>> W = random.normal(random.key(0), (150, 100)).at[0].mul(3)
    >>> str(shape(jnp.linalg.eigvalsh(W.T @ W), height=150).name)
    'Bulk+Spike'
    """
    values = ascending(eigenvalues)
    height = validation.whole("height", height, least=1)
    if height < values.shape[-1]:
        raise ValueError(
            f"height must be at least the number of eigenvalues, {values.shape[-1]}, got {height}"
        )
    return _shape(values, height=height)


@numpy_if_known
def _shape(xp, values, *, height):
    d, largest = values.shape[-1], values[..., -1]
    ratio = xp.asarray(d / height, values.dtype)
    center, hill_of_law = law.quantile(xp, 0.5, ratio), law.hill_of_law(xp, ratio)
    unit, hill = binary_unit(xp, largest), hill_of_sorted(xp, values)
    values = values / unit[..., None]
    median = _lower_median(xp, values, d)
    variance = median / (height * center)
    edge = height * variance * (1 + xp.sqrt(ratio)) ** 2

    def number_above(level):
        return (values > level[..., None]).sum(axis=-1)

    above, outliers = number_above(edge), number_above(1.2 * edge)
    bulk = d - outliers
    scale = _lower_median(xp, values, bulk) / center
    rescaled = values / xp.where(scale > 0, scale, 1)[..., None]
    distance = law.lower_distance(xp, rescaled, ratio, bulk)
    low = (values < 1e-3 * median[..., None]) | (values == 0)
    rules = [
        low.sum(axis=-1) > d / 10,
        (hill <= hill_of_law - 0.3) & (above > d / 50),
        (distance > max(0.05, 6 / d)) | (outliers > max(3, d / 100)),
        outliers >= 1,
        values[..., -1] > 1.05 * edge,
        xp.ones(values.shape[:-1], bool),
    ]
    code = xp.where(largest > 0, xp.argmax(xp.stack(rules), axis=0), -1)
    return Shape(code, variance * unit, edge * unit, above, outliers, distance, hill, hill_of_law)


def _lower_median(xp, ascending, count):
    """The median of the `count` smallest."""
    count = xp.broadcast_to(count, ascending.shape[:-1])[..., None]
    middle = xp.concatenate([(count - 1) // 2, count // 2], axis=-1)
    return xp.take_along_axis(ascending, middle, axis=-1).mean(axis=-1)
