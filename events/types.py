"""The ids and small values that events share."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

from events.refusals import Refusal

AccountId = NewType("AccountId", str)
ProfileId = NewType("ProfileId", str)
DeviceId = NewType("DeviceId", str)
SessionId = NewType("SessionId", str)
TitleId = NewType("TitleId", str)
SeriesId = NewType("SeriesId", str)
ShelfId = NewType("ShelfId", str)
"""A row of continue watching: a series, or a title of no series."""
PlanId = NewType("PlanId", str)
SubscriptionId = NewType("SubscriptionId", str)
InvoiceId = NewType("InvoiceId", str)
"""`<kind>-<id>.<number>` of the stream that it is issued in, so that a payment finds its way back: account-a1.7."""
RefundId = NewType("RefundId", str)
PurchaseId = NewType("PurchaseId", str)
OfferId = NewType("OfferId", str)
CouponCode = NewType("CouponCode", str)
SignInId = NewType("SignInId", str)
ApiKeyId = NewType("ApiKeyId", str)

Sealed = NewType("Sealed", str)
"""A personal value encrypted under its person's key, as text; unreadable for good once that key is destroyed."""

Instant = Annotated[datetime, Meta(tz=True)]
"""A moment with its offset from UTC; a naive one is refused."""
PositionMs = Annotated[int, Meta(ge=0, le=2**42)]
"""Milliseconds from the start of a title."""
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
SealedText = Annotated[Sealed, Meta(min_length=1, max_length=500)]
"""Sealed, where a field was Text before it was; events from then hold it in clear."""


class TitleKind(StrEnum):
    """What a playable title is. Seasons and series group titles and are not played themselves."""

    MOVIE = "movie"
    EPISODE = "episode"
    SHORT = "short"


class Licence(StrEnum):
    """How a right to show a title is paid for: by subscription, by advertising, by rental, by purchase, or as part of a
    FAST channel.
    """

    SVOD = "svod"
    AVOD = "avod"
    TVOD = "tvod"
    EST = "est"
    FAST = "fast"


class Maturity(Struct, frozen=True):
    """A rating as its board gave it, and the age it stands for (source: domain rules, "Catalog"; KR: ALL, 7, 12, 15,
    19).
    """

    system: str
    value: str
    minimum_age: int


class Availability(Struct, frozen=True):
    """When a title may be played in some territories (ISO 3166-1 alpha-2) under a licence; None is an open end."""

    territories: tuple[str, ...]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    licence: Licence = Licence.SVOD


class CurrencyMixed(Refusal):
    """Amounts of different currencies were to be added, subtracted or compared."""


class AmountNegative(Refusal):
    """An amount would be less than nothing."""


class Money(Struct, frozen=True):
    """An amount in the minor units of its currency (ISO 4217): KRW has none, so 9900 won is 9900; USD 9.90 is 990.

    Never negative; what is owed the other way has a name of its own.
    """

    amount_minor: Annotated[int, Meta(ge=0, le=10**15)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    def plus(self, other: "Money") -> "Money":
        """The sum. Raises CurrencyMixed."""
        self._check(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def minus(self, other: "Money") -> "Money":
        """What is left. Raises CurrencyMixed, and AmountNegative when nothing is left and more is to go."""
        self._check(other)
        if other.amount_minor > self.amount_minor:
            raise AmountNegative(f"{other} is more than {self}")
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def at_most(self, other: "Money") -> "Money":
        """The smaller of two. Raises CurrencyMixed."""
        self._check(other)
        return min(self, other, key=lambda money: money.amount_minor)

    def share(self, part: int, whole: int) -> "Money":
        """part / whole of it, rounded half up to the minor unit; share() and minus(share()) add up to all of it."""
        if not 0 <= part <= whole or whole == 0:
            raise AmountNegative(f"{part} of {whole} is no share")
        return Money((2 * self.amount_minor * part + whole) // (2 * whole), self.currency)

    @property
    def nothing(self) -> "Money":
        """Zero of its currency."""
        return Money(0, self.currency)

    def __bool__(self) -> bool:
        return self.amount_minor > 0

    def __str__(self) -> str:
        return f"{self.currency} {self.amount_minor} (minor units)"

    def _check(self, other: "Money") -> None:
        if other.currency != self.currency:
            raise CurrencyMixed(f"{self.currency} and {other.currency} cannot be put together")
