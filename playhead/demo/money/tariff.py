"""What billing staff put on sale for the evening: five plans in three currencies, a coupon, and a film for rent."""

from typing import Any, Final

from playhead.demo.watching.films import FOR_SUBSCRIBERS

TRIAL_DAYS: Final = 14
CURRENCIES: Final = ("EUR", "USD", "KRW")
COUPON_PERCENT: Final = 50
RENTED_FILM: Final = FOR_SUBSCRIBERS
RENTAL_MINOR: Final = {"EUR": 399, "USD": 449, "KRW": 5_500}
MONTHS_PAID_OF_A_YEAR: Final = 10


def _plan(plan_id: str, minor: tuple[int, int, int], trial_days: int = 0, **limits: object) -> dict[str, Any]:
    """`minor`: a month's price in EUR, USD and KRW. A year costs ten months."""
    prices = [
        {"period": period, "price": {"amount_minor": amount * months, "currency": currency}}
        for currency, amount in zip(CURRENCIES, minor, strict=True)
        for period, months in (("month", 1), ("year", MONTHS_PAID_OF_A_YEAR))
    ]
    return {
        "plan_id": plan_id,
        "name": plan_id.capitalize(),
        "prices": prices,
        "trial_days": trial_days,
        "limits": limits,
    }


PLANS: Final = {
    body["plan_id"]: body
    for body in (
        _plan("free", (0, 0, 0), streams=1, max_resolution="480p", profiles=1, downloads=0, ads=True, devices=3),
        _plan(
            "basic",
            (599, 699, 7_900),
            TRIAL_DAYS,
            streams=1,
            max_resolution="720p",
            profiles=2,
            downloads=0,
            ads=False,
            devices=4,
        ),
        _plan(
            "standard",
            (1_090, 1_290, 13_500),
            streams=2,
            max_resolution="1080p",
            profiles=5,
            downloads=10,
            ads=False,
            devices=8,
        ),
        _plan(
            "premium",
            (1_590, 1_790, 17_000),
            streams=4,
            max_resolution="2160p",
            profiles=5,
            downloads=30,
            ads=False,
            devices=12,
        ),
        _plan(
            "family",
            (2_190, 2_490, 23_000),
            streams=6,
            max_resolution="2160p",
            profiles=6,
            downloads=60,
            ads=False,
            devices=20,
        ),
    )
}


def price_minor(plan_id: str, currency: str, period: str) -> int:
    """What a plan costs, in minor units."""
    [found] = [
        one["price"]["amount_minor"]
        for one in PLANS[plan_id]["prices"]
        if (one["period"], one["price"]["currency"]) == (period, currency)
    ]
    return int(found)


def streams_of(plan_id: str) -> int:
    """How many streams a plan allows at once."""
    return int(PLANS[plan_id]["limits"]["streams"])
