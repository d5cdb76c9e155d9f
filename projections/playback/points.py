"""What a session's measures are folded from: the point of each event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from events.playback import EVENT_OF, Completed, Failed, PlaybackStarted, Report, Reported, Stopped
from projections.playback.measures import Point
from projections.times import milliseconds

GRANTED_SEQ: Final = -1
"""Where PlaybackStarted stands among the reports, which count from 0."""

MAY_END: Final = (Completed, Stopped, Failed)
SAID: Final[Mapping[type[Report], str]] = {report: str(report.__struct_config__.tag) for report in EVENT_OF}
OF_ITS_OWN: Final[Mapping[type[Report], tuple[str, ...]]] = {
    report: tuple(
        field
        for field in report.__struct_fields__
        if field in Point.__struct_fields__ and field not in Report.__struct_fields__
    )
    for report in EVENT_OF
}
"""What a report says beyond what every report does, as far as measures need it."""


def numbered(event: PlaybackStarted | Reported[Any], at: datetime) -> tuple[int, Point]:
    """An event's seq and its point. `at`: when it happened, corrected."""
    if isinstance(event, PlaybackStarted):
        return GRANTED_SEQ, Point("granted", 0, event.start_position_ms)
    report, kind = event.report, type(event.report)
    point = Point(
        SAID[kind],
        milliseconds(report.at),
        report.position_ms,
        report.rate,
        report.bitrate_kbps,
        report.dropped_frames,
        cdn=report.cdn,
        cdn_edge=report.cdn_edge,
    )
    if fields := OF_ITS_OWN[kind]:
        point = replace(point, **{field: getattr(report, field) for field in fields})
    return report.seq, replace(point, time=at) if kind in MAY_END else point
