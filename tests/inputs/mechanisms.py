"""Calls of the functions of :mod:`lazyrich.mechanisms`."""

EXAMPLES = {}
NOT_TRIED = {}
