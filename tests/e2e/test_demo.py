"""The demo as a newcomer runs it, short: from nothing to equal tables, through a kill, and honest about a difference.

It has servers of its own: what other tests leave in theirs is not what the demo acknowledged.
"""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from infra.local import LocalServers
from infra.settings import Settings, load_settings
from playhead import processes
from playhead.demo.comparison import Compared
from playhead.demo.evening import Evening, run
from playhead.demo.reckoning import Reckoning
from tests.e2e.run_secrets import Heard, leaks, secrets_in
from tests.servers import STATE_ROOT

pytestmark = pytest.mark.integration

SHORT = ("--seconds", "5", "--viewers", "12")
PATIENCE_S = 240
VIEWS = {
    "playback_sessions",
    "session_timeline",
    "watch_history",
    "continue_watching",
    "catalog_titles",
    "dead_letters",
    "subscriptions",
    "subscription_invoices",
    "subscription_transactions",
    "charged_once",
    "payment_webhooks",
    "money_EUR",
    "money_USD",
    "money_KRW",
    "entitlements",
    "identity_accounts",
    "identity_profiles",
    "identity_devices",
    "identity_sign_ins",
    "staff_actions",
}
WALLS = {
    "films not paid for (403)",
    "lost phones (401)",
    "looks at others' accounts (403)",
    "looks at others' profiles (403)",
    "refresh tokens of copied apps (invalid_grant)",
    "reports of lost phones (410)",
    "screens beyond the plan's (409)",
    "screens ended from the phone (410)",
    "screens given up for another (410)",
    "sign-ins of copied apps (401)",
    "titles above a child's limit (403)",
}
KEPT_OUT = re.compile(r"\d+ ([a-z][^,:]*\))")
LINE = re.compile(r"^ *(\w+) .* (\d+) +(\d+) +(yes|NO) *$", re.MULTILINE)
ADDRESS = re.compile(r"^  (http://\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """Where the demos of this module keep their state, one after the other; named so that an abandoned one is found."""
    directory = STATE_ROOT / f"test-{os.getpid()}-demo"
    settings = load_settings().model_copy(update={"state_dir": directory})
    try:
        yield directory
    finally:
        processes.end(settings)
        LocalServers(directory, settings.cache_dir, java_home=settings.java_home).erase()


def playhead(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a state directory, without servers given to it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLAYHEAD_")}
    kept = {name: os.environ[name] for name in ("PLAYHEAD_CACHE_DIR", "PLAYHEAD_JAVA_HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "playhead", *arguments],
        env={**inherited, **kept, "PLAYHEAD_STATE_DIR": str(state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def table(output: str) -> dict[str, tuple[int, int, str]]:
    """The last table of a demo: acknowledged, held and whether they are equal, by view."""
    return {view: (int(acknowledged), int(held), equal) for view, acknowledged, held, equal in LINE.findall(output)}


def line_of(output: str, beginning: str) -> str:
    """The line that begins so."""
    return next(line for line in output.splitlines() if line.startswith(beginning))


def assert_all_equal(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout
    views = table(done.stdout)
    assert views.keys() == VIEWS, done.stdout
    assert all(acknowledged == held and equal == "yes" for acknowledged, held, equal in views.values()), done.stdout
    assert views["playback_sessions"][0] > 300
    assert set(KEPT_OUT.findall(line_of(done.stdout, "Refused, as they must be: "))) == WALLS
    assert views["dead_letters"] == (0, 0, "yes")


def test_from_nothing_to_views_that_hold_what_was_acknowledged_and_nothing_left_behind(state_dir: Path) -> None:
    done = playhead(state_dir, "demo", *SHORT)
    assert_all_equal(done)
    assert "the playhead" in done.stdout or "playheads move" in done.stdout
    assert playhead(state_dir, "status").stdout.count("stopped") == 4


def test_a_killed_projection_loses_nothing_and_what_is_kept_runs_until_it_is_taken_down(state_dir: Path) -> None:
    done = playhead(state_dir, "demo", *SHORT, "--kill", "postgres", "--keep")
    assert_all_equal(done)
    assert "SIGKILL to projections-postgres" in done.stdout
    assert "projections-postgres had ended: started again" in done.stdout
    addresses = ADDRESS.findall(done.stdout)
    assert len(addresses) == len(processes.NAMES) + len(("commands/docs", "query-api/docs", "audits/docs"))
    assert all(answers(address) for address in addresses)
    down = playhead(state_dir, "down")
    assert "commands: stopped" in down.stdout
    assert not any(answers(address) for address in addresses)


def test_a_row_that_a_view_lost_is_named_and_ends_the_demo_with_1_and_no_secret_is_in_any_log(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    heard.listen(monkeypatch)
    lost: list[str] = []
    compare = Reckoning.compare

    async def compare_after_a_loss(self: Reckoning, began_at: datetime) -> list[Compared]:
        lost.append(await lose_a_session(state_dir))
        return await compare(self, began_at)

    monkeypatch.setattr(Reckoning, "compare", compare_after_a_loss)
    settings = load_settings().model_copy(update={"state_dir": state_dir})
    assert run(settings, Evening(seconds=5, viewers=3, seed=2)) == 1
    output = capsys.readouterr().out
    assert f"DIFFERENT playback_sessions {lost[0]}: expected SessionRow(" in output
    assert "actual no row" in output
    assert table(output)["playback_sessions"][2] == "NO"
    assert table(output)["session_timeline"][2] == "yes"
    assert heard.said.keys() >= {"bearer", "password", "email", "access_token", "refresh_token", "token"}
    printed = "\n".join(line for line in output.splitlines() if not line.startswith("GET /v1/accounts/"))
    assert leaks(state_dir, heard.said | secrets_in(state_dir), more=printed) == []


async def lose_a_session(state_dir: Path) -> str:
    """Delete the newest session from Postgres; its id."""
    newest = "select session_id from playback_sessions order by started_at desc limit 1"
    settings = Settings(_env_file=state_dir / "servers.env")
    connection = await asyncpg.connect(settings.postgres_dsn)
    try:
        return str(
            await connection.fetchval(
                f"delete from playback_sessions where session_id = ({newest}) returning session_id"
            )
        )
    finally:
        await connection.close()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False
