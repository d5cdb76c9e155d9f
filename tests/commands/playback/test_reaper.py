"""The reaper on a topic, a view and leases in memory: it expires who is over, once, and nobody who plays."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.open_sessions import Census, Due, Patience, due_of
from commands.playback.reaper import Reaper
from events.envelope import Event, Recorded
from events.playback import PlaybackSessionExpired, SessionSnapshot
from events.registry import REGISTRY
from events.types import AccountId, ProfileId, SessionId
from infra.batches import hash_of
from infra.positions import Position
from infra.publisher import KafkaUnavailable
from tests.builders import EVENING, session

PARTITIONS = 4
MINUTE = timedelta(minutes=1)
PATIENCE = Patience(silent=10 * MINUTE, standing=30 * MINUTE, offline=timedelta(days=30))


@dataclass
class Known:
    """What the view, or a player, knows of a session."""

    session: SessionSnapshot
    heard_at: datetime
    moved_at: datetime
    offline: bool = False
    is_over: bool = False


@dataclass
class Installation:
    """A topic whose records are applied when `catch_up` says so, and all that a reaper reaches."""

    now: datetime = EVENING
    kafka_away: bool = False
    leases_away: bool = False
    killed_after: int | None = None
    """How many events may be published before the process is killed."""
    truth: dict[SessionId, Known] = field(default_factory=dict)
    view: dict[SessionId, Known] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    next_offset: dict[int, int] = field(default_factory=dict)
    published: list[Recorded[Event]] = field(default_factory=list)
    closed: list[SessionId] = field(default_factory=list)

    def reaper(self, *, batch: int = 500, remembered_max: int = 100_000) -> Reaper:
        return Reaper(
            sessions=self,
            log=self,
            publisher=self,
            leases=self,
            clock=lambda: self.now,
            patience=PATIENCE,
            batch=batch,
            remembered_max=remembered_max,
        )

    def report(self, of: SessionSnapshot, *, moves: bool = True, offline: bool = False) -> None:
        """A player's report is in Kafka."""
        known = self.truth.get(of.session_id)
        if known is None:
            self.truth[of.session_id] = Known(of, self.now, self.now, offline)
        elif not known.is_over:
            moved_at = self.now if moves else known.moved_at
            self.truth[of.session_id] = replace(known, heard_at=self.now, moved_at=moved_at)
        self.end[_partition(of)] += 1

    def catch_up(self, *partitions: int) -> None:
        """The projection applies all that there is, of these partitions or of all."""
        for partition in partitions or range(PARTITIONS):
            self.next_offset[partition] = self.end[partition]
            for known in self.truth.values():
                if _partition(known.session) == partition:
                    self.view[known.session.session_id] = known

    async def live(self, reaper: Reaper, minutes: int, *reporting: SessionSnapshot, moves: bool = True) -> None:
        """Minutes in which these sessions report, all is applied, and the reaper works."""
        for _ in range(minutes):
            self.now += MINUTE
            for each in reporting:
                self.report(each, moves=moves)
            self.catch_up()
            await reaper.run_once()

    # What a reaper reaches.

    async def ends(self) -> Mapping[int, int]:
        if self.kafka_away:
            raise KafkaUnavailable("away")
        return dict(self.end)

    async def applied(self) -> Mapping[int, int]:
        return dict(self.next_offset)

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> Sequence[Due]:
        place = (after.session.account_id, after.session.session_id) if after else ("", "")
        found = (self._due(known, now) for known in self.view.values() if not known.is_over)
        order = sorted((one for one in found if one), key=lambda one: (one.session.account_id, one.session.session_id))
        return [one for one in order if (one.session.account_id, one.session.session_id) > place][:limit]

    async def census(self) -> Census:
        heard = [known.heard_at for known in self.view.values() if not known.is_over]
        return Census(len(heard), min(heard, default=None))

    async def expire(self, account_id: AccountId, session_id: SessionId) -> bool:
        if not self.leases_away:
            self.closed.append(session_id)
        return not self.leases_away

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        await asyncio.sleep(0)
        if self.kafka_away:
            raise KafkaUnavailable("away")
        if self.killed_after is not None and len(self.published) >= self.killed_after:
            raise asyncio.CancelledError
        for body in bodies:
            self.published.append(REGISTRY.decode(body))
            known = self.truth[SessionId(self.published[-1].envelope.subject)]
            self.truth[known.session.session_id] = replace(known, is_over=True)
            self.end[_partition(known.session)] += 1
        return Position(topic, 0, 0)

    @staticmethod
    def _due(known: Known, now: datetime) -> Due | None:
        allowed = PATIENCE.offline if known.offline else PATIENCE.silent
        stands = not known.offline and known.heard_at - known.moved_at >= PATIENCE.standing
        if known.heard_at > now - allowed and not stands:
            return None
        row = {**_columns(known.session), "last_recorded_at": known.heard_at, "moved_at": known.moved_at}
        return due_of({**row, "offline": known.offline, "position_ms": 30_000}, PATIENCE)  # type: ignore[arg-type]

    def expired(self) -> list[str]:
        return [event.envelope.subject for event in self.published]

    def expired_once(self) -> set[str]:
        assert all(isinstance(event.data, PlaybackSessionExpired) for event in self.published)
        return {event.envelope.id.removesuffix(":expired") for event in self.published}


def _partition(of: SessionSnapshot) -> int:
    return hash_of(of.profile_id.encode()) % PARTITIONS


def _columns(of: SessionSnapshot) -> dict[str, object]:
    title = msgspec.structs.asdict(of.title)
    of_title = {"title_name": title.pop("name"), "title_kind": title.pop("kind").value, **title}
    device = msgspec.structs.asdict(of.device)
    of_device = {"device_type": device.pop("type"), "device_name": device.pop("name"), **device}
    return {**of_title, **of_device, **{name: getattr(of, name) for name in _OF_SESSION}}


_OF_SESSION = ("session_id", "account_id", "profile_id", "started_at")


def viewer(number: int = 1) -> SessionSnapshot:
    return session(f"session-{number}", profile_id=ProfileId(f"profile-{number}"))


@pytest.fixture
def here() -> Installation:
    return Installation()


async def test_a_session_that_is_silent_for_ten_minutes_is_expired_as_of_that_moment(here: Installation) -> None:
    gone, reaper = viewer(), here.reaper()
    here.report(gone)
    await here.live(reaper, 9)
    assert here.expired() == []
    await here.live(reaper, 4)
    (event,) = here.published
    assert event.data == PlaybackSessionExpired(session=gone, reason="silent", position_ms=30_000)
    around = event.envelope
    assert (around.id, around.subject, around.partitionkey) == ("session-1:expired", "session-1", "profile-1")
    assert (around.time, around.recordedtime) == (EVENING + 10 * MINUTE, EVENING + 11 * MINUTE)
    assert around.principal == "reaper"


async def test_a_session_whose_playhead_stands_for_thirty_minutes_is_expired(here: Installation) -> None:
    paused, reaper = viewer(), here.reaper()
    here.report(paused)
    await here.live(reaper, 29, paused, moves=False)
    assert here.expired() == []
    await here.live(reaper, 1, paused, moves=False)
    (event,) = here.published
    assert isinstance(event.data, PlaybackSessionExpired)
    assert (event.data.reason, event.envelope.time) == ("standing", EVENING + 30 * MINUTE)


async def test_who_plays_is_never_expired(here: Installation) -> None:
    await here.live(here.reaper(), 100, viewer(1), viewer(2))
    assert here.published == []


async def test_a_view_that_is_behind_makes_nobody_silent(here: Installation) -> None:
    plays, reaper = viewer(), here.reaper()
    await here.live(reaper, 15, plays)
    for _ in range(20):  # the projection stands
        here.now += MINUTE
        here.report(plays)
        await reaper.run_once()
    assert here.expired() == []
    here.catch_up()
    await reaper.run_once()
    await here.live(reaper, 5, plays)
    assert here.expired() == []


async def test_a_partition_that_is_behind_keeps_no_other_from_being_judged(here: Installation) -> None:
    one = viewer(1)
    other = next(each for each in map(viewer, range(2, 20)) if _partition(each) != _partition(one))
    reaper = here.reaper()
    await here.live(reaper, 11, one, other)
    for _ in range(15):
        here.now += MINUTE
        here.report(one)
        here.catch_up(_partition(other))
        await reaper.run_once()
    assert here.expired() == [other.session_id]


async def test_a_view_that_is_always_a_little_behind_is_judged_by_the_moment_that_it_has_reached(
    here: Installation,
) -> None:
    gone, plays, reaper = viewer(1), viewer(2), here.reaper()
    plays = msgspec.structs.replace(plays, profile_id=gone.profile_id)  # the same partition
    here.report(gone)
    for _ in range(20):
        here.now += MINUTE
        here.catch_up()  # never what comes next
        here.report(plays)
        await reaper.run_once()
    assert here.expired_once() == {gone.session_id}


async def test_what_came_after_the_moment_that_the_view_has_reached_may_not_be_missing(here: Installation) -> None:
    plays, reaper = viewer(1), here.reaper()
    other = msgspec.structs.replace(viewer(2), profile_id=plays.profile_id)  # the same partition
    await here.live(reaper, 20, plays)
    await here.live(reaper, 8)
    here.report(other)
    asked = dict(here.end)
    await reaper.run_once()  # not applied yet: judged by this moment, later
    here.now += 3 * MINUTE
    here.report(plays)
    here.next_offset = asked  # eleven minutes without an event of `plays`, as far as the view knows
    await reaper.run_once()
    assert here.expired() == []


async def test_nobody_is_silent_who_could_not_be_heard(here: Installation) -> None:
    plays, reaper = viewer(), here.reaper()
    await here.live(reaper, 15, plays)
    here.kafka_away = True
    for _ in range(20):
        here.now += MINUTE
        with pytest.raises(KafkaUnavailable):
            await reaper.run_once()
    here.kafka_away = False
    await reaper.run_once()  # before anybody could report
    assert here.expired() == []
    await here.live(reaper, 9, plays)
    assert here.expired() == []
    await here.live(reaper, 12)
    assert here.expired_once() == {plays.session_id}


async def test_a_reaper_that_starts_listens_for_as_long_as_anybody_may_be_silent(here: Installation) -> None:
    here.report(viewer())
    here.now += timedelta(hours=5)
    reaper = here.reaper()
    await here.live(reaper, 10)
    assert here.expired() == []
    await here.live(reaper, 1)
    assert here.expired() == ["session-1"]


async def test_a_download_is_silent_until_its_token_is_over(here: Installation) -> None:
    reaper = here.reaper()
    here.report(viewer(), offline=True)
    await here.live(reaper, 60)
    assert here.expired() == []
    here.now += timedelta(days=30)
    await here.live(reaper, 1)
    assert here.expired() == ["session-1"]


async def test_the_lease_is_closed_before_the_event_is_published(here: Installation) -> None:
    reaper = here.reaper()
    here.report(viewer())
    here.killed_after = 0
    with pytest.raises(asyncio.CancelledError):
        await here.live(reaper, 15)
    assert (here.closed, here.expired()) == (["session-1"], [])
    here.killed_after = None
    await here.live(here.reaper(), 12)
    assert here.expired() == ["session-1"]


async def test_leases_that_were_away_are_told_when_they_are_back(here: Installation) -> None:
    reaper = here.reaper()
    for number in range(3):
        here.report(viewer(number))
    here.leases_away = True
    await here.live(reaper, 12)
    assert (len(here.expired_once()), here.closed) == (3, [])
    here.leases_away = False
    await here.live(reaper, 2)
    assert sorted(here.closed) == ["session-0", "session-1", "session-2"]


async def test_what_was_expired_is_not_expired_again_while_the_view_does_not_show_it(here: Installation) -> None:
    reaper = here.reaper()
    here.report(viewer())
    here.catch_up()
    for _ in range(30):
        here.now += MINUTE
        here.next_offset = dict(here.end)  # applied, and yet the row is as it was
        await reaper.run_once()
    assert here.expired() == ["session-1"]


async def test_two_reapers_at_once_say_the_same(here: Installation) -> None:
    reapers = [here.reaper(), here.reaper()]
    for number in range(20):
        here.report(viewer(number))
    for _ in range(15):
        here.now += MINUTE
        here.catch_up()
        await asyncio.gather(*(reaper.run_once() for reaper in reapers))
    assert len(here.published) == 40
    assert len({(event.envelope.id, event.envelope.time, event.data) for event in here.published}) == 20


async def test_many_are_expired_page_by_page_and_no_more_than_are_remembered(here: Installation) -> None:
    reaper = here.reaper(batch=7, remembered_max=25)
    for number in range(40):
        here.report(viewer(number))
    here.catch_up()
    view = dict(here.view)
    for _ in range(12):
        here.now += MINUTE
        here.next_offset, here.view = dict(here.end), dict(view)
        await reaper.run_once()
    assert len(here.expired()) == 25
    here.catch_up()
    await here.live(reaper, 2)
    assert here.expired_once() == {f"session-{number}" for number in range(40)}


async def test_kafka_that_refuses_leaves_what_is_due_for_later(here: Installation) -> None:
    reaper = here.reaper()
    here.report(viewer())
    await here.live(reaper, 9)
    ends, here.kafka_away = dict(here.end), True
    with pytest.raises(KafkaUnavailable):
        here.now += 3 * MINUTE
        await reaper.run_once()
    assert (here.end, here.expired()) == (ends, [])
    here.kafka_away = False
    await here.live(reaper, 12)
    assert here.expired() == ["session-1"]


STEP = st.tuples(st.sampled_from(["play", "stand", "quiet", "lag", "kafka away", "restart"]), st.integers(1, 4))


@given(steps=st.lists(STEP, max_size=60))
async def test_whatever_happens_only_sessions_are_expired_that_were_over(steps: list[tuple[str, int]]) -> None:
    """Against the truth: what was in Kafka at the moment of each expiry, view or no view. `steady` reports whenever it
    can, and is looked at just before; `other` as it likes.
    """
    here, other, steady = Installation(), viewer(1), viewer(2)
    reaper = here.reaper()
    for step, amount in steps:
        for _ in range(amount):
            here.now += 2 * MINUTE
            here.kafka_away = step == "kafka away"
            reaper = here.reaper() if step == "restart" else reaper
            await _look(here, reaper)
            if not here.kafka_away:
                here.report(steady)
            if step in ("play", "stand", "lag"):
                here.report(other, moves=step != "stand")
            if step not in ("lag", "kafka away"):
                here.catch_up()
            await _look(here, reaper)
    assert steady.session_id not in here.expired()
    assert len(here.expired()) == len(here.expired_once())


async def _look(here: Installation, reaper: Reaper) -> None:
    """A round, held to what was true before it."""
    before, count = dict(here.truth), len(here.published)
    try:
        await reaper.run_once()
    except KafkaUnavailable:
        assert here.kafka_away
    for event in here.published[count:]:
        known = before[SessionId(event.envelope.subject)]
        assert here.now - known.heard_at >= PATIENCE.silent or known.heard_at - known.moved_at >= PATIENCE.standing
