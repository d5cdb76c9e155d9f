"""The context as an installation runs it: its deciders under the policy that the settings hold."""

from dataclasses import dataclass
from datetime import timedelta

from commands.decider import Decider
from commands.handling import Target
from commands.subscription.commands import SubscriptionCommand
from commands.subscription.decider import subscription_decider
from commands.subscription.policy import Policy
from commands.subscription.purchases import PurchaseCommand, PurchaseState, purchase_decider
from commands.subscription.state import SubscriptionState
from events.types import AccountId, PurchaseId
from infra.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """The rules of time that are configured."""
    return Policy(
        grace=timedelta(days=settings.grace_days),
        retries=tuple(timedelta(days=days) for days in settings.payment_retry_days),
        past_due=timedelta(days=settings.past_due_days),
        pending=timedelta(hours=settings.pending_hours),
        longest_pause=timedelta(days=settings.pause_max_days),
        rental_start=timedelta(days=settings.rental_start_days),
        rental_play=timedelta(hours=settings.rental_play_hours),
    )


@dataclass(frozen=True)
class Deciders:
    """The deciders that a policy has a say in."""

    policy: Policy
    subscription: Decider[SubscriptionCommand, SubscriptionState]
    purchase: Decider[PurchaseCommand, PurchaseState]

    @classmethod
    def under(cls, policy: Policy) -> "Deciders":
        """The deciders under a policy."""
        return cls(policy, subscription_decider(policy), purchase_decider(policy))


def of_account(account_id: AccountId) -> Target:
    """An account's stream."""
    return Target(account_id, f"subscription.account-{account_id}")


def of_purchase(purchase_id: PurchaseId) -> Target:
    """A purchase's stream."""
    return Target(purchase_id, f"subscription.purchase-{purchase_id}")
