"""How much mail anybody can have sent to an address, by asking: silently, since a refusal would tell who was written to
before.

Each kind counts by itself, and each client, so that who has useless mail sent to somebody does not keep them from
useful mail; all clients together count too, so that nobody is buried.
"""

from typing import Final

from commands.identity.addresses import index_of
from commands.identity.one_time_tokens import Purpose
from commands.identity.refusals import TooManyAttempts
from commands.identity.requests import Desk
from commands.identity.sign_in_limits import place_of
from commands.identity.throttling import Limit

WINDOW_S: Final = 3600


async def may_be_written_to(at: Desk, email: str, purpose: Purpose, client: str) -> bool:
    """Whether one more letter of a kind may go to an address, asked for by a client; which then counts."""
    settings, whom = at.opened.settings, f"{purpose.value}\n{index_of(email)}"
    by_client = Limit("mail_by", f"{whom}\n{place_of(client)}", settings.mails_per_address_max, WINDOW_S)
    by_all = Limit("mail", whom, settings.mails_per_address_of_all_max, WINDOW_S)
    try:
        await at.throttle.take(by_client, by_all)
    except TooManyAttempts:
        return False
    return True
