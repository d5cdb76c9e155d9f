"""What an auditor asks of the history: parsed once, then a test of a record and the same test for Parquet's columns."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from events.registry import REGISTRY
from events.topics import BACKFILL, CONTEXTS, DEAD_LETTERS, TOPICS
from infra.settings import Settings

OF_ACCOUNT: Final = ("identity.account-{}", "subscription.account-{}")
"""The streams of an account."""
OF_TITLE: Final = "catalog.title-{}"
VALUE_MAX_CHARS: Final = 500
KNOWN_TOPICS: Final = tuple(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))
DEFAULT_TOPICS: Final = tuple(topic.name for topic in (*TOPICS, *DEAD_LETTERS))
"""All but backfills, which are moved to playback's topic, record by record, and would be seen twice."""
_VERSION: Final = re.compile(r"\.v[0-9*]+$")


class BadQuestion(ValueError):
    """What was asked cannot be; the message says why and what can."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question. Of each kind any of those named fits, and an event must fit every kind; none named: all do.

    `accounts`: all of a person: the account's streams, and every event that names the account, which each event of
    a profile does. `profiles`, `sessions`, `titles`: what events name. `actors`: principals. `types`: as on the wire,
    with * for anything, and any version of one without a version. `since` (inclusive) and `until` (exclusive) are of
    the time of history. A record that is no event fits by its topic, its time, and its key: a stream or a profile.
    """

    streams: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    correlation_id: str | None = None
    event_ids: tuple[str, ...] = ()
    causation_ids: tuple[str, ...] = ()

    def checked(self, settings: Settings) -> "Asked":
        """The same, if it can be asked. Raises BadQuestion."""
        texts = [text for value in self._values() for text in value]
        if len(texts) > settings.history_filter_values_max:
            raise BadQuestion(f"{len(texts)} values are asked for; at most {settings.history_filter_values_max} can be")
        if any(not text or len(text) > VALUE_MAX_CHARS for text in texts):
            raise BadQuestion(f"each value has 1 to {VALUE_MAX_CHARS} characters")
        if self.since and self.until and self.since >= self.until:
            raise BadQuestion("since must lie before until, which is not part of it")
        if unknown := sorted(set(self.topics) - set(KNOWN_TOPICS)):
            raise BadQuestion(f"there is no topic {unknown[0]!r}; there are {', '.join(KNOWN_TOPICS)}")
        return self

    def digest(self) -> bytes:
        """The same for the same question alone."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()[:12]

    def topics_to_read(self) -> tuple[str, ...]:
        """The topics that can hold what is asked for."""
        topics = self.topics or DEFAULT_TOPICS
        held = [_topics_of(pattern) for pattern in self.types]
        return tuple(topic for topic in topics if not held or any(topic in each for each in held))

    def is_of_everything(self) -> bool:
        """Whether every record fits, but for its topic and time."""
        return not any(self._values())

    def _values(self) -> Iterable[tuple[str, ...]]:
        correlation = () if self.correlation_id is None else (self.correlation_id,)
        several = (self.streams, self.accounts, self.profiles, self.sessions, self.titles, self.actors, self.types)
        return *several, self.event_ids, self.causation_ids, correlation


def type_regex(pattern: str) -> str:
    """A type with * for anything, as a regular expression that Python's re and RE2 take alike."""
    whole = pattern if _VERSION.search(pattern) or pattern.endswith("*") else f"{pattern}.v*"
    return ".*".join(re.escape(part) for part in whole.split("*"))


def unknown_types(types: Iterable[str]) -> list[str]:
    """The patterns that no registered type fits: mistyped, most likely."""
    return [each for each in types if not any(re.fullmatch(type_regex(each), name) for name in REGISTRY.classes)]


def _topics_of(pattern: str) -> frozenset[str]:
    """The topics that can hold events of a type."""
    context, dot, _ = pattern.partition("*")[0].partition(".")
    if not dot or context not in CONTEXTS:
        return frozenset(KNOWN_TOPICS)
    more = {"playback": (BACKFILL,), "operations": DEAD_LETTERS}.get(context, ())
    return frozenset(topic.name for topic in (CONTEXTS[context], *more))
