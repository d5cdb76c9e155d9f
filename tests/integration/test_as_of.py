"""What was so at a time, asked later of real servers, is what admission said at that time."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from msgspec.structs import replace

from audits.as_of import answering
from audits.as_of.cuts import Cut
from audits.as_of.cutting import ends_of
from audits.as_of.entitled import Entitled
from audits.as_of.holdings import Question
from audits.sources import Sources, opened
from commands.catalog import commands as catalog
from commands.catalog.decider import CATALOG
from commands.handling import Target, Terms
from commands.subscription import commands as c
from commands.subscription.installation import of_account, of_purchase
from events.envelope import Context, encode
from events.registry import REGISTRY
from events.titles import Kind
from events.types import AccountId, Licence, PurchaseId, SeriesId, TitleId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.kafka import new_producer
from infra.settings import Settings
from playhead.audit_as_of_work import Moment, Whether, entitled, told
from projections.slabs import Partition
from tests.builders import EVENING, episode_details, playback_started, series_details, session, title_details
from tests.integration.archiving import new_topic
from tests.integration.box_office import ANYTIME, BoxOffice, account, as_sent, opened_box_office, viewer, window
from tests.integration.showing import HOME

pytestmark = pytest.mark.integration
SECOND: Final = timedelta(seconds=1)


@pytest.fixture(scope="module")
async def office(live: Settings) -> AsyncIterator[BoxOffice]:
    async with opened_box_office(live) as office:
        yield office


@pytest.fixture
async def sources(office: BoxOffice) -> AsyncIterator[Sources]:
    async with opened(office.house.app.state.resources.settings) as sources:
        yield sources


class Film(NamedTuple):
    """A film that editors publish in the log, and whoever asks for it."""

    office: BoxOffice
    title_id: str
    someone: Principal

    async def edits(self, command: catalog.CatalogCommand) -> None:
        """Have something of it in the log, and in the views."""
        terms = Terms(Context(correlation_id=new_id(), principal="editor-1"))
        resources = self.office.house.app.state.resources
        target = Target(self.title_id, f"catalog.title-{self.title_id}")
        await resources.handling.handle(command, decider=CATALOG, target=target, terms=terms)
        rows = await self.office.views.pool.fetch(
            "select body from event_log where stream_id = $1 order by version desc limit 1", target.stream_id
        )
        await self.office.views.apply([as_sent(REGISTRY.decode(row["body"])) for row in rows])

    async def seen(self) -> tuple[datetime, bool]:
        """Whether it may be played now, as admission says it of the views."""
        now = utc_now()
        return now, await self.office.plays_at(now, self.title_id, self.someone)

    def asked(self, at: datetime) -> Question:
        return Question(account_id=account(self.someone), title_id=self.title_id, territory=HOME, at=at)


async def published(office: BoxOffice, *licences: Licence) -> Film:
    film = Film(office, f"film-{new_id()}", viewer())
    windows = tuple(window(licence=licence) for licence in licences) or (ANYTIME,)
    details = title_details(availability=windows)
    await film.edits(catalog.PublishNewTitle(title_id=TitleId(film.title_id), kind=Kind.MOVIE, details=details))
    return film


async def answered(sources: Sources, film: Film, at: datetime) -> Entitled:
    return await answering.entitled(sources, film.asked(at), Cut(known_at=at, happened_by=at))


async def test_what_admission_said_is_what_is_answered_later(office: BoxOffice, sources: Sources) -> None:
    """Subscribed, canceled, subscribed no more; then the title is withdrawn."""
    film = await published(office)
    mine = of_account(AccountId(account(film.someone)))
    then = [await film.seen()]
    await office.subscribes(film.someone)
    await office.projects(mine.stream_id)
    then.append(await film.seen())
    await office.does(mine, c.Cancel(immediately=True))
    await office.projects(mine.stream_id)
    then.append(await film.seen())
    await film.edits(catalog.WithdrawTitle(title_id=TitleId(film.title_id), reason="The licence ended."))
    then.append(await film.seen())
    assert [plays for _, plays in then] == [False, True, False, False]

    answers = [await answered(sources, film, at) for at, _ in then]
    assert [each.entitled for each in answers] == [plays for _, plays in then]
    assert [each.refused for each in answers] == ["not-entitled", None, "not-entitled", "title-unknown"]
    assert [event.type.split(".")[1] for event in answers[2].events] == [
        "TitlePublished",
        "SubscriptionStarted",
        "SubscriptionActivated",
        "SubscriptionCanceled",
        "SubscriptionExpired",
    ]
    last = answers[2].events[-1]
    row = await office.views.pool.fetchrow("select position, body from event_log where event_id = $1::uuid", last.id)
    assert row is not None and last.place.endswith(f":{row['position']}")
    titles = [
        await answering.title(sources, film.title_id, Cut(known_at=at), at=at, territory=HOME) for at, _ in then[2:]
    ]
    assert [(each.published, each.available) for each in titles] == [(True, True), (False, False)]


async def test_a_purchase_entitles_from_when_it_was_paid(office: BoxOffice, sources: Sources) -> None:
    film = await published(office, Licence.EST)
    then = [await film.seen()]
    purchase_id = await office.purchases(film.someone, film.title_id, "purchase")
    await office.projects(of_purchase(PurchaseId(purchase_id)).stream_id)
    then.append(await film.seen())
    answers = [await answered(sources, film, at) for at, _ in then]
    assert [each.entitled for each in answers] == [plays for _, plays in then] == [False, True]
    assert (answers[1].by, answers[1].purchase_id) == ("purchase", purchase_id)
    held = await answering.subscription(sources, film.asked(then[1][0]), Cut(known_at=then[1][0]))
    assert held.usable == (purchase_id,)


async def test_a_stream_is_told_at_a_time_and_at_a_version(office: BoxOffice, sources: Sources) -> None:
    film = await published(office)
    await office.subscribes(film.someone)
    name, before = of_account(AccountId(account(film.someone))).stream_id, utc_now()
    await office.does(of_account(AccountId(account(film.someone))), c.Cancel())
    known = await answering.stream(sources, name, Cut(known_at=before))
    now = await answering.stream(sources, name, Cut())
    assert known.later == now.version - known.version > 0
    assert (await answering.stream(sources, name, Cut(), at_version=known.version)).state == known.state != now.state


async def test_the_command_line_says_no_and_why(office: BoxOffice, sources: Sources) -> None:
    film = await published(office)
    asked = Whether(account(film.someone), film.title_id, HOME, None)
    found = await entitled(sources.settings, asked, Moment(utc_now().isoformat(), None))
    assert (found.refused, found.members["actions"]) == ("not-entitled", ["subscribe"])
    assert told(found)[-1].startswith("no (not-entitled): nothing entitles the account to")
    assert [event.type for event in found.events] == ["catalog.TitlePublished.v1"]


async def test_a_cut_is_found_in_kafka_by_when_records_were_taken(live: Settings, tmp_path: Path) -> None:
    topic, taken = await new_topic(live), [EVENING + second * SECOND for second in (0, 2, 1, 5)]
    producer = new_producer(live)
    await producer.start()
    for at in taken:
        said = encode(replace(playback_started(session()), recordedtime=at))
        await producer.send_and_wait(topic, said, partition=0, timestamp_ms=int(at.timestamp() * 1000))
    await producer.stop()
    async with opened(live.model_copy(update={"state_dir": tmp_path})) as sources:
        for second, end in ((-1, 0), (0, 1), (1, 1), (2, 3), (4, 3), (5, 4), (10**6, 4)):
            ends = await ends_of(sources, [topic], at=EVENING + second * SECOND)
            assert ends[Partition(topic, 0)] == end, second


async def test_an_episode_is_found_in_the_stream_of_its_series(office: BoxOffice, sources: Sources) -> None:
    series, episode = TitleId(f"series-{new_id()}"), TitleId(f"episode-{new_id()}")
    of = SeriesId(series)
    for command in (
        catalog.PublishNewTitle(title_id=series, kind=Kind.SERIES, details=series_details()),
        catalog.AddSeason(series_id=of, season_number=1, name="Season 1"),
        catalog.PublishNewTitle(
            title_id=episode,
            series_id=of,
            kind=Kind.EPISODE,
            details=episode_details(availability=(ANYTIME,)),
            number=catalog.EpisodeNumber(1, 1),
        ),
    ):
        handling, terms = office.house.app.state.resources.handling, Terms(Context(correlation_id=new_id()))
        await handling.handle(command, decider=CATALOG, target=Target(series, f"catalog.title-{series}"), terms=terms)
    now = utc_now()
    found = await answering.title(sources, episode, Cut(known_at=now), at=now, territory=HOME)
    assert (found.published, found.available, found.title and found.title.series_id) == (True, True, series)
    assert {event.stream for event in found.events} == {f"catalog.title-{series}"}
    unknown = await answering.title(sources, new_id(), Cut(known_at=now), at=now, territory=HOME)
    assert (unknown.title, unknown.published, unknown.events) == (None, False, ())
