"""What nobody should send to the doors of identity: refused clearly, nothing half-written, nothing logged of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.identity_door import ANOTHER, PASSWORD, TELEVISION, Door, opened_door, problem

pytestmark = pytest.mark.integration

REGISTER, CONFIRM = "/v1/registrations", "/v1/registrations/confirm"
SIGN_IN, RESET, RESET_CONFIRM = "/v1/sign-in", "/v1/password-resets", "/v1/password-resets/confirm"
EMAIL_CONFIRM = "/v1/email-changes/confirm"
TOKEN = "t" * 43
GOOD: dict[str, dict[str, Any]] = {
    REGISTER: {"email": "ann@example.com", "password": PASSWORD},
    CONFIRM: {"token": TOKEN, "password": PASSWORD, "device": TELEVISION},
    SIGN_IN: {"email": "ann@example.com", "password": PASSWORD, "device": TELEVISION},
    RESET: {"email": "ann@example.com"},
    RESET_CONFIRM: {"token": TOKEN, "password": PASSWORD},
    EMAIL_CONFIRM: {"token": TOKEN},
}
NASTY = ["", "\x00", "a\x00b", "x" * 100_000, "'; drop table identity_credentials; --", '"', "\\", "\r\nBcc: a@b.c"]
NASTY += ["${jndi:ldap://x}", "{{7*7}}", "%s%n", "\u202e", "\ufeff", "🦉", "a" + "\u0301" * 500, None, 7, True, [], {}]  # type: ignore[list-item]
PLACES = [(path, field) for path, body in GOOD.items() for field in body]


@pytest.fixture(scope="module")
async def door(live: Settings, postgres: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with opened_door(live, postgres, tmp_path_factory.mktemp("mail"), sign_in_failures_max=1_000) as opened:
        yield opened


@pytest.mark.parametrize(("path", "field"), PLACES)
async def test_nothing_nasty_in_a_field_is_taken_or_breaks_anything(door: Door, path: str, field: str) -> None:
    for nasty in NASTY:
        reply = await door.post(path, {**GOOD[path], field: nasty})
        assert reply.status_code in (202, 400, 401, 422), (path, field, nasty, reply.text)
        if reply.status_code != 202:
            assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("path", "field"), PLACES)
async def test_a_field_that_is_missing_or_misspelt_is_named(door: Door, path: str, field: str) -> None:
    body = {name: value for name, value in GOOD[path].items() if name != field}
    missing = await door.post(path, body)
    assert problem(missing) == (422, "invalid-request")
    assert f"/body/{field}" in missing.text
    assert problem(await door.post(path, {**GOOD[path], f"{field}s": "x"})) == (422, "invalid-request")


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"{", b'{"email": "\xff"}', b'{"email":' * 5_000])
async def test_a_body_that_is_no_object_is_refused(door: Door, path: str, body: bytes) -> None:
    reply = await door.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)


@pytest.mark.parametrize("path", GOOD)
async def test_a_lone_surrogate_is_refused(door: Door, path: str) -> None:
    for field, value in GOOD[path].items():
        if isinstance(value, str):
            content = '{"' + field + '": "\\ud800' + value + '"}'
            reply = await door.client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert problem(reply) == (422, "invalid-request")


async def test_a_refusal_does_not_repeat_a_password_or_a_token(door: Door) -> None:
    secret = "Secret\x00" + new_id()
    for path, field in PLACES:
        if field in ("password", "token"):
            reply = await door.post(path, {**GOOD[path], field: secret * 100})
            assert "Secret" not in reply.text


async def test_a_huge_password_is_refused_before_it_costs_a_hash(door: Door) -> None:
    before = door.app.state.passwords.computed
    reply = await door.post(SIGN_IN, {**GOOD[SIGN_IN], "password": "x" * 500_000})
    assert problem(reply) == (422, "invalid-request")
    assert door.app.state.passwords.computed == before


async def test_more_passwords_than_may_wait_are_refused_with_a_time_to_come_back(
    live: Settings, postgres: Pool, door: Door
) -> None:
    passwords = door.app.state.passwords
    taken, passwords._taken = passwords._taken, 10_000
    try:
        reply = await door.sign_in("ann@example.com")
    finally:
        passwords._taken = taken
    assert problem(reply) == (503, "passwords-busy")
    assert reply.headers["Retry-After"]


@pytest.mark.parametrize("field", ["name", "type", "platform", "model", "device_id"])
async def test_nothing_nasty_in_a_device_is_taken_or_breaks_anything(door: Door, field: str) -> None:
    for nasty in NASTY:
        device = {**TELEVISION, field: nasty}
        for path in (SIGN_IN, CONFIRM):
            reply = await door.post(path, {**GOOD[path], "device": device})
            assert reply.status_code in (400, 401, 422), (path, nasty, reply.text)


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1", "a\x00", "\u202egnp", "a\u200b\u200b", "\x1b[31m"])
async def test_a_name_that_shows_as_something_else_is_refused(door: Door, name: str) -> None:
    reply = await door.post(SIGN_IN, {**GOOD[SIGN_IN], "device": {**TELEVISION, "name": name}})
    assert problem(reply) == (422, "invalid-request")


async def test_a_names_line_breaks_and_quotes_reach_no_header_and_no_statement(door: Door) -> None:
    me = f"ann-{new_id()[-12:]}@example.com"
    await door.post(REGISTER, {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    for name in ("'; drop table person_key; --", "<script>alert(1)</script>", "Ann\u2019s TV"):
        device = {**TELEVISION, "name": name}
        reply = await door.post(CONFIRM, {"token": token, "password": PASSWORD, "device": device})
        assert reply.status_code == 201, reply.text
    assert await door.pool.fetchval("select count(*) from person_key") > 0


async def test_nothing_that_is_logged_or_measured_holds_an_address_a_password_or_a_token(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    me, new = (f"{name}-{new_id()[-12:]}@example.com" for name in ("ann", "new"))
    with capture_logs() as logged, caplog.at_level("DEBUG"):
        mine = await door.registered(me)
        account = f"/v1/accounts/{mine['account_id']}"
        await door.sign_in(me, "wrong-" + ANOTHER)
        await door.post(RESET, {"email": me})
        reset = await door.token(me, "Choose another password")
        await door.post(f"{account}/email", {"password": PASSWORD, "email": new}, mine["access_token"])
        change = await door.token(new, "Confirm your new address")
        await door.post(EMAIL_CONFIRM, {"token": change})
        body = {"current_password": PASSWORD, "new_password": ANOTHER}
        await door.post(f"{account}/password", body, mine["access_token"])
        await door.post(f"{account}/withdraw", {"password": ANOTHER}, mine["access_token"])
        await door.sent()
    told = f"{logged}{caplog.text}{generate_latest().decode()}"
    secrets = (me, new, PASSWORD, ANOTHER, reset, change, mine["access_token"], mine["refresh_token"], "device_token")
    for secret in secrets:
        assert secret not in told
