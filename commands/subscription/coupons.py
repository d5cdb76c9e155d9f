"""Coupons: defined, redeemed, withdrawn. Pure. A coupon's stream counts its redemptions, so that its limit is exact."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from commands.decider import Decider
from commands.subscription.refusals import (
    CouponAlreadyDefined,
    CouponAlreadyRedeemed,
    CouponExhausted,
    CouponNotValid,
    CouponTermsInvalid,
    CouponUnknown,
)
from events.envelope import Event
from events.subscription import Coupon, CouponDefined, CouponRedeemed, CouponTerms, CouponWithdrawn
from events.types import AccountId, CouponCode


@dataclass(frozen=True, kw_only=True)
class DefineCoupon:
    """Let accounts redeem a coupon."""

    coupon: Coupon


@dataclass(frozen=True, kw_only=True)
class WithdrawCoupon:
    """Let nobody redeem the coupon any more."""

    code: CouponCode


@dataclass(frozen=True, kw_only=True)
class RedeemCoupon:
    """Take one of the coupon's redemptions, in the transaction that applies it to the account."""

    code: CouponCode
    account_id: AccountId


CouponCommand: TypeAlias = DefineCoupon | WithdrawCoupon | RedeemCoupon


@dataclass(frozen=True)
class CouponState:
    """The coupon, who redeemed it, and whether it was withdrawn."""

    coupon: Coupon | None = None
    accounts: frozenset[AccountId] = field(default_factory=frozenset)
    withdrawn: bool = False


def evolve(state: CouponState, event: Event) -> CouponState:
    """The state after an event."""
    match event:
        case CouponDefined(coupon=coupon):
            return replace(state, coupon=coupon)
        case CouponRedeemed(account_id=account_id):
            return replace(state, accounts=state.accounts | {account_id})
        case CouponWithdrawn():
            return replace(state, withdrawn=True)
        case _:
            return state


def decide(command: CouponCommand, state: CouponState, now: datetime) -> list[Event]:
    """The events that a command leads to."""
    match command:
        case DefineCoupon(coupon=coupon):
            return _define(coupon, state)
        case WithdrawCoupon(code=code):
            known(state, code)
            return [] if state.withdrawn else [CouponWithdrawn(code=code)]
        case RedeemCoupon():
            return _redeem(command, state, now)
        case _:
            assert_never(command)


def _define(coupon: Coupon, state: CouponState) -> list[Event]:
    terms = coupon.terms
    if (terms.percent is None) == (not terms.amount) or coupon.valid_until <= coupon.valid_from:
        raise CouponTermsInvalid("a coupon has either percent or an amount, and ends after it starts to be valid")
    if state.coupon is None:
        return [CouponDefined(coupon=coupon)]
    if state.coupon != coupon:
        raise CouponAlreadyDefined(f"coupon {terms.code!r} is defined otherwise; take another code")
    return []


def _redeem(command: RedeemCoupon, state: CouponState, now: datetime) -> list[Event]:
    coupon = known(state, command.code)
    if command.account_id in state.accounts:
        raise CouponAlreadyRedeemed(f"the account redeemed {command.code!r} before")
    if state.withdrawn or not coupon.valid_from <= now < coupon.valid_until:
        raise CouponNotValid(f"coupon {command.code!r} is valid from {coupon.valid_from} until {coupon.valid_until}")
    redemptions = len(state.accounts)
    if coupon.most_redemptions is not None and redemptions >= coupon.most_redemptions:
        raise CouponExhausted(f"coupon {command.code!r} was redeemed {redemptions} times, as often as it may be")
    return [CouponRedeemed(code=command.code, account_id=command.account_id, redemptions=redemptions + 1)]


def known(state: CouponState, code: CouponCode) -> Coupon:
    """The coupon. Raises CouponUnknown."""
    if state.coupon is None:
        raise CouponUnknown(f"there is no coupon {code!r}")
    return state.coupon


def terms_of_coupon(state: CouponState, code: CouponCode) -> CouponTerms:
    """What the coupon takes off. Raises CouponUnknown."""
    return known(state, code).terms


COUPON = Decider(CouponState(), decide, evolve)
