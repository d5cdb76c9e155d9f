"""Begins a rental when its title is played for the first time: playback tells, and knows no more of it."""

from commands.handling import Handling, Terms
from commands.subscription.installation import Deciders, of_purchase
from commands.subscription.purchases import StartRental
from commands.subscription.refusals import NotARental, PurchaseNotUsable, PurchaseUnknown
from events.envelope import Context
from events.types import PurchaseId


class FirstPlays:
    """Begins a rental once, as often as it is told."""

    def __init__(self, handling: Handling, deciders: Deciders) -> None:
        self._handling = handling
        self._deciders = deciders

    async def on_first_play(self, purchase_id: PurchaseId, context: Context) -> bool:
        """Whether the rental runs now; False: it was refunded, or was to be started earlier. `context`: whose request
        it is."""
        target = of_purchase(purchase_id)
        try:
            await self._handling.handle(
                StartRental(), decider=self._deciders.purchase, target=target, terms=Terms(context)
            )
        except (NotARental, PurchaseNotUsable, PurchaseUnknown):
            return False
        return True
