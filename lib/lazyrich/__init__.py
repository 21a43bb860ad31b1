"""From Lazy to Rich: four theories of neural-network training, executed.

The library has three floors, and imports only go down. On top stands one module a paper, here
:mod:`~lazyrich.conditioning` and :mod:`~lazyrich.mechanisms`; below it the shared tools of the
theory, :mod:`~lazyrich.training`, :mod:`~lazyrich.derivatives` and :mod:`~lazyrich.spectra`; on the
ground :mod:`~lazyrich.networks`, :mod:`~lazyrich.data`, :mod:`~lazyrich.downloads`,
:mod:`~lazyrich.sweeps`, :mod:`~lazyrich.estimates`, :mod:`~lazyrich.claims`,
:mod:`~lazyrich.rendering`, :mod:`~lazyrich.figures`, :mod:`~lazyrich.arithmetic` and
:mod:`~lazyrich.validation`. Beside them stand the tools that execute and store the book,
:mod:`~lazyrich.notebooks` and :mod:`~lazyrich.chapters`.

Importing the library changes no global setting of JAX. A function computes in the dtype of its
input; turn float64 on with ``jax.config.update("jax_enable_x64", True)`` before the first draw.
"""

__version__ = "0.1.0"
