"""The adapter against a provider that drops, delays, contradicts and babbles."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from events.types import Money
from infra.clock import monotonic_s
from infra.payments.http_provider import HttpPaymentProvider
from infra.payments.keys import PaymentKeys
from infra.payments.provider import ProviderContradicted, ProviderRefused, ProviderUnavailable
from infra.payments.rules import Rule
from tests.infra.payments.fakes import WON, Stage, charge_of, refund_of, settings_of, staged
from tests.serving import serving

KEYS = PaymentKeys("api-key-of-a-test", (b"secret",))
CHARGE = {
    "charge_id": "ch-1",
    "reference": charge_of().reference,
    "status": "succeeded",
    "amount": {"amount_minor": WON.amount_minor, "currency": WON.currency},
}
REFUND = {"refund_id": "re-1", "charge_id": "ch-1", "status": "succeeded", "amount": CHARGE["amount"]}


@asynccontextmanager
async def answered_by(
    answer: Callable[[Request], Awaitable[Response]], state_dir: Path, **changes: object
) -> AsyncIterator[HttpPaymentProvider]:
    """The adapter, pointed to a provider that answers everything so."""

    async def endpoint(request: Request) -> Response:
        return await answer(request)

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    async with serving(app) as url:
        settings = settings_of(state_dir, **{"payments_url": url, "payments_max_tries": 3, **changes})
        async with HttpPaymentProvider(KEYS, settings) as provider:
            yield provider


class Answers:
    """Answers in turn, the last one for ever, and keeps what was asked."""

    def __init__(self, *answers: Response) -> None:
        self.asked: list[Request] = []
        self._answers = list(answers)

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.asked if request.method == "POST"]


# Lost and refused by the way


@pytest.mark.parametrize("how", ["drop", "error"])
async def test_a_lost_reply_is_asked_for_again_under_the_same_key(stage: Stage, how: Literal["drop", "error"]) -> None:
    await stage.director.rule(Rule(lose_reply=how, times=2))

    charge = await stage.provider.charge(charge_of())

    books = await stage.director.books()
    assert [row.charge for row in books.charges] == [charge]
    await stage.director.until_delivered()
    assert stage.receiver.types == ["charge.succeeded"]


@pytest.mark.parametrize("how", ["drop", "error"])
async def test_a_charge_whose_every_reply_is_lost_is_found(stage: Stage, how: Literal["drop", "error"]) -> None:
    await stage.director.rule(Rule(lose_reply=how))

    charge = await stage.provider.charge(charge_of())

    assert charge.status == "succeeded"
    assert (await stage.director.books()).charges_total == 1


async def test_a_charge_that_cannot_even_be_looked_up_is_unknown_and_made_once(stage: Stage) -> None:
    await stage.director.rule(Rule(lose_reply="drop"), Rule(on="find", unavailable=True))
    with pytest.raises(ProviderUnavailable):
        await stage.provider.charge(charge_of())

    await stage.director.rule()
    charge = await stage.provider.charge(charge_of())
    assert [row.charge for row in (await stage.director.books()).charges] == [charge]


async def test_a_refund_whose_reply_is_lost_is_made_once(stage: Stage) -> None:
    charge = await stage.provider.charge(charge_of())
    await stage.director.rule(Rule(on="refund", lose_reply="drop", times=1))

    refund = await stage.provider.refund(refund_of(charge.charge_id))

    assert (await stage.director.books()).refunds == [refund]


async def test_a_provider_that_is_down_for_a_moment_is_waited_for(stage: Stage) -> None:
    await stage.director.rule(Rule(on="any", unavailable=True, times=3))
    assert (await stage.provider.charge(charge_of())).status == "succeeded"


async def test_a_provider_that_nobody_answers_at_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = settings_of(tmp_path, payments_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        async with HttpPaymentProvider(KEYS, settings) as provider:
            with pytest.raises(ProviderUnavailable, match="ConnectError"):
                await provider.charge(charge_of())


async def test_a_provider_that_hangs_or_drips_is_given_up_in_time(tmp_path: Path) -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async def answer(_: Request) -> Response:
        return StreamingResponse(drip())

    async with answered_by(answer, tmp_path, payments_timeout_s=0.1, payments_max_tries=1) as provider:
        began_s = monotonic_s()
        with pytest.raises(ProviderUnavailable):
            await provider.charge(charge_of())
        assert monotonic_s() - began_s < 2


# Retries


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507])
async def test_what_may_pass_is_tried_again_under_the_same_key(tmp_path: Path, status: int) -> None:
    answers = Answers(Response(status_code=status), JSONResponse(CHARGE, 201))
    async with answered_by(answers, tmp_path) as provider:
        assert (await provider.charge(charge_of())).charge_id == "ch-1"
    assert answers.keys == [charge_of().idempotency_key] * 2
    assert {request.headers["authorization"] for request in answers.asked} == {f"Bearer {KEYS.api_key}"}


async def test_tries_are_bounded(tmp_path: Path) -> None:
    answers = Answers(Response(status_code=500))
    async with answered_by(answers, tmp_path) as provider:
        with pytest.raises(ProviderUnavailable, match="500"):
            await provider.charge(charge_of())
    assert [request.method for request in answers.asked] == ["POST"] * 3 + ["GET"]


async def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    answers = Answers(Response(status_code=429, headers={"Retry-After": "1"}), JSONResponse(CHARGE, 201))
    async with answered_by(answers, tmp_path) as provider:
        began_s = monotonic_s()
        await provider.charge(charge_of())
        assert monotonic_s() - began_s >= 1


async def test_a_longer_wait_is_left_to_the_caller(tmp_path: Path) -> None:
    answers = Answers(Response(status_code=503, headers={"Retry-After": "3600"}))
    async with answered_by(answers, tmp_path) as provider:
        with pytest.raises(ProviderUnavailable) as refused:
            await provider.refund(refund_of("ch-1"))
    assert refused.value.retry_after_s == 3_600
    assert len(answers.asked) == 1


async def test_a_refusal_after_a_lost_reply_does_not_say_that_nothing_was_charged(tmp_path: Path) -> None:
    lost, refused = Response(status_code=500), Response(status_code=409)
    async with answered_by(Answers(lost, refused, JSONResponse({"charges": [CHARGE]})), tmp_path) as provider:
        assert (await provider.charge(charge_of())).charge_id == "ch-1"
    async with answered_by(Answers(lost, refused), tmp_path) as provider:
        with pytest.raises(ProviderUnavailable, match="409"):
            await provider.charge(charge_of())


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
async def test_our_mistake_is_not_repeated(tmp_path: Path, status: int) -> None:
    answers = Answers(Response(b"no such account", status_code=status))
    async with answered_by(answers, tmp_path) as provider:
        with pytest.raises(ProviderRefused, match=f"{status}: no such account"):
            await provider.charge(charge_of())
    assert len(answers.asked) == 1


async def test_the_key_follows_no_redirect(tmp_path: Path) -> None:
    answers = Answers(RedirectResponse("/elsewhere"))
    async with answered_by(answers, tmp_path) as provider:
        with pytest.raises(ProviderRefused, match="307"):
            await provider.charge(charge_of())
    assert len(answers.asked) == 1


async def test_an_idempotency_key_that_is_no_header_is_refused_before_it_is_sent(stage: Stage) -> None:
    for key in ("a\r\nX-Admin: 1", "청구서"):
        with pytest.raises(ProviderRefused, match="header"):
            await stage.provider.charge(charge_of(key))


# Replies that are not believed


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": {"amount_minor": WON.amount_minor + 1, "currency": "KRW"}},
        {"amount": {"amount_minor": WON.amount_minor, "currency": "JPY"}},
        {"reference": "another-invoice"},
    ],
)
@pytest.mark.parametrize("found", [False, True])
async def test_a_charge_of_something_else_is_refused(tmp_path: Path, changes: dict[str, object], found: bool) -> None:
    charge = CHARGE | changes

    async def answer(request: Request) -> Response:
        if found and request.method == "POST":
            return Response(status_code=500)
        return JSONResponse({"charges": [charge]} if found else charge)

    async with answered_by(answer, tmp_path) as provider:
        with pytest.raises(ProviderContradicted):
            await provider.charge(charge_of())


@pytest.mark.parametrize("changes", [{"amount": {"amount_minor": 1, "currency": "KRW"}}, {"charge_id": "ch-2"}])
async def test_a_refund_of_something_else_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    async with answered_by(Answers(JSONResponse(REFUND | changes)), tmp_path) as provider:
        with pytest.raises(ProviderContradicted):
            await provider.refund(refund_of("ch-1"))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"status": "maybe"}', b"\xff", b'{"charge_id": "' + b"x" * 3_000_000]
)
async def test_a_yes_that_cannot_be_read_is_no_known_outcome(tmp_path: Path, body: bytes) -> None:
    async with answered_by(Answers(Response(body)), tmp_path) as provider:
        with pytest.raises(ProviderUnavailable):
            await provider.charge(charge_of())


async def test_amounts_are_whole_minor_units(tmp_path: Path) -> None:
    charge = CHARGE | {"amount": {"amount_minor": 13_500.5, "currency": "KRW"}}
    async with answered_by(Answers(JSONResponse(charge)), tmp_path) as provider:
        with pytest.raises(ProviderUnavailable):
            await provider.charge(charge_of(amount=Money(13_500, "KRW")))


async def test_the_api_key_is_in_no_log_and_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with staged(settings_of(tmp_path, payments_max_tries=1)) as stage:
        await stage.director.rule(Rule(on="any", unavailable=True))
        with pytest.raises(ProviderUnavailable) as refused:
            await stage.provider.charge(charge_of())
    seen = caplog.text + repr(refused.value) + repr(stage.keys)
    assert stage.keys.api_key not in seen
    assert stage.keys.webhook_secrets[0].decode() not in seen
