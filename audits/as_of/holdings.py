"""What an account held as of a cut: its subscription and its purchases. Pure: the folds of their views, and the
computation of infra/entitlement.py at the moment that is asked about.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from audits.as_of.cuts import Cut, Decisive, Fact, in_order
from audits.as_of.rows import Bounds, Folding, folded
from events.subscription import PlanLimits
from infra.entitlement import Moments, PurchaseMoments, Standing, standing_at
from projections.subscription.purchases import Purchase, Purchases
from projections.subscription.subscriptions import Subscription, Subscriptions

SUBSCRIPTION: Final = "subscription"
PURCHASE: Final = "purchase"
OWNED: Final = Bounds(rows=10_000, events=10_000)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `at`: the moment at which somebody watches, or would. `profile_id`: whose limit counts; None: no
    limit does. `territory`: where they are; None: nobody can tell."""

    account_id: str
    at: datetime
    title_id: str | None = None
    territory: str | None = None
    profile_id: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The events that an answer may need, each in order: of the account's stream of subscriptions, of all of its
    purchases, of the stream that decides the title, of the account's own stream (its profiles)."""

    subscription: Sequence[Fact] = ()
    purchases: Sequence[Fact] = ()
    title: Sequence[Fact] = ()
    account: Sequence[Fact] = ()


class SubscriptionAsOf(msgspec.Struct, frozen=True, kw_only=True):
    """What an account held. `status` and `access`: at the moment, whatever was recorded last; None: it never had a
    subscription. `subscription`: as its last event left it."""

    account_id: str
    at: datetime
    status: str | None
    access: bool
    access_until: datetime | None
    limits: PlanLimits | None
    subscription: Subscription | None
    purchases: tuple[Purchase, ...]
    usable: tuple[str, ...]
    events: tuple[Decisive, ...]


def subscription_as_of(question: Question, told: Told, cut: Cut) -> SubscriptionAsOf:
    """What an account held, and whether that gave access."""
    lived, owned = holdings(question, told, cut)
    subscription = only(lived)
    standing = standing_of(subscription, question.at)
    usable = (moments_of(purchase).usable_at(question.at) for purchase in owned.rows)
    return SubscriptionAsOf(
        account_id=question.account_id,
        at=question.at,
        status=standing.status if standing else None,
        access=standing.access if standing else False,
        access_until=standing.access_until if standing else None,
        limits=subscription.terms.limits if subscription else None,
        subscription=subscription,
        purchases=tuple(owned.rows),
        usable=tuple(sorted(one.purchase_id for one in usable if one is not None)),
        events=in_order((*about(SUBSCRIPTION, lived.events), *about(PURCHASE, owned.events))),
    )


def holdings(question: Question, told: Told, cut: Cut) -> tuple[Folding, Folding]:
    """The folds of what an account held: its subscriptions, and its purchases."""
    lived = folded(Subscriptions(), cut.of(told.subscription), lambda key: key == question.account_id)
    mine = (fact for fact in cut.of(told.purchases) if _account_of(fact) == question.account_id)
    return lived, folded(Purchases(), mine, lambda _: True, OWNED)


def _account_of(fact: Fact) -> str | None:
    account_id: str | None = getattr(fact.recorded.data, "account_id", None)
    return account_id


def only(folding: Folding) -> Any:
    """The only row of a fold, if there is one."""
    [row] = folding.rows or [None]
    return row


def standing_of(subscription: Subscription | None, at: datetime) -> Standing | None:
    """How a subscription was at a time."""
    return standing_at(Moments.of(msgspec.structs.asdict(subscription)), at) if subscription else None


def moments_of(purchase: Purchase) -> PurchaseMoments:
    """What says when a purchase may be played."""
    return msgspec.convert(purchase, PurchaseMoments, from_attributes=True)


def about(what: str, events: Sequence[Decisive]) -> list[Decisive]:
    """The events, named by the part of the answer that they made."""
    return [msgspec.structs.replace(event, about=what) for event in events]
