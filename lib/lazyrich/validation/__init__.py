"""Checks at the public border, made outside of compiled code.

Each function takes the name of an argument and its value, and gives the value back or raises a
``ValueError`` whose one sentence names the argument, what came and what is allowed. Under
``jit``, ``vmap`` or ``grad`` a value is not known yet, so there only shape and dtype are checked.
"""

from lazyrich.validation.arrays import (
    axes,
    between,
    broadcasting,
    filled,
    floating,
    increasing,
    known,
    matrix,
    nonnegative,
    positive,
    positives,
    samples,
    scalar,
    symmetric,
    unit,
    vector,
)
from lazyrich.validation.choices import (
    flag,
    instance,
    kind,
    one_of,
    precision,
    random_key,
    schedule,
    whole,
    widths,
)
from lazyrich.validation.trees import (
    finite_orders,
    first_line,
    function,
    giving,
    inputs,
    like,
    members,
    outputs,
    parameters,
)

__all__ = [
    "axes",
    "between",
    "broadcasting",
    "filled",
    "finite_orders",
    "first_line",
    "flag",
    "floating",
    "function",
    "giving",
    "increasing",
    "inputs",
    "instance",
    "kind",
    "known",
    "like",
    "matrix",
    "members",
    "nonnegative",
    "one_of",
    "outputs",
    "parameters",
    "positive",
    "positives",
    "precision",
    "random_key",
    "samples",
    "scalar",
    "schedule",
    "symmetric",
    "unit",
    "vector",
    "whole",
    "widths",
]
