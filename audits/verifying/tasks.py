"""What a verification is divided into: each task is of one store and one partition, and may be done by any process."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from audits.verifying.findings import Finding, Store

State: TypeAlias = dict[str, int | str]
"""How far a task is, as it goes on from: offsets and positions, and hashes in hex."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One part. `topic`: None of the log; `partition`: None for what is of all of them. `total`: about how many events
    it is.
    """

    store: Store
    topic: str | None = None
    partition: int | None = None
    total: int = 0

    @property
    def name(self) -> str:
        """How it is told, and known again by a run that goes on."""
        parts = [self.store.value, self.topic, None if self.partition is None else str(self.partition)]
        return ":".join(part for part in parts if part is not None)


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a task since the update before. `done`: events so far; `state`: what one may go on from here with,
    if one may; `ended`: it is through; `wrong`: why it could not be.
    """

    task: str
    done: int = 0
    findings: Sequence[Finding] = ()
    state: State | None = None
    ended: bool = False
    wrong: str | None = None


class Reached(msgspec.Struct, kw_only=True):
    """How far a task has come, over all runs. `resumed`: by an earlier run, which was interrupted."""

    task: Task
    done: int = 0
    state: State = msgspec.field(default_factory=dict)
    ended: bool = False
    resumed: bool = False
    wrong: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be verified. Nothing named: all of it."""

    only: tuple[Store, ...] = ()
    topics: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()

    def wants(self, task: Task) -> bool:
        """Whether a task is a part of it."""
        return (
            (not self.only or task.store in self.only)
            and (not self.topics or task.topic is None or task.topic in self.topics)
            and (not self.partitions or task.partition is None or task.partition in self.partitions)
        )


class Run(msgspec.Struct, kw_only=True):
    """A verification as it goes: what a progress file holds, and what a report is made of."""

    asked: Asked
    began: datetime
    reached: dict[str, Reached]
    findings: list[Finding] = msgspec.field(default_factory=list)
    found: int = 0
    resumed: int = 0

    def take(self, update: Update, findings_max: int) -> None:
        """Note what came of a task."""
        task = self.reached[update.task]
        task.done = max(task.done, update.done)
        task.ended = task.ended or update.ended
        task.wrong = update.wrong or task.wrong
        if update.state is not None:
            task.state = update.state
        new = [finding for finding in update.findings if finding not in self.findings]  # a part may have begun anew
        self.found += len(new)
        self.findings += new[: max(0, findings_max - len(self.findings))]

    @property
    def failed(self) -> list[str]:
        """What could not be checked, and why."""
        return [f"{name}: {each.wrong or 'not finished'}" for name, each in self.reached.items() if not each.ended]
