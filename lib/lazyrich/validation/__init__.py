"""Checks at the public border, made outside of compiled code.

Each function takes the name of an argument and its value, and gives the value back or raises a
``ValueError`` whose one sentence names the argument, what came and what is allowed. Under
``jit``, ``vmap`` or ``grad`` a value is not known yet, so there only shape and dtype are checked.
"""

from lazyrich.validation.arrays import (
    ArrayLike,
    array_of,
    axes,
    between,
    broadcasting,
    filled,
    first_line,
    fitting,
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
from lazyrich.validation.ranges import in_precision, in_range
from lazyrich.validation.trees import (
    as_outputs,
    differentiable,
    finite,
    finite_orders,
    function,
    giving,
    inputs,
    like,
    members,
    network,
    network_of_trees,
    parameters,
)
