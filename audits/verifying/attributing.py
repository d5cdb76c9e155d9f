"""Says of what two stores disagree on which of them was changed, where a third, or a digest, tells it. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from audits.verifying.findings import Finding, Kind, Store


def attributed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings: what Kafka and the archive both say against the log is the log's, once; what Kafka says against an
    archive that is damaged there is the archive's; and a record is not said to be put in whose row the log lost.
    """
    log = _of_log(findings)
    lost = [each for each in findings if each.store is Store.LOG and each.kind in (Kind.REMOVED, Kind.TRUNCATED)]
    kept = [finding for finding in findings if id(finding) not in log and not _is_of_lost_row(finding, lost)]
    spoiled = _spoiled(kept)
    wrong_in_kafka = {_offset(each) for each in kept if each.store is Store.KAFKA and each.what in ("value", "key")}
    said = list[Finding]()
    for finding in kept:
        what, _, beside = finding.what.partition(", beside")
        if beside and _offset(finding) in wrong_in_kafka:
            continue  # the log has told already that it is Kafka
        if beside and _lies_in(finding, spoiled):
            expected, found = finding.found, finding.expected
            of_archive = {"store": Store.ARCHIVE, "what": f"{what}, beside Kafka", "expected": expected, "found": found}
            said.append(structs.replace(finding, **of_archive))
        else:
            said.append(finding)
    return [*said, *{(each.partition, each.position): each for each in log.values()}.values()]


def _of_log(findings: Iterable[Finding]) -> dict[int, Finding]:
    """What both say against the log, by the identity of each finding: what is to be said instead."""
    by_place: dict[tuple[int | None, int | None, str | None], list[Finding]] = {}
    for finding in findings:
        if finding.what == "value" and finding.store in (Store.KAFKA, Store.ARCHIVE):
            by_place.setdefault((finding.partition, finding.position, finding.found), []).append(finding)
    return {
        id(each): _rewritten(each)
        for same in by_place.values()
        if {each.store for each in same} == {Store.KAFKA, Store.ARCHIVE}
        for each in same
    }


def _is_of_lost_row(finding: Finding, lost: Iterable[Finding]) -> bool:
    position = finding.position
    if finding.kind is not Kind.INSERTED or finding.store is Store.LOG or position is None:
        return False
    return any(
        each.partition == finding.partition and (each.position or 0) <= position <= (each.last or each.position or 0)
        for each in lost
    )


def _rewritten(finding: Finding) -> Finding:
    return Finding(
        kind=Kind.REWRITTEN,
        store=Store.LOG,
        what="event, of which Kafka and the archive agree",
        topic=finding.topic,
        partition=finding.partition,
        position=finding.position,
        event_id=finding.event_id,
        expected=finding.found,
        found=finding.expected,
    )


def _offset(finding: Finding) -> tuple[str | None, int | None, int | None]:
    return finding.topic, finding.partition, finding.offset


def _spoiled(findings: Iterable[Finding]) -> list[Finding]:
    """What the archive says against itself, or a checkpoint or the log against it."""
    return [each for each in findings if each.store is Store.ARCHIVE and each.offset is not None]


def _lies_in(finding: Finding, spoiled: Iterable[Finding]) -> bool:
    at = finding.offset or 0
    return any(
        (each.topic, each.partition) == (finding.topic, finding.partition)
        and (each.offset or 0) <= at <= (each.last if each.last is not None else each.offset or 0)
        for each in spoiled
    )
