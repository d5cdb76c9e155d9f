"""What the routes of the commands API work with, opened once a process, and the terms that a request comes with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Header, Request, Response
from msgspec import structs

from commands.handling import Handling, IdempotencyKeyMissing, Outcome, Terms
from commands.playback.cmcd.records import Bounds
from commands.playback.leases import Leases
from commands.playback.reports import Limits
from events.envelope import Context
from events.types import AccountId, PurchaseId, TitleId
from infra.access.authentication import Needs, principal
from infra.access.permissions import Principal, Scope
from infra.access.revocations import Revocations
from infra.access.tokens import Tokens
from infra.clock import Clock
from infra.entitlement import Held
from infra.event_log import Idempotency
from infra.http.client_address import client_address
from infra.http.territory import Territories
from infra.person_keys import PersonKeys
from infra.personal_data import MasterKey
from infra.positions import HEADER as POSITION_HEADER
from infra.postgres import Pool
from infra.publisher import Publisher
from infra.settings import Settings

IDEMPOTENCY_KEY_MAX_CHARS = 255


OnFirstPlay: TypeAlias = Callable[[PurchaseId, Context], Awaitable[bool]]
"""Told that a rental is played for the first time, and whose request it is; whether the rental runs now."""
NotYetSeen: TypeAlias = Callable[[AccountId, frozenset[TitleId]], Awaitable[Held]]
"""What entitles an account to one of some titles by events that the views have not applied."""


@dataclass(frozen=True)
class Resources:
    """The process's own: its clients, its clock, its keys."""

    settings: Settings
    limits: Limits
    cmcd_bounds: Bounds
    clock: Clock
    tokens: Tokens
    revocations: Revocations
    pool: Pool
    handling: Handling
    publisher: Publisher
    leases: Leases
    persons: PersonKeys
    territories: Territories
    on_first_play: OnFirstPlay
    not_yet_seen: NotYetSeen


def resources(request: Request) -> Resources:
    """The resources of the app that serves a request."""
    opened: Resources = request.app.state.resources
    return opened


def context_of(request: Request, principal: str) -> Context:
    """Who and what a request's events are recorded for."""
    return Context(
        correlation_id=request.scope["correlation_id"],
        principal=principal,
        traceparent=header_of(request, b"traceparent"),
    )


def _client_address(request: Request) -> str:
    return client_address(request.scope)


ClientAddress = Annotated[str, Depends(_client_address)]
"""Where a request comes from, for a route that counts what is tried from there."""


def header_of(request: Request, name: bytes) -> str | None:
    """A request's header, by its name in lower case; without the views that Starlette makes of all of them."""
    for given, value in request.scope["headers"]:
        if given == name:
            return str(value, "latin-1")
    return None


async def terms(
    request: Request,
    caller: Annotated[Principal, Depends(principal)],
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=IDEMPOTENCY_KEY_MAX_CHARS,
            description="Repeat a request under the same key and its first reply is sent again.",
        ),
    ] = None,
    if_match: Annotated[
        str | None,
        Header(pattern=r'^"\d{1,9}"$', description="The ETag that the decision was made on; 412 if it is no longer."),
    ] = None,
) -> Terms:
    """For whom, at which version, and recognisable by what; the request itself is what caused the events."""
    context = context_of(request, caller.subject)
    if caller.is_staff:
        context = structs.replace(context, client_address=client_address(request.scope))
    asked = f"{request.method} {request.url.path}\n".encode() + await request.body()
    master: MasterKey = request.app.state.master_key
    digest = master.digest(asked.decode("latin-1"))  # keyed: it is kept, and a body may hold a password or a PIN
    return Terms(
        structs.replace(context, causation_id=context.correlation_id),
        int(if_match.strip('"')) if if_match else None,
        Idempotency.of(principal=caller.subject, key=idempotency_key, request=digest) if idempotency_key else None,
    )


async def keyed_terms(asked: Annotated[Terms, Depends(terms)]) -> Terms:
    """The terms of a command that must be recognisable when it comes again. Raises IdempotencyKeyMissing."""
    if asked.idempotency is None:
        raise IdempotencyKeyMissing("send an Idempotency-Key, and the same one when you send this request again")
    return asked


EDITOR: Final = Depends(Needs(Scope.CATALOG_WRITE))
"""For routes that change the catalog."""


def describe(response: Response, outcome: Outcome) -> None:
    """Put an outcome's version and position on its reply."""
    response.headers["ETag"] = f'"{outcome.version}"'
    response.headers[POSITION_HEADER] = outcome.position
