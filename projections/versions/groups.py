"""What is rebuilt together: a view that takes events, and the aggregates that are written in its transaction, which
Postgres alone has.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from projections.views import AggregateView, KeyedView, SeriesView

PROJECTION: Final = "postgres"
"""The projection whose versions are tables that are exchanged; for the others see versions/recorded.py."""
NOT_FILLED: Final = 0
"""Among the folds of a version: that of a view which was not there yet."""

AnyView = KeyedView[Any, str] | AggregateView[Any, Any]
Source = KeyedView[Any, Any] | SeriesView[Any]


class Group(NamedTuple):
    """A view (a Source) and its aggregates. It has the name of the view. `store`: where they are."""

    source: Any
    aggregates: tuple[AggregateView[Any, Any], ...]
    store: str = PROJECTION

    @property
    def name(self) -> str:
        """The view's."""
        name: str = self.source.name
        return name

    @property
    def views(self) -> tuple[Any, ...]:
        """All of it."""
        return (self.source, *self.aggregates)

    @property
    def topics(self) -> list[str]:
        """Whose events it is made of."""
        return sorted(topic.name for topic in self.source.topics)

    @property
    def folds(self) -> dict[str, int]:
        """By view, the version of the fold that this code has."""
        return {view.name: view.version for view in self.views}


def grouped(views: Iterable[Source | AggregateView[Any, Any]], store: str = PROJECTION) -> dict[str, Group]:
    """The groups of the views of a store, by name."""
    views = tuple(views)
    aggregates = [view for view in views if isinstance(view, AggregateView)]
    return {
        view.name: Group(view, tuple(one for one in aggregates if isinstance(view, one.source)), store)
        for view in views
        if not isinstance(view, AggregateView)
    }


def table_of(view: str, version: int) -> str:
    """The table of a view's version while it is not live."""
    return f"{view}__v{version}"


def projection_of(view: str, version: int) -> str:
    """The projection under which a version has checkpoints of its own."""
    return f"{PROJECTION}/{view}@{version}"
