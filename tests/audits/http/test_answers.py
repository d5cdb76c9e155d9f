"""As of, checkpoints, proofs and certificates over HTTP."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from audits.verifying.keys import PUBLISHED, SigningKeys
from audits.verifying.proofs import CHECKER
from infra.archive.store import Archive
from infra.settings import Settings
from tests.audits.http.conftest import EDITOR, signed_in
from tests.audits.http.test_history import slug
from tests.audits.verifying.archives import add, checkpoint, record

SESSION = {"key": "session_id=session-1", "without": ["kafka", "log"]}


async def asked(client: httpx.AsyncClient, path: str, **parameters: Any) -> httpx.Response:
    return await client.get(f"/v1/audit/{path}", params=parameters)


async def test_rows_of_a_view_are_as_they_were_then(auditor: httpx.AsyncClient) -> None:
    then = (await asked(auditor, "as-of/views/playback_sessions", at="2026-11-21T19:00:25Z", **SESSION)).json()
    assert (then["rows"][0]["last_seq"], then["rows"][0]["territory"], then["changes"]) == (2, "KR", 3)
    now = (await asked(auditor, "as-of/views/playback_sessions", **SESSION)).json()
    assert (now["rows"][0]["last_seq"], len(now["events"])) == (5, 6)


@pytest.mark.parametrize(
    ("path", "parameters", "status", "problem"),
    [
        ("as-of/streams/nobody.knows-1", {}, 404, "not-in-history"),
        ("as-of/views/nothing", SESSION, 404, "not-in-history"),
        ("as-of/views/playback_sessions", {"key": "title=heat"}, 422, "question-invalid"),
        ("as-of/views/playback_sessions", {}, 422, "question-invalid"),
        ("as-of/views/playback_sessions", {**SESSION, "positions": "nonsense"}, 422, "question-invalid"),
        ("as-of/streams/catalog.title-heat", {}, 503, "history-source-away"),
        ("as-of/accounts/account-1/subscription", {}, 503, "history-source-away"),
        ("as-of/accounts/account-1/entitlements/heat", {"territory": "KR"}, 503, "history-source-away"),
        ("as-of/titles/heat", {"territory": "Korea"}, 422, "invalid-request"),
        ("certificates/account-1", {}, 503, "history-source-away"),
        ("checkpoints/1", {}, 404, "not-in-history"),
        ("proofs/nothing", {}, 404, "not-proved"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_name(
    auditor: httpx.AsyncClient, path: str, parameters: dict[str, Any], status: int, problem: str
) -> None:
    reply = await asked(auditor, path, **parameters)
    assert (reply.status_code, slug(reply)) == (status, problem)


async def test_checkpoints_come_newest_first_as_they_were_signed(
    auditor: httpx.AsyncClient, archive: Archive, settings: Settings
) -> None:
    assert (await asked(auditor, "checkpoints")).json() == {"items": [], "next_before": None}
    keys = SigningKeys(settings)
    add(archive, 0, 4)
    first = checkpoint(archive, keys)
    add(archive, 5, 6)
    second = checkpoint(archive, keys, first)
    page = (await asked(auditor, "checkpoints", limit=1)).json()
    assert [item["number"] for item in page["items"]] == [2]
    rest = (await asked(auditor, "checkpoints", before=page["next_before"])).json()
    assert ([item["number"] for item in rest["items"]], rest["next_before"]) == ([1], None)
    one = (await asked(auditor, "checkpoints/2")).json()
    assert one == page["items"][0]
    assert one["document"].encode() == second.document
    assert one["previous"] == rest["items"][0]["digest"]
    assert rest["items"][0]["records"] == 5


async def test_a_proof_is_checked_by_who_has_a_public_key_and_python(
    auditor: httpx.AsyncClient, archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    add(archive, 0, 4)
    path = f"proofs/{msgspec.json.decode(record(2).value or b'')['id']}"
    early = await asked(auditor, path)
    assert (early.status_code, slug(early)) == (404, "not-proved")
    keys = SigningKeys(settings)
    checkpoint(archive, keys)
    proof = await asked(auditor, path)
    assert proof.status_code == 200, proof.text
    (tmp_path / "proof.json").write_bytes(proof.content)
    (tmp_path / "key.json").write_bytes(archive.files_of_store.read(f"{PUBLISHED}/{keys.signing().kid}.json"))
    command = [sys.executable, "-I", "-S", str(CHECKER), "proof.json", "key.json"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    alone = await asked(auditor, path, leaf_only=True)
    assert "value" not in msgspec.json.decode(alone.content)["record"]


@pytest.mark.parametrize(
    "path", ["as-of/titles/heat", "as-of/views/accounts", "checkpoints", "proofs/event-1", "certificates/a"]
)
async def test_only_auditors_are_answered(stranger: httpx.AsyncClient, settings: Settings, path: str) -> None:
    assert (await asked(stranger, path)).status_code == 401
    assert (await asked(signed_in(stranger, settings, EDITOR), path)).status_code == 403
