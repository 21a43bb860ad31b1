"""Calls of the functions of :mod:`lazyrich.heavy_tails`."""

EXAMPLES = {}
NOT_TRIED = {}
