"""Directs the fake payment provider: how it treats each account, when it is away, and what stands in its books."""

import asyncio
from typing import Final, TypeVar

import aiohttp
import msgspec

from infra.payments.keys import PaymentKeys
from infra.payments.rules import Rule
from infra.settings import Settings
from playhead.demo.api import NotTaken
from playhead.fake_control import Deliveries, Everything, Rules

AWAY: Final = Rule(on="any", unavailable=True, retry_after_s=1)

T = TypeVar("T")


class Director:
    """At the provider's /control routes. Every method raises NotTaken."""

    def __init__(self, session: aiohttp.ClientSession, url: str, settings: Settings) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {PaymentKeys.load(settings).api_key}"}
        self._rules: dict[str, Rule] = {}
        self._away = False
        self._one_at_a_time = asyncio.Lock()

    async def treat(self, account_id: str, rule: Rule) -> None:
        """From now on treat an account so."""
        self._rules[account_id] = msgspec.structs.replace(rule, account_id=account_id)
        await self._direct()

    async def outage(self, seconds: float) -> None:
        """Be away for so long: everything is answered with 503."""
        self._away = True
        await self._direct()
        await asyncio.sleep(seconds)
        self._away = False
        await self._direct()

    async def books(self) -> Everything:
        """All charges and refunds, as they stand."""
        pages = [await self._get("/control/charges", Everything)]
        while sum(len(page.charges) for page in pages) < pages[0].charges_total:
            offset = sum(len(page.charges) for page in pages)
            pages.append(await self._get(f"/control/charges?offset={offset}", Everything))
        return Everything(
            charges=[charge for page in pages for charge in page.charges],
            refunds=[refund for page in pages for refund in page.refunds],
            charges_total=pages[0].charges_total,
            refunds_total=pages[0].refunds_total,
        )

    async def webhooks(self) -> Deliveries:
        """What was tried, and how many wait."""
        return await self._get("/control/webhooks", Deliveries)

    async def _direct(self) -> None:
        async with self._one_at_a_time:
            rules = [AWAY] * self._away + list(self._rules.values())
            await self._ask("POST", "/control/rules", msgspec.json.encode(Rules(rules)))

    async def _get(self, path: str, shape: type[T]) -> T:
        return msgspec.json.decode(await self._ask("GET", path), type=shape)

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = self._url + path
        try:
            async with self._session.request(method, url, data=body, headers=self._headers) as reply:
                reply.raise_for_status()
                return await reply.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotTaken(f"the fake payment provider at {url} did not answer: {error!r}") from error
