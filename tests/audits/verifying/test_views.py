"""What a view holds that a replay of its events does not say is named row by row."""

from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.of_views import findings_of
from projections.versions.verify import Compared, Difference


def test_rows_that_a_replay_does_not_make_so_are_named() -> None:
    samples = [
        Difference("profile p1", None, {"position_ms": (7, 8)}),
        Difference("profile p2", "live", {}),
        Difference("profile p3", "version", {}),
    ]
    found = findings_of([Compared("continue_watching", 5, 5, "ab", "cd", samples)])
    assert [(each.kind, each.what) for each in found] == [
        (Kind.FLIPPED, "rows of continue_watching"),
        (Kind.FLIPPED, "row profile p1 of continue_watching, column position_ms"),
        (Kind.INSERTED, "row profile p2 of continue_watching"),
        (Kind.REMOVED, "row profile p3 of continue_watching"),
    ]
    assert (found[1].expected, found[1].found) == ("{'position_ms': 8}", "{'position_ms': 7}")
    assert {each.store for each in found} == {Store.VIEWS}


def test_a_view_that_is_as_a_replay_makes_it_is_whole() -> None:
    assert findings_of([Compared("continue_watching", 5, 5, "ab", "ab", [])]) == []


def test_a_finding_is_told_in_a_line() -> None:
    finding = Finding(
        kind=Kind.FLIPPED,
        store=Store.KAFKA,
        what="value",
        topic="catalog.events",
        partition=3,
        offset=118,
        expected="a",
        found="b",
    )
    assert finding.told() == "flipped value in catalog.events (kafka), partition 3, offset 118: b instead of a"
