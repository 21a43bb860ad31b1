"""Whatever lies on a user's disk, given to every public function: see ``test_inputs.py``.

A module for each package, whose ``EXAMPLES`` has a call of every public function, and whose
``NOT_TRIED`` says of the others why they take no arrays of a user.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Example(NamedTuple):
    """A call of a public function that works, with its arrays in NumPy's float64."""

    arguments: Mapping[str, Any]
    """By name; arrays may stand in pytrees."""
    free_of_scale: tuple[str, ...] = ()
    """The arguments that may be multiplied by any number, all at once, without another answer."""
    left_alone: Mapping[str, str] = MappingProxyType({})
    """Arguments of arrays that are not varied, and why."""
    of_numpy: bool = False
    """Whether it computes in NumPy, whose double precision no setting of JAX turns off."""
    of_result: Callable = lambda result: result
    """What of the result is compared, where it is a function."""
