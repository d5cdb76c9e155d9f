"""What is rebuilt together: a view that takes events, and the aggregates that are written in its transaction."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from projections.views import AggregateView, KeyedView

PROJECTION: Final = "postgres"
"""The projection whose views have versions."""
NOT_FILLED: Final = 0
"""Among the folds of a version: that of a view which was not there yet."""

AnyView = KeyedView[Any, str] | AggregateView[Any, Any]


class Group(NamedTuple):
    """A view and its aggregates. It has the name of the view."""

    source: KeyedView[Any, str]
    aggregates: tuple[AggregateView[Any, Any], ...]

    @property
    def name(self) -> str:
        """The view's."""
        return self.source.name

    @property
    def views(self) -> tuple[AnyView, ...]:
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


def grouped(views: Iterable[AnyView]) -> dict[str, Group]:
    """The groups of views, by name."""
    views = tuple(views)
    aggregates = [view for view in views if isinstance(view, AggregateView)]
    return {
        view.name: Group(view, tuple(one for one in aggregates if isinstance(view, one.source)))
        for view in views
        if isinstance(view, KeyedView)
    }


def table_of(view: str, version: int) -> str:
    """The table of a view's version while it is not live."""
    return f"{view}__v{version}"


def projection_of(view: str, version: int) -> str:
    """The projection under which a version has checkpoints of its own."""
    return f"{PROJECTION}/{view}@{version}"
