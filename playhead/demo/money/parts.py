"""The parts that accounts play: what each asks for, in order, and how the payment provider treats it meanwhile. Pure.

An account takes a step when all before it has come to its end, as people do who look at their account first.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from infra.payments.rules import Rule
from playhead.demo.money.tariff import CURRENCIES


@dataclass(frozen=True)
class Subscribe:
    """Start a subscription. `refused`: the problem that this must end in."""

    plan_id: str
    period: str = "month"
    coupon: bool = False
    refused: str | None = None


@dataclass(frozen=True)
class ChangePlan:
    """Take another plan for the same period."""

    plan_id: str


@dataclass(frozen=True)
class Cancel:
    """Not renew, or end now."""

    immediately: bool = False


@dataclass(frozen=True)
class Uncancel:
    """Renew after all."""


@dataclass(frozen=True)
class Pause:
    """No access and no charges for a while."""


@dataclass(frozen=True)
class Resume:
    """Go on."""


@dataclass(frozen=True)
class Refund:
    """Billing staff give back some of the newest invoice; None: all that is left of it."""

    amount_minor: int | None = None


@dataclass(frozen=True)
class Rent:
    """Rent the film."""


@dataclass(frozen=True)
class PlayRental:
    """Begin to watch it."""


@dataclass(frozen=True)
class MendCard:
    """From here on the provider takes the account's card, and answers as it should."""


Step: TypeAlias = Subscribe | ChangePlan | Cancel | Uncancel | Pause | Resume | Refund | Rent | PlayRental | MendCard
WELL: Final = Rule(on="any")
BROKE: Final = Rule(on="any", decline_code="insufficient_funds")
EXPIRED: Final = Rule(on="any", decline_code="expired_card", delay_ms=800)
SLOW: Final = Rule(on="any", delay_ms=1_500)
TWICE: Final = Rule(on="any", webhook_copies=3)
DISORDERED: Final = Rule(on="any", delay_ms=400, webhook_copies=2, webhook_reorder=True)
DROPPED: Final = Rule(on="any", lose_reply="drop", times=2)
LOST: Final = Rule(on="any", lose_reply="error", delay_ms=600)
SILENT: Final = Rule(on="charge", webhook_copies=0)
NO_REFUNDS: Final = Rule(on="any", refund_fails=True)


@dataclass(frozen=True)
class Part:
    """What an account does, in which currency, and how the provider treats it."""

    name: str
    steps: tuple[Step, ...]
    rule: Rule = field(default=WELL)
    currency: str = "EUR"


PARTS: Final = (
    Part("upgrades", (Subscribe("standard"), ChangePlan("premium"))),
    Part("tries for free", (Subscribe("basic"),)),
    Part("has a coupon", (Subscribe("premium", coupon=True),)),
    Part("is declined, pays with another card", (Subscribe("standard"), MendCard(), Subscribe("standard")), BROKE),
    Part("waits for a slow payment", (Subscribe("family"), Cancel()), SLOW),
    Part("is told of three times", (Subscribe("standard"), Refund(300), Refund(200)), TWICE),
    Part("is told of in disorder", (Subscribe("premium", "year"), Refund(500)), DISORDERED),
    Part("is charged, the reply is lost", (Subscribe("standard"), Cancel(immediately=True), Refund()), DROPPED),
    Part("rents a film too", (Subscribe("free"), Rent(), PlayRental())),
    Part("gets everything back", (Subscribe("family"), Refund()), LOST),
    Part("upgrades from free", (Subscribe("free"), ChangePlan("standard"))),
    Part("downgrades", (Subscribe("premium"), ChangePlan("standard"))),
    Part("leaves the trial and stays", (Subscribe("basic"), Cancel(), Uncancel())),
    Part("pauses", (Subscribe("standard"), Pause())),
    Part("comes back from a pause", (Subscribe("premium"), Pause(), Resume())),
    Part("has no money", (Subscribe("premium", coupon=True),), EXPIRED),
    Part("is never told of", (Subscribe("standard", "year"),), SILENT),
    Part("cannot be given back", (Subscribe("standard"), Refund(100)), NO_REFUNDS),
    Part("subscribes twice", (Subscribe("standard"), Subscribe("family", refused="already-subscribed"))),
    Part("rents and is given it back", (Rent(), Refund())),
    Part("upgrades in the trial", (Subscribe("basic"), ChangePlan("family"))),
    Part("cannot pay the upgrade", (Subscribe("free"), ChangePlan("family")), BROKE),
    Part("cannot pay the rent", (Rent(),), BROKE),
)


def part_of(number: int) -> Part:
    """The part of an account, each in turn. Who changes plans pays in euros: a won is worth so little that seconds of a
    month would show in the difference."""
    part = PARTS[number % len(PARTS)]
    euros = any(isinstance(step, ChangePlan) for step in part.steps)
    return Part(part.name, part.steps, part.rule, CURRENCIES[0 if euros else number % len(CURRENCIES)])
