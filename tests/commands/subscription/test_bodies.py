"""Every operation of the context is documented: an example of its body that it takes, and its refusals by name."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from commands.app import create_app
from commands.subscription import bodies
from commands.subscription.problems import PROBLEMS
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.settings import Settings

BODIES = [
    one
    for one in vars(bodies).values()
    if isinstance(one, type) and "examples" in str(getattr(one, "model_config", ""))
]
PREFIXES = ("/v1/plans", "/v1/offers", "/v1/coupons", "/v1/invoices", "/v1/subscriptions", "/v1/purchases")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, postgres_dsn="postgresql://playhead@127.0.0.1:1/playhead")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


def operations(app: FastAPI) -> dict[str, dict[str, Any]]:
    paths = app.openapi()["paths"]
    return {path: item["post"] for path, item in paths.items() if path.startswith(PREFIXES)}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_a_body_takes_its_own_example(body: Any) -> None:
    for example in body.model_config["json_schema_extra"]["examples"]:
        read = body.model_validate(example)
        for method in ("value_object", "values"):
            if hasattr(read, method):
                assert getattr(read, method)()


def test_every_operation_needs_a_key_and_says_so(app: FastAPI) -> None:
    assert len(operations(app)) == 18
    for path, operation in operations(app).items():
        assert "idempotency-key-missing" in str(operation["responses"]), path
        assert all({*way} == {"AccessToken"} for way in operation["security"]), path


def test_every_refusal_is_documented_on_some_operation_or_is_the_renewal_process_own(app: FastAPI) -> None:
    documented = str([operation["responses"] for operation in operations(app).values()])
    missing = {kind.slug for kind in PROBLEMS.values() if f"'{kind.slug}'" not in documented}
    assert missing == {
        "not-renewable",
        "not-due-yet",
        "amount-differs",
        "refund-unknown",
        "amount-negative",
        "already-purchased",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/plans", {"plan_id": "x y"}),
        ("/v1/plans", {**bodies.PLAN_EXAMPLE, "plan_id": "p", "prices": []}),
        ("/v1/coupons", {"code": "X", "percent": 101}),
        ("/v1/subscriptions/a1/cancel", {"immediately": "perhaps"}),
        ("/v1/subscriptions/a1/pause", {"until": "2026-01-01T00:00:00"}),
        ("/v1/subscriptions/a1/pause", {"unitl": None}),
        ("/v1/invoices/i/refunds", {"amount": {"amount_minor": -1, "currency": "EUR"}}),
        ("/v1/invoices/i/refunds", {"amount": {"amount_minor": 1.5, "currency": "EUR"}}),
        ("/v1/invoices/i/refunds", {"amount": {"amount_minor": "1", "currency": "EUR"}}),
        ("/v1/invoices/i/refunds", {"amount": {"amount_minor": 1, "currency": "euro"}}),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused(app: FastAPI, settings: Settings, path: str, body: Any) -> None:
    token = Tokens(settings).mint_access(Principal(subject="bill", roles=("billing",)))
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    app.state.resources = None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://commands") as client:
        reply = await client.post(path, json=body, headers=headers)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "invalid-request")
