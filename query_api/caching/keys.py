"""What decides a reply: the route, what is asked of it, how it is wanted, and what of its caller matters."""

from collections.abc import Hashable, Iterator
from re import Pattern
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from fastapi import FastAPI
from starlette.routing import compile_path
from starlette.types import Scope

from infra.access.authentication import Needs
from infra.access.permissions import Principal
from infra.http.access_table import access_table
from infra.http.cors import RawHeaders
from infra.positions import HEADER
from query_api.caching.declared import Kept, declared
from query_api.catalog.locales import HEADER_MAX_CHARS, parse_locales

POSITION: Final = HEADER.lower().encode()
LANGUAGES: Final = b"accept-language"
FORMATS: Final = b"accept"
MEANT: Final = frozenset({b"accept", b"accept-language"})
"""The headers that may decide a reply that is kept: those that are in its key."""

Parameters = tuple[tuple[str, str], ...]
"""Of a query, in the order of their names; those of one name as they were said."""


class KeptRoute(NamedTuple):
    """A route whose replies are kept. `path` as OpenAPI writes it."""

    path: str
    matches: Pattern[str]
    needs: Needs
    how: Kept


def kept_routes(app: FastAPI) -> Iterator[KeptRoute]:
    """The routes of an app whose replies are kept."""
    for entry in access_table(app):
        how = declared(entry.endpoint)
        if how is not None and isinstance(entry.access, Needs):
            yield KeptRoute(entry.path, compile_path(entry.path)[0], entry.access, how)


class KeptRoutes:
    """Finds the route of a path: most paths have none, and are passed by at the cost of a look-up."""

    def __init__(self, app: FastAPI) -> None:
        self._by_beginning: dict[str, list[KeptRoute]] = {}
        for route in kept_routes(app):
            self._by_beginning.setdefault(_beginning(route.path), []).append(route)

    def find(self, path: str) -> KeptRoute | None:
        """The route, if its replies are kept."""
        for route in self._by_beginning.get(_beginning(path), ()):
            if route.matches.match(path):
                return route
        return None


def _beginning(path: str) -> str:
    """The first part of a path after the version."""
    return path[4:].partition("/")[0]


class Wanted(NamedTuple):
    """What a request says that decides its reply."""

    path: str
    parameters: Parameters
    languages: tuple[str, ...]
    formats: bytes

    def says(self, name: str | None) -> bool:
        """Whether it names a parameter."""
        return any(each == name for each, _ in self.parameters)

    def key(self, how: Kept, caller: Principal) -> Hashable:
        """What equal requests have in common, and no others."""
        return (*self, how.of_caller(caller))


def wanted(scope: Scope, most_bytes: int) -> Wanted | None:
    """What a request says; None: it waits for a position, or what it says is too long to be kept."""
    languages = formats = b""
    for name, value in scope["headers"]:
        if name == LANGUAGES:
            if languages or len(value) > HEADER_MAX_CHARS:
                return None
            languages = value
        elif name == FORMATS:
            formats = formats + b"," + value
        elif name == POSITION:
            return None
    if len(scope["path"]) + len(scope["query_string"]) + len(languages) + len(formats) > most_bytes:
        return None
    tags = parse_locales(languages.decode("latin-1")).tags if languages else ()
    return Wanted(scope["path"], _parameters(scope["query_string"]), tags, formats)


def _parameters(query: bytes) -> Parameters:
    """Of what a query says twice the last counts for some parameters: their order stays."""
    if not query:
        return ()
    return tuple(sorted(parse_qsl(query.decode("latin-1"), keep_blank_values=True), key=lambda pair: pair[0]))


def is_decided(headers: RawHeaders) -> bool:
    """Whether a reply may be kept: what is in the key decides it, and its route does not forbid it."""
    for name, value in headers:
        if name == b"set-cookie" or (name == b"cache-control" and b"no-store" in value):
            return False
        if name == b"vary" and not {each.strip().lower() for each in value.split(b",")} <= MEANT:
            return False
    return True
