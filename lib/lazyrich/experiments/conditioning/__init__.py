"""Experiments of the chapter on conditioning: the points of its sweeps, and what they share.

In the order of the chapter: closed forms against automatic differentiation
(:mod:`~lazyrich.experiments.conditioning.agreement`), linear networks at the start
(:mod:`~lazyrich.experiments.conditioning.starts`) on the data sets of
:mod:`~lazyrich.experiments.conditioning.data_sets`, leaky ReLU
(:mod:`~lazyrich.experiments.conditioning.relu_starts`), convolutions, batch normalisation and
pruning (:mod:`~lazyrich.experiments.conditioning.variants`, and
:mod:`~lazyrich.experiments.conditioning.residual` for a residual network), the spectrum in two
precisions (:mod:`~lazyrich.experiments.conditioning.precisions`) and gradient descent
(:mod:`~lazyrich.experiments.conditioning.descents`).
"""
