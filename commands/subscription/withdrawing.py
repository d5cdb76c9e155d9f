"""Ends the subscription of an account that is withdrawn: identity tells, and knows no more of it."""

from commands.handling import Handling, Terms
from commands.subscription.commands import Cancel
from commands.subscription.installation import Deciders, of_account
from commands.subscription.refusals import SubscriptionUnknown
from events.envelope import Context
from events.types import AccountId

REASON = "account withdrawn"


class Withdrawals:
    """Cancels at once, as often as it is told."""

    def __init__(self, handling: Handling, deciders: Deciders) -> None:
        self._handling = handling
        self._deciders = deciders

    async def on_withdrawal(self, account_id: AccountId, context: Context) -> None:
        """End the account's subscription, if it has one that lasts. `context`: whose request it is."""
        command = Cancel(immediately=True, reason=REASON)
        try:
            await self._handling.handle(
                command, decider=self._deciders.subscription, target=of_account(account_id), terms=Terms(context)
            )
        except SubscriptionUnknown:
            return
