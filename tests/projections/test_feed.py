"""What a rebuild reads: the archive up to where Kafka begins, then Kafka, whatever either holds; nothing twice, nothing
left out, and no more at a time than it is told.
"""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import OffsetOutOfRangeError
from hypothesis import given
from hypothesis import strategies as st

from infra.archive.errors import ArchiveAway, ArchiveDamaged
from infra.settings import Settings
from projections.errors import StoreUnavailable
from projections.past import HistoryUnreadable, Past, Run, joined, lacking
from projections.slabs import Partition, Record, Slab
from projections.versions.feed import Feed

SETTINGS = Settings(rebuild_batch_max_bytes=1024)
TOPIC = "playback.events"
FIRST, SECOND = Partition(TOPIC, 0), Partition(TOPIC, 1)
BODY = 100


class Held(NamedTuple):
    """A record."""

    offset: int
    key: bytes | None = None
    value: bytes | None = bytes(BODY)
    headers: tuple[tuple[str, bytes], ...] = ()


class Span(NamedTuple):
    """A file of the archive."""

    first: int
    last: int


class FakeArchive:
    """Holds these offsets of each partition. `wrong`: what reading it raises."""

    def __init__(self, spans: dict[Partition, list[Span]]) -> None:
        self.spans = spans
        self.wrong: Exception | None = None
        self.readings = 0

    def files(self, topic: str, partition: int) -> list[Span]:
        return self.spans.get(Partition(topic, partition), [])

    def records(self, topic: str, partition: int, *, first: int, last: int | None = None) -> Iterator[Record]:
        self.readings += 1
        if self.wrong is not None:
            raise self.wrong
        held = [place for span in self.files(topic, partition) for place in range(span.first, span.last + 1)]
        return iter([Held(place) for place in held if first <= place and (last is None or place <= last)])


class FakeKafka:
    """aiokafka's consumer, of a Kafka that holds [first, end) of each of two partitions."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end
        self.places: dict[Any, int] = {}
        self.paused: set[Any] = set()
        self._client = self

    async def fetch_all_metadata(self) -> "FakeKafka":
        return self

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0, 1}

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def beginning_offsets(self, places: Sequence[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self.first)

    async def end_offsets(self, places: Sequence[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self.end)

    def assign(self, places: Sequence[Any]) -> None:
        self.places = dict.fromkeys(places, -1)

    def seek(self, place: Any, offset: int) -> None:
        self.places[place] = offset

    def pause(self, place: Any) -> None:
        self.paused.add(place)

    def resume(self, place: Any) -> None:
        self.paused.discard(place)

    async def getmany(self, *places: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Held]]:
        fetched: dict[Any, list[Held]] = {}
        for place in places:
            at = self.places[place]
            assert place not in self.paused, "asked for what is read from the archive"
            if at < self.first:
                raise OffsetOutOfRangeError({place: at})
            if records := [Held(offset) for offset in range(at, min(self.end, at + max_records))]:
                fetched[place], self.places[place] = records, at + len(records)
                max_records -= len(records)
            if max_records <= 0:
                break
        return fetched


@asynccontextmanager
async def feeding(monkeypatch: pytest.MonkeyPatch, kafka: FakeKafka, archive: FakeArchive) -> AsyncIterator[Feed]:
    monkeypatch.setattr("projections.versions.feed.AIOKafkaConsumer", lambda **_: kafka)
    async with Feed(SETTINGS, [TOPIC], Past(SETTINGS, lambda _: archive)) as feed:
        yield feed


async def all_of(feed: Feed, end: int, most: int = 7) -> dict[Partition, list[int]]:
    """The offsets that it has of each partition, up to here."""
    got: dict[Partition, list[int]] = {each: [] for each in feed.partitions}
    limits = dict.fromkeys(feed.partitions, end)
    while any(not offsets or offsets[-1] < end - 1 for offsets in got.values()):
        slabs = await feed.take(limits, most, 0.1)
        assert slabs, got
        check_bounds(slabs, most)
        for slab in slabs:
            assert slab.start == slab.records[0].offset
            got[slab.partition] += [record.offset for record in slab.records]
    return got


def check_bounds(slabs: list[Slab], most: int) -> None:
    assert sum(len(slab.records) for slab in slabs) <= most
    assert sum(slab.size for slab in slabs) <= SETTINGS.rebuild_batch_max_bytes + BODY


async def test_what_kafka_gave_up_comes_from_the_archive_and_the_rest_from_kafka(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = FakeArchive({FIRST: [Span(0, 9), Span(10, 44)], SECOND: [Span(0, 29)]})
    async with feeding(monkeypatch, FakeKafka(30, 60), archive) as feed:
        assert await feed.bounds() == {FIRST: (0, 60), SECOND: (0, 60)}
        assert await feed.lacks(dict.fromkeys(feed.partitions, 0)) is None
        feed.seek(dict.fromkeys(feed.partitions, 0))
        got = await all_of(feed, 60)
    assert got == {FIRST: list(range(60)), SECOND: list(range(60))}
    assert archive.readings == 2, "a partition is read on, not anew"


async def test_a_kafka_that_has_all_needs_no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = FakeArchive({})
    archive.wrong = AssertionError("the archive was read")
    async with feeding(monkeypatch, FakeKafka(0, 20), archive) as feed:
        assert await feed.bounds() == {FIRST: (0, 20), SECOND: (0, 20)}
        feed.seek(dict.fromkeys(feed.partitions, 0))
        assert (await all_of(feed, 20))[FIRST] == list(range(20))


async def test_what_is_given_up_meanwhile_is_read_from_the_archive_after_a_new_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = FakeKafka(10, 60)
    async with feeding(monkeypatch, kafka, FakeArchive({FIRST: [Span(0, 49)], SECOND: [Span(0, 49)]})) as feed:
        await feed.bounds()
        feed.seek(dict.fromkeys(feed.partitions, 0))
        kafka.first = 40
        got = {each: [] for each in feed.partitions}  # type: dict[Partition, list[int]]
        with pytest.raises(OffsetOutOfRangeError):
            while True:
                for slab in await feed.take(dict.fromkeys(feed.partitions, 60), 7, 0.1):
                    got[slab.partition] += [record.offset for record in slab.records]
        assert await feed.bounds() == {FIRST: (0, 60), SECOND: (0, 60)}
        feed.seek({each: len(offsets) for each, offsets in got.items()})
        for partition, offsets in (await all_of(feed, 60)).items():
            assert got[partition] + offsets == list(range(60))


async def test_offsets_that_nobody_has_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with feeding(monkeypatch, FakeKafka(30, 60), FakeArchive({FIRST: [Span(0, 29)]})) as feed:
        assert await feed.bounds() == {FIRST: (0, 60), SECOND: (30, 60)}
        said = await feed.lacks(dict.fromkeys(feed.partitions, 0))
        assert said == "playback.events/1: offsets 0 to 29 are neither in Kafka any more nor in the archive"
        assert await feed.lacks({FIRST: 0, SECOND: 30}) is None


async def test_an_archive_that_is_away_is_waited_for_and_one_that_is_damaged_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = FakeArchive({FIRST: [Span(0, 29)], SECOND: [Span(0, 29)]})
    async with feeding(monkeypatch, FakeKafka(30, 60), archive) as feed:
        await feed.bounds()
        feed.seek(dict.fromkeys(feed.partitions, 0))
        archive.wrong = ArchiveAway("no answer")
        with pytest.raises(StoreUnavailable, match="no answer"):
            await feed.take({FIRST: 60, SECOND: 60}, 7, 0.1)
        archive.wrong = ArchiveDamaged("topics/one.parquet", "is not there")
        with pytest.raises(HistoryUnreadable, match=r"topics/one\.parquet: is not there"):
            await feed.take({FIRST: 60, SECOND: 60}, 7, 0.1)
        archive.wrong = None
        assert (await all_of(feed, 60))[SECOND] == list(range(60))


async def test_a_record_that_the_manifest_names_and_the_file_lacks_is_not_passed_over() -> None:
    archive = FakeArchive({FIRST: [Span(0, 4), Span(6, 9)]})
    past = Past(SETTINGS, lambda _: archive)
    assert [one.offset for one in (await past.take(FIRST, 0, 10, 5, 10_000)).records] == [0, 1, 2, 3, 4]
    with pytest.raises(HistoryUnreadable, match="goes on at 6"):
        await past.take(FIRST, 5, 10, 5, 10_000)
    past.close()


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 30), st.integers(0, 30))
def test_what_is_lacking_is_the_first_run_of_offsets_that_nobody_has(
    lengths: list[int], start: int, first: int
) -> None:
    spans, at = [], 0
    for number, length in enumerate(lengths):
        if length and number % 2 == 0:
            spans.append(Span(at, at + length - 1))
        at += length
    have = {place for span in spans for place in range(span.first, span.last + 1)}
    missing = [place for place in range(start, first) if place not in have]
    gone = lacking(joined(spans), start, first)
    if not missing:
        assert gone is None
        return
    end = next((place for place in range(missing[0], first) if place in have), first)
    assert gone == Run(missing[0], end)


def test_who_needs_no_archive_does_not_load_what_reads_it() -> None:
    code = "import sys, projections.app, projections.versions.build; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
