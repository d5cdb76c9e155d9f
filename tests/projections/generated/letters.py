"""What may become of records that a projection could not take, and what operators decide about them and about views."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from commands.operations.decider import DEAD_LETTER, DiscardDeadLetter, RetryDeadLetter
from commands.operations.view_decider import VIEW_CHANGES, CancelViewChange, ConcludeViewChange, RequestViewChange
from events.envelope import Envelope, Event
from events.operations import DeadLetterRetried, ViewAction, ViewChangeRequested
from tests.builders import dead_letter_applied, dead_letter_retried, record_dead_lettered
from tests.projections.generated.lives import Stream, always, lives, side_by_side

RETRIES_MOST: Final = 4


@st.composite
def _of_a_record(draw: st.DrawFn, topic: str, offset: int) -> list[Envelope[Event]]:
    """A letter; then retries, each of which fails or is applied, or was said to be and failed when done again."""
    said: list[Envelope[Event]] = [record_dead_lettered(topic=topic, offset=offset)]
    for attempt in range(1, 1 + draw(st.integers(0, RETRIES_MOST))):
        applied = dead_letter_applied(topic=topic, offset=offset, attempt=attempt)
        failed = record_dead_lettered(topic=topic, offset=offset, attempt=attempt, detail=f"retry {attempt}")
        said += draw(st.sampled_from([[applied], [failed], [applied, failed]]))
    return [replace(each, id=f"{each.id}/{number}") for number, each in enumerate(said)]


def letters(topic: str) -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of a topic's dead-letter topic. They come under one key: their order is the projection's."""
    return side_by_side(*(_of_a_record(topic, offset) for offset in (1, 2, 3)))


def _letter(letter_id: str) -> Stream:
    event: Any = dead_letter_retried().data
    retried: DeadLetterRetried = replace(event, letter_id=letter_id)

    def retry(history: Sequence[Event], _: datetime) -> RetryDeadLetter:
        return RetryDeadLetter(retried=retried, failed_attempt=len(history), is_applied=False)

    discard = DiscardDeadLetter(letter_id=letter_id, reason="a test of ours", is_applied=False)
    return Stream(f"operations.dead_letter-{letter_id}", DEAD_LETTER, ((),), (retry, retry, always(discard)))


def _view(view: str) -> Stream:
    def conclude(history: Sequence[Event], _: datetime) -> ConcludeViewChange | None:
        asked = VIEW_CHANGES.state_after(history, VIEW_CHANGES.initial).open
        has_failed = len(history) % 2 == 0
        return ConcludeViewChange(request=asked[0].number, detail="done", has_failed=has_failed) if asked else None

    def cancel(history: Sequence[Event], _: datetime) -> CancelViewChange | None:
        asked = VIEW_CHANGES.state_after(history, VIEW_CHANGES.initial).open
        return CancelViewChange(request=asked[-1].number, status="waiting") if asked else None

    asked = ViewChangeRequested(view=view, number=0, action=ViewAction.REBUILD)
    rebuild = RequestViewChange(asked=asked, versions=(), open_max=3)
    slowly = RequestViewChange(asked=replace(asked, max_events_per_s=100), versions=(), open_max=3)
    return Stream(f"operations.view-{view}", VIEW_CHANGES, ((),), (always(rebuild), always(slowly), conclude, cancel))


def decisions() -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of operations.events."""
    of_letters = (lives(_letter(f"postgres/playback.events/0/{offset}"), 5) for offset in (1, 2))
    return side_by_side(*of_letters, lives(_view("subscriptions"), 8))
