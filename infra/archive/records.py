"""What the archive holds: records of Kafka, byte for byte, and what their envelopes say."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from events.envelope import CONTENT_TYPE
from events.topics import POSITION_HEADER

Headers = tuple[tuple[str, bytes | None], ...]
USUAL: Final[Headers] = (("content-type", CONTENT_TYPE.encode()),)
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class Record(NamedTuple):
    """A record. `history_time_us`: microseconds since 1970, never running backwards within a partition;
    `position`: its place in the event log, of a relayed one.
    """

    topic: str
    partition: int
    offset: int
    history_time_us: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    position: int | None
    headers: Headers

    @classmethod
    def of(cls, message: Any, history_time_us: int) -> "Record":
        """From aiokafka's ConsumerRecord."""
        headers = tuple(message.headers)
        return cls(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            history_time_us=history_time_us,
            timestamp_ms=message.timestamp,
            key=message.key,
            value=message.value,
            position=position_of(headers),
            headers=headers,
        )


class _Title(msgspec.Struct, frozen=True, gc=False):
    title_id: str | None = None


class _Profile(msgspec.Struct, frozen=True, gc=False):
    profile_id: str | None = None


class _Session(msgspec.Struct, frozen=True, gc=False):
    session_id: str | None = None
    account_id: str | None = None
    profile_id: str | None = None
    title: _Title = _Title()


class _Data(msgspec.Struct, frozen=True, gc=False):
    """Where events say whose they are: in their session, in what they set, or beside it."""

    session: _Session = _Session()
    profile: _Profile = _Profile()
    offer: _Title = _Title()
    session_id: str | None = None
    account_id: str | None = None
    profile_id: str | None = None
    title_id: str | None = None


class _Bare(msgspec.Struct, frozen=True, gc=False):
    """An envelope whose data is anything."""

    id: str | None = None
    type: str | None = None
    source: str | None = None
    subject: str | None = None
    time: Aware | None = None
    recordedtime: Aware | None = None
    sequence: int | None = None
    correlationid: str | None = None
    causationid: str | None = None
    principal: str | None = None


class Attributes(_Bare, frozen=True, gc=False):
    """What an envelope says; None where it does not, or cannot be decoded."""

    data: _Data = _Data()

    @property
    def account_id(self) -> str | None:
        """Whose account it is about."""
        return self.data.account_id or self.data.session.account_id

    @property
    def profile_id(self) -> str | None:
        """Whose profile it is about."""
        return self.data.profile_id or self.data.session.profile_id or self.data.profile.profile_id

    @property
    def session_id(self) -> str | None:
        """The playback session that it is about."""
        return self.data.session_id or self.data.session.session_id

    @property
    def title_id(self) -> str | None:
        """The title that it is about."""
        return self.data.title_id or self.data.session.title.title_id or self.data.offer.title_id


NOTHING = Attributes()
UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
INT64_MAX: Final = 2**63 - 1
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
POSITION_DIGITS: Final = 18
_decode = msgspec.json.Decoder(Attributes).decode
_decode_bare = msgspec.json.Decoder(_Bare).decode


def envelope_of(value: bytes | None) -> Attributes:
    """What a record's envelope says. Never raises."""
    try:
        found = _decode(value or b"")
    except UNDECODABLE:
        found = _without_data(value or b"")
    return found if _is_sane(found) else NOTHING


def envelopes_of(values: Sequence[bytes | None]) -> list[Attributes]:
    """The same of many, in their order: one pass, as long as all can be decoded."""
    try:
        found = [_decode(value) for value in values]  # type: ignore[arg-type]  # None raises
    except (*UNDECODABLE, TypeError):
        return [envelope_of(value) for value in values]
    return found if all(map(_is_sane, found)) else [envelope_of(value) for value in values]


def _is_sane(found: Attributes) -> bool:
    """Whether its numbers and times are such as columns and days have."""
    is_known_day = found.recordedtime is None or EARLIEST <= found.recordedtime < LATEST
    return is_known_day and (found.sequence is None or abs(found.sequence) <= INT64_MAX)


def _without_data(value: bytes) -> Attributes:
    try:
        found = _decode_bare(value)
    except UNDECODABLE:
        return NOTHING
    return Attributes(**{name: getattr(found, name) for name in _Bare.__struct_fields__})


def position_of(headers: Headers) -> int | None:
    """The place in the event log that a relayed record says it has; None for none, or one that is no number."""
    for name, value in headers:
        if name == POSITION_HEADER and value is not None and value.isdigit() and len(value) <= POSITION_DIGITS:
            return int(value)
    return None


def usual_headers(position: int | None) -> Headers:
    """The headers that Playhead's own records have: the content type, and their place, if they are relayed."""
    return USUAL if position is None else (*USUAL, (POSITION_HEADER, b"%d" % position))


def unusual_headers(headers: Headers, position: int | None) -> bytes | None:
    """All headers as JSON [[name, value as base64], ...] where they are others than the usual ones, else None."""
    usual = USUAL if position is None else usual_headers(position)
    return None if tuple(headers) == usual else msgspec.json.encode(headers)


def headers_of(unusual: bytes | None, position: int | None) -> Headers:
    """The headers again, as Kafka had them."""
    if unusual is None:
        return usual_headers(position)
    return tuple(msgspec.json.decode(unusual, type=list[tuple[str, bytes | None]]))
