"""From a member to the value that its key has, mended where real players differ. The second step."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from http_sf import Token

from commands.playback.cmcd.deviations import Deviation
from commands.playback.cmcd.dictionaries import Bare, Item, Member, ascii_of
from commands.playback.cmcd.keys import Key, Shape, Vocabulary
from events.cmcd import Hint, Measure, ObjectType

MAX_INTEGER = 999_999_999_999_999
MAX_DECIMAL = 999_999_999_999


Value = bool | int | float | str | tuple[str, ...] | tuple[Measure, ...] | tuple[Hint, ...]


class Unfit(ValueError):
    """The member is no value of its key."""


def value_of(key: Key, member: Member, version: int, mended: set[Deviation]) -> Value:
    """What a key says; adds what was mended. Raises Unfit."""
    if key.shape in _LISTS:
        return _LISTS[key.shape](_list(key, member, version, mended), mended)
    value, params = _one(member, mended)
    if params:
        mended.add(Deviation.PARAMETER_DROPPED)
    if key.words is not None:
        return _word(key.words, value, mended)
    return _SCALARS[key.shape](value, mended)


def _list(key: Key, member: Member, version: int, mended: set[Deviation]) -> list[Item]:
    if isinstance(member, list):
        return member
    if key.shape is Shape.TEXTS:
        mended.add(Deviation.ERROR_CODE_BARE)
    elif version > 1:
        mended.add(Deviation.SCALAR_FOR_LIST)
    return [member]


def _one(member: Member, mended: set[Deviation]) -> Item:
    if not isinstance(member, list):
        return member
    if len(member) != 1:
        raise Unfit("a list where one value belongs")
    mended.add(Deviation.LIST_FOR_SCALAR)
    return member[0]


def _flag(value: Bare, mended: set[Deviation]) -> bool:
    if not isinstance(value, bool):
        raise Unfit("not a boolean")
    if not value:
        mended.add(Deviation.FALSE_SAID)
    return value


def _integer(value: Bare, mended: set[Deviation]) -> int:
    if isinstance(value, Decimal | float):
        mended.add(Deviation.DECIMAL_FOR_INTEGER)
        value = int(_decimal_of(value).to_integral_value(ROUND_HALF_UP))
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise Unfit("not an integer from 0 to 15 digits")
    return value


def _decimal(value: Bare, _mended: set[Deviation]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unfit("not a number")
    number = round(float(value), 3) if -MAX_DECIMAL <= value <= MAX_DECIMAL else None
    if number is None:
        raise Unfit("a number of more than 12 digits")
    return number + 0.0  # no -0.0, which would be written as 0


def _decimal_of(value: Decimal | float) -> Decimal:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise Unfit("a number of more than 15 digits")
    return Decimal(value)


def _text(value: Bare, mended: set[Deviation]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Token):
        raise Unfit("not a text")
    mended.add(Deviation.QUOTING)
    return str(value)


def _code(value: Bare, mended: set[Deviation]) -> str:
    if isinstance(value, int) and not isinstance(value, bool):  # dash.js numbers its errors
        return str(value)
    return _text(value, mended)


def _word(words: Vocabulary, value: Bare, mended: set[Deviation]) -> str:
    if isinstance(value, str):
        mended.add(Deviation.QUOTING)
    elif not isinstance(value, Token):
        raise Unfit("not a token")
    if str(value) not in words._value2member_map_:
        raise Unfit("not a word of this key")
    return words(str(value))


def _measures(items: list[Item], mended: set[Deviation]) -> tuple[Measure, ...]:
    return tuple(_measure(value, params, mended) for value, params in items)


def _measure(value: Bare, params: dict[str, Bare], mended: set[Deviation]) -> Measure:
    kinds = [name for name, said in params.items() if said is True and name in ObjectType._value2member_map_]
    if len(params) > len(kinds[:1]):
        mended.add(Deviation.PARAMETER_DROPPED)
    return Measure(_integer(value, mended), ObjectType(kinds[0]) if kinds else None)


def _hints(items: list[Item], mended: set[Deviation]) -> tuple[Hint, ...]:
    return tuple(_hint(value, params, mended) for value, params in items)


def _hint(value: Bare, params: dict[str, Bare], mended: set[Deviation]) -> Hint:
    sent = params.get("r")
    said = ascii_of(str(sent)) if isinstance(sent, str | Token) else None
    if len(params) > (said is not None):
        mended.add(Deviation.PARAMETER_DROPPED)
    return Hint(_text(value, mended), said)


def _texts(items: list[Item], mended: set[Deviation]) -> tuple[str, ...]:
    return tuple(_code(value, mended) for value, _ in items)


_SCALARS: dict[Shape, Callable[[Bare, set[Deviation]], Value]] = {
    Shape.FLAG: _flag,
    Shape.INTEGER: _integer,
    Shape.DECIMAL: _decimal,
    Shape.TEXT: _text,
}
_LISTS: dict[Shape, Callable[[list[Item], set[Deviation]], Value]] = {
    Shape.TEXTS: _texts,
    Shape.MEASURES: _measures,
    Shape.HINTS: _hints,
}
