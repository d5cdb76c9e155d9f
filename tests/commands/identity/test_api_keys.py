"""API keys, in every state that they can be in, and how they are written."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

import pytest

from commands.identity.api_keys import API_KEY, IssueApiKey, RevokeApiKey
from commands.identity.refusals import ApiKeyExists, ApiKeyExpiryPast, ApiKeyUnknown
from events.identity import ApiKeyIssued, ApiKeyRevoked
from events.types import ApiKeyId
from infra.access.api_keys import SHAPE, ApiKeys, digest_of, written
from infra.access.tokens import BadToken
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.spec import NOON, Spec

ID: Final = ApiKeyId("k1")
ISSUED: Final = ApiKeyIssued(api_key_id=ID, name="Grafana", scopes=("playback:read",))
LASTING: Final = ApiKeyIssued(api_key_id=ID, name="Grafana", scopes=(), expires_at=NOON + timedelta(days=1))
REVOKED: Final = ApiKeyRevoked(api_key_id=ID)
key: Final = Spec(API_KEY)


def test_a_key_is_issued_once() -> None:
    key.given().when(IssueApiKey(issued=ISSUED)).then(ISSUED)
    key.given(ISSUED).when(IssueApiKey(issued=ISSUED)).ignored()
    key.given(ISSUED, REVOKED).when(IssueApiKey(issued=ISSUED)).ignored()
    key.given(ISSUED).when(IssueApiKey(issued=LASTING)).refused(ApiKeyExists)


def test_a_key_expires_ahead() -> None:
    key.given().when(IssueApiKey(issued=LASTING)).then(LASTING)
    key.given().when(IssueApiKey(issued=LASTING), now=NOON + timedelta(days=1)).refused(ApiKeyExpiryPast)
    key.given(LASTING).when(IssueApiKey(issued=LASTING), now=NOON + timedelta(days=2)).ignored()


def test_a_key_is_revoked_once_and_only_if_it_was_issued() -> None:
    key.given().when(RevokeApiKey(api_key_id=ID)).refused(ApiKeyUnknown)
    key.given(ISSUED).when(RevokeApiKey(api_key_id=ID)).then(REVOKED)
    key.given(ISSUED, REVOKED).when(RevokeApiKey(api_key_id=ID)).ignored()


def test_a_key_tells_scanners_and_people_what_it_is() -> None:
    api_key_id = new_id()
    text = written(api_key_id, bytes(range(32)))
    prefix, short, _ = text.split("_", 2)
    assert (prefix, short) == ("phk", api_key_id[-12:])
    assert SHAPE.fullmatch(text)
    assert len(digest_of(text)) == 32


async def test_a_mistyped_key_is_refused_without_a_look_up() -> None:
    """There is no Postgres to look it up in."""
    keys, text = ApiKeys(_nowhere, Settings()), written(new_id(), bytes(32))
    typed = [text[:-1], text + "0", text.upper(), text.replace("phk_", "phx_"), "phk_", "phk_" + "\x00" * 60]
    typed += [
        text[:20] + ("b" if text[20] != "b" else "c") + text[21:],
        text[:30] + text[31] + text[30] + text[32:] + "a",
    ]
    for mistyped in [*typed, f"{text}\n", text.replace("A", "А", 1)]:  # the latter: a Cyrillic letter
        with pytest.raises(BadToken):
            await keys.principal(mistyped)
    with pytest.raises(AssertionError):
        await keys.principal(text)


def _nowhere() -> AbstractAsyncContextManager[Pool]:
    raise AssertionError("this key was to be refused before it was looked up")
