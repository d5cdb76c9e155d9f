"""Verifies a partition of the archive: against itself and the checkpoints, and against the event log."""

from collections.abc import AsyncIterator, Sequence

from audits.verifying.archived import Archived, Signed
from audits.verifying.checkpoints import Checkpoint
from audits.verifying.findings import Finding, Store
from audits.verifying.of_kafka import Sides
from audits.verifying.reading import LogOf, head
from audits.verifying.relayed import Relayed
from audits.verifying.tasks import State, Update


class ArchiveCheck:
    """The check of one partition of a topic."""

    def __init__(self, sides: Sides, topic: str, partition: int, checkpoints: Sequence[Checkpoint]) -> None:
        self._sides = sides
        self._topic = topic
        self._partition = partition
        signed = [
            Signed(checkpoint.number, each)
            for checkpoint in checkpoints
            for each in checkpoint.ranges
            if (each.topic, each.partition) == (topic, partition)
        ]
        self._check = Archived(sides.archive, topic, partition, signed)
        self._relayed = Relayed(Store.ARCHIVE, topic, partition)

    async def run(self, task: str, state: State | None) -> AsyncIterator[Update]:
        """All of it, or from where another run was. Raises ArchiveAway, and what asyncpg raises."""
        of_log = self._topic in self._sides.relayed
        after, done = (int(state["offset"]), int(state["done"])) if state else (0, 0)
        position = int(state["position"]) if state else 0
        log = LogOf(
            self._sides.pool, self._topic, self._partition, after=position, limit=self._sides.settings.verify_batch_rows
        )
        kept = await self._log_head() if of_log else 0
        for step in self._check.steps(after):
            found: list[Finding] = step.findings
            done += len(step.records)
            if of_log and step.records:
                highest = max((each.position or 0 for each in step.records if (each.position or 0) <= kept), default=0)
                found = [*found, *self._relayed.take(await log.up_to(highest), step.records)]
            next_state: State | None = None
            if step.end is not None and self._check.at_a_boundary() and self._relayed.settled():
                next_state = {"offset": step.end, "position": log.after, "done": done}
            yield Update(task=task, done=done, findings=found, state=next_state)
        late = list(self._relayed.missing(0, truncated=False)) if of_log else []
        yield Update(task=task, done=done, findings=late, ended=True)

    async def _log_head(self) -> int:
        found = await head(self._sides.pool, self._partition)
        return 0 if found is None else max(found["position"], found["last"] or 0)
