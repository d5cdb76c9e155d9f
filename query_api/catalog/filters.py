"""Which titles a listing holds, and in which order: what may be asked for, and the SQL that it becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import asyncpg
import msgspec
from fastapi import Depends, Query

from infra.moments import Moment
from query_api.catalog.cards import COLUMNS, FROM, Kind, Licence
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN

Sort: TypeAlias = Literal["newest", "name", "release_year"]
Territory = Annotated[str, Query(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2", examples=["KR"])]
AnyTerritory = Annotated[
    str | None, Query(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2; left out: all", examples=["KR"])
]
Year = Annotated[int | None, Query(ge=1800, le=3000, description="This year is among them", examples=[2026])]

OPEN: Final = """(
    exists (select from catalog_windows as w where w.title_id = {title} and {which})
    or exists (select from catalog_windows as w where w.series_id = {title} and {which})
)"""
"""That a title can be played; a series can when an episode of it can."""

INDEXED_LANGUAGES: Final = ("ko", "en")
"""Those whose order of names has an index; the others are sorted when asked for."""


def _text_filter(description: str, example: str) -> object:
    return Query(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description=description, examples=[example])


@dataclass(frozen=True)
class What:
    """Filters on what a title is."""

    kind: str | None = None
    genre: str | None = None
    person: str | None = None
    provider: str | None = None
    maximum_age: int | None = None


@dataclass(frozen=True)
class Playable:
    """Filters on where, when and how a title can be played. `at`: None is now."""

    territory: str | None = None
    at: datetime | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Released:
    """Filters on the year of release, both ends included."""

    after: int | None = None
    before: int | None = None


async def what(
    kind: Annotated[Kind | None, Query(description="Only this kind", examples=["movie"])] = None,
    genre: Annotated[str | None, _text_filter("Only this genre", "drama")] = None,
    person: Annotated[str | None, _text_filter("Only with this person (person_id)", "p-1")] = None,
    provider: Annotated[str | None, _text_filter("Only from this provider (provider_id)", "made-up-pictures")] = None,
    maximum_age: Annotated[
        int | None,
        Query(ge=0, le=120, description="Only what this age may see by every rating; nothing unrated", examples=[12]),
    ] = None,
) -> What:
    """What is asked for."""
    return What(kind, genre, person, provider, maximum_age)


async def playable(
    territory: Annotated[
        str | None, Query(pattern="^[A-Z]{2}$", description="Only what can be played here", examples=["KR"])
    ] = None,
    at: Annotated[
        Moment | None,
        Query(description="With territory or licence: when; left out: now", examples=["2026-02-01T09:00:00+09:00"]),
    ] = None,
    licence: Annotated[
        Licence | None, Query(description="Only what can be played under this licence", examples=["svod"])
    ] = None,
) -> Playable:
    """Where, when and how it should be playable."""
    return Playable(territory, at, licence)


async def released(released_after: Year = None, released_before: Year = None) -> Released:
    """When it was released: from and to these years."""
    return Released(released_after, released_before)


@dataclass(frozen=True)
class TitleFilters:
    """All filters of a listing of titles."""

    what: What = What()
    playable: Playable = Playable()
    released: Released = Released()

    def scope(self) -> tuple[str | int | None, ...]:
        """What cursors are bound to."""
        at = self.playable.at.isoformat() if self.playable.at else None
        where = (self.playable.territory, at, self.playable.licence)
        return (*vars(self.what).values(), *where, *vars(self.released).values())


async def asked_filters(
    what_: Annotated[What, Depends(what)],
    playable_: Annotated[Playable, Depends(playable)],
    released_: Annotated[Released, Depends(released)],
) -> TitleFilters:
    """The filters of a request."""
    return TitleFilters(what_, playable_, released_)


AskedFilters = Annotated[TitleFilters, Depends(asked_filters)]


class AfterNewest(msgspec.Struct):
    """The last title of a page: newest first."""

    value: datetime
    title_id: str


class AfterYear(msgspec.Struct):
    """The last title of a page: latest year of release first, those without one last."""

    value: int
    title_id: str


class AfterName(msgspec.Struct):
    """The last title of a page: by name."""

    value: str
    title_id: str


After: TypeAlias = AfterNewest | AfterYear | AfterName


@dataclass(frozen=True)
class Order:
    """An order of titles: by an expression, and by title_id among equals."""

    expression: str
    descending: bool
    after: Callable[[asyncpg.Record], After]
    after_class: type[After]


NEWEST: Final = Order("t.published_at", True, lambda row: AfterNewest(row["sort_key"], row["title_id"]), AfterNewest)
YEAR: Final = Order(
    "coalesce(t.release_year, 0)", True, lambda row: AfterYear(row["sort_key"], row["title_id"]), AfterYear
)


def order_of(sort: Sort, language: str) -> Order:
    """The order that is asked for; names in a language, and in its default where a title has none in it."""
    match sort:
        case "newest":
            return NEWEST
        case "release_year":
            return YEAR
        case "name":
            known = language if language in INDEXED_LANGUAGES or language.isalpha() else ""
            expression = f"coalesce(t.sort_names ->> '{known}', t.sort_names ->> '', t.name) collate \"C\""
            return Order(expression, False, lambda row: AfterName(row["sort_key"], row["title_id"]), AfterName)


class Statement:
    """A query put together of conditions, each with its values; `as_sql` numbers them."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.conditions = ["t.status = 'published'"]

    def bind(self, value: object) -> str:
        """The place of a value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str, value: object) -> None:
        """One more condition on `{}`, unless the value is None."""
        if value is not None:
            self.conditions.append(condition.format(self.bind(value)))


def listing(
    filters: TitleFilters, order: Order, now: datetime, *, after: After | None, limit: int
) -> tuple[str, list[object]]:
    """The SQL of a page of titles, and its values. Only the conditions that are asked for are in it, so that Postgres
    plans each combination with the index that serves it.
    """
    statement = Statement()
    add_what(statement, filters.what)
    statement.add("t.release_year >= {}", filters.released.after)
    statement.add("t.release_year <= {}", filters.released.before)
    add_open(statement, filters.playable, now)
    way, beyond = ("desc", "<") if order.descending else ("asc", ">")
    if after is not None:
        place = f"({statement.bind(after.value)}, {statement.bind(after.title_id)})"
        statement.conditions.append(f"({order.expression}, t.title_id) {beyond} {place}")
    sql = (
        f"select {COLUMNS}, {order.expression} as sort_key from {FROM} where {' and '.join(statement.conditions)}"
        f" order by {order.expression} {way}, t.title_id {way} limit {statement.bind(limit)}"
    )
    return sql, statement.values


def add_what(statement: Statement, asked: What) -> None:
    """Only titles that are what is asked for."""
    statement.add("t.kind = {}", asked.kind)
    statement.add("t.genres ? {}", asked.genre)
    if asked.person is not None:
        people = msgspec.json.encode([{"person_id": asked.person}]).decode()
        statement.add("t.people @> {}::jsonb", people)
    statement.add("t.provider_id = {}", asked.provider)
    statement.add("t.minimum_age <= {}", asked.maximum_age)


def add_open(statement: Statement, asked: Playable, now: datetime) -> None:
    """Only what can be played as asked, when a territory or a licence is."""
    if asked.territory is None and asked.licence is None:
        return
    at = statement.bind(asked.at or now)
    which = [f"w.opens_at <= {at}", f"w.closes_at > {at}"]
    for column, value in (("territory", asked.territory), ("licence", asked.licence)):
        if value is not None:
            which.append(f"w.{column} = {statement.bind(value)}")
    statement.conditions.append(OPEN.format(title="t.title_id", which=" and ".join(which)))
