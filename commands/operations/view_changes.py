"""What operators ask of views: recorded as events, and beside them, in the same transaction, in a table from which
`playhead rebuilds` takes its work and the query API shows what became of it.

The table does not come from a projection: the one that would fill it may be the one that waits for a view's change.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from msgspec.structs import replace

from commands.handling import Handling, Outcome, Target, Terms
from commands.operations.refusals import ViewRequestBegun, ViewRequestUnknown, ViewUnknown
from commands.operations.view_decider import (
    VIEW_CHANGES,
    CancelViewChange,
    ConcludeViewChange,
    KnownVersion,
    RequestViewChange,
)
from events.envelope import Event
from events.operations import ViewChangeCompleted, ViewChangeFailed, ViewChangeRequested
from events.refusals import Refusal
from infra.postgres import Connection, Pool

VIEWS: Final = "select distinct view from view_versions order by view"
VERSIONS: Final = """
    select version, state, paused, swapped_at, coalesce((verified ->> 'accepted')::boolean, false) as is_accepted
    from view_versions where view = $1 order by version
"""
REBUILT_WITH: Final = "select view from view_versions where folds ? $1 and state = 'live' limit 1"
ASKED: Final = """
    insert into view_requests (view, number, action, version, after_version, max_events_per_s, accept, force, reason,
                               asked_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
ENDED: Final = """
    update view_requests set ended_at = now(), outcome = $3, detail = $4, version = coalesce($5, version)
    where view = $1 and number = $2
"""

STATUS: Final = """
    select coalesce(outcome, case when begun_at is null then 'waiting' else 'under_way' end)
    from view_requests where view = $1 and number = $2
"""
CANCELED: Final = """
    update view_requests set ended_at = now(), outcome = 'canceled', detail = $3
    where view = $1 and number = $2 and outcome is null and begun_at is null returning 1
"""


class Asked(NamedTuple):
    """How the request for one of many views ended."""

    view: str
    outcome: Outcome | None
    refusal: Refusal | None


@dataclass(frozen=True)
class ViewChanges:
    """What is asked of the views of an installation. `open_max`: how many requests of a view may wait."""

    pool: Pool
    handling: Handling
    open_max: int

    async def views(self) -> Sequence[str]:
        """The names of the views that have versions."""
        return [row["view"] for row in await self.pool.fetch(VIEWS)]

    async def request(self, asked: ViewChangeRequested, terms: Terms) -> Outcome:
        """Ask. Raises ViewUnknown, and what is decided."""
        versions = tuple(KnownVersion(**row) for row in await self.pool.fetch(VERSIONS, asked.view))
        if not versions:
            raise ViewUnknown(await self._unknown(asked.view))
        command = RequestViewChange(asked=asked, versions=versions, open_max=self.open_max)

        async def keep(connection: Connection, events: list[Event]) -> None:
            for event in events:
                assert isinstance(event, ViewChangeRequested)
                await connection.execute(ASKED, *_row(event), terms.context.principal or "")

        return await self.handling.handle(
            command, decider=VIEW_CHANGES, target=_target(asked.view), terms=terms, alongside=keep
        )

    async def request_for_all(self, asked: ViewChangeRequested, terms: Terms) -> AsyncIterator[Asked]:
        """Ask the same of every view, one after the other; one that is refused does not stop the rest."""
        for view in await self.views():
            try:
                yield Asked(view, await self.request(replace(asked, view=view), terms), None)
            except Refusal as refusal:
                yield Asked(view, None, refusal)

    async def conclude(self, view: str, ended: ConcludeViewChange, terms: Terms) -> bool:
        """Say what a request came to, once; whether it was this time."""

        async def keep(connection: Connection, events: list[Event]) -> None:
            for event in events:
                assert isinstance(event, ViewChangeCompleted | ViewChangeFailed)
                outcome = "failed" if isinstance(event, ViewChangeFailed) else "completed"
                await connection.execute(ENDED, view, event.request, outcome, event.detail, ended.version)

        outcome = await self.handling.handle(
            ended, decider=VIEW_CHANGES, target=_target(view), terms=terms, alongside=keep
        )
        return bool(outcome.recorded)

    async def cancel(self, view: str, number: int, reason: str | None, terms: Terms) -> Outcome:
        """Have a request not carried out that waits. Raises ViewRequestUnknown, ViewRequestBegun."""
        status = await self.pool.fetchval(STATUS, view, number)
        if status is None:
            raise ViewRequestUnknown(f"nothing was asked of {view!r} under {number}")

        async def keep(connection: Connection, events: list[Event]) -> None:
            for _ in events:
                if not await connection.fetchval(CANCELED, view, number, reason):
                    raise ViewRequestBegun(f"request {number} has just been begun")

        command = CancelViewChange(request=number, status=status, reason=reason)
        return await self.handling.handle(
            command, decider=VIEW_CHANGES, target=_target(view), terms=terms, alongside=keep
        )

    async def _unknown(self, view: str) -> str:
        source = await self.pool.fetchval(REBUILT_WITH, view)
        if source is not None:
            return f"{view} is added up of {source}, and rebuilt with it: name that one"
        return f"no view {view!r} has versions: GET /v1/views names those that have, once their projection ran"


def _row(event: ViewChangeRequested) -> tuple[object, ...]:
    return (
        event.view,
        event.number,
        event.action.value,
        event.version,
        event.after_version,
        event.max_events_per_s,
        event.accept,
        event.force,
        event.reason,
    )


def _target(view: str) -> Target:
    return Target(view, f"operations.view-{view}")
