"""Asks the sources what an answer needs, and answers: what `playhead audit as-of` says, and whoever else asks."""

from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

import msgspec

from audits.as_of.cuts import Cut, Decisive
from audits.as_of.entitled import Entitled, entitled_as_of
from audits.as_of.holdings import Question, SubscriptionAsOf, Told, subscription_as_of
from audits.as_of.keys import wanted
from audits.as_of.reading import Streams, asked_of, fact_of
from audits.as_of.rows import Bounds, folding
from audits.as_of.streams import StreamAsOf, decider_of, plain, stream_as_of
from audits.as_of.titles import TitleAsOf, title_as_of, title_then
from audits.history.reading import begun
from audits.sources import Source, SourceAway, Sources
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.views import View


class ViewUnknown(ValueError):
    """There is no view of this name."""


class RowsAsOf(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a view at a cut. `events`: what made them, the newest of `changes`; `failed`: what its fold could not
    take, with the place, and why. `lacks`: what of the history cannot be read, line by line."""

    view: str
    key: Mapping[str, str]
    rows: tuple[Any, ...]
    events: tuple[Decisive, ...]
    changes: int
    failed: tuple[tuple[str, str], ...]
    lacks: tuple[str, ...]


async def stream(sources: Sources, name: str, cut: Cut, *, at_version: int | None = None) -> StreamAsOf:
    """The state of a stream. Raises StreamUnknown, SourceAway."""
    decider_of(name, sources.settings)
    told = await (await _streams(sources)).of(name)
    return stream_as_of(name, told, cut, sources.settings, at_version=at_version)


async def subscription(sources: Sources, question: Question, cut: Cut) -> SubscriptionAsOf:
    """What an account held. Raises SourceAway."""
    return subscription_as_of(question, await _told(sources, question), cut)


async def title(sources: Sources, title_id: str, cut: Cut, *, at: datetime, territory: str | None) -> TitleAsOf:
    """What the catalog said of a title. Raises SourceAway."""
    told = await (await _streams(sources)).of_title(title_id)
    return title_as_of(title_id, title_then(title_id, told, cut), at=at, territory=territory)


async def entitled(sources: Sources, question: Question, cut: Cut) -> Entitled:
    """Whether an account might watch a title. Raises ProfileUnknown, SourceAway."""
    required = sources.settings.subscription_required
    return entitled_as_of(question, await _told(sources, question), cut, subscription_required=required)


async def rows(sources: Sources, view: View[Any], key: Mapping[str, str], cut: Cut) -> RowsAsOf:
    """Rows of a view. Raises NotByKey, KeyRefused, TooManyRows, SourceAway."""
    bounds = Bounds(sources.settings.as_of_max_rows, sources.settings.as_of_max_events)
    folds = folding(view, wanted(view, key), bounds)
    async with begun(sources, asked_of(view, key, cut)) as reading, aclosing(reading.events()) as events:
        async for event in events:
            fact = fact_of(event)
            if fact is not None and cut.holds(fact):
                folds.take(fact)
    return RowsAsOf(
        view=view.name,
        key=key,
        rows=tuple(plain(row) for row in folds.rows),
        events=folds.events,
        changes=folds.changes,
        failed=tuple(folds.failed),
        lacks=tuple(reading.lacks),
    )


def view_of(settings: Settings, name: str) -> View[Any]:
    """A view of any store. Raises ViewUnknown."""
    views = [*postgres_views(settings), *redis_views(settings), *cassandra_views(settings)]
    for view in views:
        if view.name == name:
            return view
    raise ViewUnknown(f"there is no view {name!r}; there are {', '.join(sorted(view.name for view in views))}")


async def _told(sources: Sources, question: Question) -> Told:
    streams, account_id = await _streams(sources), question.account_id
    return Told(
        subscription=await streams.of(f"subscription.account-{account_id}"),
        purchases=await streams.of_purchases(account_id),
        title=await streams.of_title(question.title_id) if question.title_id else (),
        account=await streams.of(f"identity.account-{account_id}") if question.profile_id else (),
    )


async def _streams(sources: Sources) -> Streams:
    if (pool := await sources.log()) is None:
        raise SourceAway.of(Source.LOG, "it is left out, and what was decided is read there")
    return Streams(pool, sources.settings.as_of_timeout_s)
