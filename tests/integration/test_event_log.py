"""The event log on a real Postgres: gapless, chained, all or nothing."""

import asyncio
import hashlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from commands.decider import Decider
from commands.handling import Handling, Outcome, Step, Target, Terms, VersionConflict
from events.catalog import SeasonAdded
from events.envelope import Context, Event
from events.types import SeriesId
from infra.clock import utc_now
from infra.event_log import GENESIS, EventLog, Idempotency, IdempotencyKeyReused, LogRow, partition_of
from infra.event_log.idempotency import forget_old
from infra.ids import new_id
from infra.postgres import Pool, connect_pool
from infra.settings import Settings

pytestmark = pytest.mark.integration

FOR = Terms(Context(correlation_id="correlation-1", principal="editor"))
WRITERS = 16
APPENDS = 25


def _one_more(_: None, state: int, __: object) -> list[Event]:
    return [SeasonAdded(series_id=SeriesId("s"), season_number=state + 1, name="Season")]


COUNTER: Decider[None, int] = Decider(0, _one_more, lambda state, _: state + 1)


@pytest.fixture(scope="module")
async def handling(live: Settings) -> AsyncIterator[Handling]:
    pool = await connect_pool(live, size=WRITERS)
    yield Handling(EventLog(pool, live), utc_now)
    await pool.close()


@pytest.fixture
def log(postgres: Pool, live: Settings) -> EventLog:
    return EventLog(postgres, live)


def stream() -> Target:
    subject = new_id()
    return Target(subject, f"catalog.series-{subject}")


async def add(handling: Handling, target: Target, terms: Terms = FOR) -> Outcome:
    return await handling.handle(None, decider=COUNTER, target=target, terms=terms)


async def whole(log: EventLog, partition: int) -> list[LogRow]:
    rows: list[LogRow] = []
    while page := await log.read(partition, after=rows[-1].position if rows else 0, limit=500):
        rows += page
    return rows


def chained(rows: list[LogRow]) -> bool:
    last = GENESIS
    for row in rows:
        place = row.partition.to_bytes(2, "big") + row.position.to_bytes(8, "big")
        last = hashlib.sha256(last + hashlib.sha256(row.body).digest() + place).digest()
        if row.hash != last:
            return False
    return True


async def test_many_writers_leave_no_gap_no_inversion_and_an_unbroken_chain(
    handling: Handling, log: EventLog, live: Settings
) -> None:
    hot = stream()
    tail = asyncio.create_task(_tail(log, partition_of(hot.stream_id, live.log_partitions), hot.stream_id))

    async def write(number: int) -> None:
        for _ in range(APPENDS):
            await add(handling, hot if number % 2 else stream())

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    tailed = await asyncio.wait_for(tail, 20)
    assert [row.position for row in tailed] == sorted(row.position for row in tailed)
    for partition in range(live.log_partitions):
        rows = await whole(log, partition)
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        assert chained(rows)


async def _tail(log: EventLog, partition: int, stream_id: str) -> list[LogRow]:
    """Everything of a stream, read as the relay reads: what was behind the reader when it passed is never seen."""
    seen: list[LogRow] = []
    position = 0
    while len(seen) < WRITERS // 2 * APPENDS:
        for row in await log.read(partition, after=position, limit=100):
            assert row.position == position + 1
            position = row.position
            if row.stream_id == stream_id:
                seen.append(row)
        await asyncio.sleep(0)
    return seen


async def test_a_stream_counts_every_command_that_raced_for_it_once(handling: Handling) -> None:
    target = stream()
    outcomes = await asyncio.gather(*(add(handling, target) for _ in range(WRITERS)))
    assert sorted(outcome.version for outcome in outcomes) == list(range(1, WRITERS + 1))


async def test_the_same_request_gets_the_reply_that_it_got_before(handling: Handling) -> None:
    target, terms = stream(), _terms(key=new_id())
    first = await add(handling, target, terms)
    assert await add(handling, target, terms) == first
    assert (await add(handling, target)).version == 2


async def test_of_two_that_come_at_once_under_one_key_one_is_recorded(handling: Handling) -> None:
    terms = _terms(key=new_id())
    # Different streams: their locks do not keep the two apart, only the key does.
    first, second = await asyncio.gather(add(handling, stream(), terms), add(handling, stream(), terms))
    assert first == second


async def test_another_request_under_the_same_key_is_refused(handling: Handling) -> None:
    target, key = stream(), new_id()
    await add(handling, target, _terms(key=key))
    with pytest.raises(IdempotencyKeyReused):
        await add(handling, target, _terms(key=key, request=b"something else"))
    assert (await add(handling, target)).version == 2


async def test_a_stale_decision_is_refused(handling: Handling) -> None:
    target = stream()
    await add(handling, target, Terms(FOR.context, expected_version=0))
    with pytest.raises(VersionConflict) as caught:
        await add(handling, target, Terms(FOR.context, expected_version=0))
    assert caught.value.members == {"version": 1}


async def test_a_refused_command_leaves_nothing(handling: Handling, postgres: Pool) -> None:
    target, terms = stream(), _terms(key=new_id())

    def refuse(_: None, __: int, ___: object) -> list[Event]:
        raise VersionConflict("no")

    with pytest.raises(VersionConflict):
        await handling.handle(None, decider=Decider(0, refuse, COUNTER.evolve), target=target, terms=terms)
    assert await postgres.fetchval("select count(*) from event_log where stream_id = $1", target.stream_id) == 0
    assert terms.idempotency
    assert not await postgres.fetchval("select count(*) from idempotency where key = $1", terms.idempotency.key)


async def test_events_carry_who_and_why(handling: Handling, log: EventLog, live: Settings) -> None:
    target = stream()
    await add(handling, target)
    [row] = [
        row
        for row in await whole(log, partition_of(target.stream_id, live.log_partitions))
        if row.stream_id == target.stream_id
    ]
    assert b'"principal":"editor"' in row.body
    assert b'"correlationid":"correlation-1"' in row.body
    assert b'"sequence":1' in row.body


async def test_an_event_names_what_caused_it(handling: Handling, live: Settings, postgres: Pool) -> None:
    target = stream()
    await add(handling, target, Terms(Context(correlation_id="c", causation_id="webhook-7")))
    await add(handling, target)
    async with EventLog(postgres, live).open({target.stream_id: None}, now=utc_now()) as opened:
        first, second = (recorded.envelope for recorded in opened.streams[target.stream_id].events)
    assert first.causationid == "webhook-7"
    assert second.causationid == first.id


async def test_streams_decided_together_are_recorded_together(handling: Handling, postgres: Pool) -> None:
    one, two = stream(), stream()
    outcome = await handling.handle_together([Step(None, COUNTER, one), Step(None, COUNTER, two)], FOR)
    assert outcome.subject == one.subject
    assert [(await add(handling, target)).version for target in (one, two)] == [2, 2]


async def test_one_refusal_among_streams_decided_together_leaves_nothing(handling: Handling, postgres: Pool) -> None:
    one, two = stream(), stream()

    def refuse(_: None, __: int, ___: object) -> list[Event]:
        raise VersionConflict("no")

    with pytest.raises(VersionConflict):
        await handling.handle_together(
            [Step(None, COUNTER, one), Step(None, Decider(0, refuse, COUNTER.evolve), two)], FOR
        )
    assert (await add(handling, one)).version == 1


async def test_crossed_pairs_of_streams_do_not_wait_for_each_other(handling: Handling) -> None:
    one, two = stream(), stream()
    pairs = [[one, two], [two, one]] * 10
    await asyncio.wait_for(
        asyncio.gather(
            *(handling.handle_together([Step(None, COUNTER, target) for target in pair], FOR) for pair in pairs)
        ),
        20,
    )
    assert (await add(handling, one)).version == 21


async def test_a_long_stream_is_read_from_its_snapshot(live: Settings, postgres: Pool) -> None:
    counter: Decider[None, int] = Decider(0, _one_more, COUNTER.evolve, snapshots=True)
    short = EventLog(postgres, live.model_copy(update={"snapshot_every_events": 5}))
    handling, target = Handling(short, utc_now), stream()
    for version in range(1, 13):
        outcome = await handling.handle(None, decider=counter, target=target, terms=FOR)
        assert outcome.version == version
    kept = await postgres.fetchrow("select version, state from stream_snapshot where stream_id = $1", target.stream_id)
    assert kept
    assert (kept["version"], counter.thaw(kept["state"])) == (10, 10)
    async with short.open({target.stream_id: counter.digest}, now=utc_now()) as opened:
        assert len(opened.streams[target.stream_id].events) == 2


async def test_a_snapshot_of_other_code_is_not_trusted(live: Settings, postgres: Pool) -> None:
    counter: Decider[None, int] = Decider(0, _one_more, COUNTER.evolve, snapshots=True)
    short = EventLog(postgres, live.model_copy(update={"snapshot_every_events": 2}))
    handling, target = Handling(short, utc_now), stream()
    for _ in range(4):
        await handling.handle(None, decider=counter, target=target, terms=FOR)
    wrong = counter.freeze(99)
    await postgres.execute(
        "update stream_snapshot set digest = 'older', state = $2 where stream_id = $1", target.stream_id, wrong
    )
    assert (await handling.handle(None, decider=counter, target=target, terms=FOR)).version == 5


async def test_old_replies_are_forgotten_and_recent_ones_kept(
    handling: Handling, live: Settings, postgres: Pool
) -> None:
    old, recent = new_id(), new_id()
    await add(handling, stream(), _terms(key=old))
    await add(handling, stream(), _terms(key=recent))
    await postgres.execute(
        "update idempotency set created_at = now() - interval '3 days' where key like '%' || $1", old
    )
    assert await forget_old(postgres, live) >= 1
    assert not await postgres.fetchval("select count(*) from idempotency where key like '%' || $1", old)
    assert await postgres.fetchval("select count(*) from idempotency where key like '%' || $1", recent) == 1


KILLED_WRITER = """
import asyncio, os, signal, sys
import infra.event_log as event_log
from commands.handling import Handling
from infra.clock import utc_now
from infra.postgres import connect_pool
from infra.settings import Settings
from tests.integration.test_event_log import add, stream, _terms
from commands.handling import Target

async def main(dsn, partitions, subject, step):
    settings = Settings(postgres_dsn=dsn, log_partitions=partitions)
    handling = Handling(event_log.EventLog(await connect_pool(settings), settings), utc_now)
    owner = event_log.EventLog if step == "_open" else event_log.Opened
    original = getattr(owner, step)
    async def killed(self, *args, **named):
        if sys.argv[5] == "after":
            await original(self, *args, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, step, killed)
    await add(handling, Target(subject, "catalog.series-" + subject), _terms(key=subject))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["_open", "record", "_append"])
async def test_a_writer_killed_between_any_two_statements_leaves_nothing(
    handling: Handling, postgres: Pool, live: Settings, step: str, when: str
) -> None:
    target = stream()
    arguments = [live.postgres_dsn, str(live.log_partitions), target.subject, step, when]
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, *arguments], check=False)  # noqa: ASYNC221
    assert killed.returncode == -signal.SIGKILL
    assert not await postgres.fetchval("select count(*) from event_log where stream_id = $1", target.stream_id)
    assert (await add(handling, target, _terms(key=target.subject))).version == 1


def _terms(*, key: str, request: bytes = b"{}") -> Terms:
    return Terms(FOR.context, idempotency=Idempotency.of(principal="editor", key=key, request=request))
