"""Titles, subscriptions and purchases in the views, as the projections write them, and starts decided from these at a
time that the test moves.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import httpx
import msgspec
import pytest

from commands.handling import Target, Terms
from commands.playback.admission import Admission, Asked, admit
from commands.subscription import commands as c
from commands.subscription.installation import of_account, of_purchase
from commands.subscription.purchases import PurchaseCommand, StartPurchase, purchase_decider
from events.envelope import Context, Envelope, Event, Recorded
from events.refusals import Refusal
from events.registry import REGISTRY
from events.subscription import AccountEvent, Offer, PurchaseKind
from events.topics import SUBSCRIPTION
from events.types import AccountId, Availability, InvoiceId, Licence, Money, OfferId, PurchaseId, TitleId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.settings import Settings
from tests.builders import envelope, movie_published
from tests.commands.subscription.accounts import DAY, PAY, POLICY, STANDARD, T0, Step, lived, sign_up
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.households import House, running_house
from tests.integration.showing import HOME

ACTIVE: Final[tuple[Step, ...]] = ((sign_up(), T0), (PAY, T0))
"""The plan standard until FEB."""
HOUR: Final = timedelta(hours=1)
PRICE: Final = Money(399, "EUR")
MICROSECOND: Final = timedelta(microseconds=1)
PURCHASES: Final = purchase_decider(POLICY)

R = TypeVar("R", bound=Refusal)
C = TypeVar("C")
S = TypeVar("S")


def window(
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    *,
    licence: Licence = Licence.SVOD,
    territory: str = HOME,
) -> Availability:
    return Availability(territories=(territory,), starts_at=starts_at, ends_at=ends_at, licence=licence)


ANYTIME: Final = window()
FREE: Final = window(licence=Licence.AVOD)
RENTABLE: Final = window(licence=Licence.TVOD)
SOLD: Final = window(licence=Licence.EST)


def account(of: Principal) -> str:
    """Whose profile it is."""
    assert of.account_id is not None
    return of.account_id


def viewer(account_id: str | None = None, maturity_limit: int | None = None) -> Principal:
    """A profile of an account of its own, unless told."""
    account_id = account_id or new_id()
    profile_id = f"profile-of-{account_id}"
    return Principal(subject="viewer", account_id=account_id, profile_id=profile_id, maturity_limit=maturity_limit)


@dataclass
class BoxOffice:
    """What is there, and who asks for it."""

    house: House
    views: CatalogViews
    now: datetime = T0
    changes: dict[str, Any] = field(default_factory=dict)

    def at_first(self) -> "BoxOffice":
        """As every test finds it: a day after T0."""
        self.now, self.changes = T0 + DAY, {}
        return self

    def clock(self) -> datetime:
        return self.now

    async def publishes(self, *windows: Availability, **details: Any) -> str:
        """A film with these windows; its id."""
        title_id = f"film-{new_id()}"
        await self.views.apply([movie_published(title_id, **{"availability": windows, "maturity": (), **details})])
        return title_id

    async def lives(self, account_id: str, *steps: Step) -> None:
        """A subscription of the account, by commands at their times; the log knows nothing of it."""
        events = [event for event in lived(*steps) if isinstance(event, AccountEvent)]
        mine = [msgspec.structs.replace(event, account_id=AccountId(account_id)) for event in events]
        stream_id = of_account(AccountId(account_id)).stream_id
        await self._apply([_envelope(event, T0, stream_id) for event in mine], stream_id)

    async def buys(
        self,
        account_id: str,
        title_id: str,
        kind: PurchaseKind = "purchase",
        *then: tuple[PurchaseCommand, datetime],
        paid: bool = True,
        **offer: Any,
    ) -> str:
        """A purchase of the account at T0, and what followed; the log knows nothing of it. Its id."""
        purchase_id = new_id()
        stream_id = of_purchase(PurchaseId(purchase_id)).stream_id
        steps: list[tuple[PurchaseCommand, datetime]] = [
            (starting(account_id, title_id, purchase_id, kind, **offer), T0)
        ]
        steps += [(paying(purchase_id), T0)] if paid else []
        history: list[Event] = []
        envelopes: list[Envelope[Event]] = []
        for command, at in [*steps, *then]:
            decided = PURCHASES.decide(command, PURCHASES.state_after(history, PURCHASES.initial), at)
            history += decided
            envelopes += [_envelope(event, at, stream_id) for event in decided]
        await self._apply(envelopes, stream_id)
        return purchase_id

    async def does(self, target: Target, *commands: Any) -> None:
        """Commands to a subscription or a purchase, now, in the log alone."""
        resources, deciders = self.house.app.state.resources, self.house.app.state.subscription_deciders
        decider = deciders.purchase if ".purchase-" in target.stream_id else deciders.subscription
        for command in commands:
            terms = Terms(Context(correlation_id=new_id(), principal="test"))
            await resources.handling.handle(command, decider=decider, target=target, terms=terms)

    async def subscribes(self, someone: Principal) -> None:
        """To the plan standard, now, in the log alone."""
        started = replace(sign_up(), account_id=AccountId(account(someone)))
        invoice_id = InvoiceId(f"account-{account(someone)}.1")
        paid = c.RecordPaymentSucceeded(invoice_id=invoice_id, charge_id=new_id(), amount=STANDARD.prices[0].price)
        await self.does(of_account(AccountId(account(someone))), started, paid)

    async def purchases(self, someone: Principal, title_id: str, kind: PurchaseKind) -> str:
        """A title, now, in the log alone; the purchase's id."""
        purchase_id = new_id()
        taken = starting(account(someone), title_id, purchase_id, kind)
        await self.does(of_purchase(PurchaseId(purchase_id)), taken, paying(purchase_id))
        return purchase_id

    async def projects(self, stream_id: str) -> None:
        """Apply a stream's events to the views."""
        rows = await self.views.pool.fetch(
            "select body from event_log where stream_id = $1 order by version", stream_id
        )
        told = [REGISTRY.decode(row["body"]) for row in rows]
        await self._apply([as_sent(each) for each in told], stream_id)

    async def _apply(self, events: Sequence[Envelope[Event]], stream_id: str) -> None:
        """To the views, but for what would have others bill it."""
        await self.views.apply(events, SUBSCRIPTION.name)
        await self.views.pool.execute("delete from subscription_due where stream_id = $1", stream_id)

    async def admits(self, title_id: str, by: Principal, **asked: Any) -> Admission:
        """The decision. Raises what admit() does."""
        settings = self.house.app.state.resources.settings.model_copy(update=self.changes)
        opened = replace(self.house.app.state.resources, clock=self.clock, settings=settings)
        wanted = {"device_id": "tv-1", "territory": HOME, **asked}
        return await admit(opened, Asked(title_id=TitleId(title_id), caller=by, **wanted))

    async def refuses(self, refusal: type[R], title_id: str, by: Principal, **asked: Any) -> R:
        """The refusal."""
        with pytest.raises(refusal) as caught:
            await self.admits(title_id, by, **asked)
        return caught.value

    async def plays_at(self, at: datetime, title_id: str, by: Principal) -> bool:
        """Whether it would be granted then."""
        self.now = at
        try:
            await self.admits(title_id, by)
        except Refusal:
            return False
        return True

    async def starts(self, title_id: str, by: Principal, *, at: str = "", **body: Any) -> httpx.Response:
        """The reply to it over HTTP, now; `at`: of another process, by its URL."""
        device = {"device_id": "tv-1", "type": "tv"}
        async with httpx.AsyncClient(base_url=at) if at else nullcontext(self.house.client) as client:
            return await client.post(
                "/v1/playback/sessions",
                json={"title_id": title_id, "device": device, **body},
                headers={"Authorization": f"Bearer {self.house.app.state.tokens.mint_access(by)}"},
            )


def starting(account_id: str, title_id: str, purchase_id: str, kind: PurchaseKind, **offer: Any) -> StartPurchase:
    """Take an offer of a title."""
    offered = Offer(
        offer_id=OfferId("offer"), kind=kind, title_id=TitleId(title_id), title_name="Sintel", prices=(PRICE,), **offer
    )
    return StartPurchase(
        account_id=AccountId(account_id), purchase_id=PurchaseId(purchase_id), offer=offered, currency=PRICE.currency
    )


def paying(purchase_id: str) -> c.RecordPaymentSucceeded:
    """The provider took the money of a purchase."""
    invoice_id = InvoiceId(f"purchase-{purchase_id}.1")
    return c.RecordPaymentSucceeded(invoice_id=invoice_id, charge_id=f"ch-{purchase_id}", amount=PRICE)


def _envelope(event: Event, at: datetime, stream_id: str) -> Envelope[Event]:
    return envelope(event, id=new_id(), subject=stream_id, time=at, recordedtime=at, sequence=1)


def as_sent(recorded: Recorded[Event]) -> Envelope[Event]:
    """An event that was read, as it was before it was written."""
    around = {name: getattr(recorded.envelope, name) for name in recorded.envelope.__struct_fields__}
    return Envelope[Event](**{**around, "data": recorded.data})


@asynccontextmanager
async def opened_box_office(live: Settings) -> AsyncIterator[BoxOffice]:
    """The commands API, which asks for a subscription, and views on real servers."""
    async with (
        running_house(live, subscription_required=True, streams_without_plan=1) as house,
        catalog_views(live) as views,
    ):
        yield BoxOffice(house, views)
