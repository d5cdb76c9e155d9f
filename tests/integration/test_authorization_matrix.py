"""Every route of both APIs, as everybody who must not call it. The routes come from the apps' own tables, so that a new
one is in the matrix the moment it is served; a path parameter of a kind that OWNERSHIP does not know fails it.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import audits.app
import commands.app
import query_api.app
from events.identity import Role
from infra.access.authentication import Needs
from infra.access.permissions import VIEWER, Principal, Scope
from infra.access.tokens import Tokens
from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.http.declared import Bearing, Public
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings
from tests import builders
from tests.integration.query_api_stores import Stores
from tests.integration.rates import unlimited
from tests.integration.route_calls import Call, calls_of

pytestmark = pytest.mark.integration

PUBLIC_ID: Final = "what anybody may know"
STAFF_ONLY: Final = "only staff has routes with it"
OWN: Final = "somebody's own"
WITHIN_ACCOUNT: Final = "looked for among what the account in the path has"

OWNERSHIP: Final = {
    "account_id": OWN,
    "profile_id": OWN,
    "session_id": OWN,
    "purchase_id": OWN,
    "device_id": WITHIN_ACCOUNT,
    "sign_in_id": WITHIN_ACCOUNT,
    "title_id": PUBLIC_ID,
    "series_id": PUBLIC_ID,
    "shelf": PUBLIC_ID,
    "season_number": PUBLIC_ID,
    "plan_id": PUBLIC_ID,
    "offer_id": STAFF_ONLY,
    "code": STAFF_ONLY,
    "invoice_id": STAFF_ONLY,
    "api_key_id": STAFF_ONLY,
    "letter_id": STAFF_ONLY,
    "view": STAFF_ONLY,
    "version": STAFF_ONLY,
    "number": STAFF_ONLY,
    "key": STAFF_ONLY,
    "stream_id": STAFF_ONLY,
    "event_id": STAFF_ONLY,
    "role": STAFF_ONLY,
}
"""Whose each path parameter is: a closed list, so that nobody adds a route without having thought of it."""

OF_THE_CALLERS_ACCOUNT: Final = {"POST /v1/playback/sessions/{session_id}/terminate"}
"""What is there for the caller's account alone, of whichever profile: to others it is unknown."""
STAFF_NAMES_WHOM: Final = {"POST /v1/subscriptions", "POST /v1/purchases"}
"""Whose account it is stands in the body, when it is not the caller's."""
REFUSED: Final = {"unauthenticated", "scope-missing", "forbidden", "playback-token-invalid"}
NOT_YOURS: Final = {"not-your-account", "not-your-profile", "session-not-yours", "purchase-not-yours"}
A: Final = Principal(subject="matrix-a", account_id="matrix-a", profile_id="matrix-a-profile")
B: Final = Principal(subject="matrix-b", account_id="matrix-b", profile_id="matrix-b-profile")
IDS: Final = {
    "account_id": "matrix-a",
    "profile_id": "matrix-a-profile",
    "season_number": "1",
    "role": "editor",
    "view": "playback_sessions",
    "version": "1",
    "number": "1",
}
OF_API_KEY: Final = frozenset({Scope.AUDIT_READ, Scope.HISTORY_READ})
OFFER: Final = {
    "offer_id": "matrix-offer",
    "kind": "rental",
    "title_id": "sintel",
    "title_name": "Sintel",
    "prices": [{"amount_minor": 399, "currency": "EUR"}],
}


@dataclass
class Matrix:
    """Both APIs on real stores, with things that are A's."""

    settings: Settings
    calls: list[Call]
    clients: dict[int, httpx.AsyncClient]
    ids: dict[str, str]
    api_key: str
    """Of a server that may only read the audit and the history."""

    async def send(self, call: Call, token: str | None, **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": new_id()} | ({"Authorization": f"Bearer {token}"} if token else {})
        return await call.send(self.clients[id(call.app)], self.ids, headers, **changes)

    def needing(self) -> list[tuple[Call, frozenset[Scope]]]:
        return [(call, call.row.access.scopes) for call in self.calls if isinstance(call.row.access, Needs)]

    def token(self, principal: Principal) -> str:
        return Tokens(self.settings).mint_access(principal)


@pytest.fixture(scope="module")
async def matrix(live: Settings, postgres: Pool) -> AsyncIterator[Matrix]:
    settings = unlimited(live).model_copy(update={"live_stream_max_s": 0.05})
    async with AsyncExitStack() as stack:
        clients, calls = {}, []
        for module in (commands.app, query_api.app, audits.app):
            app = module.create_app(settings)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://playhead")
            clients[id(app)] = await stack.enter_async_context(client)
            calls += calls_of(app)
        made = Matrix(settings, calls, clients, dict.fromkeys(OWNERSHIP, "matrix-unknown") | IDS, "")
        await _give_a_something(made, clients[id(calls[0].app)], postgres)
        yield made


async def _give_a_something(matrix: Matrix, client: httpx.AsyncClient, postgres: Pool) -> None:
    async def post(path: str, who: Principal, body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {matrix.token(who)}", "Idempotency-Key": new_id()}
        reply = await client.post(path, json=body, headers=headers)
        assert reply.status_code in (201, 409), reply.text
        posted: dict[str, Any] = reply.json()
        return posted

    cassandra, redis = await Cassandra.connect(matrix.settings), connect(matrix.settings)
    stores = Stores(matrix.settings, postgres, cassandra, redis)
    session_id = matrix.ids["session_id"] = new_id()
    await stores.session(session_id, "matrix-a-profile", account_id="matrix-a")
    await stores.event(session_id, "matrix-a-profile", 0, "playback.PlaybackProgressed.v1")
    await redis.aclose()
    await cassandra.close()
    await post("/v1/offers", Principal(subject="billing-1", roles=("billing",)), OFFER)
    bought = await post("/v1/purchases", A, {"offer_id": OFFER["offer_id"], "currency": "EUR"})
    matrix.ids["purchase_id"] = bought["id"]
    auditor = Principal(subject="matrix-operator", roles=("operator",))
    issued = await post("/v1/api-keys", auditor, {"name": "Matrix", "scopes": ["audit:read", "history:read"]})
    matrix.api_key = issued["key"]


def slug(reply: httpx.Response) -> str:
    if reply.headers.get("content-type") != "application/problem+json":
        return ""
    return str(reply.json()["type"]).rpartition("/")[2]


def with_only(scope: Scope) -> Principal:
    """A with one of a viewer's scopes; or staff with one."""
    if scope in VIEWER:
        return msgspec.structs.replace(A, scopes=frozenset({scope}))
    return Principal(subject="matrix-staff", scopes=frozenset({scope}))


def bodies_of(call: Call) -> list[Any]:
    """The example; nothing; and what is no JSON."""
    return [call.body, {}, b"{not json"] if call.body is not None else [None]


def wrong_tokens(settings: Settings) -> dict[str, str | None]:
    tokens = Tokens(settings)
    good = tokens.mint_access(A)
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    ours = tokens.keys.access_ring.signing().value

    def signed(key: Any = ours, **changes: Any) -> str:
        return jwt.encode({**claims, **changes}, key, algorithm="EdDSA", headers=header)

    def unsigned() -> str:
        parts = ({**header, "alg": "none"}, claims)
        encoded = (base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts)
        return ".".join((*encoded, ""))

    long_ago = (utc_now() - timedelta(days=1)).timestamp()
    return {
        "no token": None,
        "garbage": "garbage",
        "alg none": unsigned(),
        "expired": signed(iat=long_ago - 600, exp=long_ago),
        "wrong audience": signed(aud="somebody-else"),
        "wrong key": signed(Ed25519PrivateKey.generate()),
        "a playback token": tokens.mint_playback(builders.grant(), utc_now() + timedelta(hours=1)),
        "an API key that was never issued": "phk_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_00000000",
    }


async def test_the_right_key_signs_the_wrong_tokens(matrix: Matrix) -> None:
    call = next(call for call, scopes in matrix.needing() if scopes == {Scope.CATALOG_READ})
    assert (await matrix.send(call, matrix.token(A))).status_code == 200


async def test_a_token_that_does_not_hold_opens_no_route(matrix: Matrix) -> None:
    wrong = wrong_tokens(matrix.settings)
    failures = []
    for call, _ in matrix.needing():
        for what, token in wrong.items():
            for body in bodies_of(call):
                reply = await matrix.send(call, token, body=body)
                if (reply.status_code, slug(reply)) != (401, "unauthenticated"):
                    failures.append((call.name, what, body, reply.status_code, slug(reply)))
    assert failures == []


async def test_who_lacks_the_scope_is_refused_before_their_body_is_looked_at(matrix: Matrix) -> None:
    failures = []
    for call, scopes in matrix.needing():
        tokens = {"nobody": Principal(subject="nobody")}
        tokens |= {role: Principal(subject=role, roles=(role,)) for role in Role}
        tokens |= {"viewer": A}
        lacking = {name: matrix.token(who) for name, who in tokens.items() if who.scopes.isdisjoint(scopes)}
        lacking |= {"API key": matrix.api_key} if scopes.isdisjoint(OF_API_KEY) else {}
        for name, token in lacking.items():
            for body in bodies_of(call):
                reply = await matrix.send(call, token, body=body)
                if (reply.status_code, slug(reply)) != (403, "scope-missing"):
                    failures.append((call.name, name, body, reply.status_code, slug(reply)))
    assert failures == []


async def test_who_has_the_scope_passes(matrix: Matrix) -> None:
    failures: list[tuple[object, ...]] = []
    for call, scopes in matrix.needing():
        for scope in scopes:
            who = with_only(scope)
            for body in bodies_of(call):
                names = who.account_id is None and call.name in STAFF_NAMES_WHOM and body == call.body
                sent = {**body, "account_id": A.account_id} if names else body
                reply = await matrix.send(call, matrix.token(who), body=sent)
                if slug(reply) in REFUSED | NOT_YOURS or reply.status_code >= 500:
                    failures.append((call.name, scope, sent, reply.status_code, slug(reply)))
        if scopes & OF_API_KEY and (reply := await matrix.send(call, matrix.api_key)).status_code in (401, 403):
            failures.append((call.name, "API key", reply.status_code, slug(reply)))
    assert failures == []


async def test_what_is_somebodys_own_is_refused_to_others(matrix: Matrix) -> None:
    failures, checked = [], 0
    for call, scopes in matrix.needing():
        owned = [name for name in call.parameters if OWNERSHIP.get(name) == OWN]
        own_scopes = scopes & VIEWER
        if not owned or not own_scopes:
            continue
        if call.name in OF_THE_CALLERS_ACCOUNT:
            assert (await matrix.send(call, matrix.token(B))).status_code == 404
            continue
        other_profile = Principal(subject="matrix-a", account_id="matrix-a", profile_id="matrix-a-other")
        others = [B, *([other_profile] if "account_id" not in owned and "purchase_id" not in owned else [])]
        for who in others:
            for body in bodies_of(call)[:1]:
                checked += 1
                reply = await matrix.send(call, matrix.token(who), body=body)
                if reply.status_code != 403 or slug(reply) not in NOT_YOURS:
                    failures.append((call.name, who.profile_id, body, reply.status_code, slug(reply)))
    assert failures == []
    assert checked > 10


async def test_what_is_anothers_is_not_found_in_ones_own_account(matrix: Matrix) -> None:
    for call, scopes in matrix.needing():
        if "account_id" in call.parameters and len(call.parameters) > 1 and scopes & VIEWER:
            ids = {**matrix.ids, "account_id": "matrix-b", "profile_id": "matrix-a-profile"}
            headers = {"Authorization": f"Bearer {matrix.token(B)}", "Idempotency-Key": new_id()}
            reply = await call.send(matrix.clients[id(call.app)], ids, headers)
            assert 400 <= reply.status_code < 500, (call.name, reply.text)


async def test_what_is_shown_instead_of_an_access_token_is_verified(matrix: Matrix) -> None:
    bearing = [call for call in matrix.calls if isinstance(call.row.access, Bearing)]
    assert bearing
    for call in bearing:
        for what, token in wrong_tokens(matrix.settings).items():
            if what == "a playback token" and "session_id" in call.parameters:
                continue  # it holds, for another session: below
            reply = await matrix.send(call, token, body=call.body)
            assert reply.status_code == 401, (call.name, what, reply.text)


async def test_a_playback_token_is_for_its_own_session(matrix: Matrix) -> None:
    token = Tokens(matrix.settings).mint_playback(builders.grant(), utc_now() + timedelta(hours=1))
    for call in matrix.calls:
        if isinstance(call.row.access, Bearing) and "session_id" in call.parameters:
            assert (await matrix.send(call, token)).status_code in (403, 404), call.name


async def test_a_public_route_asks_nobody_who_they_are(matrix: Matrix) -> None:
    for call in matrix.calls:
        if isinstance(call.row.access, Public):
            reply = await matrix.send(call, None)
            assert slug(reply) not in REFUSED, (call.name, reply.text)


def test_whose_every_id_in_a_path_is_has_been_thought_of(matrix: Matrix) -> None:
    unknown = {(call.name, name) for call in matrix.calls for name in call.parameters if name not in OWNERSHIP}
    assert unknown == set()
    for call, scopes in matrix.needing():
        for name in call.parameters:
            if OWNERSHIP[name] == STAFF_ONLY:
                assert scopes.isdisjoint(VIEWER), f"{call.name}: viewers may call it, so say whose {name} is"
            if OWNERSHIP[name] == WITHIN_ACCOUNT:
                assert "account_id" in call.parameters, call.name
