"""From Lazy to Rich: four theories of neural-network training, executed.

The library has three floors, and imports only go down. On top stands one module a paper, here
:mod:`~lazyrich.conditioning` and :mod:`~lazyrich.mechanisms`; below it the shared tools of the
theory, :mod:`~lazyrich.training`, :mod:`~lazyrich.derivatives` and :mod:`~lazyrich.spectra`; on the
ground :mod:`~lazyrich.networks`, :mod:`~lazyrich.data`, :mod:`~lazyrich.downloads`,
:mod:`~lazyrich.book.sweeps`, :mod:`~lazyrich.book.estimates`, :mod:`~lazyrich.book.claims`,
:mod:`~lazyrich.book.rendering`, :mod:`~lazyrich.book.figures`, :mod:`~lazyrich.arithmetic` and
:mod:`~lazyrich.validation`. Beside them stand the tools that execute and store the book,
:mod:`~lazyrich.book.notebooks` and :mod:`~lazyrich.book.chapters`.

Importing the library changes no global setting of JAX. A function computes in the dtype of its
input; turn float64 on with ``jax.config.update("jax_enable_x64", True)`` before the first draw.
"""

__version__ = "0.1.0"
