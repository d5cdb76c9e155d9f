"""What is personal, sealed: under a person's key, which a master key of a ring wraps, whichever is the newest."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from infra.access.keyring import MASTER, Keyring
from infra.personal_data import BOX, SEALED, IndexKeyLost, MasterKey, MasterKeyUnknown, PersonKey, fitting
from infra.settings import Settings

ANN = "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"
TEXTS = st.text(max_size=300)


class Installation:
    """Keys in a directory, and a clock."""

    def __init__(self, state_dir: Path) -> None:
        self.settings = Settings(state_dir=state_dir, keys_announced_s=60, keys_reload_s=0.001)
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=2)  # so that every look at the ring is due
        return self.now

    def master(self) -> MasterKey:
        return MasterKey.load(self.settings, self.clock)

    @property
    def ring(self) -> Keyring[bytes]:
        return Keyring(MASTER, self.settings, self.clock)


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def kid_of(box: bytes) -> str:
    named = BOX.match(box)
    assert named
    return named[1].decode()


@given(TEXTS)
def test_a_value_is_sealed_so_that_it_is_known_by_its_looks_and_opened_by_its_key_alone(text: str) -> None:
    master = MasterKey.alone(b"m" * 32)
    key, _ = master.new_person(ANN)
    other, _ = master.new_person(ANN)
    sealed = key.seal(text)
    assert SEALED.fullmatch(sealed)
    assert (key.open(sealed), other.open(sealed)) == (text, None)
    assert key.seal(text) == sealed


@given(st.text(min_size=1, max_size=600), st.integers(min_value=60, max_value=500))
def test_a_text_is_cut_off_so_that_its_sealed_value_fits(text: str, most_chars: int) -> None:
    key, _ = MasterKey.alone(b"m" * 32).new_person(ANN)
    fits = fitting(text, most_chars)
    assert text.startswith(fits)
    assert len(key.seal(fits)) <= most_chars
    assert fits == text or len(key.seal(text)) > most_chars - 8


@given(TEXTS, st.integers(min_value=1, max_value=4))
def test_what_an_erased_person_sealed_is_opened_by_no_master_key_that_ever_was(text: str, masters: int) -> None:
    ring = [MasterKey.alone(bytes([number]) * 32) for number in range(masters)]
    key, _ = ring[0].new_person(ANN)
    sealed = key.seal(text)
    del key  # as destroying does: what wrapped it is gone
    for master in ring:
        assert master.unwrap(None, ANN) is None
        [known] = master.ring.known()
        candidates = [known.value, hmac.digest(known.value, b"wrap", hashlib.sha256), master.digest(ANN)]
        others = [master.new_person(ANN)[0], *(PersonKey(secret, ANN) for secret in candidates)]
        assert [other.open(sealed) for other in others] == [None] * len(others)


def test_a_fingerprint_tells_keys_apart_and_stays_when_the_master_key_changes(here: Installation) -> None:
    master = here.master()
    key, wrapped = master.new_person(ANN)
    here.ring.add()
    here.now += timedelta(minutes=2)
    again = master.sealed_again(wrapped, ANN)
    opened = master.unwrap(again, ANN)
    assert kid_of(wrapped) != kid_of(again)
    assert opened is not None and opened.fingerprint == key.fingerprint != master.new_person(ANN)[0].fingerprint


def test_a_new_master_key_seals_once_everybody_knows_it_and_the_old_one_still_opens(here: Installation) -> None:
    master = here.master()
    before = master.seal("a letter")
    here.ring.add()
    assert kid_of(master.seal("soon after")) == kid_of(before)
    here.now += timedelta(minutes=2)
    after = master.seal("later")
    assert kid_of(after) != kid_of(before)
    assert (master.open(before), master.open(after)) == ("a letter", "later")


def test_the_index_of_addresses_stays_when_the_master_key_changes(here: Installation) -> None:
    before = here.master().digest("ann@example.com")
    here.ring.add()
    here.now += timedelta(minutes=2)
    assert here.master().digest("ann@example.com") == before


def test_what_was_sealed_by_a_master_key_that_is_gone_names_it(here: Installation) -> None:
    master = here.master()
    box = master.seal("a letter")
    here.ring.add()
    here.ring.remove(kid_of(box))
    with pytest.raises(MasterKeyUnknown, match=kid_of(box)):
        here.master().open(box)


def test_a_key_for_one_person_is_none_for_another(here: Installation) -> None:
    master = here.master()
    _, wrapped = master.new_person(ANN)
    with pytest.raises(InvalidTag):
        master.unwrap(wrapped, "somebody-else")


def test_an_installation_that_had_one_master_key_goes_on_with_it(here: Installation) -> None:
    old = bytes(range(32))
    here.settings.keys_path.mkdir(parents=True)
    (here.settings.keys_path / "personal_data.master").write_bytes(old)
    wrap = AESGCM(hmac.digest(old, b"wrap", hashlib.sha256))
    wrapped = bytes(12) + wrap.encrypt(bytes(12), b"k" * 32, ANN.encode())
    master = here.master()
    key = master.unwrap(wrapped, ANN)
    assert key is not None and key.fingerprint == PersonKey(b"k" * 32, ANN).fingerprint
    expected = hmac.digest(hmac.digest(old, b"index", hashlib.sha256), b"ann", hashlib.sha256)
    assert master.digest("ann") == expected
    here.ring.add()
    here.now += timedelta(minutes=2)
    assert master.unwrap(wrapped, ANN) is not None
    assert master.unwrap(master.sealed_again(wrapped, ANN), ANN) is not None
    assert here.master().digest("ann") == expected


def test_a_lost_key_of_the_index_is_told_and_not_replaced(here: Installation) -> None:
    here.master()
    (here.settings.keys_path / "personal_data.index").unlink()
    with pytest.raises(IndexKeyLost, match="backup"):
        here.master()


def test_master_keys_may_be_kept_apart_from_those_that_sign(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, master_keys_dir=tmp_path / "vault")
    MasterKey.load(settings)
    assert sorted(path.name for path in (tmp_path / "vault").iterdir()) == ["master", "personal_data.index"]
    assert not settings.keys_path.exists()
