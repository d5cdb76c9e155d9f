"""Reads of the identity context and of what staff did, without a server: whose they are, what they refuse, and what is
shown of what is sealed.
"""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.personal_data import MasterKey
from query_api import staff_actions
from query_api.identity import accounts, api_keys, devices, profiles, sessions
from query_api.identity.access import Opener
from query_api.staff_actions import AfterAction, Filters, masked
from tests.query_api.conftest import VIEWER, signed_in

OF_ACCOUNT = ["", "/profiles", "/devices", "/sessions"]
OF_STAFF = {"/v1/api-keys": ("operator",), "/v1/audit/staff-actions": ("auditor", "operator")}
EXAMPLES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (accounts.Account, accounts.EXAMPLE),
    (profiles.Profile, profiles.EXAMPLE),
    (devices.Device, devices.EXAMPLE),
    (sessions.Session, sessions.EXAMPLE),
    (api_keys.ApiKey, api_keys.EXAMPLE),
    (staff_actions.StaffAction, staff_actions.EXAMPLE),
]
MASTER = MasterKey.alone(b"m" * 32)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_an_example_is_a_whole_reply(model: type[BaseModel], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("view", OF_ACCOUNT)
async def test_the_account_of_someone_else_is_refused(viewer: httpx.AsyncClient, view: str) -> None:
    assert slug(await viewer.get(f"/v1/accounts/household-2{view}")) == (403, "not-your-account")


@pytest.mark.parametrize("view", OF_ACCOUNT)
@pytest.mark.parametrize(
    "who", [VIEWER, *(Principal(subject="staff", roles=(role,)) for role in ("auditor", "operator"))]
)
async def test_the_account_itself_and_staff_get_as_far_as_the_store(
    stranger: httpx.AsyncClient, tokens: Tokens, view: str, who: Principal
) -> None:
    reply = await signed_in(stranger, tokens, who).get(f"/v1/accounts/household-1{view}")
    assert slug(reply) == (503, "store-unavailable")


@pytest.mark.parametrize("role", ["editor", "billing", "analyst"])
async def test_staff_of_other_trades_are_refused(stranger: httpx.AsyncClient, tokens: Tokens, role: str) -> None:
    staff = signed_in(stranger, tokens, Principal(subject="staff", roles=(role,)))
    for path in ("/v1/accounts/household-1/devices", *OF_STAFF):
        assert slug(await staff.get(path)) == (403, "scope-missing")


@pytest.mark.parametrize("path", OF_STAFF)
async def test_what_is_for_staff_is_refused_to_viewers(viewer: httpx.AsyncClient, path: str) -> None:
    assert slug(await viewer.get(path)) == (403, "scope-missing")


@pytest.mark.parametrize(("path", "role"), [(path, role) for path, roles in OF_STAFF.items() for role in roles])
async def test_staff_with_the_scope_get_as_far_as_the_store(
    stranger: httpx.AsyncClient, tokens: Tokens, path: str, role: str
) -> None:
    staff = signed_in(stranger, tokens, Principal(subject="staff", roles=(role,)))
    assert slug(await staff.get(path)) == (503, "store-unavailable")
    assert slug(await staff.get(f"{path}?cursor=AAAA")) == (400, "cursor-invalid")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from=2026-01-01T00:00:00", "/query/from"),  # naive
        ("to=yesterday", "/query/to"),
        ("from=0001-01-01T00:00:00%2B14:00", "/query/from"),
        ("to=9999-12-31T23:59:59-14:00", "/query/to"),
        ("principal=a%00b", "/query/principal"),
        ("stream=", "/query/stream"),
        (f"type={'x' * 129}", "/query/type"),
    ],
)
async def test_a_filter_that_cannot_match_is_refused(operator: httpx.AsyncClient, query: str, pointer: str) -> None:
    reply = await operator.get(f"/v1/audit/staff-actions?{query}")
    assert slug(reply) == (422, "invalid-request")
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]


def test_a_statement_asks_for_no_more_than_the_request_does() -> None:
    order = "order by at desc, event_id desc limit"
    everything = Filters(None, None, None, None, None)
    assert everything.statement(None, 21) == (f"select * from operations_staff_actions {order} $1", [21])
    some = Filters("operator-1", None, "identity.RoleGranted.v1", NOON, None)
    assert some.statement(AfterAction(NOON, "e1"), 21) == (
        "select * from operations_staff_actions where principal = $1 and type = $2 and at >= $3"
        f" and (at, event_id) < ($4, $5) {order} $6",
        ["operator-1", "identity.RoleGranted.v1", NOON, NOON, "e1", 21],
    )
    assert everything.scope != some.scope


def test_sealed_values_are_opened_until_their_key_is_destroyed() -> None:
    key, wrapped = MASTER.new_person("a1")
    sealed = key.seal("Anna")
    opener = Opener(MASTER, "a1", wrapped)
    assert (opener.erased, opener.open(sealed), opener.open(None)) == (False, "Anna", None)
    assert opener.open(MASTER.new_person("a2")[0].seal("Bo")) is None
    erased = Opener(MASTER, "a1", None)
    assert (erased.erased, erased.open(sealed)) == (True, None)


@pytest.mark.parametrize("text", ["", "A", "Anna van Dijk", "안나" * 20])
def test_auditors_see_that_a_value_is_sealed_and_not_the_value(text: str) -> None:
    sealed = MASTER.new_person("a1")[0].seal(text)
    shown = masked({"profiles": {"p": {"name": sealed, "kids": True}}, "names": [sealed, "p1.Pilot", 3, None]})
    assert shown == {"profiles": {"p": {"name": "sealed", "kids": True}}, "names": ["sealed", "p1.Pilot", 3, None]}
