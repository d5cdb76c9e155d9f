"""What is found in a bilingual catalog, and in which order, if the store finds every candidate."""

from datetime import datetime

import msgspec
import pytest

from projections.catalog.catalog_search import search_document
from query_api.catalog.ranking import Candidate, Entry, Query, ranked, ranked_alike
from tests.query_api.catalog.samples import CATALOG, FOUND, NAMES, details_of


def candidate(title_id: str, published_at: datetime) -> Candidate:
    document = search_document(title_id, details_of(title_id))
    assert document is not None
    entries = msgspec.convert(msgspec.to_builtins(document.entries), tuple[Entry, ...])
    return Candidate(title_id, published_at, entries)


EVERY = [candidate(title_id, event.time) for title_id, event in zip(NAMES, CATALOG, strict=True)]


@pytest.mark.parametrize(("typed", "found"), FOUND)
def test_a_query_finds_titles_in_order(typed: str, found: list[str]) -> None:
    query = Query.of(typed)
    assert (ranked(query, EVERY) or ranked_alike(query, EVERY) if query.words else []) == found
