"""What may go from Kafka, and why not."""

from datetime import UTC, date, datetime, timedelta

import pytest

from infra.archive.manifest import ArchivedFile
from infra.archive.retaining import OnKafka, Verdict, judged

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
GROUP = "playhead-projections-redis"


def file(first: int, end: int, at: datetime, follows: int | None = None) -> ArchivedFile:
    """An entry."""
    time_us = int(at.timestamp() * 1e6)
    return ArchivedFile(
        topic="playback.events",
        partition=0,
        level=0,
        day=date(2026, 11, 20),
        follows=first if follows is None else follows,
        first=first,
        last=end - 1,
        rows=end - first,
        bytes=1,
        path=f"{first}",
        sha256="",
        root="",
        first_time=time_us,
        last_time=time_us,
        first_position=None,
        last_position=None,
        uncompressed_bytes=1,
    )


FILES = [file(0, 10, NOON), file(10, 20, NOON + timedelta(hours=1)), file(20, 30, NOON + timedelta(days=1))]
BEFORE = NOON + timedelta(hours=2)
ALL = {GROUP: 30}


def verdict(kafka: OnKafka, files: list[ArchivedFile] | None = None, before: datetime = BEFORE) -> Verdict:
    """What is said of it."""
    return judged("playback.events", 0, kafka, FILES if files is None else files, before)[0]


def test_what_is_older_archived_and_applied_may_go() -> None:
    found, holding = judged("playback.events", 0, OnKafka(5, 40, ALL), FILES, BEFORE)

    assert found == Verdict("playback.events", 0, 5, 20)
    assert found.records == 15
    assert holding == FILES[:2]


def test_a_file_with_anything_newer_stays() -> None:
    assert verdict(OnKafka(0, 40, ALL), before=NOON + timedelta(minutes=1)).upto == 10


def test_the_newest_record_stays() -> None:
    assert verdict(OnKafka(0, 30, ALL), before=NOON + timedelta(days=9)).upto == 29
    assert verdict(OnKafka(29, 30, ALL), before=NOON + timedelta(days=9)).records == 0


@pytest.mark.parametrize("kafka", [OnKafka(20, 40, ALL), OnKafka(0, 0, ALL), OnKafka(35, 40, ALL)])
def test_where_nothing_is_old_nothing_is_refused(kafka: OnKafka) -> None:
    found = verdict(kafka)

    assert (found.records, found.refused) == (0, None)


def test_nothing_goes_that_is_not_archived() -> None:
    assert verdict(OnKafka(0, 40, ALL), []).records == 0


@pytest.mark.parametrize(
    ("kafka", "files", "why"),
    [
        (OnKafka(0, 40, {GROUP: 19}), FILES, "applied it up to 19 only"),
        (OnKafka(0, 40, {GROUP: None}), FILES, "has not said"),
        (OnKafka(0, 40, ALL), [FILES[0], file(15, 20, NOON, follows=10)], "nothing of 10 to 14"),
        (OnKafka(0, 40, ALL), [file(5, 20, NOON, follows=0)], "nothing of 0 to 4"),
        (OnKafka(0, 25, ALL), FILES, "not what was archived"),
    ],
)
def test_what_is_not_whole_or_not_applied_is_refused(kafka: OnKafka, files: list[ArchivedFile], why: str) -> None:
    found = verdict(kafka, files)

    assert found.records == 0
    assert found.refused is not None
    assert why in found.refused
