"""Issuers whose tokens are taken beside our own: settings.trusted_issuers_file names them, where their keys are, and
what they may allow.

Keys come from there alone, never from where a token says; an issuer that is down goes on with the keys that are known.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
from prometheus_client import Counter

from infra.access.jwks import usable_keys
from infra.access.jws import Algorithm, BadToken, Jws, Times, VerifyingKey, check_audience, check_times
from infra.access.permissions import Principal, Scope
from infra.background import beside
from infra.clock import Clock, utc_now
from infra.settings import Settings, SettingsRefused
from infra.telemetry import log

SUBJECT_MAX_CHARS: Final = 255
PLAIN: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Read as it is sent, so that what is bounded is what comes."""
READINGS = Counter("playhead_issuer_keys_readings_total", "Readings of an issuer's JWKS", ["outcome"])
_URL: Final = re.compile(r"https://[^\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s]*)?")
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


class IssuersInvalid(SettingsRefused):
    """The file of trusted issuers does not say what it must."""


class IssuerTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the file. `scopes`: the most that its tokens allow. `account_claim`: the claim that holds one of our
    account ids, if any does. `types`: what `typ` its access tokens have."""

    issuer: str
    audience: str
    scopes: tuple[Scope, ...]
    jwks_url: str | None = None
    jwks_file: str | None = None
    account_claim: str | None = None
    types: tuple[str, ...] = ("at+jwt",)


class _Claims(Times, kw_only=True):
    aud: str | list[str]
    sub: str
    scope: str = ""


class TrustedIssuer:
    """One of them, and its keys."""

    def __init__(self, terms: IssuerTerms, settings: Settings, clock: Clock) -> None:
        self.terms = terms
        self.lost = 0
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, tuple[VerifyingKey, Algorithm]] = {}
        self._wanted = asyncio.Event()

    def read(self, jws: Jws) -> tuple[Principal, float]:
        """Who a token speaks for, and until when. Raises BadToken."""
        key, algorithm = self._key(jws.header.kid)
        jws.check(key, algorithm)
        if jws.media_type not in self.terms.types:
            raise BadToken("the token is no access token (typ)")
        claims = jws.read(_Claims)
        check_audience(claims.aud, self.terms.audience)
        check_times(claims, self._clock().timestamp(), self._settings.token_leeway_s)
        return self._principal(claims, jws), claims.exp

    async def keep_keys(self) -> None:
        """Read the keys again and again: every settings.issuer_keys_refresh_s, and when a token names another."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.issuer_keys_refresh_s):
                    await self._wanted.wait()
            self._wanted.clear()
            await self.read_keys()
            await asyncio.sleep(self._settings.issuer_keys_pause_s)

    async def read_keys(self) -> None:
        """Read the keys once; those known stay when that fails."""
        try:
            async with asyncio.timeout(self._settings.issuer_timeout_s):
                keys = usable_keys(await self._jwks())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as error:
            READINGS.labels("failed").inc()
            log.warning("keys of an issuer cannot be read", issuer=self.terms.issuer, error=repr(error))
            return
        READINGS.labels("read").inc()
        self.lost += not self._keys.keys() <= keys.keys()
        self._keys = keys

    def _key(self, kid: str) -> tuple[VerifyingKey, Algorithm]:
        known = self._keys.get(kid)
        if known is None:
            self._wanted.set()
            raise BadToken("the token is signed by a key of its issuer that is not known here (yet)")
        return known

    def _principal(self, claims: _Claims, jws: Jws) -> Principal:
        if not (0 < len(claims.sub) <= SUBJECT_MAX_CHARS and claims.sub.isprintable()):
            raise BadToken("the token's subject is not one that can be kept (sub)")
        account_id = jws.claims.get(self.terms.account_claim) if self.terms.account_claim else None
        if account_id is not None and not (isinstance(account_id, str) and _ID.fullmatch(account_id)):
            raise BadToken("the token's account is not an id of one")
        scopes = frozenset(self.terms.scopes) & frozenset(claims.scope.split())
        if not scopes:
            raise BadToken("the token allows nothing that its issuer may allow here (scope)")
        subject = f"{self.terms.issuer}|{claims.sub}"  # never one of ours, whatever it is called there
        return Principal(subject=subject, account_id=account_id, scopes=frozenset(map(Scope, scopes)))

    async def _jwks(self) -> bytes:
        if self.terms.jwks_url is None:
            assert self.terms.jwks_file is not None
            return await asyncio.to_thread(Path(self.terms.jwks_file).read_bytes)
        async with (
            httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=self._settings.issuer_timeout_s) as http,
            http.stream("GET", self.terms.jwks_url, headers=PLAIN) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"answered {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._settings.issuer_keys_max_bytes:
                    raise ValueError("the JWKS is longer than settings.issuer_keys_max_bytes")
            return bytes(body)


class TrustedIssuers:
    """All of them, by name."""

    def __init__(self, issuers: tuple[TrustedIssuer, ...]) -> None:
        self._issuers = {issuer.terms.issuer: issuer for issuer in issuers}

    @classmethod
    def load(cls, settings: Settings, clock: Clock = utc_now) -> "TrustedIssuers":
        """Those that settings name; none by default. Raises IssuersInvalid."""
        if settings.trusted_issuers_file is None:
            return cls(())
        try:
            terms = msgspec.json.decode(settings.trusted_issuers_file.read_bytes(), type=tuple[IssuerTerms, ...])
        except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
            raise IssuersInvalid(f"{settings.trusted_issuers_file}: {error}") from error
        names = [each.issuer for each in terms]
        if len({settings.token_issuer, *names}) <= len(names):
            raise IssuersInvalid(f"{settings.trusted_issuers_file}: each issuer is named once, and none is ourselves")
        for each in terms:
            _check(each)
        return cls(tuple(TrustedIssuer(each, settings, clock) for each in terms))

    @property
    def lost(self) -> int:
        """How often keys went away."""
        return sum(issuer.lost for issuer in self._issuers.values())

    def read(self, jws: Jws) -> tuple[Principal, float]:
        """Who a token speaks for, and until when. Raises BadToken."""
        name = jws.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise BadToken("the token is of an issuer that is not trusted here (iss)")
        return issuer.read(jws)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep their keys up to date meanwhile; they were asked for once when this begins."""
        await asyncio.gather(*(issuer.read_keys() for issuer in self._issuers.values()))
        async with beside(*(issuer.keep_keys() for issuer in self._issuers.values())):
            yield


def _check(terms: IssuerTerms) -> None:
    if (terms.jwks_url is None) == (terms.jwks_file is None):
        raise IssuersInvalid(f"issuer {terms.issuer}: name one of jwks_url and jwks_file")
    if terms.jwks_url is not None and not _URL.fullmatch(terms.jwks_url):
        raise IssuersInvalid(f"issuer {terms.issuer}: jwks_url is https, or http on this machine")
    if not terms.scopes:
        raise IssuersInvalid(f"issuer {terms.issuer}: name the scopes that its tokens may allow")
