"""What the append benchmarks record: renewals of many subscriptions, a stream each, decided by how many there were."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from commands.decider import Decider
from commands.handling import Handling, Target, Terms
from events.envelope import Context, Event
from events.subscription import Period, SubscriptionRenewed
from events.types import AccountId, SubscriptionId
from infra.ids import new_id

TERMS = Terms(Context(correlation_id=str(UUID(int=1)), principal="billing"))
MONTH = timedelta(days=30)


def _renew(account_id: str, number: int, now: datetime) -> list[Event]:
    period = Period(
        number=number + 1,
        starts_at=now,
        ends_at=now + MONTH,
        grace_until=now + MONTH + timedelta(days=7),
        expires_at=now + 2 * MONTH,
        anchored_at=now,
        months=1,
    )
    event = SubscriptionRenewed(
        account_id=AccountId(account_id), subscription_id=SubscriptionId(account_id), period=period
    )
    return [event]


def several(account_id: str, count: int, now: datetime) -> list[Event]:
    """The first renewals of a stream."""
    return [event for number in range(count) for event in _renew(account_id, number, now)]


RENEWALS: Decider[str, int] = Decider(0, _renew, lambda number, _: number + 1, snapshots=True)


def streams(count: int) -> list[Target]:
    """New streams."""
    return [Target(account_id, f"subscription.account-{account_id}") for account_id in (new_id() for _ in range(count))]


def in_turn(targets: list[Target], each: int) -> Iterator[Target]:
    """All streams in turn, `each` times."""
    for _ in range(each):
        yield from targets


async def renew(handling: Handling, target: Target) -> None:
    """One more renewal, from the stream's opening to its commit."""
    await handling.handle(target.subject, decider=RENEWALS, target=target, terms=TERMS)
