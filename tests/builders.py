"""Builds events as producers make them, every value overridable, for tests of anything that reads or decides.

Envelopes come out; `recorded()` and `encode()` give what a projection folds and what Kafka carries.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from commands.playback.grants import Grant
from events.catalog import EpisodeMoved, SeasonAdded, TitlePublished, TitleRevised, TitleWithdrawn
from events.cmcd import EventToken, Measure, Record
from events.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, Event, Recorded, encode
from events.operations import DeadLetterApplied, DeadLetterDiscarded, DeadLetterRetried, RecordDeadLettered
from events.playback import (
    EVENT_OF,
    ContinueWatchingHidden,
    DeviceSnapshot,
    Heartbeat,
    PlaybackCmcdReported,
    PlaybackCmcdRequested,
    PlaybackSessionExpired,
    PlaybackSessionTerminated,
    PlaybackStarted,
    Reported,
    SessionSnapshot,
    TerminatedBy,
    TitleSnapshot,
    WatchHistoryRemoved,
)
from events.registry import REGISTRY, dataschema_of, type_of
from events.titles import EpisodePlace, Kind, LocalizedText, Markers, Season, Status, TitleDetails
from events.types import (
    AccountId,
    Availability,
    DeviceId,
    Maturity,
    ProfileId,
    Sealed,
    SeriesId,
    SessionId,
    ShelfId,
    TitleId,
    TitleKind,
)

EVENING: Final = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
"""When the sessions built here start, unless told otherwise."""
MINUTE_MS: Final = 60_000
HEARTBEAT_MS: Final = 10_000

S = TypeVar("S", bound=msgspec.Struct)


def movie(title_id: str = "night-of-the-living-dead", **changes: Any) -> TitleSnapshot:
    """A film of 96 minutes whose credits start at 94."""
    title = TitleSnapshot(
        title_id=TitleId(title_id),
        kind=TitleKind.MOVIE,
        name="Night of the Living Dead",
        duration_ms=96 * MINUTE_MS,
        credits_start_ms=94 * MINUTE_MS,
    )
    return msgspec.structs.replace(title, **changes)


def episode(number: int = 1, *, season: int = 1, series_id: str = "harbour", **changes: Any) -> TitleSnapshot:
    """An episode of 40 minutes, followed by the next number of its season."""
    title = TitleSnapshot(
        title_id=TitleId(f"{series_id}-s{season}e{number}"),
        kind=TitleKind.EPISODE,
        name=f"Episode {number}",
        duration_ms=40 * MINUTE_MS,
        series_id=SeriesId(series_id),
        series_name="Harbour",
        season_number=season,
        episode_number=number,
        next_title_id=TitleId(f"{series_id}-s{season}e{number + 1}"),
    )
    return msgspec.structs.replace(title, **changes)


def device(device_id: str = "tv-1", **changes: Any) -> DeviceSnapshot:
    """A television."""
    return msgspec.structs.replace(
        DeviceSnapshot(device_id=DeviceId(device_id), type="tv", name=Sealed("Den")), **changes
    )


def session(session_id: str = "session-1", **changes: Any) -> SessionSnapshot:
    """A session of profile-1 that started at EVENING."""
    snapshot = SessionSnapshot(
        session_id=SessionId(session_id),
        account_id=AccountId("account-1"),
        profile_id=ProfileId("profile-1"),
        started_at=EVENING,
        title=movie(),
        device=device(),
    )
    return msgspec.structs.replace(snapshot, **changes)


def grant(of: SessionSnapshot | None = None, **changes: Any) -> Grant:
    """What a playback token grants: a session of an account that may play any number of streams."""
    return msgspec.structs.replace(Grant(session=of or session()), **changes)


def report(report_class: type[Any] = Heartbeat, seq: int = 0, **values: Any) -> Any:
    """A report of any class. Unless told, it lies seq heartbeats into the session, in time and in the title."""
    values.setdefault("at", EVENING + timedelta(milliseconds=seq * HEARTBEAT_MS))
    values.setdefault("position_ms", seq * HEARTBEAT_MS)
    return report_class(seq=seq, **values)


def reported(
    report_class: type[Any] = Heartbeat,
    seq: int = 0,
    *,
    of: SessionSnapshot | None = None,
    time: datetime | None = None,
    recorded_at: datetime | None = None,
    **values: Any,
) -> Envelope[Event]:
    """A report of session `of`, as its event. `time`: when it happened, corrected; default: the report's `at`."""
    snapshot = of or session()
    values.setdefault("at", time or snapshot.started_at + timedelta(milliseconds=seq * HEARTBEAT_MS))
    body = report(report_class, seq, **values)
    event_class = EVENT_OF[report_class]
    assert issubclass(event_class, Reported)
    return envelope(
        event_class(session=snapshot, report=body),
        id=f"{snapshot.session_id}/{seq}",
        subject=snapshot.session_id,
        partitionkey=snapshot.profile_id,
        time=time or body.at,
        recordedtime=recorded_at or (time or body.at) + timedelta(milliseconds=40),
    )


def playback_started(
    of: SessionSnapshot | None = None, *, start_position_ms: int = 0, **granted: Any
) -> Envelope[Event]:
    """A session was granted. `granted`: where and by what, and how."""
    snapshot = of or session()
    return envelope(
        PlaybackStarted(session=snapshot, start_position_ms=start_position_ms, **granted),
        id=f"{snapshot.session_id}/started",
        subject=snapshot.session_id,
        partitionkey=snapshot.profile_id,
        time=snapshot.started_at,
        recordedtime=snapshot.started_at,
    )


def playback_expired(of: SessionSnapshot | None = None, *, at: datetime, position_ms: int = 0) -> Envelope[Event]:
    """Nothing came from the player for too long."""
    snapshot = of or session()
    event = PlaybackSessionExpired(session=snapshot, reason="silent", position_ms=position_ms)
    return _closed(event, snapshot, "expired", at)


def playback_terminated(of: SessionSnapshot | None = None, *, at: datetime) -> Envelope[Event]:
    """Another device took the place of a session."""
    snapshot = of or session()
    by = TerminatedBy(profile_id=snapshot.profile_id, device_name=Sealed("Kitchen"), title_name="Sintel")
    return _closed(PlaybackSessionTerminated(session=snapshot, reason="replaced", by=by), snapshot, "terminated", at)


def continue_watching_hidden(shelf: str = "night-of-the-living-dead", *, at: datetime) -> Envelope[Event]:
    """profile-1 hid a row of continue watching."""
    account_id, profile_id = AccountId("account-1"), ProfileId("profile-1")
    event = ContinueWatchingHidden(account_id=account_id, profile_id=profile_id, shelf=ShelfId(shelf))
    return _decided(event, f"hidden-{shelf}-{at.isoformat()}", at)


def watch_history_removed(of: SessionSnapshot | None = None, *, at: datetime) -> Envelope[Event]:
    """A viewer took a session out of their history."""
    snapshot = of or session()
    title = snapshot.title
    event = WatchHistoryRemoved(
        account_id=snapshot.account_id,
        profile_id=snapshot.profile_id,
        session_id=snapshot.session_id,
        started_at=snapshot.started_at,
        title_id=title.title_id,
        shelf=ShelfId(title.series_id or title.title_id),
    )
    return _decided(event, f"removed-{snapshot.session_id}", at)


def _decided(event: ContinueWatchingHidden | WatchHistoryRemoved, event_id: str, at: datetime) -> Envelope[Event]:
    built = envelope(event, id=event_id, subject=event.profile_id, partitionkey=event.profile_id)
    return msgspec.structs.replace(built, time=at, recordedtime=at)


def cmcd_record(sn: int = 0, **keys: Any) -> Record:
    """What hls.js says every ten seconds; keys by their names. Unless told, `ts` lies sn heartbeats after EVENING."""
    said: dict[str, Any] = {"e": EventToken.TIME, "sid": "player-1", "v": 2, "bl": (Measure(7_900),)}
    said["ts"] = int(EVENING.timestamp() * 1_000) + sn * HEARTBEAT_MS
    return Record(sn=sn, **(said | keys))


def cmcd_reported(
    record: Record | None = None, *, of: SessionSnapshot | None = None, target: str = "default"
) -> Envelope[Event]:
    """A record in event mode, at the time that it says."""
    said = record or cmcd_record()
    snapshot = of or session()
    assert said.ts is not None
    event = PlaybackCmcdReported(session=snapshot, target=target, record=said)
    return _observed(event, datetime.fromtimestamp(said.ts / 1_000, UTC))


def cmcd_requested(
    record: Record | None = None,
    *,
    of: SessionSnapshot | None = None,
    target: str = "default",
    at: datetime = EVENING,
) -> Envelope[Event]:
    """A record in request mode, of a segment of video unless told."""
    said = record or Record(br=(Measure(3_200),), d=4_000, sid="player-1")
    return _observed(PlaybackCmcdRequested(session=of or session(), target=target, record=said), at)


def _observed(event: PlaybackCmcdReported | PlaybackCmcdRequested, at: datetime) -> Envelope[Event]:
    of = event.session
    built = envelope(event, id=f"{of.session_id}:{event.record.identity(event.target)}", subject=of.session_id)
    received = at + timedelta(milliseconds=40)
    return msgspec.structs.replace(built, partitionkey=of.profile_id, time=at, recordedtime=received)


def _closed(event: Event, of: SessionSnapshot, how: str, at: datetime) -> Envelope[Event]:
    return envelope(
        event,
        id=f"{of.session_id}:{how}",
        subject=of.session_id,
        partitionkey=of.profile_id,
        time=at,
        recordedtime=at,
    )


KR_15: Final = Maturity(system="KMRB", value="15", minimum_age=15)
KOREA: Final = Availability(territories=("KR",), starts_at=datetime(2026, 1, 1, tzinfo=UTC))


def title_details(name: str = "Night of the Living Dead", **changes: Any) -> TitleDetails:
    """What editors say of a film; `synopsis` is of its English text."""
    text = LocalizedText("en", name, changes.pop("synopsis", "A farmhouse is besieged."))
    details = TitleDetails(
        default_locale="en",
        texts=(text,),
        maturity=(KR_15,),
        duration_ms=96 * MINUTE_MS,
        markers=Markers(credits_start_ms=94 * MINUTE_MS),
        availability=(KOREA,),
    )
    return msgspec.structs.replace(details, **changes)


def series_details(name: str = "Harbour", **changes: Any) -> TitleDetails:
    """What editors say of a series."""
    told: dict[str, Any] = {"synopsis": "A town waits.", "duration_ms": None, "markers": Markers(), "availability": ()}
    return title_details(name, **(told | changes))


def episode_details(name: str = "Episode 1", **changes: Any) -> TitleDetails:
    """What editors say of an episode."""
    told: dict[str, Any] = {"synopsis": "The tide goes out.", "duration_ms": 40 * MINUTE_MS, "markers": Markers()}
    return title_details(name, **(told | changes))


def place_of(number: int = 1, *, season: int = 1, series_id: str = "harbour") -> EpisodePlace:
    """Where an episode of Harbour stands."""
    return EpisodePlace(SeriesId(series_id), "Harbour", season, number)


def movie_published(title_id: str = "night-of-the-living-dead", **changes: Any) -> Envelope[Event]:
    """A film was published; changes are to its details."""
    event = TitlePublished(title_id=TitleId(title_id), kind=Kind.MOVIE, details=title_details(**changes))
    return of_catalog(event, title_id)


def series_published(
    series_id: str = "harbour", *, seasons: tuple[Season, ...] = (), **changes: Any
) -> Envelope[Event]:
    """A series was published; changes are to its details."""
    details = series_details(**changes)
    event = TitlePublished(title_id=TitleId(series_id), kind=Kind.SERIES, details=details, seasons=seasons)
    return of_catalog(event, series_id)


def season_added(season_number: int = 1, *, series_id: str = "harbour", **changes: Any) -> Envelope[Event]:
    """A season was added to a series."""
    event = SeasonAdded(series_id=SeriesId(series_id), season_number=season_number, name=f"Season {season_number}")
    return of_catalog(msgspec.structs.replace(event, **changes), series_id)


def episode_published(
    number: int = 1, *, season: int = 1, series_id: str = "harbour", **changes: Any
) -> Envelope[Event]:
    """An episode was published; changes are to its details."""
    event = TitlePublished(
        title_id=TitleId(f"{series_id}-s{season}e{number}"),
        kind=Kind.EPISODE,
        place=place_of(number, season=season, series_id=series_id),
        details=episode_details(**({"name": f"Episode {number}"} | changes)),
    )
    return of_catalog(event, series_id)


def title_revised(published: Envelope[Event], **changes: Any) -> Envelope[Event]:
    """A published title got other details."""
    event = published.data
    assert isinstance(event, TitlePublished)
    revised = TitleRevised(
        title_id=event.title_id,
        kind=event.kind,
        place=event.place,
        details=msgspec.structs.replace(event.details, **changes),
        revision=event.revision + 1,
        changed=tuple(changes),
        status=Status.PUBLISHED,
    )
    return msgspec.structs.replace(envelope(revised), subject=published.subject, partitionkey=published.partitionkey)


def title_withdrawn(published: Envelope[Event], reason: str = "The licence ended.") -> Envelope[Event]:
    """A published title was withdrawn."""
    event = published.data
    assert isinstance(event, TitlePublished)
    withdrawn = TitleWithdrawn(title_id=event.title_id, kind=event.kind, place=event.place, reason=reason)
    return msgspec.structs.replace(envelope(withdrawn), subject=published.subject, partitionkey=published.partitionkey)


def episode_moved(title_id: str, number: int, *, season: int = 1, series_id: str = "harbour") -> Envelope[Event]:
    """An episode has another number."""
    place = place_of(number, season=season, series_id=series_id)
    return of_catalog(EpisodeMoved(title_id=TitleId(title_id), place=place, status=Status.PUBLISHED), series_id)


def of_catalog(event: Event, stream: str) -> Envelope[Event]:
    """The envelope of an event in the stream of a movie, a channel or a series."""
    stream_id = f"catalog.title-{stream}"
    return envelope(event, subject=stream_id, partitionkey=stream_id, sequence=1)


def record_dead_lettered(**changes: Any) -> Envelope[Event]:
    """A projection could not take a record."""
    event = RecordDeadLettered(
        projection="postgres",
        topic="playback.events",
        partition=3,
        offset=17,
        reason="undecodable",
        detail="JSON is malformed",
        key=b"profile-1",
        body=b"{",
    )
    event = msgspec.structs.replace(event, **changes)
    place = f"{event.projection}/{event.topic}/{event.partition}/{event.offset}"
    return envelope(event, id=place, subject=place, partitionkey=event.topic)


def dead_letter_applied(**changes: Any) -> Envelope[Event]:
    """A projection has taken what it could not take before."""
    event = DeadLetterApplied(projection="postgres", topic="playback.events", partition=3, offset=17, attempt=1)
    event = msgspec.structs.replace(event, **changes)
    place = f"{event.projection}/{event.topic}/{event.partition}/{event.offset}"
    return envelope(event, id=f"{place}/{event.attempt}/applied", subject=place, partitionkey=event.topic)


def dead_letter_retried(**changes: Any) -> Envelope[Event]:
    """An operator has a record tried again."""
    event = DeadLetterRetried(
        letter_id="postgres/playback.events/3/17",
        projection="postgres",
        topic="playback.events",
        partition=3,
        offset=17,
        attempt=1,
        views=(),
        headers=(),
        body=b"{",
    )
    event = msgspec.structs.replace(event, **changes)
    return envelope(event, id=f"{event.letter_id}/{event.attempt}", principal="operator-1")


def dead_letter_discarded(letter_id: str = "postgres/playback.events/3/17") -> Envelope[Event]:
    """An operator will not have a record tried again."""
    event = DeadLetterDiscarded(letter_id=letter_id, reason="a test of ours")
    return envelope(event, id=f"{letter_id}/discarded", principal="operator-1")


def envelope(event: Event, **changes: Any) -> Envelope[Event]:
    """The envelope around any event."""
    type_name = type_of(type(event))
    around = Envelope[Event](
        specversion=SPEC_VERSION,
        id="event-1",
        source="/tests",
        type=type_name,
        subject="subject-1",
        time=EVENING,
        recordedtime=EVENING,
        datacontenttype=DATA_CONTENT_TYPE,
        dataschema=dataschema_of(type_name),
        partitionkey="key-1",
        data=event,
    )
    return msgspec.structs.replace(around, **changes)


def recorded(built: Envelope[Event]) -> Recorded[Event]:
    """An envelope as a reader gets it, through its bytes."""
    return REGISTRY.decode(encode(built))
