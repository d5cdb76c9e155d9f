"""Both APIs, asked by schemathesis for what their documents say that they take, and for what they do not: no answer is
a 5xx, and each is one of those that the document names, in its media type and of its schema.
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation

import audits.app
import commands.app
import query_api.app
from commands.subscription.bodies import PLAN_EXAMPLE
from infra.access.authentication import Needs
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import monotonic_s
from infra.http.access_table import access_table
from infra.http.problems import TYPE_BASE
from infra.http.server import config_of
from infra.ids import new_id
from infra.settings import Settings
from tests.integration.rates import unlimited

pytestmark = pytest.mark.integration

schemathesis.serializer.alias("application/x-ndjson", "text/plain")

BUDGET_S: Final = 40.0
"""Rounds go on for so long; the first is always finished."""
EXAMPLES: Final = 2
"""Of an operation in a round, as its document has them, and as many that go against it."""
WHO: Final = {
    "viewer": Principal(subject="fuzz", account_id="fuzz", profile_id="fuzz-profile"),
    "editor": Principal(subject="fuzz-editor", roles=("editor",)),
    "billing": Principal(subject="fuzz-billing", roles=("billing",)),
    "operator": Principal(subject="fuzz-operator", roles=("operator", "auditor")),
}
SEEDED: Final = {
    "account_id": "fuzz",
    "profile_id": "fuzz-profile",
    "plan_id": "fuzz-plan",
    "offer_id": "fuzz-offer",
}
PLAN: Final = {**PLAN_EXAMPLE, "plan_id": "fuzz-plan"}
OFFER: Final = {
    "offer_id": "fuzz-offer",
    "kind": "rental",
    "title_id": "sintel",
    "title_name": "Sintel",
    "prices": [{"amount_minor": 399, "currency": "EUR"}],
}
VIEW_BEHIND: Final = TYPE_BASE + "view-behind"
"""What a place that nothing has reached, such as an example's, is answered with in truth."""
NAMES: Final = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
]


class Served:
    """An app on a port, in a thread of its own."""

    def __init__(self, app: FastAPI, url: str, settings: Settings) -> None:
        self.url = url
        self.schema = schemathesis.openapi.from_dict(app.openapi())
        self._tokens = {who: Tokens(settings).mint_access(principal) for who, principal in WHO.items()}
        self._allowed = _allowed(app)

    def by(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[who]}"}

    def ask(
        self, operation: "APIOperation[Any, Any, Any, Any]", mode: GenerationMode, number: int, checks: list[Any]
    ) -> None:
        """Some examples of an operation. Raises what is wrong with a reply."""
        of_whom = st.sampled_from(self._allowed[operation.label])

        @seed(number)
        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode), who=of_whom, is_known=st.booleans())
        def ask_one(case: "Case[Any]", who: str, is_known: bool) -> None:
            if is_known and case.path_parameters:
                known = {name: SEEDED[name] for name in case.path_parameters if name in SEEDED}
                case.path_parameters = {**case.path_parameters, **known}
            response = case.call(base_url=self.url, headers=self.by(who), timeout=20)
            if response.status_code != 503 or response.json()["type"] != VIEW_BEHIND:
                case.validate_response(response, checks=checks)

        ask_one()


@pytest.fixture(scope="module")
def served(live: Settings) -> Iterator[list[Served]]:
    settings = unlimited(live).model_copy(update={"live_stream_max_s": 0.05})
    apps = [module.create_app(settings) for module in (commands.app, query_api.app, audits.app)]
    servers = [uvicorn.Server(config_of(app, settings, port=0)) for app in apps]
    threads = [threading.Thread(target=lambda each=each: asyncio.run(each._serve())) for each in servers]
    for thread in threads:
        thread.start()
    try:
        found = []
        for app, server in zip(apps, servers, strict=True):
            url = f"http://127.0.0.1:{_port(server)}"
            found.append(Served(app, url, settings))
        _seed(found[0])
        yield found
    finally:
        for server in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(timeout=20)


def _port(server: uvicorn.Server) -> int:
    end_s = monotonic_s() + 20
    while not server.started:
        assert monotonic_s() < end_s
        threading.Event().wait(0.02)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    for _ in range(400):
        if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
            break
        threading.Event().wait(0.05)
    return port


def _seed(at: Served) -> None:
    def post(path: str, who: str, body: object) -> None:
        reply = httpx.post(at.url + path, json=body, headers={**at.by(who), "Idempotency-Key": new_id()})
        assert reply.status_code in (201, 409), reply.text

    post("/v1/plans", "billing", PLAN)
    post("/v1/offers", "billing", OFFER)
    subscription = {"plan_id": "fuzz-plan", "period": "month", "currency": "EUR", "time_zone": "Europe/Amsterdam"}
    post("/v1/subscriptions", "viewer", subscription)
    post("/v1/purchases", "viewer", {"offer_id": "fuzz-offer", "currency": "EUR"})


def _allowed(app: FastAPI) -> dict[str, list[str]]:
    """Who may call each operation, thrice, and everybody else once, so that most requests get somewhere."""
    allowed = {}
    for row in access_table(app):
        scopes = row.access.scopes if isinstance(row.access, Needs) else frozenset[Any]()
        right = [name for name, who in WHO.items() if not who.scopes.isdisjoint(scopes)]
        allowed[f"{row.method} {row.path}"] = right * 3 + list(WHO)
    return allowed


def test_no_request_that_the_documents_describe_or_exclude_is_answered_with_a_5xx(served: list[Served]) -> None:
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in NAMES]
    operations = [(at, _ready(each)) for at in served for each in at.schema.get_all_operations()]
    ends_s = monotonic_s() + BUDGET_S
    failures: dict[str, str] = {}
    rounds = 0
    while not rounds or monotonic_s() < ends_s:  # each is asked at least once
        rounds += 1
        for at, operation in operations:
            for mode in GenerationMode if rounds == 1 or monotonic_s() < ends_s else ():
                try:
                    at.ask(operation, mode, rounds, checks)
                except Unsatisfiable:
                    continue  # nothing that could be wrong with it
                except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001  # the others are asked too
                    failures[f"{operation.label} {mode.value}"] = _told(failure)
    print(f"{len(operations)} operations asked in {rounds} rounds")
    assert not failures, "\n\n".join(f"{name}: {told}" for name, told in failures.items())


def _ready(found: Any) -> "APIOperation[Any, Any, Any, Any]":
    operation: APIOperation[Any, Any, Any, Any] = found.ok()
    return operation


def _told(failure: BaseException) -> str:
    if isinstance(failure, BaseExceptionGroup):
        return "\n".join(_told(each) for each in failure.exceptions)
    return f"{type(failure).__name__}: {failure}"[:1500]
