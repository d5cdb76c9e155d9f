"""What billing staff do over HTTP before the evening: define its plans, its coupon, and a film for rent."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from infra.clock import utc_now
from playhead.demo.api import Api
from playhead.demo.money import tariff
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn
from playhead.demo.publishing import CREATED, OK, PublishingRefused
from playhead.demo.watching.sitting import Title

CONFLICT: Final = 409
VALID: Final = timedelta(hours=1)


class Counter:
    """Where billing staff work. `coupon` and `offer_id`: what this evening's accounts ask for."""

    def __init__(self, commands: Api, clerk: SignIn, register: Register, run: str) -> None:
        self.coupon = f"EVENING-{run.rpartition('-')[2]}"
        self.offer_id = ""
        self._run = run
        self._commands = commands
        self._clerk = clerk
        self._register = register

    async def open(self, titles: Sequence[Title]) -> None:
        """Put everything on sale. Raises PublishingRefused, NotTaken."""
        for body in tariff.PLANS.values():
            await self._define_plan(body)
        await self._post("/v1/coupons", self._coupon())
        film = next(title for title in titles if title.name == tariff.RENTED_FILM)
        prices = [{"amount_minor": minor, "currency": currency} for currency, minor in tariff.RENTAL_MINOR.items()]
        self.offer_id = f"rent-{film.title_id}"
        await self._post(
            "/v1/offers",
            {
                "offer_id": self.offer_id,
                "kind": "rental",
                "title_id": film.title_id,
                "title_name": film.name,
                "prices": prices,
            },
        )

    async def _define_plan(self, body: Mapping[str, Any]) -> None:
        """A plan of this id that was otherwise before is revised: its old subscribers keep theirs."""
        revision = {name: value for name, value in body.items() if name != "plan_id"}
        if await self._post("/v1/plans", body, or_conflict=True) == CONFLICT:
            await self._post(f"/v1/plans/{body['plan_id']}/revisions", revision)

    def _coupon(self) -> dict[str, Any]:
        now = utc_now()
        return {
            "code": self.coupon,
            "percent": tariff.COUPON_PERCENT,
            "periods": 3,
            "valid_from": now - VALID,
            "valid_until": now + VALID,
        }

    async def _post(self, path: str, body: Mapping[str, Any], *, or_conflict: bool = False) -> int:
        encoded = msgspec.json.encode(body)
        key = {"Idempotency-Key": f"{self._run}-{sha256(path.encode() + encoded).hexdigest()[:32]}"}
        reply = await self._commands.post(path, self._clerk, lambda: encoded, key)
        if reply.status not in (OK, CREATED) and not (or_conflict and reply.status == CONFLICT):
            raise PublishingRefused(f"{path} answered {reply.status}: {reply.body.decode(errors='replace')}")
        if reply.status != CONFLICT:
            self._register.done_by_staff(self._clerk, reply)
        return reply.status
