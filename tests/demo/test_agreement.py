"""Two opinions on continue watching: the demo's reference, which sees all at once, and the projection's fold, which
takes reports in the order in which they were sent.
"""

from datetime import timedelta
from typing import Any

import pytest

from events.envelope import Event, Recorded
from events.playback import EVENT_OF, SessionSnapshot, TitleSnapshot
from events.types import ProfileId, SeriesId, TitleId, TitleKind
from infra.settings import Settings
from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.watching.reference import Rules, Shown, continue_watching
from playhead.demo.watching.sitting import Moment, Sitting, Title
from projections.app import thresholds
from projections.playback.continue_watching import Bookmark, ContinueWatching
from projections.views import Shelf
from tests.builders import EVENING, recorded, reported
from tests.builders import session as built_session
from tests.demo.evenings import sent

REPORT_CLASSES = {report_class.__struct_config__.tag: report_class for report_class in EVENT_OF}


def test_every_report_of_the_demo_is_one_that_the_api_knows() -> None:
    assert {moment.type for _, delivery in sent(0) for moment in delivery.moments} <= set(REPORT_CLASSES)


@pytest.mark.parametrize("seed", range(3))
def test_reference_and_projection_agree_on_whole_evenings_with_all_their_bad_manners(seed: int) -> None:
    for viewer in range(20):
        assert folded(viewer, seed) == referred(viewer, seed), f"seed {seed}, viewer {viewer}"


def referred(viewer: int, seed: int) -> dict[str, Shown]:
    sessions: dict[int, AcknowledgedSession] = {}
    for sitting, delivery in sent(viewer, seed):
        acknowledged = sessions.setdefault(
            sitting.starts_ms,
            AcknowledgedSession(
                str(sitting.starts_ms), "viewer", sitting.act.title, sitting.act.device, 0, sitting.starts_ms
            ),
        )
        acknowledged.moments.update({moment.seq: moment for moment in delivery.moments})
    return continue_watching(sessions.values(), Rules.of(Settings()))


def folded(viewer: int, seed: int) -> dict[str, Shown]:
    view = ContinueWatching(thresholds(Settings()), most_rows=200, ttl_s=3600)
    rows: dict[Shelf, Bookmark] = {}
    for sitting, delivery in sent(viewer, seed):
        for moment in delivery.moments:
            event = as_event(sitting, moment)
            key = view.key(event)
            row = view.project(rows.get(key), event)
            if row is not None:
                rows[key] = row
    return {
        key.field: Shown(row.title_id, row.state, row.position_ms, row.next_title_id)
        for key, row in rows.items()
        if row.state != "completed"
    }


def as_event(sitting: Sitting, moment: Moment) -> Recorded[Event]:
    facts: dict[str, Any] = dict(moment.facts)
    return recorded(
        reported(
            REPORT_CLASSES[moment.type],
            moment.seq,
            of=as_session(sitting),
            time=EVENING + timedelta(milliseconds=moment.at_ms),
            position_ms=moment.position_ms,
            **facts,
        )
    )


def as_session(sitting: Sitting) -> SessionSnapshot:
    return built_session(
        str(sitting.starts_ms),
        profile_id=ProfileId("viewer"),
        started_at=EVENING + timedelta(milliseconds=sitting.starts_ms),
        title=as_title(sitting.act.title),
    )


def as_title(title: Title) -> TitleSnapshot:
    return TitleSnapshot(
        title_id=TitleId(title.title_id),
        kind=TitleKind.EPISODE if title.series_id else TitleKind.MOVIE,
        name=title.name,
        duration_ms=title.duration_ms,
        credits_start_ms=title.credits_start_ms,
        series_id=SeriesId(title.series_id) if title.series_id else None,
        next_title_id=TitleId(title.next_title_id) if title.next_title_id else None,
    )
