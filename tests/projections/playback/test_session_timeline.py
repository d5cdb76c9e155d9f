"""Session timeline: an entry an event."""

from typing import Any

import msgspec
import pytest

from events import playback as p
from events.envelope import encode
from events.registry import REGISTRY
from projections.playback.session_timeline import SessionTimeline, TimelineEntry
from tests.builders import EVENING, playback_expired, playback_started, playback_terminated, recorded, reported

VIEW = SessionTimeline()


def test_the_grant_comes_before_all_reports() -> None:
    (entry,) = VIEW.project(recorded(playback_started(start_position_ms=5)))
    assert entry.row == TimelineEntry(
        session_id="session-1",
        seq=-1,
        event_type="playback.PlaybackStarted.v1",
        at=EVENING,
        recorded_at=EVENING,
        position_ms=5,
        profile_id="profile-1",
        account_id="account-1",
        title_id="night-of-the-living-dead",
        title_name="Night of the Living Dead",
    )


REPORTS: dict[type[p.Report], dict[str, Any]] = {
    p.Seeked: {"from_ms": 3},
    p.BitrateChanged: {"bitrate_kbps": 3000},
    p.QualityChanged: {"rendition": "1080p"},
    p.Failed: {"code": "E1"},
}


@pytest.mark.parametrize("report", list(p.EVENT_OF), ids=lambda report: report.__name__)
def test_a_report_is_kept_as_it_was_sent(report: type[p.Report]) -> None:
    (entry,) = VIEW.project(recorded(reported(report, 4, **REPORTS.get(report, {}))))
    assert (entry.row.seq, entry.row.position_ms) == (4, 40_000)
    assert entry.row.event_type == f"playback.{p.EVENT_OF[report].__name__}.v1"
    assert msgspec.json.decode(entry.row.report or "")["seq"] == 4


def test_what_playhead_does_not_know_of_a_report_is_kept() -> None:
    body = encode(reported(p.Heartbeat, 4)).replace(b'"seq":4', b'"seq":4,"hdr":"dolby"')
    (entry,) = VIEW.project(REGISTRY.decode(body))
    assert msgspec.json.decode(entry.row.report or "")["hdr"] == "dolby"


def test_an_end_from_outside_comes_after_all_reports_and_says_why() -> None:
    (expired,) = VIEW.project(recorded(playback_expired(at=EVENING, position_ms=7)))
    (terminated,) = VIEW.project(recorded(playback_terminated(at=EVENING)))
    assert (expired.row.seq, expired.row.position_ms) == (2**31 - 1, 7)
    assert (terminated.row.seq, terminated.row.position_ms) == (2**31 - 1, None)
    assert msgspec.json.decode(expired.row.report or "") == {"reason": "silent"}
    ended = msgspec.json.decode(terminated.row.report or "")
    assert (ended["reason"], ended["by"]["device_name"]) == ("replaced", "Kitchen")


def test_the_timestamp_is_when_it_was_recorded() -> None:
    (entry,) = VIEW.project(recorded(playback_started()))
    assert entry.timestamp_us == int(EVENING.timestamp()) * 1_000_000
