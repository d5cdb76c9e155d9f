"""GET /v1/audit/checkpoints: what was signed of the history; GET /v1/audit/proofs/...: that an event is in it."""

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from audits.http.asking import AUDITOR, EVERY_QUESTION, Asks, Gone, while_here
from audits.http.problems import NOT_IN_HISTORY, NOT_PROVED, CheckpointUnknown
from audits.sources import Source, SourceAway, Sources
from audits.verifying import checkpoints
from audits.verifying.checkpoints import Stored
from audits.verifying.keys import SigningKeys
from audits.verifying.proofs import Proof, place_of_event, prove
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.http.openapi import replies
from infra.settings import Settings
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN, Limit

SIGNED: Final = (
    '{"number":7,"at":"2026-02-21T21:05:00Z","previous":"9b74c9897bac770f","ranges":[],"heads":[],"ends":[]}'
)
CHECKPOINT: Final[dict[str, Any]] = {
    "number": 7,
    "at": "2026-02-21T21:05:00Z",
    "previous": "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
    "digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "records": 4711,
    "document": f'{SIGNED}\n{{"key_id":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","signature":"..."}}\n',
}
PROOF: Final = {
    "record": {
        "topic": "catalog.events",
        "partition": 3,
        "offset": 16,
        "position": 17,
        "key": "aGVhdA==",
        "value": "e30=",
    },
    "index": 16,
    "path": ["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    "checkpoint": SIGNED,
    "signature": "dGhlIHNpZ25hdHVyZQ",
    "key_id": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
}


class CheckpointItem(BaseModel):
    """A checkpoint. `document`: the very text that was signed and, in its second line, the signature; `previous`: the
    digest of the document before. Nothing is verified here: who asks does that, with a key that they trust.
    """

    number: int
    at: datetime
    previous: str | None
    digest: str = Field(description="SHA-256 of the document")
    records: int = Field(description="that it holds, and none before it")
    document: str


class CheckpointPage(BaseModel):
    """Checkpoints, the newest first; `next_before` is null at the end."""

    items: list[CheckpointItem]
    next_before: int | None


routes = APIRouter(prefix="/v1/audit", tags=["proofs"], dependencies=[AUDITOR])


@routes.get(
    "/checkpoints",
    responses=replies({"items": [CHECKPOINT], "next_before": 7}, *EVERY_QUESTION),
)
async def read_checkpoints(
    request: Request,
    auditing: Asks,
    limit: Limit,
    before: Annotated[int | None, Query(ge=1, le=10**19, description="Older than this one", examples=[8])] = None,
) -> CheckpointPage:
    """What was signed of the archive and the log, and when."""

    def page(archive: Archive) -> CheckpointPage:
        numbers = [each for each in checkpoints.numbers(archive.files_of_store) if before is None or each < before]
        shown = [_item(checkpoints.read(archive.files_of_store, each)) for each in numbers[::-1][:limit]]
        return CheckpointPage(items=shown, next_before=shown[-1].number if len(numbers) > limit else None)

    async def read() -> CheckpointPage:
        async with auditing.turn() as sources:
            return await sources.run(page, await _archive(sources))

    return await while_here(request, read())


@routes.get("/checkpoints/{number}", responses=replies(CHECKPOINT, *EVERY_QUESTION, NOT_IN_HISTORY))
async def read_checkpoint(
    request: Request,
    auditing: Asks,
    number: Annotated[int, Path(ge=1, le=10**19, description="Of a checkpoint, from 1", examples=[7])],
) -> CheckpointItem:
    """One checkpoint."""

    def one(archive: Archive) -> CheckpointItem:
        try:
            return _item(checkpoints.read(archive.files_of_store, number))
        except FileNotFoundError as error:
            raise CheckpointUnknown(f"There is no checkpoint {number}.") from error

    async def read() -> CheckpointItem:
        async with auditing.turn() as sources:
            return await sources.run(one, await _archive(sources))

    return await while_here(request, read())


@routes.get("/proofs/{event_id:path}", response_class=Response, responses=replies(PROOF, *EVERY_QUESTION, NOT_PROVED))
async def read_proof(
    request: Request,
    auditing: Asks,
    event_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=ID_MAX_CHARS,
            pattern=ID_PATTERN,
            description="An event",
            examples=["01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"],
        ),
    ],
    leaf_only: Annotated[bool, Query(description="Its leaf instead of its bytes", examples=[True])] = False,
) -> Response:
    """That an event is in what a checkpoint signed: what `check_proof.py` reads, which needs nothing of Playhead."""

    gone = threading.Event()

    async def read() -> Proof:
        async with auditing.turn() as sources:
            archive = WhileHere(await _archive(sources), gone)
            try:
                return await sources.run(_proved, archive, auditing.settings, event_id, leaf_only)
            finally:
                gone.set()

    proof = await while_here(request, read())
    return Response(msgspec.json.encode(proof), media_type="application/json")


class WhileHere(Archive):
    """An archive that is read as long as somebody waits for it: threads end where they begin the next file or batch."""

    def __init__(self, archive: Archive, gone: threading.Event) -> None:
        super().__init__(archive.files_of_store, archive.settings)
        self.entries = archive.entries
        self._gone = gone

    def read(
        self, file: ArchivedFile, *, columns: Sequence[str] | None = None, where: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """As Archive.read(). Raises Gone."""
        self._check()
        for batch in super().read(file, columns=columns, where=where):
            yield batch
            self._check()

    def _check(self) -> None:
        if self._gone.is_set():
            raise Gone


def _proved(archive: Archive, settings: Settings, event_id: str, leaf_only: bool) -> Proof:
    place = place_of_event(archive, event_id)
    return prove(archive, SigningKeys(settings).trusted(), *place, leaf_only=leaf_only)


def _item(stored: Stored) -> CheckpointItem:
    checkpoint = stored.checkpoint
    return CheckpointItem(
        number=checkpoint.number,
        at=checkpoint.at,
        previous=checkpoint.previous,
        digest=stored.digest,
        records=sum(each.size for each in checkpoint.ranges),
        document=stored.document.decode(),
    )


async def _archive(sources: Sources) -> Archive:
    archive = await sources.archive()
    if archive is None:
        raise SourceAway.of(Source.ARCHIVE, "it is left out")
    return archive
