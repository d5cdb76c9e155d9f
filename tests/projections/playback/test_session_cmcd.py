"""Session CMCD: an entry a record, the same one however often it comes."""

from typing import Any

import msgspec
import pytest

from events.cmcd import EventToken, Means, Measure, ObjectType, PlayerState, Record
from events.envelope import encode
from events.registry import REGISTRY
from projections.playback.session_cmcd import CmcdEntry, SessionCmcd
from tests.builders import EVENING, HEARTBEAT_MS, cmcd_record, cmcd_reported, cmcd_requested, recorded

VIEW = SessionCmcd()
EVENING_MS = int(EVENING.timestamp()) * 1_000


def entry_of(record: Record, **around: Any) -> CmcdEntry:
    (entry,) = VIEW.project(recorded(cmcd_reported(record, **around)))
    return entry.row


def key_of(record: Record, **around: Any) -> tuple[int, str]:
    entry = entry_of(record, **around)
    return entry.said_ms, entry.record_id


def test_a_record_is_an_entry_with_its_measures() -> None:
    entry = entry_of(
        cmcd_record(
            2,
            e=EventToken.RESPONSE_RECEIVED,
            sta=PlayerState.PLAYING,
            bl=(Measure(1_900, ObjectType.AUDIO), Measure(2_000, ObjectType.VIDEO)),
            br=(Measure(64, ObjectType.AUDIO), Measure(500)),
            mtp=(Measure(46_300, ObjectType.OTHER),),
            rc=200,
            ttfb=9,
            ttlb=14,
            url="https://cdn.example/1.m4s?token=secret",
            ec=("27",),
            pt=5_000,
        )
    )
    assert entry.said_ms == EVENING_MS + 2 * HEARTBEAT_MS
    assert (entry.sid, entry.sn, entry.e, entry.sta, entry.pt) == ("player-1", 2, "rr", "p", 5_000)
    assert (entry.buffer_ms, entry.bitrate_kbps, entry.throughput_kbps) == (2_000, 500, 46_300)
    assert (entry.response_code, entry.ttfb_ms, entry.ttlb_ms) == (200, 9, 14)
    assert (entry.url, entry.error_codes) == ("https://cdn.example/1.m4s", '["27"]')
    assert (entry.event_type, entry.target) == ("playback.PlaybackCmcdReported.v1", "default")
    assert msgspec.json.decode(entry.record)["url"].endswith("?token=secret")


def test_what_playhead_does_not_know_of_a_record_is_kept() -> None:
    body = encode(cmcd_reported()).replace(b'"sn":0', b'"sn":0,"v3key":[1]')
    (entry,) = VIEW.project(REGISTRY.decode(body))
    assert msgspec.json.decode(entry.row.record)["v3key"] == [1]


def test_the_same_record_is_the_same_row_and_another_target_s_is_another() -> None:
    assert key_of(cmcd_record()) == key_of(cmcd_record(br=(Measure(5),)))
    keys = [key_of(cmcd_record()), key_of(cmcd_record(ts=EVENING_MS + 1)), key_of(cmcd_record(), target="theirs")]
    assert len({*keys, key_of(cmcd_record(1)), key_of(cmcd_record(sid="player-2"))}) == 5


def test_a_request_without_a_time_lies_where_it_came() -> None:
    (entry,) = VIEW.project(recorded(cmcd_requested()))
    assert entry.row.said_ms == EVENING_MS
    assert (entry.row.e, entry.row.means, entry.row.bitrate_kbps) == (None, None, 3_200)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ({"e": EventToken.TIME}, Means.HEARTBEAT),
        ({"e": EventToken.ERROR}, Means.ERROR),
        ({"e": EventToken.RESPONSE_RECEIVED, "sta": PlayerState.ENDED}, None),
        ({"e": EventToken.STATE_CHANGED}, None),
        ({"e": EventToken.STATE_CHANGED, "sta": PlayerState.PLAYING}, None),
        ({"e": EventToken.STATE_CHANGED, "sta": PlayerState.ENDED}, Means.COMPLETED),
        ({"e": EventToken.STATE_CHANGED, "sta": PlayerState.FATAL}, Means.ERROR),
        ({"e": EventToken.STATE_CHANGED, "sta": PlayerState.QUIT}, Means.STOPPED),
    ],
)
def test_a_record_means_what_can_be_told_of_it_alone(said: dict[str, Any], means: Means | None) -> None:
    assert entry_of(cmcd_record(**said)).means == means


def test_the_timestamp_is_when_it_was_recorded() -> None:
    built = cmcd_reported()
    (entry,) = VIEW.project(recorded(built))
    assert entry.timestamp_us == int(built.recordedtime.timestamp() * 1_000_000)
