"""Catalog search in Postgres: what each published title is found by."""

from typing import Literal, TypeAlias

import msgspec

from events.catalog import AnyTitleEvent, TitleEvent, TitlePublished, TitleRevised
from events.envelope import Event, Recorded
from events.registry import members
from events.titles import Status, TitleDetails
from events.topics import CATALOG
from infra.search_text import keyed, tokens, words_of
from projections.views import KeyedView

NAME: Literal["name"] = "name"
PERSON: Literal["person"] = "person"
Field: TypeAlias = Literal["name", "person"]


class Entry(msgspec.Struct, frozen=True):
    """One name that a title is found by, as it is compared: its words, with a space between them."""

    field: Field
    words: str


class SearchDocument(msgspec.Struct, frozen=True):
    """A row. `tokens`, and `keyed`, of names alone: see infra.search_text. `shortest`: characters of the shortest name,
    so that of many candidates those nearest to a short query are read.
    """

    title_id: str
    entries: tuple[Entry, ...]
    tokens: str
    keyed: str
    shortest: int


class CatalogSearch(KeyedView[SearchDocument, str]):
    """A title is found by its name in every language that it has one in, and by its people; while it is published."""

    name = "catalog_search"
    row = SearchDocument
    topics = (CATALOG,)
    events = members(AnyTitleEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The title."""
        event = recorded.data
        assert isinstance(event, TitleEvent)
        return event.title_id

    def project(self, row: SearchDocument | None, recorded: Recorded[Event]) -> SearchDocument | None:
        """The document after an event."""
        event = recorded.data
        match event:
            case TitlePublished() | TitleRevised(status=Status.PUBLISHED):
                document = search_document(event.title_id, event.details)
                return row if row == document else document
            case _:
                return None


def search_document(title_id: str, details: TitleDetails) -> SearchDocument | None:
    """What a title is found by; None when no name of it has a letter."""
    names = [text.name for text in details.texts]
    people = [credit.name for credit in details.people]
    entries = dict.fromkeys([*_entries(NAME, names), *_entries(PERSON, people)])
    if not entries:
        return None
    every = [entry.words for entry in entries]
    return SearchDocument(
        title_id=title_id,
        entries=tuple(entries),
        tokens=tokens(every),
        keyed=" ".join(dict.fromkeys(keyed(entry.words.split()) for entry in entries if entry.field == NAME)),
        shortest=min(len(words.replace(" ", "")) for words in every),
    )


def _entries(field: Field, names: list[str]) -> list[Entry]:
    compared = (" ".join(words_of(name)) for name in names)
    return [Entry(field, words) for words in compared if words]
