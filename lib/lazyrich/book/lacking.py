"""What a notebook does without data that are not there: it goes on, and its claims say so.

A cell that needs a data set which cannot be had (:class:`~lazyrich.downloads.MissingData`) is left
out, and with it the later cells that use what it would have given. The claims that stand in them
are recorded as *not attempted*, with what to do.
"""

import ast
import re
import symtable
from collections.abc import Set
from typing import NamedTuple

from lazyrich.downloads import MissingData

JUDGES = {"judge", "claim"}
"""What judges a claim in a chapter: its identifier and its statement come first."""


class Names(NamedTuple):
    """The names by which a cell hangs together with others."""

    used: set[str]
    """Those that it uses before it gives them."""
    given: set[str]
    """Those that it gives."""


def names(code: str) -> Names:
    """The names that a cell uses and gives.

    >>> sorted(names("a = b; c = [d * a for d in e]").used)
    ['b', 'e']
    """
    used, given = set(), set()
    for statement in ast.parse(code).body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        symbols = {symbol.get_name(): symbol for symbol in table.get_symbols()}
        bound = {
            name
            for name, one in symbols.items()
            if one.is_assigned() or one.is_imported() or one.is_namespace()
        }
        reads = {name for name, one in symbols.items() if one.is_referenced()}
        # An assignment reads its right side first; a function finds its globals when it is called.
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            reads -= bound
        for child in table.get_children():
            reads |= _globals(child) - bound
        used |= reads - given
        given |= bound
    return Names(used, given)


def _globals(table):
    own = {one.get_name() for one in table.get_symbols() if one.is_global() and one.is_referenced()}
    return own.union(*map(_globals, table.get_children()))


def what(error: str) -> str | None:
    """The sentence that says what to do, if an error was that data are missing."""
    found = re.search(rf"{MissingData.__name__}: (.+)", error)
    return found and found[1].strip()


def not_attempted(code: str, reason: str, lost: Set[str]) -> str:
    """The claims of a cell that was left out, as code which records them without checks.

    Args:
        code: of the cell, as Python has it.
        reason: why it was left out.
        lost: the names that are not there.
    """
    calls = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in JUDGES
    ]
    for call in calls:
        call.args = call.args[:2]
        known = [word for word in call.keywords if not lost & names(ast.unparse(word.value)).used]
        kept = [word for word in known if word.arg != "reason"]
        call.keywords = [*kept, ast.keyword("reason", ast.Constant(reason))]
    return "\n".join(map(ast.unparse, calls))
