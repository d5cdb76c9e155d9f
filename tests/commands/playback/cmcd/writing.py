"""Writes a record as a player would: the inverse of reading, for the tests."""

import http_sf

from commands.playback.cmcd.keys import KEYS, Shape
from events.cmcd import Hint, Measure, Record


def line_of(record: Record) -> bytes:
    """The record as one line."""
    said = {other.key: other.value for other in record.others}
    for name, key in KEYS.items():
        value = getattr(record, name)
        unsaid = value is None or value is False or value == () or (name == "v" and value == 1)
        if not unsaid and name not in said:
            said[name] = _written(key.shape, value, listed=record.v > 1)
    return ",".join(f"{name}={value}" for name, value in said.items()).encode()


def _written(shape: Shape, value: object, *, listed: bool) -> str:
    if shape is Shape.TOKEN:
        return str(value)
    if not isinstance(value, tuple):
        assert isinstance(value, bool | int | float | str)
        return http_sf.ser(value)
    items = [_item(item) for item in value]
    return f"({' '.join(items)})" if listed or len(items) != 1 else items[0]


def _item(item: object) -> str:
    match item:
        case Measure(value, of):
            return f"{value};{of}" if of else str(value)
        case Hint(path, r):
            return f"{http_sf.ser(path)};r={http_sf.ser(r)}" if r is not None else http_sf.ser(path)
        case _:
            return http_sf.ser(str(item))
