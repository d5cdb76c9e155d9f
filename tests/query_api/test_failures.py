"""A failure that nobody foresaw: the client gets an id to ask about, operators see it counted, and no detail leaks."""

import httpx
from fastapi import FastAPI

from infra.http.problems import TYPE_BASE
from infra.telemetry import REQUESTS


async def test_a_failure_is_answered_counted_and_carries_its_correlation_id(app: FastAPI) -> None:
    @app.get("/fails")
    async def fail() -> None:
        raise RuntimeError("a secret")

    failures = REQUESTS.labels("GET", 500)
    before = failures._value.get()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://query") as client:
        response = await client.get("/fails", headers={"X-Correlation-Id": "ask-about-this"})
    assert (response.status_code, response.json()["type"]) == (500, TYPE_BASE + "internal-error")
    assert response.headers["x-correlation-id"] == "ask-about-this"
    assert "secret" not in response.text
    assert failures._value.get() == before + 1
