"""By what an account may play a title that is open to it, or what its viewer can do about it. Pure."""

from typing import Final, NamedTuple

from commands.playback.admission.facts import Facts
from commands.playback.refusals import NotEntitled
from events.types import AccountId, Licence
from infra.entitlement import Entitlement, entitlement_by


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
    return entitlement_by(
        facts.licences, has_plan=plan is not None, purchase=owned, subscription_required=subscription_required
    )


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
