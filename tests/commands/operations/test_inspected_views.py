"""What is decided about versions as of a cut: they are looked at, retired, and nothing else."""

import pytest

from commands.operations.refusals import ViewVersionUnfit
from commands.operations.view_decider import VIEW_CHANGES, KnownVersion, RequestViewChange
from events.operations import ViewAction, ViewChangeRequested
from tests.spec import NOON, Spec

SPEC = Spec(VIEW_CHANGES)
LIVE = KnownVersion(version=1, state="live", swapped_at=NOON)
READY = KnownVersion(version=2, state="ready")
INSPECTING = KnownVersion(version=3, state="inspecting")
INSPECTION = KnownVersion(version=3, state="inspection")


def asking(action: ViewAction, *versions: KnownVersion, version: int | None = None) -> RequestViewChange:
    asked = ViewChangeRequested(view="playback_sessions", number=0, action=action, version=version)
    return RequestViewChange(asked=asked, versions=versions, open_max=20)


@pytest.mark.parametrize("action", [ViewAction.SWAP, ViewAction.VERIFY])
@pytest.mark.parametrize("version", [INSPECTING, INSPECTION])
def test_an_inspection_is_neither_compared_nor_swapped_in(action: ViewAction, version: KnownVersion) -> None:
    SPEC.given().when(asking(action, LIVE, version, version=3)).refused(ViewVersionUnfit)


@pytest.mark.parametrize("action", [ViewAction.PAUSE, ViewAction.ROLLBACK])
def test_an_inspection_is_not_what_is_being_built_or_was_live(action: ViewAction) -> None:
    SPEC.given().when(asking(action, LIVE, INSPECTING)).refused(ViewVersionUnfit)


@pytest.mark.parametrize("version", [INSPECTING, INSPECTION])
def test_a_rebuild_counts_on_from_what_may_be_live(version: KnownVersion) -> None:
    asked = ViewChangeRequested(view="playback_sessions", number=1, action=ViewAction.REBUILD, after_version=2)
    SPEC.given().when(asking(ViewAction.REBUILD, LIVE, READY, version)).then(asked)


def test_an_inspection_is_retired() -> None:
    asked = ViewChangeRequested(view="playback_sessions", number=1, action=ViewAction.RETIRE, version=3)
    SPEC.given().when(asking(ViewAction.RETIRE, LIVE, INSPECTION, version=3)).then(asked)
