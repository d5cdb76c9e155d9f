"""The rounds of the renewal process, when its database is away."""

from typing import cast

from commands.subscription.billing import Billing
from commands.subscription.billing_process import Rounds
from infra.settings import Settings


class Away:
    """Work that cannot be done for a number of rounds."""

    stopping = False

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.done = 0

    async def run_once(self) -> None:
        self.rounds -= 1
        if self.rounds >= 0:
            raise ConnectionError("away")
        self.done += 1


async def test_rounds_go_on_after_postgres_was_away_for_hours() -> None:
    billing = Away(rounds=1_100)
    settings = Settings(billing_poll_interval_s=0.0001, store_retry_max_s=0.0001)
    rounds = Rounds(cast(Billing, billing), settings)
    await rounds.run(once=True)
    assert (billing.done, await rounds.missing()) == (1, {})


async def test_what_interrupts_a_round_shows_in_readiness_until_one_is_done() -> None:
    billing = Away(rounds=1)
    rounds = Rounds(cast(Billing, billing), Settings(billing_poll_interval_s=0.0001, store_retry_max_s=0.0001))
    seen: list[dict[str, str]] = []

    async def run_once() -> None:
        seen.append(await rounds.missing())
        await Away.run_once(billing)

    billing.run_once = run_once  # type: ignore[method-assign]  # looks at readiness between two rounds
    await rounds.run(once=True)
    assert seen == [{"billing": "not started"}, {"billing": "ConnectionError('away')"}]
