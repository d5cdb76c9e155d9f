"""What staff changed, as it is kept with the last event of their command; and that nobody else's events carry it."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from commands.auditing import change_between
from commands.handling import Handling, Terms
from commands.identity.commands import GrantRole, RegisterAccount, RevokeRole
from commands.identity.decider import ACCOUNT
from commands.identity.state import AccountState
from commands.identity.streams import of_account
from events.envelope import Context, Envelope, decode
from events.identity import Role
from events.types import AccountId, Sealed
from infra.event_log.memory import MemoryEventLog

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ME = AccountId("a1")
OPERATOR = Context(correlation_id="c1", principal="operator-1", client_address="192.0.2.7")
VIEWER = Context(correlation_id="c2", principal="a1")


def change(before: object, after: object, max_bytes: int = 10_000) -> Any:
    text = change_between(before, after, max_bytes=max_bytes)
    return None if text is None else json.loads(text)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"before": {"b": 2}, "after": {"b": 3}}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, {"before": {"a": {"y": 2}}, "after": {"a": {"y": 3}}}),
        ({}, {"a": None}, {"before": {}, "after": {"a": None}}),
        ({"a": {"x": 1}}, {"a": {}}, {"before": {"a": {"x": 1}}, "after": {"a": {}}}),
        ({"a": None}, {"a": {"x": 1}}, {"before": {"a": None}, "after": {"a": {"x": 1}}}),
        ({"a": [1, 2]}, {"a": [1, 3]}, {"before": {"a": [1, 2]}, "after": {"a": [1, 3]}}),
        (1, 2, {"before": 1, "after": 2}),
    ],
)
def test_only_what_differs_is_told(before: object, after: object, expected: object) -> None:
    assert change(before, after) == expected


def test_sets_are_told_in_order() -> None:
    roles = frozenset({Role.OPERATOR, Role.EDITOR, Role.BILLING})
    told = change(AccountState(account_id=ME), AccountState(account_id=ME, roles=roles))
    assert told == {"before": {"roles": []}, "after": {"roles": ["billing", "editor", "operator"]}}


def test_a_change_that_is_too_long_is_told_by_its_size_and_digest() -> None:
    long = "x" * 5_000
    told = change({"synopsis": "", "name": "Heat"}, {"synopsis": long, "name": "Ran"}, max_bytes=1_024)
    digest = {"bytes": 5_002, "sha256": hashlib.sha256(f'"{long}"'.encode()).hexdigest()}
    assert told["after"]["synopsis"] == digest
    assert set(told["before"]["name"]) == {"bytes", "sha256"}


def test_a_change_of_too_many_fields_is_told_as_a_whole() -> None:
    text = change_between({}, {f"field-{n}": n for n in range(500)}, max_bytes=1_024)
    assert text is not None and len(text) <= 1_024
    assert json.loads(text)["before"] == {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}


async def handled(log: MemoryEventLog, command: Any, context: Context) -> list[Envelope[msgspec.Raw]]:
    """The envelopes that a command added."""
    before = len(log.bodies)
    await Handling(log, lambda: NOON).handle(command, decider=ACCOUNT, target=of_account(ME), terms=Terms(context))
    return [decode(body) for body in log.bodies[before:]]


async def test_an_event_of_staff_says_from_where_and_what_changed() -> None:
    log = MemoryEventLog()
    await handled(log, RegisterAccount(account_id=ME, email=Sealed("p1.x")), VIEWER)
    [granted] = await handled(log, GrantRole(role=Role.EDITOR), OPERATOR)
    assert (granted.principal, granted.clientaddress) == ("operator-1", "192.0.2.7")
    assert json.loads(granted.change or "") == {"before": {"roles": []}, "after": {"roles": ["editor"]}}
    assert await handled(log, GrantRole(role=Role.EDITOR), OPERATOR) == []
    [revoked] = await handled(log, RevokeRole(role=Role.EDITOR), OPERATOR)
    assert json.loads(revoked.change or "") == {"before": {"roles": ["editor"]}, "after": {"roles": []}}


async def test_an_event_of_a_viewer_says_neither() -> None:
    log = MemoryEventLog()
    await handled(log, RegisterAccount(account_id=ME, email=Sealed("p1.x")), VIEWER)
    assert b'"change"' not in log.bodies[0]
    assert b"clientaddress" not in log.bodies[0]
