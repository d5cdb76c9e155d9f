"""Tokens: the CPU that verification takes of a report, the first time and remembered, and of an access token."""

from collections.abc import Callable
from datetime import timedelta
from time import process_time_ns

from commands.playback.grants import Grant
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.settings import Settings
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.ingest import CONNECTIONS, ROUNDS, SESSIONS
from tests.benchmarks.results import Line, at_most

GOAL = 1.1
"""Reports with verification may cost this much of what they would without."""
REPORTS = 3_000
VERIFICATIONS = 20_000


async def run(bench: Bench) -> list[Line]:
    """What a verification costs, and what it is of a report."""
    remembered, first = _playback(bench.settings, remembered=True), _playback(bench.settings, remembered=False)
    async with running(bench, "commands", *playhead("commands"), port_setting="commands_port") as commands:
        await _reports(bench, commands.port)  # code paths warm, tokens verified once
        reports = []
        for _ in range(ROUNDS):
            before_s = commands.cpu_s()
            await _reports(bench, commands.port)
            reports.append((commands.cpu_s() - before_s) / REPORTS * 1e6)
    without = [report - cost for report, cost in zip(reports, remembered, strict=True)]
    return [
        at_most("tokens: report of 1 event, with and without", "CPU us", reports, without, GOAL),
        at_most("tokens: playback token, first and again", "CPU us", first, remembered, None),
        at_most(
            "tokens: access token, first and again",
            "CPU us",
            _access(bench.settings, remembered=False),
            _access(bench.settings, remembered=True),
            None,
        ),
    ]


async def _reports(bench: Bench, port: int) -> None:
    sessions = [players.session(number) for number in range(SESSIONS)]
    tokens = players.tokens_of(bench.settings, sessions, utc_now() + timedelta(hours=1))
    requests = players.reports(sessions, tokens, 1, REPORTS, utc_now())
    with bench.stage(f"tokens: {REPORTS} reports of 1", REPORTS) as advance:
        async with connections(port, CONNECTIONS) as made:
            await send_all(made, requests, advance)


def _playback(settings: Settings, *, remembered: bool) -> list[float]:
    sessions = [players.session(number) for number in range(SESSIONS)]
    given = players.tokens_of(settings, sessions, utc_now() + timedelta(hours=1))
    return _measured(settings, given, lambda tokens, token: tokens.verify_playback(token, Grant), remembered)


def _access(settings: Settings, *, remembered: bool) -> list[float]:
    minting = Tokens(settings)
    viewers = [Principal(subject=f"viewer-{n}", account_id=f"a-{n}", profile_id=f"p-{n}") for n in range(SESSIONS)]
    given = [minting.mint_access(viewer) for viewer in viewers]
    return _measured(settings, given, lambda tokens, token: tokens.verify_access(token), remembered)


def _measured(
    settings: Settings, given: list[str], verify: Callable[[Tokens, str], object], remembered: bool
) -> list[float]:
    """CPU us of one verification, round by round; every token arrives as a text of its own, as from a request."""
    tokens = Tokens(settings)
    costs = []
    rounds = VERIFICATIONS // len(given) if remembered else 1
    for _ in range(ROUNDS):
        if remembered:
            for token in given:
                verify(tokens, token)
        else:
            tokens = Tokens(settings)
        arriving = [[token.encode().decode() for token in given] for _ in range(rounds)]
        before_ns = process_time_ns()
        for each in arriving:
            for token in each:
                verify(tokens, token)
        costs.append((process_time_ns() - before_ns) / 1e3 / (rounds * len(given)))
    return costs
