"""From what a player sent to typed records: the entrance of this package. Pure, bounded, and it never raises.

What cannot be read is an Unreadable with its reason, beside the records that can.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

import msgspec

from commands.playback.cmcd.deviations import Deviation
from commands.playback.cmcd.dictionaries import (
    Bare,
    Malformed,
    Member,
    Members,
    json_records,
    of_headers,
    of_json,
    of_query,
    parse,
    written,
)
from commands.playback.cmcd.keys import KEYS
from commands.playback.cmcd.quick import read_quickly
from commands.playback.cmcd.values import Unfit, Value, value_of
from events.cmcd import EventToken, ObjectType, Other, PlayerState, Record
from infra.settings import Settings


@dataclass(frozen=True)
class Bounds:
    """What may be sent. The recorded maximum: a line of 415 bytes with 28 members, bodies of 5 lines. `clock_slack`:
    how far from ours a player's clock may be to be believed.
    """

    line_max_bytes: int = 8_192
    max_members: int = 96
    max_items: int = 64
    text_max_characters: int = 2_048
    max_lines: int = 500
    clock_slack: timedelta = timedelta(minutes=5)

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        """The bounds that settings name."""
        return cls(
            line_max_bytes=settings.cmcd_line_max_bytes,
            max_members=settings.cmcd_max_members,
            max_items=settings.cmcd_max_items,
            text_max_characters=settings.cmcd_text_max_characters,
            max_lines=settings.cmcd_max_lines,
            clock_slack=timedelta(seconds=settings.cmcd_clock_slack_s),
        )


BOUNDS = Bounds()


class Reason(StrEnum):
    """Why something was not read."""

    ABSENT = "absent"  # the query or the headers hold no CMCD
    EMPTY = "empty"  # a dictionary without members
    MALFORMED = "malformed"
    LINE_TOO_LONG = "line-too-long"
    TEXT_TOO_LONG = "text-too-long"
    TOO_MANY_MEMBERS = "too-many-members"
    TOO_MANY_ITEMS = "too-many-items"  # of one list
    TOO_MANY_LINES = "too-many-lines"


class Unreadable(msgspec.Struct, frozen=True):
    """A record that could not be read. `line`: which of the body, from 0, blank lines not counted."""

    reason: Reason
    detail: str
    line: int = 0


Reading = Record | Unreadable


def read_lines(body: bytes, bounds: Bounds = BOUNDS) -> list[Reading]:
    """The records of an event-mode body, one a line; past `max_lines` one Unreadable stands for the rest."""
    lines = body.split(b"\n", 4 * bounds.max_lines)
    said = [stripped for line in lines if (stripped := line.strip(b" \t\r\n"))]
    single = {Deviation.TRAILING_LINE_FEED} if len(said) == 1 and body.endswith(b"\n") else set()
    readings = [_read_line(line, at, bounds, single) for at, line in enumerate(said[: bounds.max_lines])]
    if len(said) > bounds.max_lines:
        readings.append(_beyond(bounds))
    return readings


def read_query(query: str, bounds: Bounds = BOUNDS) -> Reading:
    """The record in the `CMCD` argument of a query string (without its `?`)."""
    if len(query) > 4 * bounds.line_max_bytes:  # percent-encoded, and with other arguments
        return Unreadable(Reason.LINE_TOO_LONG, f"a query of {len(query)} characters")
    text = of_query(query)
    return Unreadable(Reason.ABSENT, "no CMCD argument") if text is None else _read(parse, text, 0, bounds)


def read_headers(headers: Mapping[str, str], bounds: Bounds = BOUNDS) -> Reading:
    """The record in the headers CMCD-Object, CMCD-Request, CMCD-Session and CMCD-Status."""
    texts = of_headers(headers)
    if not texts:
        return Unreadable(Reason.ABSENT, "no CMCD header")
    if sum(map(len, texts)) > bounds.line_max_bytes:
        return Unreadable(Reason.LINE_TOO_LONG, f"a line may hold {bounds.line_max_bytes} bytes")
    members: Members = {}
    mended: set[Deviation] = set()
    try:
        for text in texts:
            read, deviations = parse(text)
            members |= read
            mended |= deviations
    except Malformed as error:
        return Unreadable(Reason.MALFORMED, _detail(error))
    return _beyond_bounds(members, sum(map(len, texts)), bounds) or _record(members, mended)


def read_json(body: bytes, bounds: Bounds = BOUNDS) -> list[Reading]:
    """The records of a JSON body: an object with CMCD's keys, or an array of them."""
    try:
        texts, left = json_records(body, bounds.max_lines)
    except Malformed as error:
        return [Unreadable(Reason.MALFORMED, _detail(error))]
    readings = [_read(of_json, text, at, bounds) for at, text in enumerate(texts)]
    return [*readings, _beyond(bounds)] if left else readings


_Parse = Callable[[bytes], tuple[Members, set[Deviation]]]


def _read(parse_one: _Parse, text: bytes, at: int, bounds: Bounds, known: Iterable[Deviation] = ()) -> Reading:
    if len(text) > bounds.line_max_bytes:
        return Unreadable(Reason.LINE_TOO_LONG, f"{len(text)} bytes; a line may hold {bounds.line_max_bytes}", at)
    try:
        members, mended = parse_one(text)
    except Malformed as error:
        return Unreadable(Reason.MALFORMED, _detail(error), at)
    return _beyond_bounds(members, len(text), bounds, at) or _record(members, mended | {*known})


def _read_line(line: bytes, at: int, bounds: Bounds, known: set[Deviation]) -> Reading:
    if len(line) <= min(bounds.line_max_bytes, bounds.text_max_characters):  # then no text in it is too long
        values = read_quickly(line, max_members=bounds.max_members, max_items=bounds.max_items)
        if values is not None:
            mended = {*known}
            _mend(values, mended)
            return _made(**values, mended=tuple(sorted(mended)))
    return _read(parse, line, at, bounds, known)


_made: Callable[..., Record] = Record  # the values are of its types: quick.py


def _record(members: Members, mended: set[Deviation]) -> Record:
    version = _version(members, mended)
    values: dict[str, Value] = {"v": version}
    others: list[Other] = []
    for name, member in members.items():
        _take(name, member, version, values, others, mended)
    _mend(values, mended)
    others.sort(key=lambda other: other.key)
    return msgspec.convert({**values, "others": tuple(others), "mended": tuple(sorted(mended))}, Record)


def _beyond_bounds(members: Members, size: int, bounds: Bounds, at: int = 0) -> Unreadable | None:
    if not members:
        return Unreadable(Reason.EMPTY, "no members", at)
    if len(members) > bounds.max_members:
        return Unreadable(Reason.TOO_MANY_MEMBERS, f"{len(members)}; a record may hold {bounds.max_members}", at)
    for name, member in members.items():
        if isinstance(member, list) and len(member) > bounds.max_items:
            return Unreadable(Reason.TOO_MANY_ITEMS, f"{name[:64]}: a list may hold {bounds.max_items} items", at)
    if 3 * size <= bounds.text_max_characters:  # no text in it can be longer, even percent-encoded
        return None
    long = [name for name, member in members.items() if _longest(name, member) > bounds.text_max_characters]
    reason = f"a text may hold {bounds.text_max_characters} characters"
    return Unreadable(Reason.TEXT_TOO_LONG, f"{long[0][:64]}: {reason}", at) if long else None


def _version(members: Members, mended: set[Deviation]) -> int:
    member = members.get("v")
    if member is None and "e" in members:
        mended.add(Deviation.VERSION_MISSING)
        return 2
    if member is None:
        return 1
    try:
        version = value_of(KEYS["v"], member, 2, set())
    except Unfit:
        return 1
    return version if isinstance(version, int) else 1


def _take(
    name: str, member: Member, version: int, values: dict[str, Value], others: list[Other], mended: set[Deviation]
) -> None:
    key = KEYS.get(name)
    if key is not None:
        found: set[Deviation] = set()
        try:
            values[name] = value_of(key, member, version, found)
        except Unfit:
            mended.add(Deviation.VALUE_UNFIT)
        else:
            mended |= found
            return
    elif "-" in name and isinstance(member, tuple) and _is_number(member[0]):
        mended.add(Deviation.CUSTOM_NUMBER)
    try:
        others.append(Other(name, written(member)))
    except ValueError:  # JSON's numbers go further than RFC 8941's
        mended.add(Deviation.VALUE_UNFIT)


def _is_number(value: Bare) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _mend(values: dict[str, Value], mended: set[Deviation]) -> None:
    """Take out what contradicts the rest of its record (Deviation says which player says it)."""
    ttfb, ttlb = values.get("ttfb"), values.get("ttlb")
    if isinstance(ttfb, int) and isinstance(ttlb, int) and ttfb > ttlb:
        _drop("ttfb", Deviation.TTFB_AFTER_TTLB, values, mended)
    if values.get("d") == 0 and values.get("ot") == ObjectType.INIT:
        _drop("d", Deviation.INIT_DURATION_ZERO, values, mended)
    if "msd" in values and values.get("sta") in (PlayerState.STARTING, PlayerState.PRELOADING):
        _drop("msd", Deviation.START_DELAY_EARLY, values, mended)
    if "ec" in values and values.get("e") in _NOT_FAILING and values.get("sta") != PlayerState.FATAL:
        _drop("ec", Deviation.ERROR_CODE_STUCK, values, mended)


_NOT_FAILING = (EventToken.TIME, EventToken.STATE_CHANGED)


def _drop(name: str, why: Deviation, values: dict[str, Value], mended: set[Deviation]) -> None:
    del values[name]
    mended.add(why)


def _longest(name: str, member: Member) -> int:
    items = member if isinstance(member, list) else [member]
    return max(
        len(name), *(len(str(said)) for value, params in items for said in (value, *params, *params.values())), 0
    )


def _beyond(bounds: Bounds) -> Unreadable:
    return Unreadable(Reason.TOO_MANY_LINES, f"a body may hold {bounds.max_lines} records", bounds.max_lines)


def _detail(error: Malformed) -> str:
    return str(error)[:200]
