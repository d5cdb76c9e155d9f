"""Starts in windows that end now and slide to the hour: the hours of the first day that a window touches, and the whole
days from then on. Postgres tables title_audience_by_hour and title_starts_by_day.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from query_api.audience.ranges import DAY, HOUR, day_of, hour_of
from query_api.catalog.filters import Statement

STARTED: Final = """
    select title_id, {sums} from (
        select title_id, starts, hour as at, false as whole_day from title_audience_by_hour
        where starts > 0 and ({hours}) {which}
        union all
        select title_id, starts, day, true from title_starts_by_day where day >= {first} and day <= {now} {which}
    ) as counted
    group by title_id
"""
SUM: Final = """
    coalesce(sum(starts) filter (
        where at >= {cut} and whole_day or at >= {begin} and at < {cut} and not whole_day
    ), 0)::bigint as {name}
"""


class Window(NamedTuple):
    """Its hours are those from `begin` to before `cut`, its days those from `cut` on."""

    begin: datetime
    cut: datetime


def window_of(hours: int, now: datetime) -> Window:
    """The hour that runs, and so many before it that there are `hours`."""
    begin = hour_of(now) - (hours - 1) * HOUR
    midnight = day_of(begin)
    return Window(begin, begin if begin == midnight else min(midnight + DAY, hour_of(now) + HOUR))


def started(
    statement: Statement,
    hours: Mapping[str, int],
    now: datetime,
    *,
    territory: str | None = None,
    title_id: str | None = None,
) -> str:
    """The SQL of how often titles were started in each window, a column of that name; of a title and in a country."""
    windows = {name: window_of(count, now) for name, count in hours.items()}
    places = {name: [f"{statement.bind(at)}::timestamptz" for at in one] for name, one in windows.items()}
    which = [
        f"and {column} = {statement.bind(value)}"
        for column, value in (("territory", territory), ("title_id", title_id))
        if value is not None
    ]
    return STARTED.format(
        sums=", ".join(SUM.format(name=name, begin=begin, cut=cut) for name, (begin, cut) in places.items()),
        hours=" or ".join(f"hour >= {begin} and hour < {cut}" for begin, cut in places.values()),
        first=f"{statement.bind(min(one.cut for one in windows.values()))}::timestamptz",
        now=f"{statement.bind(now)}::timestamptz",
        which=" ".join(which),
    )
