"""Which replies are kept: a route declares it, and on what its reply depends beside what it is asked."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from infra.access.permissions import Principal

F = TypeVar("F", bound=Callable[..., Any])


class Turn(Enum):
    """What of the time decides a reply: which minute it is, which hour (UTC), or which windows of the catalog are open.
    It is kept until the next begins, or until one of them opens or closes.
    """

    MINUTE = 60
    HOUR = 3_600
    WINDOWS = 0


def the_same_for_all(_: Principal) -> Hashable:
    """For a reply on which its caller has no influence."""
    return None


@dataclass(frozen=True)
class Kept:
    """How a route's replies are kept. `topics`: of all views that they are read from, in Postgres. `turns`: what of the
    time decides them, unless a request says the parameter `timeless_with`. `of_caller`: what of the caller decides
    them. `shared`: whether caches between us and the caller may keep them too, to ask each time.
    """

    topics: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    timeless_with: str | None = None
    of_caller: Callable[[Principal], Hashable] = the_same_for_all
    shared: bool = False


_DECLARED: Final[dict[Callable[..., Any], Kept]] = {}


def kept(how: Kept) -> Callable[[F], F]:
    """Declare it of a route, as the decorator next to its function."""

    def declare(endpoint: F) -> F:
        _DECLARED[endpoint] = how
        return endpoint

    return declare


def declared(endpoint: Callable[..., Any]) -> Kept | None:
    """What was declared of a route."""
    return _DECLARED.get(endpoint)
