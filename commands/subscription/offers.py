"""Offers: titles sold by themselves, for rent, for good, or for one showing. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from commands.decider import Decider
from commands.subscription.refusals import (
    OfferAlreadyDefined,
    OfferNotOnSale,
    OfferUnknown,
    OfferWindowInvalid,
    PricesAmbiguous,
    PriceUnknown,
)
from events.envelope import Event
from events.subscription import Offer, OfferDefined, OfferWithdrawn
from events.types import Money, OfferId


@dataclass(frozen=True, kw_only=True)
class DefineOffer:
    """Sell a title by itself."""

    offer: Offer


@dataclass(frozen=True, kw_only=True)
class WithdrawOffer:
    """Sell it to nobody any more."""

    offer_id: OfferId


OfferCommand: TypeAlias = DefineOffer | WithdrawOffer


@dataclass(frozen=True)
class OfferState:
    """The offer, and whether it was withdrawn."""

    offer: Offer | None = None
    withdrawn: bool = False


def evolve(state: OfferState, event: Event) -> OfferState:
    """The state after an event."""
    match event:
        case OfferDefined(offer=offer):
            return replace(state, offer=offer)
        case OfferWithdrawn():
            return replace(state, withdrawn=True)
        case _:
            return state


def decide(command: OfferCommand, state: OfferState, _: datetime) -> list[Event]:
    """The events that a command leads to."""
    match command:
        case DefineOffer(offer=offer):
            return _define(offer, state)
        case WithdrawOffer(offer_id=offer_id):
            _known(state, offer_id)
            return [] if state.withdrawn else [OfferWithdrawn(offer_id=offer_id)]
        case _:
            assert_never(command)


def _define(offer: Offer, state: OfferState) -> list[Event]:
    if len({price.currency for price in offer.prices}) < len(offer.prices):
        raise PricesAmbiguous("two prices are in the same currency")
    opens_at, closes_at = offer.opens_at, offer.closes_at
    windowed = opens_at is not None and closes_at is not None and opens_at < closes_at
    if not (windowed if offer.kind == "pay_per_view" else opens_at is None and closes_at is None):
        raise OfferWindowInvalid("a pay-per-view has opens_at before closes_at; rentals and purchases have neither")
    if state.offer is None:
        return [OfferDefined(offer=offer)]
    if state.offer != offer:
        raise OfferAlreadyDefined(f"offer {offer.offer_id!r} is defined otherwise; withdraw it and define another")
    return []


def _known(state: OfferState, offer_id: OfferId) -> Offer:
    if state.offer is None:
        raise OfferUnknown(f"there is no offer {offer_id!r}")
    return state.offer


def offer_on_sale(state: OfferState, offer_id: OfferId) -> Offer:
    """The offer. Raises OfferUnknown, OfferNotOnSale."""
    offer = _known(state, offer_id)
    if state.withdrawn:
        raise OfferNotOnSale(f"offer {offer_id!r} was withdrawn")
    return offer


def price_of(offer: Offer, currency: str) -> Money:
    """What the offer costs in a currency. Raises PriceUnknown."""
    for price in offer.prices:
        if price.currency == currency:
            return price
    currencies = [price.currency for price in offer.prices]
    raise PriceUnknown(f"offer {offer.offer_id!r} has no price in {currency}", members={"currencies": currencies})


OFFER = Decider(OfferState(), decide, evolve)
