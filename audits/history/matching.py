"""Whether a record is asked for: as a test of what its envelope says, and as a filter of the archive's columns. Both
say the same of every record (tests/audits/history/test_matching.py).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from operator import and_, or_
from typing import Any, TypeAlias

import pyarrow.compute as pc

from audits.history.asked import OF_ACCOUNT, OF_TITLE, Asked, type_regex
from infra.archive.records import Attributes

Matches: TypeAlias = Callable[[Attributes, bytes | None], bool]
Expression: TypeAlias = Any  # pyarrow ships no types


def matching(asked: Asked) -> Matches | None:
    """The test of a record by its envelope and its key; None where every record fits."""
    tests = [*_tests(asked)]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda envelope, key: all(test(envelope, key) for test in tests)


def expression(asked: Asked) -> Expression | None:
    """The same as a filter of the archive's columns; None where every record fits."""
    terms = [*_terms(asked)]
    return reduce(and_, terms) if terms else None


def _tests(asked: Asked) -> Iterator[Matches]:
    if asked.streams:
        streams, keys = {*asked.streams}, _encoded(asked.streams)
        yield lambda e, key: e.subject in streams or (e.id is None and key in keys)
    if asked.accounts:
        accounts, of_account = {*asked.accounts}, {*_streams_of(asked)}
        their_keys = _encoded(of_account)
        yield lambda e, key: e.account_id in accounts or e.subject in of_account or (e.id is None and key in their_keys)
    if asked.profiles:
        profiles, profile_keys = {*asked.profiles}, _encoded(asked.profiles)
        yield lambda e, key: e.profile_id in profiles or (e.id is None and key in profile_keys)
    if asked.sessions:
        sessions = {*asked.sessions}
        yield lambda e, _: e.session_id in sessions
    if asked.titles:
        titles, of_titles = {*asked.titles}, {OF_TITLE.format(each) for each in asked.titles}
        yield lambda e, _: e.title_id in titles or e.subject in of_titles
    if asked.actors:
        actors = {*asked.actors}
        yield lambda e, _: e.principal in actors
    if asked.types:
        fits = re.compile("|".join(map(type_regex, asked.types)), re.DOTALL).fullmatch
        yield lambda e, _: e.type is not None and fits(e.type) is not None
    if asked.correlation_id is not None:
        yield lambda e, _: e.correlationid == asked.correlation_id
    if asked.event_ids:
        ids = {*asked.event_ids}
        yield lambda e, _: e.id in ids
    if asked.causation_ids:
        causes = {*asked.causation_ids}
        yield lambda e, _: e.causationid in causes


def _terms(asked: Asked) -> Iterator[Expression]:
    if asked.streams:
        yield _is_in("stream", asked.streams) | _bare(asked.streams)
    if asked.accounts:
        streams = (*_streams_of(asked),)
        yield reduce(or_, [_is_in("account_id", asked.accounts), _is_in("stream", streams), _bare(streams)])
    if asked.profiles:
        yield _is_in("profile_id", asked.profiles) | _bare(asked.profiles)
    if asked.sessions:
        yield _is_in("session_id", asked.sessions)
    if asked.titles:
        of_titles = tuple(OF_TITLE.format(each) for each in asked.titles)
        yield _is_in("title_id", asked.titles) | _is_in("stream", of_titles)
    if asked.actors:
        yield _is_in("principal", asked.actors)
    if asked.types:
        anchored = "|".join(f"(?:{type_regex(each)})" for each in asked.types)
        yield pc.match_substring_regex(pc.field("type"), pattern=f"(?s)^(?:{anchored})$")
    if asked.correlation_id is not None:
        yield pc.field("correlation_id") == asked.correlation_id
    if asked.event_ids:
        yield _is_in("id", asked.event_ids)
    if asked.causation_ids:
        yield _is_in("causation_id", asked.causation_ids)


def _streams_of(asked: Asked) -> Iterator[str]:
    return (stream.format(account) for account in asked.accounts for stream in OF_ACCOUNT)


def _encoded(texts: Iterable[str]) -> set[bytes | None]:
    return {text.encode() for text in texts}


def _is_in(column: str, values: Iterable[str]) -> Expression:
    return pc.field(column).isin([*values])


def _bare(keys: Iterable[str]) -> Expression:
    """What is no event, but has one of these keys."""
    return pc.field("id").is_null() & pc.field("key").isin([*_encoded(keys)])
