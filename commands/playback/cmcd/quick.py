"""The quick way for lines as players mostly write them: known keys of version 2, each in the shape that its key has.

It knows nothing of mending: whatever it does not take goes the whole way (dictionaries.py, values.py), and what it
takes is what the whole way would have read. On the recorded event lines it saves two thirds of the time.
"""

import re
from collections.abc import Callable
from typing import Final

from commands.playback.cmcd.keys import KEYS, Key, Shape
from commands.playback.cmcd.values import Value
from events.cmcd import Hint, Measure, ObjectType

_LINE: Final = re.compile(
    r"([a-z]{1,6})"
    r'(?:=(?:([0-9]{1,15})|"([ !#-\[\]-~]+)"|([a-z]{1,3})|\(([ !-\'*-\[\]-~]+)\)|([0-9]{1,12}\.[0-9]{1,3})))?'
    r"(?:,|\Z)|(.)",
    re.DOTALL,
)
"""A member: its name, then an integer, a text, a token, a list or a decimal; or anything else. Every part
that could be tried again from its next character is short, so that a line takes time in proportion to its length.
"""
_ITEM: Final = re.compile(r"([0-9]{1,15})(?:;([a-z]{1,2}))?")
_ONE_TEXT: Final = re.compile(r'"([ !#-\[\]-~]+)"')
_KINDS: Final = {kind.value: kind for kind in ObjectType}

Groups = tuple[str, str, str, str, str, str, str]
INTEGER, TEXT, TOKEN, ITEMS, DECIMAL, ELSE = range(1, 7)


class _Else(Exception):
    """The line is one for the whole way."""


def read_quickly(line: bytes, *, max_members: int, max_items: int) -> dict[str, Value] | None:
    """What a line says, by key; None: it takes the whole way. The caller bounds the line's length."""
    try:
        found: list[Groups] = _LINE.findall(line.decode("ascii"))
    except UnicodeDecodeError:
        return None
    if not found or len(found) > max_members or line.endswith(b","):
        return None
    try:
        values = {groups[0]: _READ[groups[0]](groups) for groups in found}
    except (KeyError, _Else):
        return None
    if len(values) != len(found) or values.get("v") != 2 or _longest_list(values) > max_items:
        return None
    return values


def _longest_list(values: dict[str, Value]) -> int:
    return max((len(value) for value in values.values() if isinstance(value, tuple)), default=0)


def _flag(groups: Groups) -> bool:
    if groups[1:] != ("",) * 6:
        raise _Else
    return True


def _integer(groups: Groups) -> int:
    if not groups[INTEGER]:
        raise _Else
    return int(groups[INTEGER])


def _text(groups: Groups) -> str:
    if not groups[TEXT]:
        raise _Else
    return groups[TEXT]


def _decimal(groups: Groups) -> float:
    if not (said := groups[INTEGER] or groups[DECIMAL]) or len(said) > 12:
        raise _Else
    return float(said)


def _measures(groups: Groups) -> tuple[Measure, ...]:
    said = groups[ITEMS]
    if not said:
        raise _Else
    if said.isdigit() and len(said) <= 15:
        return (Measure(int(said)),)
    measures = []
    for item in said.split(" "):
        match = _ITEM.fullmatch(item)
        if match is None or (match[2] is not None and match[2] not in _KINDS):
            raise _Else
        measures.append(Measure(int(match[1]), _KINDS[match[2]] if match[2] else None))
    return tuple(measures)


def _hints(groups: Groups) -> tuple[Hint, ...]:
    match = _ONE_TEXT.fullmatch(groups[ITEMS])
    if match is None:
        raise _Else
    return (Hint(match[1]),)


def _reader(key: Key) -> Callable[[Groups], Value] | None:
    if key.words is None:
        return _OF_SHAPE.get(key.shape)
    words: dict[str, Value] = {word.value: word for word in key.words}
    return lambda groups: words[groups[TOKEN]]


_OF_SHAPE: Final[dict[Shape, Callable[[Groups], Value]]] = {
    Shape.FLAG: _flag,
    Shape.INTEGER: _integer,
    Shape.TEXT: _text,
    Shape.DECIMAL: _decimal,
    Shape.MEASURES: _measures,
    Shape.HINTS: _hints,
}
_READ: Final = {name: reader for name, key in KEYS.items() if (reader := _reader(key)) is not None}
