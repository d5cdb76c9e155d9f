"""A proof holds for who has a public key and Python alone, and for nothing but what was signed."""

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from audits.verifying.keys import PUBLISHED, SigningKeys
from audits.verifying.proofs import CHECKER, NotProved, Proof, prove
from infra.archive.store import Archive
from tests.audits.verifying.archives import PARTITION, TOPIC, add, archive_in, checkpoint, record, settings_in


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys(settings_in(tmp_path))


@pytest.fixture
def archive(tmp_path: Path, keys: SigningKeys) -> Archive:
    archive = archive_in(tmp_path)
    add(archive, 0, 4)
    first = checkpoint(archive, keys)
    add(archive, 5, 12)
    add(archive, 13, 30)
    checkpoint(archive, keys, first)
    return archive


def checked(proof: Proof | bytes, archive: Archive, tmp_path: Path, keys: SigningKeys) -> tuple[int, str]:
    """What the script says, run without Playhead on its path."""
    (tmp_path / "proof.json").write_bytes(proof if isinstance(proof, bytes) else msgspec.json.encode(proof))
    public = archive.files_of_store.read(f"{PUBLISHED}/{keys.signing().kid}.json")
    (tmp_path / "key.json").write_bytes(public)
    command = [sys.executable, "-I", "-S", str(CHECKER), "proof.json", "key.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("offset", [0, 4, 5, 13, 30])
def test_a_third_party_checks_where_an_event_was(
    archive: Archive, keys: SigningKeys, tmp_path: Path, offset: int
) -> None:
    proof = prove(archive, keys.trusted(), TOPIC, PARTITION, offset)
    status, said = checked(proof, archive, tmp_path, keys)
    assert status == 0, said
    assert (
        f"was at offset {offset} of {TOPIC}, partition {PARTITION} when checkpoint {1 + (offset > 4)} was made" in said
    )
    assert msgspec.json.decode(record(offset).value or b"")["id"] in said


def test_a_proof_may_keep_the_event_to_itself(archive: Archive, keys: SigningKeys, tmp_path: Path) -> None:
    proof = prove(archive, keys.trusted(), TOPIC, PARTITION, 7, leaf_only=True)
    assert b"value" not in msgspec.json.encode(proof)
    assert checked(proof, archive, tmp_path, keys)[0] == 0
    other = msgspec.structs.replace(proof, record=msgspec.structs.replace(proof.record, offset=8))
    assert checked(other, archive, tmp_path, keys) == (
        1,
        "The proof does not hold: that leaf of the tree is not offset 8 of catalog.events, partition 3.\n",
    )


def test_nothing_else_is_proved(archive: Archive, keys: SigningKeys, tmp_path: Path) -> None:
    proof = json.loads(msgspec.json.encode(prove(archive, keys.trusted(), TOPIC, PARTITION, 7)))
    tampered = [
        {**proof, "record": {**proof["record"], "value": b64encode(b"{}").decode()}},
        {**proof, "record": {**proof["record"], "offset": 8}},
        {**proof, "record": {**proof["record"], "position": 9}},
        {**proof, "index": proof["index"] + 1},
        {**proof, "path": proof["path"][:-1]},
        {**proof, "path": [*proof["path"], proof["path"][0]]},
        {**proof, "checkpoint": proof["checkpoint"].replace('"number":2', '"number":1')},
    ]
    for changed in tampered:
        status, said = checked(json.dumps(changed).encode(), archive, tmp_path, keys)
        assert status == 1, said
        assert said.startswith("The proof does not hold: ")
    assert checked(b"{}", archive, tmp_path, keys)[0] == 2


def test_a_key_that_did_not_sign_proves_nothing(archive: Archive, keys: SigningKeys, tmp_path: Path) -> None:
    proof = prove(archive, keys.trusted(), TOPIC, PARTITION, 7)
    strangers = SigningKeys(settings_in(tmp_path / "strangers"))
    strangers.signing()
    strangers.publish(archive.files_of_store)
    assert checked(proof, archive, tmp_path, strangers)[0] == 1


def test_what_no_checkpoint_has_yet_is_not_proved(archive: Archive, keys: SigningKeys) -> None:
    with pytest.raises(NotProved, match="does not have offset 31"):
        prove(archive, keys.trusted(), TOPIC, PARTITION, 31)
    add(archive, 31, 33)
    with pytest.raises(NotProved, match="no checkpoint was made since"):
        prove(archive, keys.trusted(), TOPIC, PARTITION, 31)


def test_the_script_needs_nothing_but_python(tmp_path: Path) -> None:
    imported = [line.split()[1] for line in CHECKER.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert set(imported) <= {"__future__", "base64", "hashlib", "json", "pathlib", "sys", "typing"}
