"""Access, playback and refresh tokens: what is taken, and everything that is not (RFC 8725, RFC 9068)."""

import base64
import hmac
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.grants import Grant
from infra.access.keyring import public_jwk
from infra.access.permissions import Principal, Scope
from infra.access.tokens import ACCESS_AUDIENCE, BadToken, Tokens
from infra.cursors import Cursors
from infra.settings import Settings
from tests.builders import grant

VIEWER = Principal(
    subject="viewer",
    account_id="account-1",
    profile_id="profile-1",
    sign_in_id="sign-in-1",
    device_id="device-1",
    maturity_limit=12,
    roles=("editor",),
)


class MovableClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
def tokens(settings: Settings, clock: MovableClock) -> Tokens:
    return Tokens(settings, clock)


def refused(tokens: Tokens, token: str) -> str:
    """Why an access token is refused."""
    with pytest.raises(BadToken) as caught:
        tokens.verify_access(token)
    assert str(caught.value)
    return str(caught.value)


Sign = Callable[..., str]


@pytest.fixture
def sign(tokens: Tokens, clock: MovableClock) -> Sign:
    """Signs an access token with our own key, with changes: what only a fault of ours could make. None leaves out."""

    def signed(header: dict[str, object] | None = None, **changes: object) -> str:
        key = tokens.keys.access_ring.signing()
        now_s = clock().timestamp()
        claims: dict[str, object] = {
            "iss": "playhead",
            "aud": ACCESS_AUDIENCE,
            "sub": "viewer",
            "client_id": "playhead",
            "jti": "1",
            "iat": now_s,
            "exp": now_s + 600,
            "scope": "playback",
        }
        given = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jws(tokens, {"typ": "at+jwt", "alg": "EdDSA", "kid": key.kid, **(header or {})}, given)

    return signed


def jws(tokens: Tokens, header: object, payload: object) -> str:
    """Whatever is given, under a signature of ours that holds."""
    parts = [_base64url(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)]
    signature = tokens.keys.access_ring.signing().value.sign(".".join(parts).encode())
    return ".".join([*parts, _base64url(signature)])


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


# What is taken


def test_an_access_token_says_who_it_was_minted_for(tokens: Tokens) -> None:
    assert tokens.verify_access(tokens.mint_access(VIEWER)) == VIEWER


def test_an_access_token_is_as_rfc_9068_has_it(tokens: Tokens) -> None:
    token = tokens.mint_access(VIEWER)
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert {"iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope"} <= claims.keys()
    assert claims["exp"] - claims["iat"] == 600
    assert claims["jti"] != jwt.decode(tokens.mint_access(VIEWER), options={"verify_signature": False})["jti"]


def test_a_token_can_be_narrowed_and_made_to_last(tokens: Tokens, clock: MovableClock) -> None:
    narrow = Principal(subject="ed", roles=("editor",), scopes=frozenset({Scope.CATALOG_READ}))
    token = tokens.mint_access(narrow, ttl_s=3600)
    clock.pass_by(3599)
    assert tokens.verify_access(token).scopes == {Scope.CATALOG_READ}


def test_a_playback_token_carries_its_session(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.mint_playback(grant(), clock() + timedelta(hours=1))
    assert tokens.verify_playback(token, Grant) == grant()


def test_a_refresh_token_is_the_same_each_time_and_says_its_number(tokens: Tokens) -> None:
    assert tokens.mint_refresh("s-1", 7) == tokens.mint_refresh("s-1", 7)
    assert tokens.read_refresh(tokens.mint_refresh("s-1", 7)) == ("s-1", 7)


def test_what_was_signed_well_is_taken(tokens: Tokens, sign: Sign) -> None:
    assert tokens.verify_access(sign()).subject == "viewer"
    assert tokens.verify_access(sign(aud=["others", ACCESS_AUDIENCE])).subject == "viewer"
    assert tokens.verify_access(sign({"typ": "application/AT+JWT"})).subject == "viewer"
    assert tokens.verify_access(sign(scope="playback made:up")).scopes == {Scope.PLAYBACK}


# One kind for another


def test_one_kind_of_token_is_not_taken_for_the_other(tokens: Tokens, clock: MovableClock) -> None:
    playback = tokens.mint_playback(grant(), clock() + timedelta(hours=1))
    access, refresh = tokens.mint_access(VIEWER), tokens.mint_refresh("s-1", 1)
    tokens.verify_playback(playback, Grant)  # remembered tokens are told apart too
    tokens.verify_access(access)
    for other in (playback, refresh):
        refused(tokens, other)
    for other in (access, refresh):
        with pytest.raises(BadToken):
            tokens.verify_playback(other, Grant)
    for other in (access, playback):
        with pytest.raises(BadToken):
            tokens.read_refresh(other)


def test_a_playback_token_under_our_issuers_name_is_no_access_token(tokens: Tokens, sign: Sign) -> None:
    assert "typ" in refused(tokens, sign({"typ": "playback+jwt"}))
    assert "typ" in refused(tokens, sign({"typ": "JWT"}))
    key = tokens.keys.access_ring.signing()
    untyped = jws(tokens, {"alg": "EdDSA", "kid": key.kid}, jwt.decode(sign(), options={"verify_signature": False}))
    assert "typ" in refused(tokens, untyped)


# Algorithms and keys


def test_an_unsigned_token_is_refused(tokens: Tokens) -> None:
    claims = {"iss": "playhead", "sub": "viewer", "aud": ACCESS_AUDIENCE, "exp": 9e9}
    kid = tokens.keys.access_ring.signing().kid
    refused(tokens, jwt.encode(claims, "", algorithm="none", headers={"kid": kid, "typ": "at+jwt"}))
    body = tokens.mint_access(VIEWER).split(".")[1]
    for alg in ("none", "None", "NONE", "nOnE"):
        header = _base64url(json.dumps({"alg": alg, "kid": kid, "typ": "at+jwt"}).encode())
        refused(tokens, f"{header}.{body}.")


def test_the_public_key_is_not_taken_for_a_secret(tokens: Tokens) -> None:
    key = tokens.keys.access_ring.signing()
    public = key.value.public_key()
    head = _base64url(json.dumps({"alg": "HS256", "kid": key.kid, "typ": "at+jwt"}).encode())
    body = tokens.mint_access(VIEWER).split(".")[1]
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes_raw(),
        json.dumps(public_jwk(key.value)).encode(),
    ):
        mac = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
        assert "algorithm" in refused(tokens, f"{head}.{body}.{_base64url(mac)}")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "HS512"])
def test_another_algorithm_is_refused(tokens: Tokens, algorithm: str) -> None:
    secret: Any = b"s" * 64
    if algorithm == "ES256":
        secret = ec.generate_private_key(ec.SECP256R1())
    elif algorithm.endswith("S256"):
        secret = rsa.generate_private_key(65537, 2048)
    claims = jwt.decode(tokens.mint_access(VIEWER), options={"verify_signature": False})
    headers = {"kid": tokens.keys.access_ring.signing().kid, "typ": "at+jwt"}
    refused(tokens, jwt.encode(claims, secret, algorithm=algorithm, headers=headers))


def test_a_token_of_another_installation_is_refused(tokens: Tokens, tmp_path: Path) -> None:
    other = Tokens(Settings(state_dir=tmp_path / "other"))
    assert "key" in refused(tokens, other.mint_access(VIEWER))
    kid = tokens.keys.access_ring.signing().kid
    claims = jwt.decode(other.mint_access(VIEWER), options={"verify_signature": False})
    forged = jwt.encode(claims, other.keys.access_ring.signing().value, "EdDSA", {"kid": kid, "typ": "at+jwt"})
    assert "signature" in refused(tokens, forged)


def test_a_key_that_the_token_brings_or_points_at_is_not_looked_at(tokens: Tokens, tmp_path: Path) -> None:
    other = Tokens(Settings(state_dir=tmp_path / "other")).keys.access_ring.signing()
    claims = jwt.decode(tokens.mint_access(VIEWER), options={"verify_signature": False})
    for header in (
        {"jwk": public_jwk(other.value)},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/cert"},
        {"kid": "../../../../dev/null"},
        {"kid": "' or 1=1 --"},
    ):
        refused(tokens, jwt.encode(claims, other.value, "EdDSA", {"kid": other.kid, "typ": "at+jwt", **header}))


def test_every_changed_character_of_a_token_is_noticed(tokens: Tokens) -> None:
    token = tokens.mint_access(VIEWER)
    tokens.verify_access(token)
    for place in range(0, len(token), 7):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        refused(tokens, changed)


# Shape


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"cty": "JWT"}, {"kid": None}])
def test_a_header_that_asks_for_more_is_refused(tokens: Tokens, sign: Sign, header: dict[str, object]) -> None:
    refused(tokens, sign(header))


def test_a_token_in_a_token_is_refused(tokens: Tokens) -> None:
    key = tokens.keys.access_ring.signing()
    inner = tokens.mint_access(VIEWER).encode()
    refused(tokens, jws(tokens, {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt"}, inner))
    refused(tokens, jws(tokens, {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt", "cty": "JWT"}, inner))
    refused(tokens, "a.b.c.d.e")  # five parts: an encrypted token


def test_a_huge_token_is_refused_before_it_is_read(tokens: Tokens, settings: Settings) -> None:
    assert "4096" in refused(tokens, "a" * (settings.access_token_max_bytes + 1))
    assert "4096" in refused(tokens, tokens.mint_access(VIEWER) + "A" * 1_000_000)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"",
        b"{",
        b"\xff",
        b'{"iss": "playhead", "iss": "playhead"}',
        b'{"exp": NaN}',
        b"[" * 2_000 + b"]" * 2_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"iss": "playhead", "exp": ' + b"9" * 2_900 + b"}",
    ],
)
def test_a_payload_that_is_no_plain_object_is_refused(tokens: Tokens, payload: bytes) -> None:
    key = tokens.keys.access_ring.signing()
    refused(tokens, jws(tokens, {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt"}, payload))
    refused(tokens, jws(tokens, payload, {"iss": "playhead"}))


def test_a_claim_that_comes_twice_is_refused(tokens: Tokens, sign: Sign) -> None:
    claims = json.dumps(jwt.decode(sign(), options={"verify_signature": False}))
    key = tokens.keys.access_ring.signing()
    header = {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt"}
    refused(tokens, jws(tokens, header, (claims[:-1] + ', "sub": "somebody else"}').encode()))
    twice = (json.dumps(header)[:-1] + ', "alg": "none"}').encode()
    refused(tokens, jws(tokens, twice, claims.encode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": 7},
        {"sub": ["viewer"]},
        {"sub": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": -1},
        {"exp": 10**400},
        {"iat": "now"},
        {"nbf": {}},
        {"aud": None},
        {"aud": 7},
        {"aud": []},
        {"aud": {"playhead-api": 1}},
        {"aud": "playhead-playback"},
        {"aud": "PLAYHEAD-API"},
        {"iss": None},
        {"iss": "somebody"},
        {"iss": ["playhead"]},
        {"iss": {"playhead": 1}},
        {"jti": 7},
        {"scope": ["playback"]},
        {"roles": "editor"},
        {"roles": {"editor": 1}},
        {"account_id": 7},
        {"maturity_limit": "none"},
    ],
)
def test_a_claim_that_is_not_what_it_must_be_is_refused(tokens: Tokens, sign: Sign, changes: dict[str, object]) -> None:
    refused(tokens, sign(**changes))


def test_a_token_whose_scopes_are_all_unknown_does_not_get_those_of_its_account(tokens: Tokens, sign: Sign) -> None:
    assert "allows nothing" in refused(tokens, sign(scope="", account_id="account-1"))
    assert "allows nothing" in refused(tokens, sign(scope="made:up", roles=["operator"]))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda given: given.decode("latin-1")))
def test_nothing_whatever_breaks_the_reading_of_a_token(given: str) -> None:
    for read in (SHARED.verify_access, SHARED.read_refresh, lambda token: SHARED.verify_playback(token, int)):
        with pytest.raises(BadToken):
            read(given)


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "roles", "sid", "typ", "alg", "kid"])


@given(st.dictionaries(NAMES, PARTS), st.dictionaries(NAMES, PARTS), st.booleans(), st.booleans())
def test_no_claims_whatever_break_the_reading_of_a_token(
    header: dict[str, object], claims: dict[str, object], ours: bool, typed: bool
) -> None:
    key = SHARED.keys.access_ring.signing()
    signed_by = {"alg": "EdDSA", "kid": key.kid, **({"typ": "at+jwt"} if typed else {})}
    issued_by = {"iss": "playhead", "aud": ACCESS_AUDIENCE} if ours else {}
    with pytest.raises(BadToken):
        SHARED.verify_access(jws(SHARED, {**header, **signed_by}, {**claims, **issued_by}))


# Time


@pytest.mark.parametrize(("after_s", "taken"), [(0, True), (599.999, True), (600, False), (601, False)])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_token_holds_until_it_expires(
    tokens: Tokens, clock: MovableClock, after_s: float, taken: bool, remembered: bool
) -> None:
    token = tokens.mint_access(VIEWER)
    if remembered:
        tokens.verify_access(token)
    clock.pass_by(after_s)
    if taken:
        assert tokens.verify_access(token) == VIEWER
    else:
        assert "expired" in refused(tokens, token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_a_clock_that_is_ahead_is_taken_within_the_leeway(
    tokens: Tokens, sign: Sign, clock: MovableClock, settings: Settings, claim: str
) -> None:
    leeway_s = settings.token_leeway_s
    assert tokens.verify_access(sign(**{claim: clock().timestamp() + leeway_s}))
    refused(tokens, sign(**{claim: clock().timestamp() + leeway_s + 1}))


def test_a_remembered_playback_token_expires_all_the_same(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.mint_playback(grant(), clock() + timedelta(seconds=1))
    tokens.verify_playback(token, Grant)
    clock.pass_by(2)
    with pytest.raises(BadToken):
        tokens.verify_playback(token, Grant)


# Keys


def test_two_processes_that_start_together_share_their_keys(settings: Settings) -> None:
    first, second = Tokens(settings), Tokens(settings)
    assert second.verify_access(first.mint_access(VIEWER)) == VIEWER


def test_processes_that_make_the_first_keys_at_once_make_one(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        kids = {made.keys.access_ring.signing().kid for made in threads.map(Tokens, [settings] * 8)}
    assert kids == {key.kid for key in Tokens(settings).keys.access_ring.known()}


def test_what_a_killed_process_left_of_a_key_harms_nobody(settings: Settings, clock: MovableClock) -> None:
    draft = settings.keys_path / ".access.draft"
    draft.mkdir(parents=True)
    (draft / "half").write_bytes(b"half a key")
    ring = Tokens(settings, clock).keys.access_ring
    (ring.directory / ".1.kid.pem.77").write_bytes(b"half a key")
    (ring.directory / "1.kid.other").write_bytes(b"something else")
    ring.add()
    assert len(Tokens(settings, clock).keys.access_ring.known()) == 2


def test_keys_that_cannot_be_read_leave_those_that_are_known(tokens: Tokens, clock: MovableClock) -> None:
    token, ring = tokens.mint_access(VIEWER), tokens.keys.access_ring
    (ring.directory / "1.broken.pem").write_bytes(b"no key")
    clock.pass_by(60)
    assert tokens.verify_access(token) == VIEWER


def test_keys_are_readable_by_their_owner_only(tokens: Tokens, tmp_path: Path) -> None:
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_a_rotation_logs_nobody_out(settings: Settings, clock: MovableClock) -> None:
    one, other = Tokens(settings, clock), Tokens(settings, clock)
    playback = one.mint_playback(grant(), clock() + timedelta(days=1))
    access, refresh = one.mint_access(VIEWER), one.mint_refresh("s-1", 3)
    cursor = Cursors(one.keys.internal_ring.values).sign("listing", VIEWER)

    def all_hold() -> None:
        for process in (one, other):
            assert process.verify_access(access) == VIEWER
            assert process.verify_playback(playback, Grant) == grant()
            assert process.read_refresh(refresh) == ("s-1", 3)
            assert Cursors(process.keys.internal_ring.values).read("listing", cursor, Principal) == VIEWER

    operator = Tokens(settings, clock)
    operator.keys.access_ring.add()
    operator.keys.internal_ring.add()
    all_hold()
    assert one.mint_refresh("s-1", 3) == refresh  # the new key is not used before everybody knows it
    clock.pass_by(settings.keys_announced_s + 1)
    all_hold()
    renewed = one.mint_access(VIEWER)
    assert jwt.get_unverified_header(renewed)["kid"] != jwt.get_unverified_header(access)["kid"]
    assert other.verify_access(renewed) == VIEWER
    assert other.read_refresh(one.mint_refresh("s-1", 4)) == ("s-1", 4)
    assert one.mint_refresh("s-1", 3) != refresh


def test_a_key_that_is_taken_away_ends_its_tokens_in_running_processes(settings: Settings, clock: MovableClock) -> None:
    running, operator = Tokens(settings, clock), Tokens(settings, clock)
    token = running.mint_access(VIEWER)
    running.verify_access(token)
    old = operator.keys.access_ring.signing().kid
    operator.keys.access_ring.add()
    operator.keys.access_ring.remove(old)
    clock.pass_by(settings.keys_reload_s + 0.1)
    assert "key" in refused(running, token)
    assert running.verify_access(running.mint_access(VIEWER)) == VIEWER


def test_random_kids_cost_no_look_at_the_directory(tokens: Tokens, sign: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    read = type(tokens.keys.access_ring)._read

    def counted(ring: Any) -> Any:
        nonlocal looks
        looks += 1
        return read(ring)

    monkeypatch.setattr(type(tokens.keys.access_ring), "_read", counted)
    for number in range(100):
        refused(tokens, sign({"kid": f"random-{number}"}))
    assert looks == 0


def test_the_keys_of_an_older_installation_are_taken_over(settings: Settings, clock: MovableClock) -> None:
    first = Tokens(settings, clock)
    access, internal = first.keys.access_ring.signing(), first.keys.internal_ring.signing()
    keys = settings.keys_path
    for ring, old in ((first.keys.access_ring, "access.ed25519.pem"), (first.keys.internal_ring, "internal.hmac")):
        path = next(ring.directory.iterdir())
        os.rename(path, keys / old)
        ring.directory.rmdir()
    taken = Tokens(settings, clock)
    assert taken.keys.access_ring.signing().kid == access.kid
    assert taken.keys.internal == internal.value
    assert sorted(path.name for path in keys.iterdir()) == ["access", "internal"]


def test_published_keys_are_the_public_halves(tokens: Tokens) -> None:
    published = tokens.keys.jwks()["keys"]
    assert [key["kid"] for key in published] == [key.kid for key in tokens.keys.access_ring.known()]
    assert all(key.keys() == {"kty", "crv", "x", "kid", "use", "alg"} for key in published)


SHARED: Tokens


@pytest.fixture(scope="module", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    global SHARED  # noqa: PLW0603 - hypothesis runs one test many times, with one installation
    SHARED = Tokens(Settings(state_dir=tmp_path_factory.mktemp("state")))
