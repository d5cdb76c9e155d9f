"""The certificates of erasures: the events that say so, where they stand in the log, and whether it is still so."""

from datetime import datetime
from typing import Any, Final

import msgspec

from events.identity import PersonErased
from events.registry import REGISTRY, type_of
from events.topics import topic_of
from infra.postgres import Pool

TYPE: Final = type_of(PersonErased)
CERTIFICATE: Final = """
    select l.partition, l.position, l.version, l.event_id::text as event_id, l.digest, l.hash, l.body,
           k.person_id is not null and k.wrapped is not null as has_key
    from event_log as l left join person_key as k on k.person_id = $2
    where l.stream_id = $1 and l.type = $3
"""


class Certificate(msgspec.Struct, frozen=True):
    """That a person was erased: who asked for it, when, on what ground, and where the log says so.

    `position` is gapless in its partition of the log, `digest` the SHA-256 of the event's bytes and `hash` that of the
    chain up to it, in hex. `holds`: the key is not there; it would be after a restore that did not destroy it again.
    """

    account_id: str
    erased_at: datetime
    principal: str | None
    client_address: str | None
    ground: str
    reference: str | None
    sealed_events: int
    key_fingerprint: str | None
    event_id: str
    stream_id: str
    version: int
    topic: str
    partition: int
    position: int
    digest: str
    hash: str
    holds: bool


async def certificate_of(pool: Pool, account_id: str) -> Certificate | None:
    """The certificate of an account's erasure; None for an account that was not erased. `pool`: of Role.AUDITS."""
    stream_id = f"identity.account-{account_id}"
    row: Any = await pool.fetchrow(CERTIFICATE, stream_id, account_id, TYPE)
    if row is None:
        return None
    recorded = REGISTRY.decode(row["body"])
    envelope, event = recorded.envelope, recorded.data
    assert isinstance(event, PersonErased)
    return Certificate(
        account_id=account_id,
        erased_at=envelope.time,
        principal=envelope.principal,
        client_address=envelope.clientaddress,
        ground=event.ground,
        reference=event.reference,
        sealed_events=event.sealed_events,
        key_fingerprint=event.key_fingerprint,
        event_id=row["event_id"],
        stream_id=stream_id,
        version=row["version"],
        topic=topic_of(TYPE).name,
        partition=row["partition"],
        position=row["position"],
        digest=row["digest"].hex(),
        hash=row["hash"].hex(),
        holds=not row["has_key"],
    )


def in_words(certificate: Certificate) -> str:
    """A certificate for people."""
    one = certificate
    fingerprint = one.key_fingerprint or "not known: destroyed before there were certificates, or unreadable"
    lines = [
        f"Certificate of erasure: account {one.account_id}",
        f"  erased at     {one.erased_at.isoformat()}",
        f"  asked by      {one.principal or 'unknown'}" + (f" from {one.client_address}" if one.client_address else ""),
        f"  ground        {one.ground}" + (f", case {one.reference}" if one.reference else ""),
        f"  destroyed     the key {fingerprint}",
        f"  sealed by it  personal values in {one.sealed_events} events of the account; nobody can read them",
        f"  recorded      {TYPE} {one.event_id}, version {one.version} of {one.stream_id}",
        f"  in the log    {one.topic} partition {one.partition}, position {one.position}",
        f"  digest        {one.digest}",
        f"  chain         {one.hash}",
        "  now           "
        + ("the key is gone" if one.holds else "THE KEY IS THERE AGAIN: erase once more (playhead audit erase)"),
    ]
    return "\n".join(lines)
