"""By what an account may play a title that is open to it, or what its viewer can do about it. Pure.

What costs the viewer nothing goes first: the subscription, then what was bought or is running, then what is free; a
rental is begun only when nothing else would do.
"""

from typing import Final, NamedTuple

from commands.playback.admission.facts import Facts
from commands.playback.refusals import NotEntitled
from events.playback import EntitledBy
from events.types import AccountId, Licence, PurchaseId

FREE: Final = frozenset({Licence.AVOD, Licence.FAST})
"""Paid for by advertisers."""


class Entitlement(NamedTuple):
    """What lets a title be played. `rental`: one whose hours begin with this play."""

    by: EntitledBy
    rental: PurchaseId | None = None


class _Way(NamedTuple):
    """What a viewer can do to be entitled; `action`: for players to tell it by."""

    action: str
    advice: str


BY_PURCHASE: Final = {
    Licence.TVOD: _Way("rent", "rent it (POST /v1/purchases)"),
    Licence.EST: _Way("buy", "buy it (POST /v1/purchases)"),
}


def entitlement_of(facts: Facts, *, subscription_required: bool) -> Entitlement | None:
    """What entitles to the title; None: nothing does."""
    plan, owned = facts.held
    if Licence.SVOD in facts.licences and (plan is not None or not subscription_required):
        return Entitlement("subscription")
    if owned is not None and not owned.is_unstarted:
        return Entitlement("purchase")
    if not FREE.isdisjoint(facts.licences):
        return Entitlement("free")
    return Entitlement("purchase", owned.purchase_id) if owned is not None else None


def not_entitled(facts: Facts, account_id: AccountId) -> NotEntitled:
    """The refusal of a title that nothing entitles to."""
    ways = [*_by_subscription(facts, account_id), *_by_purchase(facts)]
    return NotEntitled(
        f"nothing entitles the account to {facts.title.title_id}: " + ", or ".join(way.advice for way in ways),
        members={
            "actions": [way.action for way in ways],
            "licences": sorted(facts.licences),
            "subscription_status": facts.status,
        },
    )


def _by_subscription(facts: Facts, account_id: AccountId) -> list[_Way]:
    if Licence.SVOD not in facts.licences:
        return []
    at = f"POST /v1/subscriptions/{account_id}"
    match facts.status:
        case "past_due":
            return [_Way("pay", f"pay the overdue invoice of the subscription ({at}/recover)")]
        case "pending":
            return [_Way("pay", "finish the first payment of the subscription")]
        case "paused":
            return [_Way("resume", f"resume the subscription ({at}/resume)")]
        case _:
            return [_Way("subscribe", "subscribe (POST /v1/subscriptions)")]


def _by_purchase(facts: Facts) -> list[_Way]:
    return [way for licence, way in BY_PURCHASE.items() if licence in facts.licences]
