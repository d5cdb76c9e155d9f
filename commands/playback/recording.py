"""The envelope of every playback event: what a session recorded, as the bytes that go to Kafka."""

from datetime import datetime

from events.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, Context, Envelope, Event, encode
from events.playback import ContinueWatchingHidden, PlaybackEvent, SessionSnapshot, WatchHistoryRemoved
from events.registry import dataschema_of, members, type_of
from infra.ids import new_id

SOURCE = "/playback"
_NAMES: dict[type[Event], tuple[str, str]] = {
    event: (type_of(event), dataschema_of(type_of(event))) for event in members(PlaybackEvent)
}


def recorded(
    event: Event, session: SessionSnapshot, context: Context, *, event_id: str, at: datetime, taken_at: datetime
) -> bytes:
    """An event that happened in a session `at` (corrected) and was taken `taken_at`. The same id: the same event."""
    return _encoded(event, context, event_id, (session.session_id, session.profile_id), at=at, taken_at=taken_at)


def decided(event: ContinueWatchingHidden | WatchHistoryRemoved, context: Context, *, at: datetime) -> bytes:
    """What a viewer decided now about what is kept of a profile's watching."""
    return _encoded(event, context, new_id(), (event.profile_id, event.profile_id), at=at, taken_at=at)


def _encoded(
    event: Event, context: Context, event_id: str, about: tuple[str, str], *, at: datetime, taken_at: datetime
) -> bytes:
    """`about`: the event's subject, and the key that its partition is chosen by."""
    type_name, dataschema = _NAMES[type(event)]
    return encode(
        Envelope(
            specversion=SPEC_VERSION,
            id=event_id,
            source=SOURCE,
            type=type_name,
            subject=about[0],
            time=at,
            recordedtime=taken_at,
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=dataschema,
            partitionkey=about[1],
            correlationid=context.correlation_id,
            traceparent=context.traceparent,
            principal=context.principal,
            data=event,
        )
    )
