"""Calls of the functions of :mod:`lazyrich.conditioning`."""

EXAMPLES = {}
NOT_TRIED = {}
