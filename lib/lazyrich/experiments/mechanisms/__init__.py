"""The experiments of the chapter on mechanisms.

Networks with data on a line (:mod:`~lazyrich.experiments.mechanisms.cases`) in training
(:mod:`~lazyrich.experiments.mechanisms.flows`), ensembles of one scale
(:mod:`~lazyrich.experiments.mechanisms.ensembles`), parametrisations at growing width
(:mod:`~lazyrich.experiments.mechanisms.widths`), gradient descent in finite steps
(:mod:`~lazyrich.experiments.mechanisms.finite_steps`), other losses and activations
(:mod:`~lazyrich.experiments.mechanisms.other_flows`), wide networks with the activations of the
paper's first figure (:mod:`~lazyrich.experiments.mechanisms.activations`), and ReLU networks on the
digits (:mod:`~lazyrich.experiments.mechanisms.relu_digits`).
"""
