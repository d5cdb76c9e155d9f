"""Histories that hypothesis makes up, legal by construction: what deciders and players really let happen."""

from collections.abc import Mapping
from typing import Final

from hypothesis import strategies as st

from events.envelope import Envelope, Event
from events.topics import BACKFILL, CATALOG, IDENTITY, OPERATIONS, PLAYBACK, SUBSCRIPTION, TOPICS, dead_letters_of
from tests.projections.generated import accounts, catalogs, evenings, letters, subscriptions

HISTORIES: Final[Mapping[str, st.SearchStrategy[list[Envelope[Event]]]]] = {
    PLAYBACK.name: evenings.histories(),
    CATALOG.name: catalogs.histories(),
    IDENTITY.name: accounts.histories(),
    SUBSCRIPTION.name: subscriptions.histories(),
    OPERATIONS.name: letters.decisions(),
    **{dead_letters_of(topic.name): letters.letters(topic.name) for topic in (*TOPICS, BACKFILL)},
}
"""By topic: what may stand in it."""
