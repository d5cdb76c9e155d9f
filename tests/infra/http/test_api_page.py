"""The page that shows an API's document: whole, and within its own Content-Security-Policy."""

import base64
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from infra.settings import Settings
from query_api.app import create_app


@pytest.fixture
async def page(tmp_path: Path) -> httpx.Response:
    app = create_app(Settings(state_dir=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://query") as client:
        return await client.get("/docs")


async def test_the_page_shows_every_operation_with_its_scopes(page: httpx.Response) -> None:
    assert page.status_code == 200
    assert "GET /v1/profiles/{profile_id}/continue-watching" in page.text
    assert "AccessToken operations:read" in page.text
    assert page.text.count("<details>") > 20


async def test_the_page_has_no_script_and_only_the_style_that_its_policy_names(page: httpx.Response) -> None:
    [style] = re.findall(r"<style>(.*?)</style>", page.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|javascript:|\son\w+=|https?://", page.text.split("</style>")[0])
    assert "<script" not in page.text
