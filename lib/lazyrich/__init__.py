"""From Lazy to Rich: four theories of neural-network training, executed.

What one calls on a network or on weights of one's own stands here, by its name in the field:

>>> import jax.numpy as jnp
>>> import lazyrich
>>> apply = lambda params, x: x @ params
>>> lazyrich.empirical_ntk(apply, jnp.zeros((2, 1)), jnp.eye(2)).tolist()
[[1.0, 0.0], [0.0, 1.0]]

The library is three wings on one foundation, and imports only go down. The first wing are the
papers' formulas, a package each: :mod:`~lazyrich.linearization`, :mod:`~lazyrich.conditioning`,
:mod:`~lazyrich.mechanisms` and :mod:`~lazyrich.heavy_tails`, and :mod:`~lazyrich.lenses`, which
looks at one network with all four. The second, ``lazyrich.experiments``, has what the chapters
compute with them. The third, :mod:`lazyrich.book`, makes a book of that and knows no paper. Below
lies what all share: derivatives, networks, trainers, spectra and data.

Importing the library changes no global setting of JAX. A function computes in the dtype of its
input; turn float64 on with ``jax.config.update("jax_enable_x64", True)`` before the first draw.
"""

from importlib import import_module

__version__ = "0.1.0"

# Where the names stand; each module is loaded when it is first asked for.
_NAMES = {
    "kernels": ("empirical_ntk", "ntk_product"),
    "curvature": ("condition_number", "gauss_newton", "gauss_newton_ends", "gauss_newton_spectrum"),
    "derivatives": ("jacobian", "taylor_coefficients"),
    "linearization": ("laziness", "linearize", "predict_linear", "taylor_expand"),
    "conditioning": ("loss_hessian",),
    "spectra": ("hill", "marchenko_pastur_density", "power_law_fit"),
    "reports": ("plot_spectrum", "weight_report"),
    "training": ("gradient_flow", "train"),
}
_WINGS = ("conditioning", "heavy_tails", "lenses", "linearization", "mechanisms", "spectra")
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [*_HOMES, *_WINGS]


def __getattr__(name):
    if name in _WINGS:
        return import_module(f"lazyrich.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lazyrich' has no attribute {name!r}")
    return getattr(import_module(f"lazyrich.{_HOMES[name]}"), name)


def __dir__():
    return sorted({*globals(), *__all__})
