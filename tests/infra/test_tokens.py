"""Access tokens and playback tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from events.playback import SessionSnapshot
from infra.permissions import Principal
from infra.settings import Settings
from infra.tokens import ACCESS_AUDIENCE, BadToken, Tokens
from tests.builders import session

VIEWER = Principal(subject="viewer", account_id="account-1", profile_id="profile-1", roles=("editor",))


class MovableClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def tokens(tmp_path: Path, clock: MovableClock) -> Tokens:
    return Tokens(Settings(state_dir=tmp_path), clock)


def test_an_access_token_says_who_it_was_minted_for(tokens: Tokens) -> None:
    assert tokens.verify_access(tokens.mint_access(VIEWER)) == VIEWER


def test_a_playback_token_carries_its_session(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.mint_playback(session(), clock() + timedelta(hours=1))
    assert tokens.verify_playback(token, SessionSnapshot) == session()


def test_one_kind_of_token_is_not_taken_for_the_other(tokens: Tokens, clock: MovableClock) -> None:
    playback = tokens.mint_playback(session(), clock() + timedelta(hours=1))
    access = tokens.mint_access(VIEWER)
    tokens.verify_playback(playback, SessionSnapshot)
    tokens.verify_access(access)
    with pytest.raises(BadToken):
        tokens.verify_access(playback)
    with pytest.raises(BadToken):
        tokens.verify_playback(access, SessionSnapshot)


def test_a_remembered_token_expires_all_the_same(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.mint_playback(session(), clock() + timedelta(seconds=1))
    tokens.verify_playback(token, SessionSnapshot)
    clock.now += timedelta(seconds=2)
    with pytest.raises(BadToken):
        tokens.verify_playback(token, SessionSnapshot)


def test_a_token_of_another_installation_is_refused(tokens: Tokens, tmp_path: Path) -> None:
    other = Tokens(Settings(state_dir=tmp_path / "other"))
    with pytest.raises(BadToken):
        tokens.verify_access(other.mint_access(VIEWER))


def test_an_unsigned_token_is_refused(tokens: Tokens) -> None:
    claims = {"sub": "viewer", "aud": ACCESS_AUDIENCE, "exp": datetime.now(UTC) + timedelta(hours=1)}
    with pytest.raises(BadToken):
        tokens.verify_access(jwt.encode(claims, "", algorithm="none"))


def test_two_processes_that_start_together_share_their_keys(tmp_path: Path) -> None:
    first, second = (Tokens(Settings(state_dir=tmp_path)) for _ in range(2))
    assert second.verify_access(first.mint_access(VIEWER)) == VIEWER


def test_keys_are_readable_by_their_owner_only(tokens: Tokens, tmp_path: Path) -> None:
    files = list((tmp_path / "keys").iterdir())
    assert len(files) == 2
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
