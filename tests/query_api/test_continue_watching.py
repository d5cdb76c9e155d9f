"""Which rows of a profile's hash are offered, in which order, and what is said of them."""

import msgspec

from query_api.playback.continue_watching import ContinueWatchingItem
from query_api.playback.continue_watching_rows import Row, newest_first, progress_of, resumable


def value(title_id: str, updated_ms: int, state: str = "in_progress", **more: object) -> bytes:
    row = {
        "title_id": title_id,
        "kind": "movie",
        "name": title_id.title(),
        "position_ms": 250_000,
        "duration_ms": 1_000_000,
        "updated_at": "2026-01-01T20:15:30Z",
        "state": state,
        "session_id": "s-1",
        "watched": [0, 250_000],
        **more,
    }
    return b"%d:%d:%s" % (4711, updated_ms, msgspec.json.encode(row))


def offered(*values: bytes, withdrawn: frozenset[str] = frozenset()) -> list[Row]:
    return [row for stored in newest_first(list(values)) if (row := resumable(stored, withdrawn)) is not None]


def ids(values: list[bytes], withdrawn: frozenset[str] = frozenset()) -> list[str]:
    return [row.title_id for row in offered(*values, withdrawn=withdrawn)]


def test_the_newest_come_first() -> None:
    assert ids([value("old", 9), value("new", 1000), value("middle", 99)]) == ["new", "middle", "old"]


def test_what_is_completed_is_not_offered() -> None:
    values = [value("done", 3, "completed"), value("half", 2), value("next", 1, "next_episode")]
    assert ids(values) == ["half", "next"]


def test_what_was_withdrawn_is_not_offered_and_what_follows_a_finished_title_is_told_elsewhere() -> None:
    values = [
        value("gone", 9),
        value("episode", 8, series_id="gone-series"),
        value("finished", 7, "next_episode", next_title_id="gone-next"),
        value("gone-finished", 6, "next_episode", next_title_id="there"),
        value("there", 5, next_title_id="gone-next"),
    ]
    withdrawn = frozenset({"gone", "gone-series", "gone-next", "gone-finished"})
    assert ids(values, withdrawn) == [
        "finished",
        "gone-finished",
        "there",
    ]


def test_r7_what_its_viewer_hid_is_not_offered() -> None:
    assert ids([value("hidden", 2, hidden=True), value("shown", 1)]) == ["shown"]


def test_a_profile_without_rows_is_offered_nothing() -> None:
    assert offered() == []


def test_progress_is_a_part_of_the_whole() -> None:
    [row] = offered(value("half", 1))
    assert row.progress == 0.25
    assert [progress_of(position_ms, 3) for position_ms in (0, 1, 3, 4)] == [0.0, 0.3333, 1.0, 1.0]
    assert progress_of(5, 0) == 0.0


def test_names_may_hold_colons_and_braces() -> None:
    [row] = offered(value("t", 1, name="Alien: {Covenant} 1:2"))
    assert row.name == "Alien: {Covenant} 1:2"


def test_the_reply_is_what_the_documentation_says() -> None:
    [row] = offered(value("t", 1))
    assert Row.__struct_fields__ == (*ContinueWatchingItem.model_fields, "hidden")
    ContinueWatchingItem.model_validate_json(msgspec.json.encode(row), strict=True)
