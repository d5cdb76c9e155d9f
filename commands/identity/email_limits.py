"""How much mail anybody can have sent to an address, by asking: silently, since a refusal would tell who was written to
before.
"""

from typing import Final

from commands.identity.addresses import index_of
from commands.identity.refusals import TooManyAttempts
from commands.identity.requests import Desk
from commands.identity.throttling import Limit

WINDOW_S: Final = 3600


async def may_be_written_to(at: Desk, email: str) -> bool:
    """Whether one more letter may go to an address in this hour, which then counts."""
    limit = Limit("mail", index_of(email), at.opened.settings.mails_per_address_max, WINDOW_S)
    try:
        await at.throttle.take(limit)
    except TooManyAttempts:
        return False
    return True
