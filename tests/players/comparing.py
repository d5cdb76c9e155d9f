"""The views beside the oracle: what they say otherwise than it, in words."""

from dataclasses import fields
from typing import Any, Final

from projections.playback.continue_watching import Bookmark
from tests.players.oracle import summary_of
from tests.players.server import THRESHOLDS, Heard, Server
from tests.players.summary import Summary, union

ROUNDED: Final = {"playing_ms": 2.0, "average_bitrate_kbps": 1.0, "rebuffering_ratio": 1e-4, "completion": 1e-9}
"""How far rounding may take a row from the truth: the last moment of a title, and one at an odd rate, is no whole
number of milliseconds."""


def summary_of_row(row: Any) -> Summary:
    """A row's columns as the oracle says them."""
    said = {field.name: getattr(row, field.name) for field in fields(Summary)}
    edges = iter(said["watched"])
    return Summary(**said | {"watched": union(zip(edges, edges, strict=True))})


def wrong_summaries(server: Server) -> list[str]:
    """What the summaries say otherwise than the oracle."""
    rows = server.session_rows()
    assert rows.keys() == server.heard.keys()
    return [each for session_id, heard in server.heard.items() for each in different(rows[session_id], heard)]


def different(row: Any, heard: Heard) -> list[str]:
    """What one summary says otherwise than the oracle."""
    said, true = summary_of_row(row), summary_of(heard)
    pairs = [(field.name, getattr(said, field.name), getattr(true, field.name)) for field in fields(Summary)]
    session_id = heard.sitting.session.session_id
    return [
        f"{session_id}: {name} is {is_!r}, and in truth {must!r}"
        for name, is_, must in pairs
        if not _same(name, is_, must)
    ]


def _same(name: str, said: Any, true: Any) -> bool:
    if name in ROUNDED and said is not None and true is not None:
        return bool(abs(said - true) <= ROUNDED[name])
    return bool(said == true)


def wrong_histories(server: Server) -> list[str]:
    """Where the watch history does not hold the last that is known of a session, or whether it was ever completed."""
    rows = {cells["session_id"][1]: cells for cells in server.rows("watch_history").values()}
    assert rows.keys() == server.heard.keys()
    return [session_id for session_id, heard in server.heard.items() if not _holds_last(rows[session_id], heard)]


def _holds_last(cells: dict[str, tuple[int, Any]], heard: Heard) -> bool:
    sitting = heard.sitting
    known = [sitting.told[seq] for seq in sorted(heard.known)]
    if not known:
        return cells["position_ms"][1] == sitting.from_ms and "completed" not in cells
    enough_ms = sitting.session.title.duration_ms * THRESHOLDS.complete_at_ratio
    completed = any(told.type == "completed" or told.position_ms >= enough_ms for told in known)
    at_last = cells["position_ms"][1] == known[-1].position_ms and cells["last_at"][1] in heard.times[known[-1].seq]
    return at_last and ("completed" in cells) == completed


def flipped_back(server: Server, before: dict[Any, Bookmark], after: dict[Any, Bookmark]) -> list[str]:
    """Bookmarks that went back to an older event (rules R2 and R3), or were lost."""
    return [
        f"{shelf}: from {row} to {after.get(shelf)}"
        for shelf, row in before.items()
        if (newer := after.get(shelf)) is None or not _in_order(server, row, newer)
    ]


def _in_order(server: Server, row: Bookmark, newer: Bookmark) -> bool:
    """Within a session seq orders, across sessions time does: one event at least was later than what it took over."""
    if row.session_id == newer.session_id:
        return row.seq <= newer.seq
    times = server.heard[newer.session_id].times
    place = row.updated_at, row.session_started_at, row.seq
    return any((at, newer.session_started_at, seq) >= place for seq in times if seq <= newer.seq for at in times[seq])


def invented_bookmarks(server: Server) -> list[str]:
    """Bookmarks that stand where no known event of their session does."""
    return [
        f"{shelf}: {row}"
        for shelf, row in server.rows("continue_watching").items()
        if row.seq not in (heard := server.heard[row.session_id]).known
        or row.last_position_ms != heard.sitting.told[row.seq].position_ms
        or row.updated_at not in heard.times[row.seq]
    ]
