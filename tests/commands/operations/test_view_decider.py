"""What is decided about requests to change a view's versions: each once, and only what its versions allow."""

from datetime import timedelta
from typing import Any

import pytest

from commands.operations.refusals import (
    ViewBusy,
    ViewRequestBegun,
    ViewVersionUnfit,
    ViewVersionUnknown,
    ViewVersionUnverified,
)
from commands.operations.view_decider import (
    VIEW_CHANGES,
    CancelViewChange,
    ConcludeViewChange,
    KnownVersion,
    RequestViewChange,
)
from events.operations import ViewAction, ViewChangeCanceled, ViewChangeCompleted, ViewChangeFailed, ViewChangeRequested
from tests.spec import NOON, Spec

SPEC = Spec(VIEW_CHANGES)
VIEW = "playback_sessions"

LIVE = KnownVersion(version=1, state="live", swapped_at=NOON)
BUILDING = KnownVersion(version=2, state="building")
PAUSED = KnownVersion(version=2, state="catching_up", paused=True)
READY = KnownVersion(version=2, state="ready")
ACCEPTED = KnownVersion(version=2, state="ready", is_accepted=True)
RETIRED = KnownVersion(version=2, state="retired")


def requested(action: ViewAction, number: int = 0, **given: Any) -> ViewChangeRequested:
    return ViewChangeRequested(view=VIEW, number=number, action=action, **given)


def asking(action: ViewAction, *versions: KnownVersion, open_max: int = 20, **given: Any) -> RequestViewChange:
    return RequestViewChange(asked=requested(action, **given), versions=versions, open_max=open_max)


def completed(request: int, action: ViewAction, version: int | None = 2) -> ViewChangeCompleted:
    return ViewChangeCompleted(view=VIEW, request=request, action=action, version=version, detail="done")


def test_a_rebuild_is_to_make_a_version_after_those_that_are_built() -> None:
    SPEC.given().when(asking(ViewAction.REBUILD, LIVE, READY)).then(requested(ViewAction.REBUILD, 1, after_version=2))


def test_a_rebuild_of_what_is_being_built_goes_on_with_that() -> None:
    SPEC.given().when(asking(ViewAction.REBUILD, LIVE, BUILDING)).then(
        requested(ViewAction.REBUILD, 1, after_version=1)
    )


def test_what_waits_already_is_not_asked_twice() -> None:
    SPEC.given(requested(ViewAction.REBUILD, 1)).when(
        asking(ViewAction.REBUILD, LIVE, BUILDING, reason="again")
    ).ignored()


def test_another_pace_is_another_request() -> None:
    SPEC.given(requested(ViewAction.REBUILD, 1)).when(
        asking(ViewAction.REBUILD, LIVE, BUILDING, max_events_per_s=5)
    ).then(requested(ViewAction.REBUILD, 2, after_version=1, max_events_per_s=5))


def test_the_number_of_a_request_is_its_place_in_the_stream() -> None:
    before = (requested(ViewAction.REBUILD, 1), completed(1, ViewAction.REBUILD))
    SPEC.given(*before).when(asking(ViewAction.VERIFY, LIVE, READY, version=2)).then(
        requested(ViewAction.VERIFY, 3, version=2)
    )


@pytest.mark.parametrize("action", [ViewAction.PAUSE, ViewAction.RESUME])
def test_only_what_is_being_built_is_paused_and_resumed(action: ViewAction) -> None:
    SPEC.given().when(asking(action, LIVE, READY)).refused(ViewVersionUnfit)


def test_what_is_paused_is_not_paused_again_but_resumed() -> None:
    SPEC.given().when(asking(ViewAction.PAUSE, LIVE, PAUSED)).ignored()
    SPEC.given().when(asking(ViewAction.RESUME, LIVE, PAUSED)).then(requested(ViewAction.RESUME, 1, version=2))


def test_a_resume_counts_while_the_pause_before_it_still_waits() -> None:
    waiting = requested(ViewAction.PAUSE, 1, version=2)
    SPEC.given(waiting).when(asking(ViewAction.RESUME, LIVE, BUILDING)).then(requested(ViewAction.RESUME, 2, version=2))


def test_only_a_version_that_is_ready_is_verified() -> None:
    SPEC.given().when(asking(ViewAction.VERIFY, LIVE, BUILDING, version=2)).refused(ViewVersionUnfit)
    SPEC.given().when(asking(ViewAction.VERIFY, LIVE, version=2)).refused(ViewVersionUnknown)


def test_what_was_not_verified_is_swapped_in_only_by_force() -> None:
    SPEC.given().when(asking(ViewAction.SWAP, LIVE, READY, version=2)).refused(ViewVersionUnverified)
    SPEC.given().when(asking(ViewAction.SWAP, LIVE, READY, version=2, force=True)).then(
        requested(ViewAction.SWAP, 1, version=2, force=True)
    )


def test_what_was_accepted_is_swapped_in() -> None:
    SPEC.given().when(asking(ViewAction.SWAP, LIVE, ACCEPTED, version=2)).then(requested(ViewAction.SWAP, 1, version=2))


def test_what_is_live_is_not_swapped_in_again() -> None:
    SPEC.given().when(asking(ViewAction.SWAP, LIVE, version=1)).ignored()


@pytest.mark.parametrize("version", [BUILDING, RETIRED])
def test_only_a_version_that_is_ready_is_swapped_in(version: KnownVersion) -> None:
    SPEC.given().when(asking(ViewAction.SWAP, LIVE, version, version=2, force=True)).refused(ViewVersionUnfit)


def test_a_rollback_is_to_the_version_that_was_live_last() -> None:
    long_ago = KnownVersion(version=1, state="ready", swapped_at=NOON - timedelta(days=2))
    before = KnownVersion(version=2, state="ready", swapped_at=NOON - timedelta(days=1))
    now = KnownVersion(version=3, state="live", swapped_at=NOON)
    SPEC.given().when(asking(ViewAction.ROLLBACK, long_ago, before, now)).then(
        requested(ViewAction.ROLLBACK, 1, version=2)
    )


def test_there_is_no_rollback_to_what_was_never_live() -> None:
    SPEC.given().when(asking(ViewAction.ROLLBACK, LIVE, READY)).refused(ViewVersionUnfit)


def test_what_is_live_is_not_retired() -> None:
    SPEC.given().when(asking(ViewAction.RETIRE, LIVE, version=1)).refused(ViewVersionUnfit)


def test_retiring_twice_is_ignored() -> None:
    SPEC.given().when(asking(ViewAction.RETIRE, LIVE, RETIRED, version=2)).ignored()


def test_no_more_waits_than_may() -> None:
    waiting = requested(ViewAction.VERIFY, 1, version=2)
    SPEC.given(waiting).when(asking(ViewAction.RETIRE, LIVE, READY, version=2, open_max=1)).refused(ViewBusy)


def test_a_request_ends_once() -> None:
    asked, end = requested(ViewAction.SWAP, 1, version=2), completed(1, ViewAction.SWAP)
    command = ConcludeViewChange(request=1, version=2, detail="done")
    SPEC.given(asked).when(command).then(end)
    SPEC.given(asked, end).when(command).ignored()


def test_a_request_that_failed_says_why() -> None:
    command = ConcludeViewChange(request=1, detail="its release is another", has_failed=True)
    failed = ViewChangeFailed(view=VIEW, request=1, action=ViewAction.RESUME, detail="its release is another")
    SPEC.given(requested(ViewAction.RESUME, 1, version=2)).when(command).then(failed)


def test_what_failed_may_be_asked_again() -> None:
    failed = ViewChangeFailed(view=VIEW, request=1, action=ViewAction.REBUILD, detail="Kafka has no beginning")
    SPEC.given(requested(ViewAction.REBUILD, 1), failed).when(asking(ViewAction.REBUILD, LIVE)).then(
        requested(ViewAction.REBUILD, 3, after_version=1)
    )


def test_what_waits_is_canceled_once_and_may_be_asked_again() -> None:
    asked = requested(ViewAction.REBUILD, 1)
    canceled = ViewChangeCanceled(view=VIEW, request=1, action=ViewAction.REBUILD, reason="the wrong view")
    SPEC.given(asked).when(CancelViewChange(request=1, status="waiting", reason="the wrong view")).then(canceled)
    SPEC.given(asked, canceled).when(CancelViewChange(request=1, status="canceled")).ignored()
    SPEC.given(asked, canceled).when(asking(ViewAction.REBUILD, LIVE)).then(
        requested(ViewAction.REBUILD, 3, after_version=1)
    )


def test_canceling_one_request_leaves_those_beside_it() -> None:
    first, second = requested(ViewAction.REBUILD, 1), requested(ViewAction.VERIFY, 2, version=2)
    canceled = ViewChangeCanceled(view=VIEW, request=1, action=ViewAction.REBUILD)
    SPEC.given(first, second).when(CancelViewChange(request=1, status="waiting")).then(canceled)
    SPEC.given(first, second, canceled).when(ConcludeViewChange(request=2, version=2, detail="done")).then(
        completed(2, ViewAction.VERIFY)
    )


@pytest.mark.parametrize("status", ["under_way", "completed", "failed"])
def test_what_is_under_way_or_done_is_not_canceled(status: str) -> None:
    SPEC.given(requested(ViewAction.REBUILD, 1)).when(CancelViewChange(request=1, status=status)).refused(
        ViewRequestBegun
    )
