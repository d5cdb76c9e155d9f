"""From the four ways CMCD is sent (lines, query, headers, JSON) to the members of one dictionary. The first step.

Decision: RFC 8941 is read by http-sf, which the author of the RFC keeps (eight releases since January 2026), strict and
linear in its input. It takes 31 us a line on the recorded event lines (284, of 214 bytes on average); a parser of our
own with one regular expression a member takes 24 us. That is not the factor of 5 that would pay for keeping one. What
does pay is to go from well-formed lines to values at once, past members and mending: quick.py.
"""

import re
from collections.abc import Mapping
from typing import TypeGuard
from urllib.parse import quote, unquote_plus

import http_sf
import msgspec
from http_sf.types import BareItemType, DictionaryType, ItemOrInnerListType, ItemType, ParamsType

from commands.playback.cmcd.deviations import Deviation
from commands.playback.cmcd.keys import KEYS, Shape

Bare = BareItemType
Item = tuple[Bare, ParamsType]
Member = Item | list[Item]
Members = dict[str, Member]

HEADERS = ("cmcd-object", "cmcd-request", "cmcd-session", "cmcd-status")
ASCII_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))

_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_QUOTED_OR_KEY = re.compile(rb'"(?:[^"\\]|\\.)*+\\?(?:"|$)|(?:^|,)[ \t]*([^=,;"() \t]+)', re.DOTALL)


class Malformed(ValueError):
    """What was sent is no dictionary of RFC 8941, even after mending."""


def parse(text: bytes) -> tuple[Members, set[Deviation]]:
    """The members of a dictionary, and what had to be mended to read it. Raises Malformed."""
    try:
        return _members(text), set()
    except ValueError as error:
        mended, deviations = _mend(text)
        if not deviations:
            raise Malformed(str(error)) from error
    try:
        return _members(mended), deviations
    except ValueError as error:
        raise Malformed(str(error)) from error


def of_query(query: str) -> bytes | None:
    """The dictionary in a query string's `CMCD` argument, the first if there are several; None without one."""
    for argument in query.split("&"):
        name, _, value = argument.partition("=")
        if name == "CMCD":
            return unquote_plus(value, errors="replace").encode(errors="replace")
    return None


def of_headers(headers: Mapping[str, str]) -> list[bytes]:
    """The dictionaries in the four CMCD headers, which make one record together; empty without any."""
    sent = {name.lower(): value for name, value in headers.items()}
    return [sent[name].encode(errors="replace") for name in HEADERS if sent.get(name)]


def ascii_of(text: str) -> str:
    """A text with everything beyond printable ASCII percent-encoded."""
    if text.isascii() and text.isprintable():
        return text
    return quote(text, safe=ASCII_PRINTABLE, errors="replace")


class _JsonItem(msgspec.Struct, forbid_unknown_fields=True):
    value: int | float | bool | str
    params: dict[str, int | float | bool | str] = {}


_JsonScalar = int | float | bool | str
_JsonValue = int | float | bool | str | None | list[int | float | bool | str | _JsonItem]
_json = msgspec.json.Decoder(dict[str, _JsonValue])
_json_list = msgspec.json.Decoder(list[msgspec.Raw])


def json_records(body: bytes, most: int) -> tuple[list[bytes], int]:
    """The JSON objects of a body, which is one or an array of them, `most` at most, and how many were left.
    Raises Malformed.
    """
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return [body], 0
    try:
        raws = _json_list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error
    return [bytes(raw) for raw in raws[:most]], max(0, len(raws) - most)


def of_json(text: bytes) -> tuple[Members, set[Deviation]]:
    """The members of a JSON object: texts where a dictionary has tokens, arrays for lists. Raises Malformed."""
    try:
        sent = _json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error
    deviations: set[Deviation] = set()
    members: Members = {}
    for name, value in sent.items():
        if value is not None:
            members[_lowered(name, deviations)] = _json_member(name.lower(), value, deviations)
    return members, deviations


def _json_member(name: str, value: _JsonScalar | list[_JsonScalar | _JsonItem], deviations: set[Deviation]) -> Member:
    if isinstance(value, list):
        return [
            (_bare(name, one.value, deviations), {k: _bare("", v, deviations) for k, v in one.params.items()})
            if isinstance(one, _JsonItem)
            else (_bare(name, one, deviations), {})
            for one in value
        ]
    return _bare(name, value, deviations), {}


def _bare(name: str, value: _JsonScalar, deviations: set[Deviation]) -> Bare:
    if not isinstance(value, str):
        return value
    text = ascii_of(value)
    if text != value:
        deviations.add(Deviation.NON_ASCII)
    key = KEYS.get(name)
    return http_sf.Token(text) if text and key is not None and key.shape is Shape.TOKEN else text


def _lowered(name: str, deviations: set[Deviation]) -> str:
    lowered = ascii_of(name.lower())
    if lowered != name:
        deviations.add(Deviation.KEY_CASE)
    return lowered


def _members(text: bytes) -> Members:
    parsed = http_sf.parse(text, tltype="dictionary")
    if not _is_dictionary(parsed):  # pragma: no cover - the type of the call says so
        raise Malformed("not a dictionary")
    return {name: _member(value) for name, value in parsed.items()}


def _is_dictionary(parsed: object) -> TypeGuard[DictionaryType]:
    return isinstance(parsed, dict)


def _member(value: ItemOrInnerListType) -> Member:
    if isinstance(value, tuple):
        inner, params = value
        if isinstance(inner, list):
            return [_item(item) for item in inner]
        return inner, params
    return _item(value) if not isinstance(value, list) else [_item(item) for item in value]


def _item(value: ItemType) -> Item:
    return value if isinstance(value, tuple) else (value, {})


def _mend(text: bytes) -> tuple[bytes, set[Deviation]]:
    deviations: set[Deviation] = set()
    encoded = _NOT_ASCII.sub(lambda found: quote(found[0]).encode(), text)
    if encoded != text:
        deviations.add(Deviation.NON_ASCII)
    lowered = _QUOTED_OR_KEY.sub(lambda found: found[0].lower() if found[1] else found[0], encoded)
    if lowered != encoded:
        deviations.add(Deviation.KEY_CASE)
    return lowered, deviations


def written(member: Member) -> str:
    """A member's value as a dictionary writes it. Raises ValueError for what RFC 8941 cannot say."""
    if not isinstance(member, list):
        return http_sf.ser([member])
    items: list[ItemType] = [*member]
    return http_sf.ser([(items, {})])
