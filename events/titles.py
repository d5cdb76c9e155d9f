"""What a title is: the values that the catalog's events are made of.

All are compared by value and frozen, so that "is it so already" is one comparison.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

import msgspec

from events.types import Availability, Instant, Licence, Maturity, PositionMs, SeriesId, TitleId


class Kind(StrEnum):
    """What a catalog entry is. A series groups episodes and is not played itself; channels have no duration."""

    MOVIE = "movie"
    SERIES = "series"
    EPISODE = "episode"
    SHORT = "short"
    LIVE_CHANNEL = "live_channel"
    FAST_CHANNEL = "fast_channel"


CHANNELS = frozenset({Kind.LIVE_CHANNEL, Kind.FAST_CHANNEL})


class Status(StrEnum):
    """Where a title is in its life. A discarded draft is gone for good."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


class LocalizedText(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a title is called in a language (BCP 47 tag, such as ko, en-GB, zh-Hant)."""

    locale: str
    name: str
    synopsis: str = ""
    tagline: str = ""


class Credit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person and what they did; `order`: their place in the credits, the first is 0."""

    person_id: str
    name: str
    role: str
    character: str = ""
    order: int = 0


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """A picture of a title, by its URL or its key in the image store; `locale`: of the words in it, None: no words."""

    kind: str
    url: str
    width: int
    height: int
    locale: str | None = None


class Span(msgspec.Struct, frozen=True):
    """A part of a title, for a player to offer skipping it."""

    start_ms: PositionMs
    end_ms: PositionMs


class Markers(msgspec.Struct, frozen=True, omit_defaults=True):
    """Places in a title that players know how to use."""

    intro: Span | None = None
    recap: Span | None = None
    credits_start_ms: PositionMs | None = None


class Holdback(msgspec.Struct, frozen=True, omit_defaults=True):
    """A time during which a licence is blocked in some territories, whatever the windows say; None is an open end."""

    territories: tuple[str, ...]
    licence: Licence
    starts_at: Instant | None = None
    ends_at: Instant | None = None


class TitleDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that editors say of a title. One text is in the default locale; one rating a system; windows of one
    territory and licence do not overlap. `duration_ms`: None for series and channels. `next_title_id`: what follows
    the end of a movie, a short or the last episode of a series, where an editor says so.
    """

    default_locale: str
    texts: tuple[LocalizedText, ...]
    maturity: tuple[Maturity, ...] = ()
    genres: tuple[str, ...] = ()
    people: tuple[Credit, ...] = ()
    images: tuple[Image, ...] = ()
    duration_ms: int | None = None
    markers: Markers = Markers()
    availability: tuple[Availability, ...] = ()
    holdbacks: tuple[Holdback, ...] = ()
    next_title_id: TitleId | None = None
    provider_id: str | None = None
    original_language: str | None = None
    release_year: int | None = None
    external_id: str | None = None

    @property
    def text(self) -> LocalizedText:
        """The text in the default locale."""
        return next(text for text in self.texts if text.locale == self.default_locale)


class EpisodePlace(msgspec.Struct, frozen=True):
    """Where an episode stands. Numbers order a series: what follows an episode is the next by (season, episode).
    `series_name` is what the series was called at that time.
    """

    series_id: SeriesId
    series_name: str
    season_number: int
    episode_number: int


class Season(msgspec.Struct, frozen=True, omit_defaults=True):
    """A season of a series; number 0 holds specials. `name` is in the series' default locale."""

    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


class OpenWindow(msgspec.Struct, frozen=True):
    """A time during which a title may be played in a territory under a licence: a window less its holdbacks."""

    territory: str
    licence: Licence
    starts_at: datetime | None
    ends_at: datetime | None


def open_windows(details: TitleDetails) -> Iterator[OpenWindow]:
    """When, where and how a title may really be played: a window for each territory, holdbacks taken out."""
    for window in details.availability:
        for territory in window.territories:
            blocks = (
                (block.starts_at, block.ends_at)
                for block in details.holdbacks
                if block.licence == window.licence and territory in block.territories
            )
            spans = [(window.starts_at, window.ends_at)]
            for block in blocks:
                spans = [part for span in spans for part in _without(span, block)]
            yield from (OpenWindow(territory, window.licence, *span) for span in spans)


Interval = tuple[datetime | None, datetime | None]


def _without(span: Interval, block: Interval) -> Iterator[Interval]:
    (starts_at, ends_at), (blocked_from, blocked_until) = span, block
    if not overlap(span, block):
        yield span
        return
    if blocked_from is not None and (starts_at is None or starts_at < blocked_from):
        yield starts_at, blocked_from
    if blocked_until is not None and (ends_at is None or blocked_until < ends_at):
        yield blocked_until, ends_at


def overlap(one: Interval, other: Interval) -> bool:
    """Whether two intervals share a moment; each holds its start and not its end, and None is an open end."""
    return _begins_before_end(one, other) and _begins_before_end(other, one)


def _begins_before_end(one: Interval, other: Interval) -> bool:
    return one[0] is None or other[1] is None or one[0] < other[1]
