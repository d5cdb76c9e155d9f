"""What staff did: the events that staff recorded, of whatever context, and nobody else's."""

import pytest

from events.envelope import Envelope, Event
from projections.operations.staff_actions import StaffAction, StaffActions
from tests.builders import movie_published, recorded
from tests.projections.folds import project, rows_after
from tests.projections.identity.histories import A_KEY, A_LIFE, HISTORY, at, by_staff
from tests.projections.subscription.histories import of_plan

CHANGE = '{"before":{},"after":{"plan":"basic"}}'


@pytest.mark.parametrize("event", [A_KEY[0], of_plan()[0], movie_published()], ids=lambda event: event.type)
def test_an_event_of_staff_is_an_action(event: Envelope[Event]) -> None:
    made = by_staff(event, CHANGE)
    assert project(StaffActions(), [made]) == StaffAction(
        event_id=event.id,
        at=event.time,
        principal="operator-1",
        client_address="192.0.2.7",
        type=event.type,
        stream_id=event.subject,
        version=event.sequence or 0,
        correlation_id=None,
        change=CHANGE,
        data=bytes(recorded(made).envelope.data).decode(),
    )


@pytest.mark.parametrize("event", [*A_LIFE, *of_plan(), movie_published()], ids=lambda event: event.type)
def test_an_event_of_anybody_else_is_none(event: Envelope[Event]) -> None:
    assert project(StaffActions(), [event]) is None


async def test_of_a_whole_history_only_what_staff_did_is_kept() -> None:
    rows = await rows_after(StaffActions(), HISTORY)
    assert [(row.type.split(".")[1], row.at) for row in rows.values()] == [
        ("RoleGranted", at(10)),
        ("RoleGranted", at(11)),
        ("RoleRevoked", at(14)),
        ("ApiKeyIssued", at(0)),
        ("ApiKeyRevoked", at(1)),
    ]
