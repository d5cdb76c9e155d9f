"""What `playhead views cancel` does: takes back what was asked of a view over HTTP, as POST /v1/views/... does."""

from typing import Final

from commands.handling import Handling, Terms
from commands.operations.view_changes import ViewChanges
from events.envelope import UNKNOWN_ADDRESS, Context
from events.refusals import Refusal
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Role, connect_pool
from infra.settings import Settings
from playhead.console import say
from projections.versions.registry import VersionRefused

PRINCIPAL: Final = "command-line"


async def cancel(settings: Settings, view: str, number: int, reason: str | None) -> None:
    """Take it back. Raises VersionRefused where it is unknown, under way or done."""
    pool = await connect_pool(settings, role=Role.COMMANDS, size=1)
    try:
        changes = ViewChanges(pool, Handling(EventLog(pool, settings), utc_now), settings.view_requests_open_max)
        context = Context(correlation_id=new_id(), principal=PRINCIPAL, client_address=UNKNOWN_ADDRESS)
        await changes.cancel(view, number, reason, Terms(context))
    except Refusal as refusal:
        raise VersionRefused(refusal.detail) from refusal
    finally:
        await pool.close()
    say(f"{view}: request {number} is canceled")
