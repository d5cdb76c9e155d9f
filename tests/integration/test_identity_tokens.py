"""Tokens over HTTP, on real servers: refreshed, repeated, reused, ended, and given to televisions by a code."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from fastapi import FastAPI, Response

from commands.app import create_app
from commands.handling import Handling, Terms
from commands.identity.commands import RegisterAccount, RemoveDevice, SignOut
from commands.identity.oauth.device_codes import LETTERS
from commands.identity.requests import Desk
from commands.identity.signing_in import DeviceToSignIn, sign_in
from events.envelope import Context
from events.types import AccountId, DeviceId, SignInId
from infra import redis
from infra.access.authentication import BearerAuthentication
from infra.access.permissions import VIEWER, Principal, Scope
from infra.access.revocations import KEY
from infra.access.tokens import Tokens
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Connection, Pool
from infra.settings import Settings

pytestmark = pytest.mark.integration

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TV = {"client_id": "tv", "device_name": "Living room", "device_type": "tv", "device_platform": "webos"}


@dataclass
class MovableClock:
    """A clock that stands where the test puts it."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class SignedIn:
    """Somebody who signed in on a phone."""

    account_id: AccountId
    tokens: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


@dataclass
class House:
    """The commands API at a time that tests move."""

    app: FastAPI
    client: httpx.AsyncClient
    pool: Pool
    settings: Settings
    clock: MovableClock

    def desk(self) -> Desk:
        state = self.app.state
        terms = Terms(Context(correlation_id=new_id(), principal="test"))
        return Desk(state.resources, state.master_key, state.passwords, state.throttle, terms, Response())

    async def signed_in(self) -> SignedIn:
        """A new account, signed in on a phone."""
        at, account_id = self.desk(), AccountId(new_id())
        person, wrapped = at.master.new_person(account_id)
        await self.pool.execute(
            "insert into person_key (person_id, wrapped, created_at) values ($1, $2, $3)",
            account_id,
            wrapped,
            self.clock(),
        )

        async def secrets(connection: Connection) -> None:
            await connection.execute(
                "insert into identity_credentials values ($1, $2, 'x', '{}', $3)",
                account_id,
                account_id.encode(),
                self.clock(),
            )

        email = person.seal("ann@example.com")
        await at.command(RegisterAccount(account_id=account_id, email=email), account_id, secrets)
        phone = DeviceToSignIn(name="Phone", type="phone")
        return SignedIn(account_id, (await sign_in(at, account_id, phone, method="password")).model_dump())

    async def form(self, path: str, **parameters: str) -> httpx.Response:
        return await self.client.post(path, data=parameters)

    async def refresh(self, token: str, **more: str) -> httpx.Response:
        return await self.form("/oauth/token", grant_type="refresh_token", refresh_token=token, **more)

    async def waiting(self) -> dict[str, Any]:
        """A television that shows a code."""
        reply = await self.form("/oauth/device_authorization", **TV)
        assert reply.status_code == 200, reply.text
        codes: dict[str, Any] = reply.json()
        return codes

    async def poll(self, codes: dict[str, Any], client_id: str = "tv") -> httpx.Response:
        return await self.form(
            "/oauth/token", grant_type=DEVICE_GRANT, device_code=codes["device_code"], client_id=client_id
        )

    async def approve(self, who: SignedIn, user_code: str, **more: str) -> httpx.Response:
        body = {"user_code": user_code, **more}
        return await self.client.post("/v1/device-codes/approve", json=body, headers=who.headers)

    async def reasons(self, account_id: str) -> list[str]:
        """Why the sign-ins of an account ended, by the log."""
        rows = await self.pool.fetch(
            "select body from event_log where stream_id = $1 order by version", f"identity.account-{account_id}"
        )
        events = [msgspec.json.decode(row["body"]) for row in rows]
        return [event["data"]["reason"] for event in events if event["type"].startswith("identity.SignedOut")]


@pytest.fixture(scope="module")
async def opened(live: Settings, postgres: Pool) -> AsyncIterator[House]:
    settings = live.model_copy(update={"devices_without_plan": 3, "revocations_poll_s": 0.02})
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://commands") as client,
    ):
        yield House(app, client, postgres, settings, MovableClock())


@pytest.fixture
def house(opened: House) -> House:
    clock = MovableClock()
    tokens = Tokens(opened.settings, clock)
    opened.app.state.resources = replace(
        opened.app.state.resources,
        clock=clock,
        tokens=tokens,
        handling=Handling(EventLog(opened.app.state.resources.pool, opened.settings), clock),
    )
    opened.app.state.tokens = tokens
    opened.app.state.authentication = BearerAuthentication(tokens, opened.app.state.revocations)
    return replace(opened, clock=clock)


@pytest.fixture
async def ann(house: House) -> SignedIn:
    return await house.signed_in()


def oauth_error(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["error_description"] == reply.json()["detail"]
    return reply.status_code, reply.json()["error"]


def problem(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


# Refresh tokens


async def test_a_refresh_gives_the_next_token_and_an_access_token(house: House, ann: SignedIn) -> None:
    reply = await house.refresh(ann.tokens["refresh_token"])
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["refresh_token"] != ann.tokens["refresh_token"]
    assert house.app.state.tokens.verify_access(reply.json()["access_token"]).account_id == ann.account_id
    assert (await house.refresh(reply.json()["refresh_token"])).status_code == 200


async def test_a_refresh_whose_reply_was_lost_is_answered_again(house: House, ann: SignedIn) -> None:
    first = await house.refresh(ann.tokens["refresh_token"])
    house.clock.pass_by(seconds=house.settings.refresh_retry_s)
    again = await house.refresh(ann.tokens["refresh_token"])
    assert again.json()["refresh_token"] == first.json()["refresh_token"]
    assert await house.reasons(ann.account_id) == []


async def test_two_refreshes_at_once_get_the_same_successor(house: House, ann: SignedIn) -> None:
    replies = await asyncio.gather(*(house.refresh(ann.tokens["refresh_token"]) for _ in range(5)))
    assert len({reply.json()["refresh_token"] for reply in replies}) == 1


async def test_a_token_that_comes_later_again_ends_the_sign_in(house: House, ann: SignedIn) -> None:
    successor = (await house.refresh(ann.tokens["refresh_token"])).json()["refresh_token"]
    house.clock.pass_by(seconds=house.settings.refresh_retry_s + 1)
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")
    assert await house.reasons(ann.account_id) == ["refresh_token_reused"]
    assert oauth_error(await house.refresh(successor)) == (400, "invalid_grant")


async def test_the_token_before_the_last_ends_the_sign_in_at_once(house: House, ann: SignedIn) -> None:
    second = (await house.refresh(ann.tokens["refresh_token"])).json()["refresh_token"]
    await house.refresh(second)
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")
    assert await house.reasons(ann.account_id) == ["refresh_token_reused"]


async def test_a_reuse_found_twice_at_once_is_one_end(house: House, ann: SignedIn) -> None:
    await house.refresh(ann.tokens["refresh_token"])
    house.clock.pass_by(seconds=house.settings.refresh_retry_s + 1)
    await asyncio.gather(*(house.refresh(ann.tokens["refresh_token"]) for _ in range(3)))
    assert await house.reasons(ann.account_id) == ["refresh_token_reused"]


async def test_a_process_killed_after_the_number_moved_logs_nobody_out(house: House, ann: SignedIn) -> None:
    # what is left of a refresh that was killed before it replied
    await house.pool.execute(
        "update identity_grants set generation = 2, rotated_at = $2 where sign_in_id = $1",
        ann.tokens["sign_in_id"],
        house.clock(),
    )
    assert (await house.refresh(ann.tokens["refresh_token"])).status_code == 200
    assert await house.reasons(ann.account_id) == []


async def test_a_sign_in_that_was_not_used_for_long_is_over(house: House, ann: SignedIn) -> None:
    house.clock.pass_by(days=house.settings.refresh_token_ttl_days)
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_sign_in_that_is_used_lasts(house: House, ann: SignedIn) -> None:
    token = ann.tokens["refresh_token"]
    for _ in range(3):
        house.clock.pass_by(days=house.settings.refresh_token_ttl_days - 1)
        token = (await house.refresh(token)).json()["refresh_token"]


async def test_a_refresh_says_what_the_roles_are_now(house: House, ann: SignedIn) -> None:
    await house.pool.execute("update identity_credentials set roles = '{editor}' where account_id = $1", ann.account_id)
    reply = await house.refresh(ann.tokens["refresh_token"])
    assert "catalog:write" in reply.json()["scope"].split()
    assert house.app.state.tokens.verify_access(reply.json()["access_token"]).roles == ("editor",)


async def test_a_refresh_can_ask_for_less_and_not_for_more(house: House, ann: SignedIn) -> None:
    less = await house.refresh(ann.tokens["refresh_token"], scope="playback")
    assert less.json()["scope"] == "playback"
    more = await house.refresh(less.json()["refresh_token"], scope="playback staff:write")
    assert oauth_error(more) == (400, "invalid_scope")


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_comes_in_whatever_order_only_the_newest_and_lost_replies_are_answered(
    house: House, ann: SignedIn, seed: int
) -> None:
    dice, retry_s = Random(seed), house.settings.refresh_retry_s
    chain, rotated_at, ended = [ann.tokens["refresh_token"]], house.clock(), False
    for _ in range(40):
        house.clock.pass_by(seconds=dice.choice([0, 1, retry_s - 1, retry_s + 1]))
        number = dice.choice([len(chain) - 1] * 6 + [max(0, len(chain) - 2)] * 3 + [0])
        newest, is_lost = number == len(chain) - 1, number == len(chain) - 2
        reply = await house.refresh(chain[number])
        if ended:
            assert oauth_error(reply) == (400, "invalid_grant")
        elif newest:
            chain.append(reply.json()["refresh_token"])
            rotated_at = house.clock()
        elif is_lost and house.clock() - rotated_at <= timedelta(seconds=retry_s):
            assert reply.json()["refresh_token"] == chain[-1]
        else:
            assert oauth_error(reply) == (400, "invalid_grant")
            ended = True
    assert await house.reasons(ann.account_id) == ["refresh_token_reused"] * ended


async def test_a_refresh_while_signing_out_ends_signed_out(house: House, ann: SignedIn) -> None:
    refreshed, signed_out = await asyncio.gather(
        house.refresh(ann.tokens["refresh_token"]), house.client.post("/v1/sign-out", headers=ann.headers)
    )
    assert signed_out.status_code == 204
    token = refreshed.json()["refresh_token"] if refreshed.status_code == 200 else ann.tokens["refresh_token"]
    assert oauth_error(await house.refresh(token)) == (400, "invalid_grant")
    assert await house.reasons(ann.account_id) == ["signed_out"]


@pytest.mark.parametrize("token", ["", "x", "phr.a.1.b", "phr.a.1", "phr..1.", "phr.a.-1.b", "phr.a.١.b", "a.b.c", "é"])
async def test_what_is_no_refresh_token_is_refused(house: House, token: str) -> None:
    expected = "invalid_grant" if token else "invalid_request"
    assert oauth_error(await house.refresh(token)) == (400, expected)


async def test_an_access_token_is_not_taken_for_a_refresh_token(house: House, ann: SignedIn) -> None:
    assert oauth_error(await house.refresh(ann.tokens["access_token"])) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (b"", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=password&username=a&password=b", "application/x-www-form-urlencoded", "unsupported_grant_type"),
        (b"grant_type=refresh_token", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=refresh_token&grant_type=x", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=%00", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded", "invalid_request"),
        (b"\xff\xfe", "application/x-www-form-urlencoded", "invalid_request"),
        (b"&".join(b"p%d=1" % n for n in range(40)), "application/x-www-form-urlencoded", "invalid_request"),
        (b'{"grant_type":"refresh_token"}', "application/json", "invalid_request"),
    ],
)
async def test_a_form_that_says_nothing_clear_is_refused(
    house: House, body: bytes, content_type: str, error: str
) -> None:
    reply = await house.client.post("/oauth/token", content=body, headers={"Content-Type": content_type})
    assert oauth_error(reply) == (400, error)


# Signing out


async def test_signing_out_ends_the_sign_in_and_may_be_repeated(house: House, ann: SignedIn) -> None:
    for _ in range(2):
        assert (await house.client.post("/v1/sign-out", headers=ann.headers)).status_code == 204
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")
    assert await house.reasons(ann.account_id) == ["signed_out"]


async def test_one_session_or_all_but_this_can_be_ended(house: House, ann: SignedIn) -> None:
    tablet = await sign_in(house.desk(), ann.account_id, DeviceToSignIn(name="T", type="tablet"), method="password")
    path = f"/v1/accounts/{ann.account_id}/sessions/end-all"
    kept = await house.client.post(path, json={"keep_this": True}, headers=ann.headers)
    assert kept.json()["events"] == ["SignedOut"]
    assert oauth_error(await house.refresh(tablet.refresh_token)) == (400, "invalid_grant")
    assert (await house.refresh(ann.tokens["refresh_token"])).status_code == 200
    one = f"/v1/accounts/{ann.account_id}/sessions/{ann.tokens['sign_in_id']}/end"
    assert (await house.client.post(one, headers=ann.headers)).json()["events"] == ["SignedOut"]
    assert (await house.client.post(one, headers=ann.headers)).json()["events"] == []
    assert await house.reasons(ann.account_id) == ["everywhere", "signed_out"]


async def test_nobody_ends_the_sessions_of_another(house: House, ann: SignedIn) -> None:
    bob = await house.signed_in()
    reply = await house.client.post(
        f"/v1/accounts/{ann.account_id}/sessions/{ann.tokens['sign_in_id']}/end", headers=bob.headers
    )
    assert problem(reply) == (403, "not-your-account")
    own = await house.client.post(
        f"/v1/accounts/{bob.account_id}/sessions/{ann.tokens['sign_in_id']}/end", headers=bob.headers
    )
    assert own.json()["events"] == []
    assert (await house.refresh(ann.tokens["refresh_token"])).status_code == 200


async def test_a_client_can_give_its_token_back(house: House, ann: SignedIn) -> None:
    assert (await house.form("/oauth/revoke", token="nonsense")).status_code == 200
    assert (await house.form("/oauth/revoke", token=ann.tokens["refresh_token"])).status_code == 200
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")


async def _until_refused(house: House, who: SignedIn) -> httpx.Response:
    async with asyncio.timeout(5):
        while True:
            reply = await house.client.post("/v1/sign-out", headers=who.headers)
            if reply.status_code == 401:
                return reply
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("field", ["sign_in_id", "device_id"])
async def test_an_access_token_of_what_has_ended_is_refused(house: House, ann: SignedIn, field: str) -> None:
    client = redis.connect(house.settings)
    until_ms = int((house.clock() + timedelta(minutes=10)).timestamp() * 1000)
    name = f"{field.removesuffix('_id')}:{ann.tokens[field]}"
    await client.hset(KEY, name, b"7:%d:{}" % until_ms)
    refused = await _until_refused(house, ann)
    assert problem(refused) == (401, "unauthenticated")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    await client.delete(KEY)  # a Redis that lost its data brings nobody back
    await asyncio.sleep(0.1)
    assert (await house.client.post("/v1/sign-out", headers=ann.headers)).status_code == 401
    await client.aclose()


async def test_a_removed_device_is_refused_its_refresh(house: House, ann: SignedIn) -> None:
    await house.desk().command(RemoveDevice(device_id=DeviceId(ann.tokens["device_id"])), ann.account_id)
    assert oauth_error(await house.refresh(ann.tokens["refresh_token"])) == (400, "invalid_grant")


# Televisions


async def test_a_television_gets_tokens_when_its_code_is_approved(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    assert set(codes["user_code"].replace("-", "")) <= set(LETTERS)
    assert oauth_error(await house.poll(codes)) == (400, "authorization_pending")
    entered = codes["user_code"].replace("-", " ").lower()
    assert (await house.approve(ann, entered)).json() == {"name": "Living room", "type": "tv"}
    house.clock.pass_by(seconds=5)
    tokens = (await house.poll(codes)).json()
    assert tokens["account_id"] == ann.account_id
    assert (await house.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_television_whose_reply_was_lost_asks_again(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    for _ in range(2):
        assert (await house.approve(ann, codes["user_code"])).status_code == 200
    first, again = await house.poll(codes), await house.poll(codes)
    assert first.json()["refresh_token"] == again.json()["refresh_token"]
    await house.refresh(first.json()["refresh_token"])
    assert oauth_error(await house.poll(codes)) == (400, "invalid_grant")
    stream = f"identity.account-{ann.account_id}"
    signed_in = await house.pool.fetchval(
        "select count(*) from event_log where stream_id = $1 and type like 'identity.SignedIn%'", stream
    )
    assert signed_in == 2  # the phone and the television


async def test_a_television_that_was_signed_out_is_not_signed_in_by_the_old_code(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    await house.approve(ann, codes["user_code"])
    tokens = (await house.poll(codes)).json()
    await house.desk().command(SignOut(sign_in_id=SignInId(tokens["sign_in_id"])), ann.account_id)
    assert (await house.approve(ann, codes["user_code"])).status_code == 200
    assert oauth_error(await house.poll(codes)) == (400, "invalid_grant")


async def test_a_television_that_asks_too_often_waits_longer_and_longer(house: House) -> None:
    codes = await house.waiting()
    await house.poll(codes)
    assert oauth_error(await house.poll(codes)) == (400, "slow_down")
    house.clock.pass_by(seconds=6)
    assert oauth_error(await house.poll(codes)) == (400, "slow_down")  # ten seconds by now
    house.clock.pass_by(seconds=15)
    assert oauth_error(await house.poll(codes)) == (400, "authorization_pending")


async def test_a_code_that_nobody_enters_in_time_is_over(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    house.clock.pass_by(seconds=house.settings.device_code_ttl_s)
    assert oauth_error(await house.poll(codes)) == (400, "expired_token")
    refreshed = SignedIn(ann.account_id, (await house.refresh(ann.tokens["refresh_token"])).json())
    assert problem(await house.approve(refreshed, codes["user_code"])) == (404, "device-code-unknown")


async def test_a_television_can_be_denied(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    deny = {"user_code": codes["user_code"]}
    denied = await house.client.post("/v1/device-codes/deny", json=deny, headers=ann.headers)
    assert denied.status_code == 204
    assert oauth_error(await house.poll(codes)) == (400, "access_denied")
    assert problem(await house.approve(ann, codes["user_code"])) == (404, "device-code-unknown")


async def test_a_code_is_approved_by_one_account_only(house: House, ann: SignedIn) -> None:
    bob, codes = await house.signed_in(), await house.waiting()
    replies = await asyncio.gather(house.approve(ann, codes["user_code"]), house.approve(bob, codes["user_code"]))
    assert sorted(reply.status_code for reply in replies) == [200, 404]
    winner = ann if replies[0].status_code == 200 else bob
    assert (await house.poll(codes)).json()["account_id"] == winner.account_id


async def test_a_device_code_is_of_the_client_that_asked(house: House) -> None:
    codes = await house.waiting()
    assert oauth_error(await house.poll(codes, client_id="another")) == (400, "invalid_grant")
    assert oauth_error(await house.poll({"device_code": "x"})) == (400, "invalid_grant")


async def test_codes_cannot_be_guessed(house: House, ann: SignedIn) -> None:
    codes = await house.waiting()
    for _ in range(house.settings.device_code_failures_max):
        assert problem(await house.approve(ann, "BBBB-BBBB")) == (404, "device-code-unknown")
    refused = await house.approve(ann, codes["user_code"])
    assert problem(refused) == (429, "too-many-attempts")
    assert int(refused.headers["Retry-After"]) > 0


async def test_a_television_begins_with_the_profile_that_was_chosen_for_it(house: House, ann: SignedIn) -> None:
    add = "insert into identity_profile_access values ($1, $2, $3, $4)"
    mine, guarded = f"p-{ann.account_id}", f"g-{ann.account_id}"
    await house.pool.execute(add, mine, ann.account_id, 12, None)
    await house.pool.execute(add, guarded, ann.account_id, None, "hash of a PIN")
    codes = await house.waiting()
    assert problem(await house.approve(ann, codes["user_code"], profile_id="another")) == (404, "profile-unknown")
    assert problem(await house.approve(ann, codes["user_code"], profile_id=guarded))[1] == "pin-required"
    assert (await house.approve(ann, codes["user_code"], profile_id=mine)).status_code == 200
    tokens = (await house.poll(codes)).json()
    assert tokens["profile_id"] == mine
    assert house.app.state.tokens.verify_access(tokens["access_token"]).maturity_limit == 12


@pytest.mark.parametrize("user_code", ["", "x", "x" * 33, "\x00" * 8, "12345678", "ÄÖÜ-ßẞſﬁﬂ", "' or 1=1--"])
async def test_what_is_no_user_code_is_refused(house: House, ann: SignedIn, user_code: str) -> None:
    reply = await house.approve(ann, user_code)
    assert problem(reply) in {(422, "invalid-request"), (404, "device-code-unknown")}


async def test_staff_without_an_account_approve_no_device(house: House) -> None:
    token = house.app.state.tokens.mint_access(Principal(subject="s", scopes=frozenset({Scope.ACCOUNT})))
    codes = await house.waiting()
    reply = await house.client.post(
        "/v1/device-codes/approve",
        json={"user_code": codes["user_code"]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert problem(reply) == (403, "not-your-account")


async def test_a_television_is_given_none_of_its_owners_roles(house: House, ann: SignedIn) -> None:
    await house.pool.execute(
        "update identity_credentials set roles = '{operator}' where account_id = $1", ann.account_id
    )
    codes = await house.waiting()
    await house.approve(ann, codes["user_code"])
    tokens = (await house.poll(codes)).json()
    refreshed = (await house.refresh(tokens["refresh_token"])).json()
    for each in (tokens, refreshed):
        who = house.app.state.tokens.verify_access(each["access_token"])
        assert who.roles == ()
        assert who.scopes == VIEWER
    phone = (await house.refresh(ann.tokens["refresh_token"])).json()
    assert house.app.state.tokens.verify_access(phone["access_token"]).roles == ("operator",)


async def test_an_approver_is_told_that_there_are_too_many_devices(house: House, ann: SignedIn) -> None:
    for name in ("B", "C"):
        await sign_in(house.desk(), ann.account_id, DeviceToSignIn(name=name, type="tv"), method="password")
    codes = await house.waiting()
    assert problem(await house.approve(ann, codes["user_code"])) == (409, "device-limit-reached")
    assert oauth_error(await house.poll(codes)) == (400, "authorization_pending")
    phone = ann.tokens["device_id"]
    assert (await house.approve(ann, codes["user_code"], remove_device_id=phone)).status_code == 200
    assert (await house.poll(codes)).json()["account_id"] == ann.account_id


@pytest.mark.parametrize(
    "changed", [{"client_id": ""}, {"client_id": "a b"}, {"device_name": "x" * 301}, {"device_type": "\x00"}]
)
async def test_a_television_that_says_nothing_clear_gets_no_code(house: House, changed: dict[str, str]) -> None:
    assert oauth_error(await house.form("/oauth/device_authorization", **{**TV, **changed})) == (400, "invalid_request")


# What others find


async def test_others_verify_access_tokens_by_the_published_keys(house: House, ann: SignedIn) -> None:
    reply = await house.client.get("/.well-known/jwks.json")
    assert reply.headers["cache-control"] == "public, max-age=60"
    keys = jwt.PyJWKSet.from_dict(reply.json())
    token = ann.tokens["access_token"]
    key = next(each for each in keys.keys if each.key_id == jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(
        token, key, algorithms=["EdDSA"], audience="playhead-api", issuer="playhead", options={"verify_exp": False}
    )
    assert claims["sub"] == ann.account_id
    assert all("d" not in each for each in reply.json()["keys"])


async def test_clients_find_the_routes_of_oauth(house: House) -> None:
    found = (await house.client.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == house.settings.token_issuer
    assert found["token_endpoint"].endswith("/oauth/token")
    assert DEVICE_GRANT in found["grant_types_supported"]
