"""How the fake provider misbehaves: rules, the first that fits a request decides all about it.

The same rules, seed and requests of a key give the same behaviour, in whatever order the keys come.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

from cachetools import LRUCache
from msgspec import Meta, Struct

from infra.payments.provider import Name

Operation: TypeAlias = Literal["charge", "refund", "find"]
DelayMs: TypeAlias = Annotated[int, Meta(ge=0, le=600_000)]
RULES_MAX: Final = 100
KEYS_KEPT: Final = 100_000


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do to some requests: those of an operation and account (None: any), a `share` of them by the seed, the
    first `times` of them (None: all)."""

    on: Operation | Literal["any"] = "charge"
    account_id: Name | None = None
    share: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    unavailable: bool = False
    """Answer 503 and do nothing."""
    retry_after_s: Annotated[int, Meta(ge=0, le=3_600)] | None = None
    """What a 503 asks to wait."""
    lose_reply: Literal["drop", "error"] | None = None
    """Do it, then drop the connection, or answer 500."""
    decline_code: Name | None = None
    """Decline the charge: insufficient_funds, expired_card, ..."""
    refund_fails: bool = False
    delay_ms: DelayMs | None = None
    """Answer pending, and settle after so long; None settles at once."""
    webhook_copies: Annotated[int, Meta(ge=0, le=5)] = 1
    """How often the same webhook is sent; 0: never."""
    webhook_reorder: bool = False
    """Hold the webhook back until another one overtook it, or for a while when none comes."""


WELL_BEHAVED: Final = Rule(on="any")


class RuleBook:
    """The rules in force. Bounded: RULES_MAX rules, and the last KEYS_KEPT keys are told apart from new ones."""

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self.seed = seed
        self._rules = tuple(rules)
        self._left = [rule.times for rule in self._rules]
        self._asked: LRUCache[str, int] = LRUCache(KEYS_KEPT)

    def take(self, operation: Operation, *, key: str, account_id: str | None) -> Rule:
        """The rule for a request; it counts towards the rule's `times`."""
        tries = self._asked.get(f"{operation} {key}", 0) + 1
        self._asked[f"{operation} {key}"] = tries
        for index, rule in enumerate(self._rules):
            if self._fits(index, operation, account_id) and self._chance(f"{index} {key} {tries}") < rule.share:
                left = self._left[index]
                self._left[index] = None if left is None else left - 1
                return rule
        return WELL_BEHAVED

    def _fits(self, index: int, operation: Operation, account_id: str | None) -> bool:
        rule = self._rules[index]
        return (
            rule.on in (operation, "any")
            and (rule.account_id is None or rule.account_id == account_id)
            and self._left[index] != 0
        )

    def _chance(self, text: str) -> float:
        digest = hashlib.sha256(f"{self.seed} {text}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
