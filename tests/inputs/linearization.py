"""Calls of the functions of :mod:`lazyrich.linearization`."""

EXAMPLES = {}
NOT_TRIED = {}
