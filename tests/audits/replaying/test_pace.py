"""When events of a replay are due."""

import pytest

from audits.replaying.pace import BadPace, pace_of

SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("speed", "rate", "due"),
    [
        (None, None, [0, 1, 1, 10]),
        ("1x", None, [0, 1, 1, 10]),
        ("10x", None, [0, 0.1, 0.1, 1]),
        ("0.5x", None, [0, 2, 2, 20]),
        ("max", None, [0, 0, 0, 0]),
        (None, "2/s", [0, 0.5, 1, 1.5]),
        ("max", "2/s", [0, 0.5, 1, 1.5]),
        ("10x", "2/s", [0, 0.5, 1, 1.5]),
        ("1x", "0.5/s", [0, 2, 4, 10]),
    ],
)
def test_events_are_due_as_they_happened_and_no_faster_than_the_rate(
    speed: str | None, rate: str | None, due: list[float]
) -> None:
    pace = pace_of(speed, rate)
    recorded = [100 * SECOND_US + after * SECOND_US for after in (0, 1, 1, 10)]
    assert [pace.due_s(at) for at in recorded] == pytest.approx(due)


@pytest.mark.parametrize(("speed", "rate"), [("fast", None), ("0x", None), ("-1x", None), (None, "500"), (None, "0/s")])
def test_a_pace_that_cannot_be_read_is_refused_with_how_it_is_written(speed: str | None, rate: str | None) -> None:
    with pytest.raises(BadPace, match="is written"):
        pace_of(speed, rate)
