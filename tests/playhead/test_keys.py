"""`playhead keys`: a rotation that logs nobody out, and a key that is not taken away too early."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra import settings as settings_module
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from playhead.cli import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def keys_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYHEAD_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PLAYHEAD_KEYS_ANNOUNCED_S", "0")
    monkeypatch.setenv("PLAYHEAD_KEYS_RELOAD_S", "0.001")
    settings_module.settings.cache_clear()
    return tmp_path / "keys"


def run(*arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, ["keys", *arguments])
    return result.exit_code, result.output


def kids(directory: Path) -> list[str]:
    return [path.name.split(".")[1] for path in sorted(directory.iterdir())]


def made_earlier(directory: Path, kid: str, **ago: float) -> None:
    """Have a key be made earlier, by the name of its file."""
    path = next(path for path in directory.iterdir() if kid in path.name)
    made_ms = round((utc_now() - timedelta(**ago)).timestamp() * 1000)
    os.rename(path, path.with_name(f"{made_ms}.{path.name.partition('.')[2]}"))


def test_a_rotation_is_listed_and_logs_nobody_out(keys_dir: Path) -> None:
    tokens = Tokens(settings_module.settings())
    token, refresh = tokens.mint_access(Principal(subject="ed", roles=("editor",))), tokens.mint_refresh("s", 1)
    assert run("rotate")[0] == 0
    assert len(kids(keys_dir / "access")) == len(kids(keys_dir / "internal")) == 2
    listed = run("list")[1]
    assert all(kid in listed for ring in ("access", "internal") for kid in kids(keys_dir / ring))
    assert listed.count("signs") == 2
    later = Tokens(settings_module.settings())
    assert later.verify_access(token).subject == "ed"
    assert later.read_refresh(refresh) == ("s", 1)


def test_one_ring_can_be_rotated_alone(keys_dir: Path) -> None:
    run("rotate", "access")
    assert len(kids(keys_dir / "access")) == 2
    assert len(kids(keys_dir / "internal")) == 1


def test_the_newest_key_is_not_retired(keys_dir: Path) -> None:
    run("list")
    status, said = run("retire", kids(keys_dir / "access")[0])
    assert status == 1
    assert "rotate first" in said


@pytest.mark.parametrize(("ring", "ends"), [("access", "apps refresh"), ("internal", "sign in again")])
def test_a_key_whose_tokens_still_hold_is_retired_by_force_alone(keys_dir: Path, ring: str, ends: str) -> None:
    run("list")
    kid = kids(keys_dir / ring)[0]
    run("rotate", ring)
    status, said = run("retire", kid)
    assert status == 1
    assert ends in said
    assert run("retire", kid, "--force")[0] == 0
    assert kid not in kids(keys_dir / ring)


def test_a_key_is_retired_when_all_that_it_signed_has_run_out(keys_dir: Path) -> None:
    run("list")
    old = kids(keys_dir / "access")[0]
    made_earlier(keys_dir / "access", old, days=3)
    run("rotate", "access")
    new = next(kid for kid in kids(keys_dir / "access") if kid != old)
    made_earlier(keys_dir / "access", new, days=2)
    assert "may be retired" in run("list")[1]
    assert run("retire", old)[0] == 0
    assert kids(keys_dir / "access") == [new]


def test_a_key_that_is_not_there_is_named(keys_dir: Path) -> None:
    status, said = run("retire", "-nothing")
    assert status == 1
    assert "playhead keys list" in said


def test_a_token_can_be_narrowed_and_a_misspelt_role_is_told() -> None:
    minted = runner.invoke(app, ["token", "--role", "editor", "--scope", "catalog:read", "--ttl-s", "60"]).output
    assert Tokens(settings_module.settings()).verify_access(minted.strip()).scopes == {"catalog:read"}
    refused = runner.invoke(app, ["token", "--role", "edtor"])
    assert refused.exit_code == 1
    assert "editor" in refused.output
