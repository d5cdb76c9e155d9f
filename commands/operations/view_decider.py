"""What operators ask of a view and what it came to, each view a stream of its own: pure.

What the registry of versions says at the moment refuses a request at once. It may say otherwise when the request is
carried out: then that fails, and why is recorded.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from commands.decider import Decider
from commands.operations.refusals import (
    ViewBusy,
    ViewRequestBegun,
    ViewVersionUnfit,
    ViewVersionUnknown,
    ViewVersionUnverified,
)
from events.envelope import Event
from events.operations import (
    ViewAction,
    ViewChangeCanceled,
    ViewChangeCompleted,
    ViewChangeFailed,
    ViewChangeRequested,
)

BUILT: Final = ("building", "catching_up")
INSPECTED: Final = ("inspecting", "inspection")
"""As of a cut: never what a rebuild comes to."""


@dataclass(frozen=True, kw_only=True)
class KnownVersion:
    """A version of a view as the registry has it. `is_accepted`: as the live one, or somebody said it may differ."""

    version: int
    state: str
    paused: bool = False
    is_accepted: bool = False
    swapped_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RequestViewChange:
    """Have something done with a view. `asked`: its number, and the version where it names none, are decided here.
    `versions`: all of the view, in order. `open_max`: how many requests of a view may wait.
    """

    asked: ViewChangeRequested
    versions: tuple[KnownVersion, ...]
    open_max: int


@dataclass(frozen=True, kw_only=True)
class ConcludeViewChange:
    """Say what a request came to: it is done, or it failed."""

    request: int
    detail: str
    version: int | None = None
    has_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class CancelViewChange:
    """Have what was asked not done, as long as nobody has begun it. `status`: of the request, as it is shown."""

    request: int
    status: str
    reason: str | None = None


ViewCommand: TypeAlias = RequestViewChange | ConcludeViewChange | CancelViewChange


class ViewState(Struct, frozen=True, kw_only=True):
    """How many events the stream has, and the requests that are not done yet."""

    events: int = 0
    open: tuple[ViewChangeRequested, ...] = ()


def evolve(state: ViewState, event: Event) -> ViewState:
    """The state after an event."""
    if isinstance(event, ViewChangeRequested):
        return ViewState(events=state.events + 1, open=(*state.open, event))
    assert isinstance(event, ViewChangeCompleted | ViewChangeFailed | ViewChangeCanceled)
    return ViewState(events=state.events + 1, open=tuple(each for each in state.open if each.number != event.request))


def decide(command: ViewCommand, state: ViewState, now: datetime) -> list[Event]:
    """What waits already is not asked twice, nor what is so already; a request ends once. Raises ViewVersionUnknown,
    ViewVersionUnfit, ViewVersionUnverified, ViewRequestBegun, ViewBusy.
    """
    match command:
        case RequestViewChange(asked=asked, versions=versions, open_max=open_max):
            found, is_so = _found(asked, versions)
            if _waits(found, state) or (is_so and not state.open):
                return []
            if len(state.open) >= open_max:
                raise ViewBusy(f"{len(state.open)} requests for {asked.view} wait: see what they wait for")
            return [replace(found, number=state.events + 1)]
        case ConcludeViewChange(request=number):
            return [_end(command, each) for each in state.open if each.number == number]
        case CancelViewChange(request=number, status=status, reason=reason):
            if status not in ("waiting", "canceled"):
                raise ViewRequestBegun(
                    f"request {number} is {status.replace('_', ' ')}: what is being built is paused, or its version "
                    "retired; what is done is undone by another request"
                )
            return [
                ViewChangeCanceled(view=each.view, request=number, action=each.action, reason=reason)
                for each in state.open
                if each.number == number
            ]


def _end(command: ConcludeViewChange, asked: ViewChangeRequested) -> Event:
    view, action, request = asked.view, asked.action, asked.number
    if command.has_failed:
        return ViewChangeFailed(view=view, request=request, action=action, detail=command.detail)
    return ViewChangeCompleted(
        view=view, request=request, action=action, version=command.version, detail=command.detail
    )


def _waits(asked: ViewChangeRequested, state: ViewState) -> bool:
    def core(one: ViewChangeRequested) -> ViewChangeRequested:
        return replace(one, number=0, after_version=0, reason=None)

    return any(core(each) == core(asked) for each in state.open)


def _found(asked: ViewChangeRequested, versions: tuple[KnownVersion, ...]) -> tuple[ViewChangeRequested, bool]:
    """The request with the version that it is about, and whether that is so already."""
    match asked.action:
        case ViewAction.REBUILD:
            finished = [each.version for each in versions if each.state not in (*BUILT, *INSPECTED)]
            return replace(asked, after_version=max(finished, default=0)), False
        case ViewAction.PAUSE | ViewAction.RESUME:
            version = _built(asked.view, versions)
            is_so = version.paused == (asked.action is ViewAction.PAUSE)
        case ViewAction.ROLLBACK:
            version, is_so = _before(asked.view, versions), False
        case ViewAction.VERIFY:
            version, is_so = _ready(asked, _named(asked, versions)), False
        case ViewAction.SWAP:
            version = _named(asked, versions)
            is_so = version.state == "live"
            if not is_so and not _ready(asked, version).is_accepted and not asked.force:
                raise ViewVersionUnverified(
                    f"version {version.version} of {asked.view} was not compared with the live one, or differs: "
                    "verify it first (accept, if its differences are what it is for), or force it"
                )
        case ViewAction.RETIRE:
            version = _named(asked, versions)
            is_so = version.state == "retired"
            if version.state == "live":
                raise ViewVersionUnfit(f"version {version.version} of {asked.view} is live: swap in another one first")
    return replace(asked, version=version.version), is_so


def _named(asked: ViewChangeRequested, versions: tuple[KnownVersion, ...]) -> KnownVersion:
    for each in versions:
        if each.version == asked.version:
            return each
    raise ViewVersionUnknown(f"{asked.view} has no version {asked.version}: see GET /v1/views")


def _ready(asked: ViewChangeRequested, version: KnownVersion) -> KnownVersion:
    if version.state != "ready":
        raise ViewVersionUnfit(f"version {version.version} of {asked.view} is {version.state}, not ready")
    return version


def _built(view: str, versions: tuple[KnownVersion, ...]) -> KnownVersion:
    for each in versions:
        if each.state in BUILT:
            return each
    raise ViewVersionUnfit(f"no version of {view} is being built")


def _before(view: str, versions: tuple[KnownVersion, ...]) -> KnownVersion:
    """The version that was live before the one that is."""
    kept = [(each.swapped_at, each) for each in versions if each.state == "ready" and each.swapped_at]
    if not kept:
        raise ViewVersionUnfit(f"{view} has no version that was live before and is kept")
    return max(kept, key=lambda one: one[0])[1]


VIEW_CHANGES: Final = Decider[ViewCommand, ViewState](ViewState(), decide, evolve, snapshots=True)
"""Commands about views."""
