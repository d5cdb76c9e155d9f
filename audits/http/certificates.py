"""GET /v1/audit/certificates/{account_id}: that a person was erased, and where the log says so."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Request, Response

from audits.erasures import Certificate, certificate_of
from audits.http.asking import AUDITOR, EVERY_QUESTION, Asks, while_here
from audits.http.problems import NOT_IN_HISTORY, NotErased
from audits.sources import LOG_AWAY, Source, SourceAway
from infra.http.openapi import replies
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN

CERTIFICATE: Final[dict[str, Any]] = {
    "account_id": "household-1",
    "erased_at": "2026-02-21T21:04:00Z",
    "principal": "operator-1",
    "client_address": "192.0.2.7",
    "ground": "request",
    "reference": "case-17",
    "sealed_events": 12,
    "key_fingerprint": "2c26b46b68ffc68ff99b453c1d304134",
    "event_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "stream_id": "identity.account-household-1",
    "version": 14,
    "topic": "identity.events",
    "partition": 3,
    "position": 17,
    "digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "hash": "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
    "holds": True,
}

routes = APIRouter(prefix="/v1/audit/certificates", tags=["erasure"], dependencies=[AUDITOR])


@routes.get("/{account_id}", response_class=Response, responses=replies(CERTIFICATE, *EVERY_QUESTION, NOT_IN_HISTORY))
async def read_certificate(
    request: Request,
    auditing: Asks,
    account_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=ID_MAX_CHARS,
            pattern=ID_PATTERN,
            description="An account that was erased",
            examples=["household-1"],
        ),
    ],
) -> Response:
    """The certificate of an erasure. `holds`: the key is not there, as of now."""

    async def read() -> Certificate | None:
        async with auditing.turn() as sources:
            pool = await sources.log()
            if pool is None:
                raise SourceAway.of(Source.LOG, "it is left out")
            try:
                return await certificate_of(pool, account_id)
            except LOG_AWAY as error:
                raise SourceAway.of(Source.LOG, error) from error

    certificate = await while_here(request, read())
    if certificate is None:
        raise NotErased(f"Nobody erased account {account_id!r}.")
    return Response(msgspec.json.encode(certificate), media_type="application/json")
