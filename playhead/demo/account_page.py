"""One account at the end of the demo, as the API shows it to its owner: who they are, and what they pay."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from playhead.console import out, say
from playhead.demo.money.accounts import Invoice


def show_account(path: str, page: Mapping[str, Any]) -> None:
    """An account as its owner sees it. `page`: what the API returned for each part of it, by the end of its path."""
    account = page[""]
    profiles = ", ".join(f"{one['name']}{' (kids)' if one['kids'] else ''}" for one in page["/profiles"]["items"])
    say(
        f"\nGET {path}: {account['email']}, {account['status']} since {account['registered_at']}. Profiles: {profiles}."
    )
    say(f"GET {path}/devices and {path}/sessions:")
    table = Table("device", "type", "signed in by", "signed in at", "ended", box=None)
    names = {one["device_id"]: one["name"] for one in page["/devices"]["items"]}
    for item in page["/sessions"]["items"]:
        ended = item["end_reason"] or ("" if item["lasts"] else "not used")
        name = names.get(item["device_id"], "(removed)")
        table.add_row(name, item["device_type"] or "", item["method"], item["signed_in_at"], ended)
    out.print(table)


def show_subscriber(
    subscription: Mapping[str, Any], invoices: Sequence[Invoice], entitlements: Mapping[str, Any]
) -> None:
    """An account's subscription, its invoices from the oldest on, and what it may watch, as the API returned them."""
    account_id, plan = subscription["account_id"], subscription["plan"]
    say(
        f"\nGET /v1/accounts/{account_id}/subscription: {plan['name']}, {subscription['status']}, paid through "
        f"{subscription['paid_through']}; access until {subscription['access_until']} if nothing more is paid."
    )
    say(f"GET /v1/accounts/{account_id}/invoices: {len(invoices)}, from the oldest on:")
    table = Table("invoice", "reason", "status", "total", "given back", box=None)
    for number, invoice in enumerate(invoices, start=1):
        bill = invoice.bill
        total, back = _money(bill.total_minor, bill.currency), _money(bill.refunded_minor, bill.currency)
        table.add_row(str(number), bill.reason, bill.status, total, back if bill.refunded_minor else "")
    out.print(table)
    say(f"GET /v1/accounts/{account_id}/entitlements: {_entitled(entitlements)}.")


def _entitled(entitlements: Mapping[str, Any]) -> str:
    plan, titles = entitlements["subscription"], len(entitlements["titles"])
    by_plan = "no subscription"
    if plan is not None:
        limits = plan["limits"]
        by_plan = (
            f"{limits['streams']} streams at a time, {limits['max_resolution']}, {limits['downloads']} downloads"
            if plan["access"]
            else f"nothing by the plan, which is {plan['status']}"
        )
    return f"{by_plan}; {titles} titles by themselves"


def _money(minor: int, currency: str) -> str:
    return f"{currency} {minor}" if currency == "KRW" else f"{currency} {minor // 100}.{minor % 100:02}"
