"""The request bodies of the subscription context's commands."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from commands.fields import Body, Id, Name, NulFree
from events.subscription import (
    BillingPeriod,
    Coupon,
    CouponTerms,
    Offer,
    PlanLimits,
    PlanPrice,
    Resolution,
)
from events.types import CouponCode, Money, OfferId, TitleId
from infra.moments import Moment

MAX_AMOUNT_MINOR = 10**12
MAX_PRICES = 400
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217")]
Few = Annotated[int, Field(ge=0, le=1_000)]
TimeZone = Annotated[str, Field(min_length=1, max_length=64, description="of the IANA database"), NulFree]
Note = Annotated[str, Field(max_length=500), NulFree]

MONEY_EXAMPLE: dict[str, Any] = {"amount_minor": 1_090, "currency": "EUR"}
PLAN_EXAMPLE: dict[str, Any] = {
    "name": "Standard",
    "prices": [
        {"period": "month", "price": MONEY_EXAMPLE},
        {"period": "year", "price": {"amount_minor": 10_900, "currency": "EUR"}},
        {"period": "month", "price": {"amount_minor": 13_500, "currency": "KRW"}},
    ],
    "trial_days": 14,
    "limits": {"streams": 2, "max_resolution": "1080p", "profiles": 5, "downloads": 10, "ads": False, "devices": 10},
}


def _example(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class MoneyBody(Body):
    """An amount in the minor units of its currency: EUR 10.90 is 1090, KRW 13500 is 13500."""

    model_config = _example(**MONEY_EXAMPLE)

    amount_minor: Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR, strict=True)]
    currency: Currency

    def value_object(self) -> Money:
        """As events hold it."""
        return Money(self.amount_minor, self.currency)


class PriceBody(Body):
    """What a plan costs for a period, in one currency."""

    period: BillingPeriod
    price: MoneyBody


class LimitsBody(Body):
    """What a plan allows. `devices`: that may be signed in."""

    streams: Annotated[int, Field(ge=1, le=100)]
    max_resolution: Resolution
    profiles: Annotated[int, Field(ge=1, le=100)]
    downloads: Few
    ads: bool
    devices: Annotated[int, Field(ge=1, le=1_000)] = 10

    def value_object(self) -> PlanLimits:
        """As events hold it."""
        return PlanLimits(**self.model_dump())


class RevisionBody(Body):
    """A plan's next version, whole."""

    model_config = _example(**PLAN_EXAMPLE)

    name: Name
    prices: Annotated[list[PriceBody], Field(min_length=1, max_length=MAX_PRICES)]
    trial_days: Annotated[int, Field(ge=0, le=366)] = 0
    limits: LimitsBody

    def values(self) -> dict[str, Any]:
        """The fields of the command, without the plan's id."""
        prices = tuple(PlanPrice(one.period, one.price.value_object()) for one in self.prices)
        limits = self.limits.value_object()
        return {"name": self.name, "prices": prices, "trial_days": self.trial_days, "limits": limits}


class PlanBody(RevisionBody):
    """A plan."""

    model_config = _example(plan_id="standard", **PLAN_EXAMPLE)

    plan_id: Id


class OfferBody(Body):
    """A title for sale by itself; only a pay-per-view has a window."""

    model_config = _example(
        offer_id="sintel-rental", kind="rental", title_id="sintel", title_name="Sintel", prices=[MONEY_EXAMPLE]
    )

    offer_id: Id
    kind: Literal["rental", "purchase", "pay_per_view"]
    title_id: Id
    title_name: Name
    prices: Annotated[list[MoneyBody], Field(min_length=1, max_length=MAX_PRICES)]
    opens_at: Moment | None = None
    closes_at: Moment | None = None

    def value_object(self) -> Offer:
        """As events hold it."""
        return Offer(
            offer_id=OfferId(self.offer_id),
            kind=self.kind,
            title_id=TitleId(self.title_id),
            title_name=self.title_name,
            prices=tuple(price.value_object() for price in self.prices),
            opens_at=self.opens_at,
            closes_at=self.closes_at,
        )


class CouponBody(Body):
    """A coupon: either `percent` or `amount` off each of the next `periods` periods."""

    model_config = _example(
        code="SPRING",
        percent=50,
        periods=3,
        valid_from="2026-03-01T00:00:00Z",
        valid_until="2026-06-01T00:00:00Z",
        most_redemptions=1_000,
    )

    code: Id
    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    amount: MoneyBody | None = None
    periods: Annotated[int, Field(ge=1, le=1_200)]
    valid_from: Moment
    valid_until: Moment
    most_redemptions: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None

    def value_object(self) -> Coupon:
        """As events hold it."""
        amount = self.amount.value_object() if self.amount else None
        code = CouponCode(self.code)
        return Coupon(
            terms=CouponTerms(code=code, periods=self.periods, percent=self.percent, amount=amount),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            most_redemptions=self.most_redemptions,
        )


class SubscriptionBody(Body):
    """A subscription; `account_id` only from billing staff, a viewer's token names its own."""

    model_config = _example(plan_id="standard", period="month", currency="EUR", time_zone="Europe/Amsterdam")

    account_id: Id | None = None
    plan_id: Id
    period: BillingPeriod = "month"
    currency: Currency
    time_zone: TimeZone = "UTC"
    coupon: Id | None = None


class CancelBody(Body):
    """How it ends: with the paid time, or now."""

    model_config = _example(immediately=False, reason="moving abroad")

    immediately: bool = False
    reason: Annotated[str, Field(min_length=1, max_length=500), NulFree] | None = None


class PauseBody(Body):
    """When it resumes by itself; left out: as late as may be."""

    model_config = _example(until="2026-09-01T00:00:00Z")

    until: Moment | None = None


class ChangePlanBody(Body):
    """The plan to take: a dearer one now, any other from the next period on."""

    model_config = _example(plan_id="premium", period="month")

    plan_id: Id
    period: BillingPeriod = "month"


class RedeemBody(Body):
    """A coupon."""

    model_config = _example(code="SPRING")

    code: Id


class RefundBody(Body):
    """What to give back; left out: all that is left."""

    model_config = _example(amount=MONEY_EXAMPLE, note="double booking")

    amount: MoneyBody | None = None
    note: Note = ""


class PurchaseBody(Body):
    """An offer to take; `account_id` only from billing staff."""

    model_config = _example(offer_id="sintel-rental", currency="EUR")

    account_id: Id | None = None
    offer_id: Id
    currency: Currency


class NothingBody(Body):
    """No fields."""

    model_config = _example()
