"""Every route of both APIs declares once what its callers need; run with `pytest -s` this shows the table."""

from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI

import audits.app
import commands.app
import query_api.app
from infra.access.authentication import Needs
from infra.access.permissions import OF_ROLE, VIEWER, Scope
from infra.http.access_table import Entry, Undeclared, access_table
from infra.http.declared import Bearing, Public
from infra.http.rate_limiting import RouteClass, class_of
from infra.settings import Settings


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FastAPI]:
    settings = Settings(state_dir=Path(tmp_path_factory.mktemp("state")))
    return {
        "commands": commands.app.create_app(settings),
        "query API": query_api.app.create_app(settings),
        "audits API": audits.app.create_app(settings),
    }


def test_every_route_declares_once_what_its_callers_need(apps: dict[str, FastAPI]) -> None:
    for name, app in apps.items():
        table = access_table(app)
        assert table
        print(f"\n{name}", *(f"{row.method:6} {row.path:80} {row.said}" for row in table), sep="\n")


def test_every_scope_that_a_route_needs_is_given_to_somebody(apps: dict[str, FastAPI]) -> None:
    given = VIEWER.union(*OF_ROLE.values())
    for row in (row for app in apps.values() for row in access_table(app)):
        if isinstance(row.access, Needs):
            assert row.access.scopes <= given, row


def test_the_document_names_the_scopes_of_every_operation(apps: dict[str, FastAPI]) -> None:
    for app in apps.values():
        paths = app.openapi()["paths"]
        for row in access_table(app):
            operation = paths.get(row.path, {}).get(row.method.lower())
            if isinstance(row.access, Needs):
                assert operation, f"{row.path} is not in the document"
                documented = {scope for way in operation["security"] for scope in way["AccessToken"]}
                assert documented == row.access.scopes, row.path


NOT_LIMITED = {"/health", "/ready", "/metrics", "/openapi.json", "/docs"}


def test_every_route_but_probes_and_documents_has_a_rate_limit(apps: dict[str, FastAPI]) -> None:
    for row in (row for app in apps.values() for row in access_table(app)):
        is_limited = class_of(row.method, row.path) is not None
        assert is_limited != (row.path in NOT_LIMITED or row.path.startswith("/.well-known/")), row.path


def test_who_signs_in_and_who_reports_is_limited_as_such(apps: dict[str, FastAPI]) -> None:
    classes = {row.path: class_of(row.method, row.path) for row in access_table(apps["commands"])}
    of_class = {each: {path for path, found in classes.items() if found is each} for each in RouteClass}
    assert {"/v1/sign-in", "/v1/registrations", "/oauth/token", "/v1/password-resets"} <= of_class[RouteClass.SIGN_IN]
    assert of_class[RouteClass.INGEST] == {
        "/v1/playback/sessions/{session_id}/events",
        "/v1/playback/sessions/{session_id}/stop",
    }
    assert {"/v1/catalog/titles", "/v1/payments/webhooks", "/v1/subscriptions"} <= of_class[RouteClass.COMMAND]


@pytest.mark.parametrize(
    "declared", [[], [Needs(Scope.ACCOUNT), Public("both")], [Needs(Scope.ACCOUNT), Needs(Scope.PLAYBACK)]]
)
def test_a_route_that_declares_nothing_or_two_things_is_found(declared: list[Needs | Public]) -> None:
    router = APIRouter(dependencies=[Depends(each) for each in declared])
    router.add_api_route("/somewhere", lambda: None)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    with pytest.raises(Undeclared, match="/somewhere"):
        access_table(app)


def test_the_table_says_each_declaration_in_words() -> None:
    def said(access: Needs | Public | Bearing) -> str:
        return Entry("GET", "/", access, lambda: None).said

    assert said(Needs(Scope.BILLING_READ, Scope.ACCOUNT)) == "account or billing:read"
    assert said(Public("probes")) == "public: probes"
    assert said(Bearing("a signature")) == "bearing a signature"
