"""Issuers that are trusted by configuration: their keys over HTTP, and what their tokens may do here."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from infra.access.issuers import IssuersInvalid
from infra.access.permissions import Principal, Scope
from infra.access.tokens import BadToken, Tokens
from infra.clock import utc_now
from infra.settings import Settings
from tests.serving import serving

PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NAME = "https://id.example"
RSA_KEY = rsa.generate_private_key(65537, 2048)


@dataclass
class Issuer:
    """A party that signs tokens, and serves the keys to verify them by as a test wants."""

    keys: dict[str, PrivateKey] = field(default_factory=dict)
    asked: int = 0
    answer: Response | None = None
    terms: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    async def jwks(self, _: Request) -> Response:
        self.asked += 1
        return self.answer or Response(json.dumps({"keys": [public(kid, key) for kid, key in self.keys.items()]}))

    def sign(self, kid: str, *, typ: str = "at+jwt", algorithm: str | None = None, **changes: object) -> str:
        now_s = utc_now().timestamp()
        claims: dict[str, object] = {
            "iss": NAME,
            "aud": "playhead",
            "sub": "user-1",
            "iat": now_s,
            "exp": now_s + 300,
            "scope": "catalog:read playback:read email",
        }
        key = self.keys[kid]
        return jwt.encode({**claims, **changes}, key, algorithm or algorithm_of(key), {"kid": kid, "typ": typ})


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    return "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"


def public(kid: str, key: PrivateKey) -> dict[str, Any]:
    algorithm: Any = jwt.get_algorithm_by_name(algorithm_of(key))
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer(keys={"one": Ed25519PrivateKey.generate()})
    async with serving(Starlette(routes=[Route("/jwks", issuer.jwks)]), lifespan="off") as url:
        issuer.url = f"{url}/jwks"
        yield issuer


def trusting(issuer: Issuer, tmp_path: Path, **changes: Any) -> Settings:
    terms = {
        "issuer": NAME,
        "jwks_url": issuer.url,
        "audience": "playhead",
        "scopes": ["catalog:read", "catalog:write"],
        **issuer.terms,
    }
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps([{name: value for name, value in terms.items() if value is not None}]))
    return Settings(
        state_dir=tmp_path, trusted_issuers_file=file, **{"issuer_keys_pause_s": 0.05, "issuer_timeout_s": 5, **changes}
    )


@asynccontextmanager
async def tokens_of(issuer: Issuer, tmp_path: Path, **changes: Any) -> AsyncIterator[Tokens]:
    tokens = Tokens(trusting(issuer, tmp_path, **changes))
    async with tokens.issuers.kept():
        yield tokens


def refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(BadToken) as caught:
        tokens.verify_access(token)
    return str(caught.value)


async def until_taken(tokens: Tokens, token: str) -> Principal:
    async with asyncio.timeout(5):
        while True:
            try:
                return tokens.verify_access(token)
            except BadToken:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1()), RSA_KEY])
async def test_a_token_of_a_trusted_issuer_does_what_both_allow(
    issuer: Issuer, tmp_path: Path, key: PrivateKey
) -> None:
    issuer.keys = {"one": key}
    async with tokens_of(issuer, tmp_path) as tokens:
        who = tokens.verify_access(issuer.sign("one"))
        assert who == Principal(subject=f"{NAME}|user-1", scopes=frozenset({Scope.CATALOG_READ}))
        assert who.account_id is None


async def test_its_subject_is_never_one_of_ours(issuer: Issuer, tmp_path: Path) -> None:
    async with tokens_of(issuer, tmp_path) as tokens:
        who = tokens.verify_access(issuer.sign("one", sub="operator", account_id="a1", roles=["operator"], sid="s"))
        assert who.subject == f"{NAME}|operator"
        assert (who.account_id, who.roles, who.sign_in_id) == (None, (), None)


async def test_an_account_is_taken_from_the_claim_that_is_configured(issuer: Issuer, tmp_path: Path) -> None:
    issuer.terms = {"account_claim": "https://playhead/account"}
    async with tokens_of(issuer, tmp_path) as tokens:
        claim = {"https://playhead/account": "account-1"}
        assert tokens.verify_access(issuer.sign("one", **claim)).account_id == "account-1"
        refused(tokens, issuer.sign("one", **{"https://playhead/account": "a b\x00"}))
        seven: dict[str, Any] = {"https://playhead/account": 7}
        refused(tokens, issuer.sign("one", **seven))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": "playhead-api"},
        {"exp": 1},
        {"nbf": 9e9},
        {"iat": 9e9},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"sub": "\x00"},
        {"sub": "\ud800"},
        {"sub": 7},
        {"scope": "email"},
        {"scope": ""},
        {"iss": "https://another.example"},
        {"iss": "playhead"},
        {"typ": "JWT"},
        {"algorithm": "HS256"},
    ],
)
async def test_a_token_that_does_not_hold_is_refused(issuer: Issuer, tmp_path: Path, changes: dict[str, Any]) -> None:
    async with tokens_of(issuer, tmp_path) as tokens:
        if changes == {"algorithm": "HS256"}:
            claims = jwt.decode(issuer.sign("one"), options={"verify_signature": False})
            token = jwt.encode(claims, b"k" * 32, "HS256", {"kid": "one", "typ": "at+jwt"})
        else:
            token = issuer.sign("one", **changes)
        assert refused(tokens, token)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
async def test_keys_that_are_not_allowed_are_passed_over(issuer: Issuer, tmp_path: Path) -> None:
    issuer.keys["short"] = rsa.generate_private_key(65537, 1024)
    issuer.keys["curve"] = ec.generate_private_key(ec.SECP384R1())
    good = public("one", issuer.keys["one"])
    private: Any = jwt.get_algorithm_by_name("EdDSA")
    leaked = json.loads(private.to_jwk(issuer.keys["one"]))
    keys = [
        public("short", issuer.keys["short"]),
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "other", "alg": "ES256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {**leaked, "kid": "leaked"},
        {"kty": "OKP"},
        {},
        {**good, "kid": 7},
        {**good, "x": "!", "kid": "broken"},
        good,
    ]
    issuer.answer = Response(json.dumps({"keys": keys}))
    async with tokens_of(issuer, tmp_path) as tokens:
        assert tokens.verify_access(issuer.sign("one"))
        refused(tokens, issuer.sign("short"))
        for kid in ("encrypts", "other", "shared", "leaked", "broken"):
            issuer.keys[kid] = issuer.keys["one"]
            refused(tokens, issuer.sign(kid))


async def test_a_new_key_is_found_when_a_token_names_it(issuer: Issuer, tmp_path: Path) -> None:
    async with tokens_of(issuer, tmp_path) as tokens:
        issuer.keys["two"] = Ed25519PrivateKey.generate()
        await until_taken(tokens, issuer.sign("two"))
        assert tokens.verify_access(issuer.sign("one"))


async def test_random_kids_do_not_have_the_issuer_asked_again_and_again(issuer: Issuer, tmp_path: Path) -> None:
    async with tokens_of(issuer, tmp_path, issuer_keys_pause_s=60) as tokens:
        for number in range(200):
            issuer.keys[f"random-{number}"] = issuer.keys["one"]
            token = issuer.sign(f"random-{number}")
            del issuer.keys[f"random-{number}"]
            refused(tokens, token)
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert issuer.asked <= 2


async def test_a_key_that_the_issuer_drops_is_not_taken_any_more(issuer: Issuer, tmp_path: Path) -> None:
    async with tokens_of(issuer, tmp_path, issuer_keys_refresh_s=0.05, keys_reload_s=0.001) as tokens:
        token = issuer.sign("one")
        tokens.verify_access(token)
        issuer.keys = {"two": Ed25519PrivateKey.generate()}
        async with asyncio.timeout(5):
            while True:
                try:
                    tokens.verify_access(token)
                except BadToken:
                    break
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "answer",
    [
        Response("down", status_code=503),
        Response("not json"),
        Response('{"keys": []}'),
        Response('{"keys": 7}'),
        Response("[" * 100_000),
        Response(b"x" * 300_000),
        Response(b"\xff"),
        RedirectResponse("http://127.0.0.1:1/"),
    ],
)
async def test_an_issuer_that_is_down_goes_on_with_the_keys_that_are_known(
    issuer: Issuer, tmp_path: Path, answer: Response
) -> None:
    async with tokens_of(issuer, tmp_path, issuer_keys_refresh_s=0.05) as tokens:
        issuer.answer = answer
        asked = issuer.asked
        async with asyncio.timeout(5):
            while issuer.asked < asked + 2:
                await asyncio.sleep(0.02)
        assert tokens.verify_access(issuer.sign("one"))


async def test_an_issuer_that_hangs_or_is_not_there_keeps_nobody_waiting(issuer: Issuer, tmp_path: Path) -> None:
    async def hanging(_: Request) -> Response:
        await asyncio.sleep(0.5)
        return Response()

    async with serving(Starlette(routes=[Route("/jwks", hanging)]), lifespan="off") as url:
        issuer.url = f"{url}/jwks"
        async with asyncio.timeout(0.45), tokens_of(issuer, tmp_path, issuer_timeout_s=0.1) as tokens:
            refused(tokens, issuer.sign("one"))
            assert tokens.verify_access(tokens.mint_access(Principal(subject="ours"))).subject == "ours"
    issuer.url = "http://127.0.0.1:1/jwks"
    async with tokens_of(issuer, tmp_path) as tokens:
        refused(tokens, issuer.sign("one"))


async def test_keys_can_come_from_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [public("one", issuer.keys["one"])]}))
    issuer.terms = {"jwks_url": None, "jwks_file": str(file)}
    async with tokens_of(issuer, tmp_path) as tokens:
        assert tokens.verify_access(issuer.sign("one"))
    assert issuer.asked == 0


@pytest.mark.parametrize(
    "terms",
    [
        {"jwks_url": "http://id.example/jwks"},
        {"jwks_url": "http://127.0.0.1.id.example/jwks"},
        {"jwks_url": "http://127.0.0.1:80@id.example/jwks"},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": None},
        {"jwks_file": "jwks.json"},
        {"issuer": "playhead"},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"audience": None},
        {"misspelt": 1},
    ],
)
def test_a_file_that_does_not_say_what_it_must_is_refused(tmp_path: Path, terms: dict[str, Any]) -> None:
    issuer = Issuer(url="https://id.example/jwks", terms=terms)
    with pytest.raises(IssuersInvalid):
        Tokens(trusting(issuer, tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"{", b"{}", b"\xff", b'[{"issuer": "x"}]'])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "issuers.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(IssuersInvalid, match=r"issuers\.json"):
        Tokens(Settings(state_dir=tmp_path, trusted_issuers_file=file))
