"""Which title follows which: links that lead back are refused by name, wherever they begin."""

from hypothesis import given
from hypothesis import strategies as st

from commands.catalog.changes import DetailChanges
from commands.catalog.commands import (
    CatalogCommand,
    DiscardTitle,
    DraftTitle,
    PublishTitle,
    RequireFollower,
    ReviseTitle,
)
from commands.catalog.deciding import steps_of
from commands.catalog.next_titles import NEXT_TITLES, STREAM_ID, LinkNextTitle
from commands.catalog.refusals import NextTitleCycle, NextTitleNotAllowed
from events.catalog import NextTitleLinked, NextTitleUnlinked
from events.refusals import Refusal
from events.titles import Kind
from events.types import TitleId
from tests.builders import title_details
from tests.commands.catalog.examples import MOVIE, catalog, published
from tests.spec import NOON, Spec

chain = Spec(NEXT_TITLES)

ONE, TWO, THREE = TitleId("one"), TitleId("two"), TitleId("three")


def linked(title_id: TitleId, next_title_id: TitleId) -> NextTitleLinked:
    return NextTitleLinked(title_id=title_id, next_title_id=next_title_id)


def link(title_id: TitleId, next_title_id: TitleId | None) -> LinkNextTitle:
    return LinkNextTitle(title_id=title_id, next_title_id=next_title_id)


def test_a_trilogy_is_linked_and_linking_it_again_is_ignored() -> None:
    chain.given(linked(ONE, TWO)).when(link(TWO, THREE)).then(linked(TWO, THREE))
    chain.given(linked(ONE, TWO)).when(link(ONE, TWO)).ignored()


def test_a_cycle_is_refused_with_its_way() -> None:
    refusal = chain.given(linked(ONE, TWO), linked(TWO, THREE)).when(link(THREE, ONE)).refused(NextTitleCycle)
    assert refusal.members == {"cycle": ["three", "one", "two", "three"]}


def test_a_link_taken_away_makes_room_for_another() -> None:
    chain.given(linked(ONE, TWO)).when(link(ONE, None)).then(NextTitleUnlinked(title_id=ONE))
    chain.given(linked(ONE, TWO), NextTitleUnlinked(title_id=ONE)).when(link(TWO, ONE)).then(linked(TWO, ONE))
    chain.given().when(link(ONE, None)).ignored()


def test_only_what_ends_is_followed() -> None:
    channel = published(MOVIE)
    given_channel = type(channel)(title_id=MOVIE, kind=Kind.LIVE_CHANNEL, details=channel.details)
    catalog.given(given_channel).when(RequireFollower(title_id=MOVIE)).refused(NextTitleNotAllowed)


def test_a_command_is_decided_with_the_links_only_when_it_says_what_follows() -> None:
    streams: dict[CatalogCommand, list[str]] = {
        PublishTitle(title_id=MOVIE): [],
        ReviseTitle(title_id=MOVIE, changes=DetailChanges(genres=())): [],
        ReviseTitle(title_id=MOVIE, changes=DetailChanges(next_title_id=None)): [STREAM_ID],
        ReviseTitle(title_id=MOVIE, changes=DetailChanges(next_title_id=TWO)): [STREAM_ID, "catalog.title-two"],
        DraftTitle(title_id=MOVIE, kind=Kind.MOVIE, details=title_details()): [],
        DraftTitle(title_id=MOVIE, kind=Kind.MOVIE, details=title_details(next_title_id=TWO)): [
            STREAM_ID,
            "catalog.title-two",
        ],
        DiscardTitle(title_id=MOVIE): [STREAM_ID],
    }
    for command, others in streams.items():
        own, *rest = (step.target.stream_id for step in steps_of(command))
        assert (own, rest) == ("catalog.title-sintel", others)


ids = st.sampled_from([TitleId(letter) for letter in "abcdef"])


@given(st.lists(st.builds(link, ids, st.one_of(st.none(), ids)), max_size=40))
def test_following_the_links_always_ends(asked: list[LinkNextTitle]) -> None:
    state = NEXT_TITLES.initial
    for command in asked:
        try:
            state = NEXT_TITLES.state_after(NEXT_TITLES.decide(command, state, NOON), state)
        except Refusal:
            continue
    for begun in state.links:
        title_id, steps = begun, 0
        while title_id in state.links:
            title_id, steps = state.links[title_id], steps + 1
            assert steps <= len(state.links)


def test_a_link_is_part_of_the_details_that_readers_see() -> None:
    revise = ReviseTitle(title_id=MOVIE, changes=DetailChanges(next_title_id=TWO))
    [event] = catalog.given(published(MOVIE)).when(revise).decided()
    assert event.details.next_title_id == TWO  # type: ignore[attr-defined]
