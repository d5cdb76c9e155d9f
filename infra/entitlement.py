"""Who may watch, computed when asked: pure, from the rows of the views subscriptions and subscription_purchases and the
time. The query API shows it and commands decide by it, so it is here, where both can reach it.

No timer is waited for: whether or not the renewal process ran, a period that is over is in grace until grace_until, a
pause that is over is none, and what was canceled lasts until it ends.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from events.playback import EntitledBy
from events.subscription import PlanLimits
from events.types import Licence, PurchaseId

Status: TypeAlias = Literal["pending", "trialing", "active", "grace", "past_due", "paused", "canceled", "expired"]
ACCESS: Final[frozenset[Status]] = frozenset({"trialing", "active", "grace", "canceled"})

PURCHASE_USABLE: Final = """
    status = 'granted' and access_from <= {now} and (access_until is null or {now} < access_until)
    and (start_by is null or started_at is not null or {now} < start_by)
"""
"""That a row of subscription_purchases lets its title be played at `{now}`. A rental is to be started before start_by,
and lasts until access_until from then on.
"""

FREE: Final = frozenset({Licence.AVOD, Licence.FAST})
"""Paid for by advertisers."""


class Entitlement(NamedTuple):
    """What lets a title be played. `rental`: one whose hours begin with this play."""

    by: EntitledBy
    rental: PurchaseId | None = None


class UsablePurchase(NamedTuple):
    """What an account rented or bought, and may play now. `is_unstarted`: a rental whose hours playing it begins."""

    purchase_id: PurchaseId
    is_unstarted: bool


class Held(NamedTuple):
    """What an account holds at a time that may entitle it to a title: what its plan allows, if its subscription gives
    access, and a purchase of the title."""

    plan: PlanLimits | None = None
    purchase: UsablePurchase | None = None


NOTHING: Final = Held()


class PurchaseMoments(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as its view has it, as far as it says whether its title may be played: PURCHASE_USABLE, of one that is
    not in Postgres.
    """

    purchase_id: PurchaseId
    title_id: str
    kind: str
    status: str
    access_from: datetime | None = None
    start_by: datetime | None = None
    started_at: datetime | None = None
    access_until: datetime | None = None

    def usable_at(self, now: datetime) -> UsablePurchase | None:
        """What it is good for at a time, if anything."""
        begun = self.status == "granted" and self.access_from is not None and self.access_from <= now
        if not begun or _over(self.access_until, now) or (self.started_at is None and _over(self.start_by, now)):
            return None
        return UsablePurchase(self.purchase_id, self.kind == "rental" and self.started_at is None)


class Columns(Protocol):
    """A row: its values by column."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What a subscription's row says: what its last event made of it, and until when what lasts."""

    status: Status
    pending_until: datetime | None = None
    paid_through: datetime | None = None
    grace_until: datetime | None = None
    expires_at: datetime | None = None
    paused_at: datetime | None = None
    resumes_at: datetime | None = None
    ends_at: datetime | None = None

    @classmethod
    def of(cls, row: Columns) -> "Moments":
        """The moments in a row of the table subscriptions."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Standing:
    """How a subscription is at a time: its moments then, its status, and whether the account may watch."""

    moments: Moments
    status: Status

    @property
    def access(self) -> bool:
        """Whether the account may watch."""
        return self.status in ACCESS

    @property
    def access_until(self) -> datetime | None:
        """When access ends if nothing more is paid; None without access."""
        if not self.access:
            return None
        return self.moments.ends_at if self.status == "canceled" else self.moments.grace_until


def entitlement_by(
    licences: frozenset[str], *, has_plan: bool, purchase: UsablePurchase | None, subscription_required: bool
) -> Entitlement | None:
    """What entitles an account to a title of these licences; None: nothing does. What costs the viewer nothing goes
    first: the subscription, then what was bought or is running, then what is free; a rental is begun only when nothing
    else would do.
    """
    if Licence.SVOD in licences and (has_plan or not subscription_required):
        return Entitlement("subscription")
    if purchase is not None and not purchase.is_unstarted:
        return Entitlement("purchase")
    if not FREE.isdisjoint(licences):
        return Entitlement("free")
    return Entitlement("purchase", purchase.purchase_id) if purchase is not None else None


def is_within(minimum_age: int | None, maturity_limit: int | None) -> bool:
    """Whether a profile of this limit (None: it has none) may play a title of this age. What nobody rated (None) may be
    anything, so it is above every limit.
    """
    return maturity_limit is None or (minimum_age is not None and minimum_age <= maturity_limit)


def standing_at(moments: Moments, now: datetime) -> Standing:
    """How a subscription is at a time."""
    resumed = _resumed(moments, now)
    return Standing(resumed, _status_at(resumed, now))


class _Terms(msgspec.Struct):
    """What is read of PlanTerms."""

    limits: PlanLimits


def limits_of(row: Columns) -> PlanLimits:
    """What the plan of a row of the table subscriptions allows, whether or not it gives access now."""
    return msgspec.json.decode(row["terms"], type=_Terms).limits


def _resumed(moments: Moments, now: datetime) -> Moments:
    """A pause that is over moved all that follows by its length."""
    if moments.status != "paused" or not moments.resumes_at or not moments.paused_at or now < moments.resumes_at:
        return moments
    by = moments.resumes_at - moments.paused_at
    return replace(
        moments,
        status="active",
        paid_through=moments.paid_through and moments.paid_through + by,
        grace_until=moments.grace_until and moments.grace_until + by,
        expires_at=moments.expires_at and moments.expires_at + by,
    )


def _status_at(moments: Moments, now: datetime) -> Status:
    match moments.status:
        case "trialing" | "active" | "grace" | "past_due":
            return _running_at(moments, now)
        case "canceled" if _over(moments.ends_at, now):
            return "expired"
        case "pending" if _over(moments.pending_until, now):
            return "expired"
        case status:
            return status


def _running_at(moments: Moments, now: datetime) -> Status:
    if _over(moments.expires_at, now):
        return "expired"
    if moments.status == "past_due" or _over(moments.grace_until, now):
        return "past_due"
    return "grace" if _over(moments.paid_through, now) else moments.status


def _over(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now >= moment
