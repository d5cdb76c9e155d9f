"""How a parameter that takes several values of a closed list is read."""

from typing import Final

from pydantic import BeforeValidator


def split(given: object) -> object:
    """`a,b` and `a` with `b` are the same."""
    return [value for each in given for value in str(each).split(",")] if isinstance(given, list) else given


COMMAS: Final = BeforeValidator(split)
"""Of a list: its values may be separated by commas, or given one by one."""
