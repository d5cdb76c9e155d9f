"""The leases against a model of their rules: whatever an account's players do, in whatever order, on a real Redis."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from commands.playback.leases import Claimed, Held, LimitReached, Termination, Unclaimed
from events.playback import Heartbeat, Paused, Resumed, SessionSnapshot
from infra.settings import Settings
from tests.builders import report
from tests.integration.stream_accounts import LEASE_MS, PAUSED_MS, Account, opened_account
from tests.integration.test_stream_leases import REMOTE

pytestmark = pytest.mark.integration

LIMIT: Final = 2
NAMES: Final = st.sampled_from("abcdef")
WAITS_MS: Final = st.sampled_from([10_000, 25_000, LEASE_MS, 600_000, PAUSED_MS])
"""No sum of them comes near a lease or a long pause without reaching it: Redis's clock goes on meanwhile."""


@dataclass
class Stream:
    """A session as the rules have it. `state`: starting, running, ended, terminated or gone."""

    session: SessionSnapshot
    until_ms: int
    state: str = "starting"
    paused_ms: int | None = None
    seq: int = -1
    position_ms: int = 0
    marked: set[int] = field(default_factory=set)

    def stands(self, now_ms: int) -> bool:
        return self.paused_ms is not None and now_ms - self.paused_ms >= PAUSED_MS

    def holds(self, now_ms: int) -> bool:
        return self.state in ("starting", "running") and self.until_ms > now_ms and not self.stands(now_ms)


class Household(RuleBasedStateMachine):
    """An account of two streams."""

    live: Settings

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = opened_account(self.live, limit=LIMIT)
        self.account: Account = self.runner.run(self.opened.__aenter__())
        self.streams: dict[str, Stream] = {}
        self.now_ms = 0

    def teardown(self) -> None:
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()

    @property
    def running(self) -> set[str]:
        return {name for name, stream in self.streams.items() if stream.holds(self.now_ms)}

    @rule(name=NAMES, given_up=st.sets(NAMES, max_size=2))
    def start(self, name: str, given_up: set[str]) -> None:
        codes = self.runner.run(self.account.running())
        session = self.account.session(name, after_s=len(self.streams))
        claim = self.runner.run(self.account.start(session, *(codes[each] for each in given_up if each in codes)))
        known = self.streams.get(name)
        if known is not None and known.state != "starting":
            states = {"running": "started", "gone": "expired"}
            assert claim == Unclaimed(states.get(known.state, known.state))
            return
        others = self.running - {name}
        if len(others - given_up) >= LIMIT:
            assert isinstance(claim, LimitReached)
            return
        assert isinstance(claim, Claimed)
        assert {one.session_id[0] for one in claim.replaced} == others & given_up
        for each in others & given_up:
            self.streams[each].state = "terminated"
        self.streams[name] = Stream(session, self.now_ms + LEASE_MS)

    @rule(name=NAMES)
    def confirm(self, name: str) -> None:
        if (stream := self.streams.get(name)) is not None:
            self.runner.run(self.account.leases.confirm(stream.session))
            if stream.state == "starting":
                stream.state = "running"

    @rule(name=NAMES, back=st.integers(0, 2))
    def plays_on(self, name: str, back: int) -> None:
        """`back`: how many seqs it goes back: what was reported before, and comes again."""
        if (stream := self.streams.get(name)) is not None:
            seq = max(0, stream.seq + 1 - back)
            self._report(stream, [report(Heartbeat, seq, position_ms=seq * 1_000)], playing=True)

    @rule(name=NAMES)
    def stands_still(self, name: str) -> None:
        if (stream := self.streams.get(name)) is not None:
            self._report(stream, [report(Heartbeat, stream.seq + 1, position_ms=stream.position_ms)], playing=None)

    @rule(name=NAMES, kind=st.sampled_from([Paused, Resumed]))
    def pauses_or_resumes(self, name: str, kind: Any) -> None:
        if (stream := self.streams.get(name)) is not None:
            reports = [report(kind, stream.seq + 1, position_ms=stream.position_ms)]
            self._report(stream, reports, playing=kind is Resumed)

    @rule(name=NAMES)
    def stop(self, name: str) -> None:
        if (stream := self.streams.get(name)) is not None:
            renewal = self.runner.run(self.account.stop(stream.session))
            assert renewal.held is (Held.TERMINATED if stream.state == "terminated" else Held.ENDED)
            if stream.state in ("starting", "running"):
                stream.state = "ended"

    @rule(name=NAMES)
    def terminate(self, name: str) -> None:
        session_id = self.account.session(name).session_id
        how, _ = self.runner.run(self.account.leases.terminate(self.account.account_id, session_id, REMOTE))
        stream = self.streams.get(name)
        if stream is None:
            assert how is Termination.UNKNOWN
        elif stream.state in ("starting", "running"):
            assert how is Termination.TERMINATED
            stream.state = "terminated"
        else:
            assert how is Termination.ENDED

    @rule(name=NAMES)
    def expire(self, name: str) -> None:
        if (stream := self.streams.get(name)) is not None:
            self.runner.run(self.account.leases.expire(self.account.account_id, stream.session.session_id))
            if stream.state in ("starting", "running"):
                stream.state = "gone"

    @rule(ms=WAITS_MS)
    def wait(self, ms: int) -> None:
        self.runner.run(self.account.pass_by(ms))
        self.now_ms += ms

    @invariant()
    def who_runs_is_who_may(self) -> None:
        assert set(self.runner.run(self.account.running())) == self.running
        assert len(self.running) <= LIMIT

    def _report(self, stream: Stream, reports: list[Any], *, playing: bool | None) -> None:
        renewal = self.runner.run(self.account.report(stream.session, *reports))
        [seq] = [each.seq for each in reports]
        assert renewal.before == ((0,) if seq in stream.marked else ())
        stream.marked.add(seq)
        assert renewal.held is self._after(stream, seq, reports[0].position_ms, playing=playing)

    def _after(self, stream: Stream, seq: int, position_ms: int, *, playing: bool | None) -> Held:
        over = {"ended": Held.ENDED, "terminated": Held.TERMINATED, "gone": Held.GONE}
        if stream.state in over:
            return over[stream.state]
        held, others = stream.holds(self.now_ms), self.running - {stream.session.session_id[0]}
        if seq >= stream.seq:
            if playing is False and stream.paused_ms is None:
                stream.paused_ms = self.now_ms
            elif playing and (position_ms > stream.position_ms or stream.seq == seq - 1):
                stream.paused_ms = None
            stream.seq, stream.position_ms = seq, position_ms
        stream.state = "running"
        if not held and stream.stands(self.now_ms):
            return Held.FREE
        if not held and len(others) >= LIMIT:
            stream.state = "gone"
            return Held.GONE
        stream.until_ms = self.now_ms + LEASE_MS
        return Held.PLACE


def test_whatever_players_do_the_leases_keep_their_rules(live: Settings) -> None:
    machine = type("HouseholdOnRedis", (Household,), {"live": live})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
