"""How well a title matches a query: pure, so that what is found can be reasoned about and tested without a store.

A title is as good as the best of its names, in any language, and of its people. In this order, the best first:

1. whole       the name is the query, spaces, case, accents and punctuation aside
2. beginning   the name begins with it; Korean by letters, so that an unfinished last syllable counts (빅벅ㅂ, 빅버)
3. words       each word of the query is a word of the name, in any order
4. beginnings  each word of the query begins a word of the name
5. inside      two or more Korean, Chinese or Japanese characters stand in the name, spaces aside
6. initials    the query is Korean initial consonants, and the name has them in a row (ㅂㅂㅂ: 빅 벅 버니)
7. together    each word of the query begins a word of one of the title's names or people (sintel levy)

A name beats a person that matches in the same way. Then the shorter name wins, as the query says more of it; then the
newer title; then the title_id, so that the order is always the same.

Only when nothing matches, these are tried, which would otherwise bury what was meant under what was not:

8. layout      the query was typed with the keyboard in the other language (qlrqjr: 빅벅; 냐ㅜㅅ디: sintel)
9. typo        each word is one letter left out, added, changed or swapped from a word of the name, or two where it has
               eight letters or more; words of fewer than four must be right. Korean is compared by letters. Names only
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Final, Literal, TypeAlias

import msgspec

from infra import hangul
from infra.search_text import are_initials, edit_distance, is_unspaced, words_of

LONG_WORD: Final = 8
SHORT_WORD: Final = 4


class Level(IntEnum):
    """How a name matches; lower is better."""

    WHOLE = 1
    BEGINNING = 2
    WORDS = 3
    BEGINNINGS = 4
    INSIDE = 5
    INITIALS = 6
    TOGETHER = 7
    LAYOUT = 8
    TYPO = 9


class Query:
    """A query as it is compared."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.whole = "".join(words)
        self.letters = hangul.letters(self.whole)
        self.word_letters = [hangul.letters(word) for word in words]

    @classmethod
    def of(cls, text: str) -> "Query":
        """The query that somebody typed; without a letter or digit in it, it is empty."""
        return cls(words_of(text))

    @cached_property
    def initials(self) -> str | None:
        """The initial consonants that it is made of, two or more; keyboards join some of them (ㄳ)."""
        return self.letters if len(self.letters) > 1 and are_initials(self.letters) else None

    @cached_property
    def is_inside(self) -> bool:
        """Whether it may stand anywhere in a name."""
        return len(self.whole) > 1 and all(map(is_unspaced, self.whole))

    @cached_property
    def other_layout(self) -> "Query | None":
        """What the same keys write in the other language; None when they write the same."""
        if self.whole.isascii():
            words = [hangul.from_keys(word) for word in self.words]
        else:
            words = [hangul.keys(word) for word in self.words]
        return Query(words) if words != self.words else None


Field: TypeAlias = Literal["name", "person"]


class Entry(msgspec.Struct):
    """One name that a title is found by, as the projection keeps it."""

    field: Field
    words: str

    @property
    def is_person(self) -> bool:
        """Whether it is a person's."""
        return self.field == "person"


class Candidate(msgspec.Struct):
    """A title that may match."""

    title_id: str
    published_at: datetime
    entries: tuple[Entry, ...]


class Match(msgspec.Struct, order=True, frozen=True):
    """How a title matches; less is better."""

    level: Level
    is_person: bool
    edits: int
    length: int


def ranked(query: Query, candidates: Iterable[Candidate]) -> list[str]:
    """The titles that match, the best first."""
    return _sorted((match, one) for one in candidates if (match := direct_match(query, one.entries)) is not None)


def ranked_alike(query: Query, candidates: Iterable[Candidate]) -> list[str]:
    """The titles that match if the query was mistyped, the best first."""
    return _sorted((match, one) for one in candidates if (match := alike_match(query, one.entries)) is not None)


def direct_match(query: Query, entries: Sequence[Entry]) -> Match | None:
    """How a title matches a query as it is typed."""
    matches = [match for entry in entries if (match := _entry_match(query, entry)) is not None]
    if matches:
        return min(matches)
    letters = [hangul.letters(word) for entry in entries for word in entry.words.split()]
    if len(query.words) > 1 and _each_begins(query.word_letters, letters):
        return Match(Level.TOGETHER, False, 0, min(len(entry.words) for entry in entries))
    return None


def alike_match(query: Query, entries: Sequence[Entry]) -> Match | None:
    """How a title matches a query that was mistyped."""
    other = query.other_layout
    direct = direct_match(other, entries) if other is not None else None
    if direct is not None:
        return msgspec.structs.replace(direct, level=Level.LAYOUT, edits=int(direct.level))
    names = (entry for entry in entries if not entry.is_person)
    typos = [match for entry in names if (match := _typo_match(query, entry)) is not None]
    return min(typos, default=None)


def _entry_match(query: Query, entry: Entry) -> Match | None:
    words = entry.words.split()
    level = next(_levels(query, words, "".join(words)), None)
    return None if level is None else Match(level, entry.is_person, 0, len(entry.words))


def _levels(query: Query, words: list[str], whole: str) -> Iterator[Level]:
    """The ways in which a name matches, the best first; what is not asked for is not computed."""
    if whole == query.whole:
        yield Level.WHOLE
    if hangul.letters(whole).startswith(query.letters):
        yield Level.BEGINNING
    if set(query.words) <= set(words):
        yield Level.WORDS
    if _each_begins(query.word_letters, [hangul.letters(word) for word in words]):
        yield Level.BEGINNINGS
    if query.is_inside and query.whole in whole:
        yield Level.INSIDE
    if query.initials is not None and query.initials in hangul.initials(whole):
        yield Level.INITIALS


def _each_begins(beginnings: Iterable[str], words: Sequence[str]) -> bool:
    return all(any(word.startswith(beginning) for word in words) for beginning in beginnings)


def _typo_match(query: Query, entry: Entry) -> Match | None:
    words = [hangul.letters(word) for word in entry.words.split()]
    edits = [_edits(word, words) for word in query.word_letters]
    if None not in edits:
        return Match(Level.TYPO, False, sum(filter(None, edits)), len(entry.words))
    whole = _edits(query.letters, ["".join(words)])  # a space was left out, or put in
    return None if whole is None else Match(Level.TYPO, False, whole, len(entry.words))


def _edits(word: str, others: Iterable[str]) -> int | None:
    """The edits to the nearest of other words; None when it takes too many."""
    most = 0 if len(word) < SHORT_WORD else 1 if len(word) < LONG_WORD else 2
    fewest = min((edit_distance(word, other, most) for other in others), default=most + 1)
    return fewest if fewest <= most else None


def _sorted(matches: Iterable[tuple[Match, Candidate]]) -> list[str]:
    best_first = sorted(matches, key=lambda one: (one[0], -one[1].published_at.timestamp(), one[1].title_id))
    return [candidate.title_id for _, candidate in best_first]
