"""Every route of an app and what it declares of its callers: one table, which OpenAPI, the perimeter and tests read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from infra.access.authentication import Needs
from infra.http.declared import Bearing, Declared, Public

Access = Needs | Public | Bearing


class Undeclared(Exception):
    """A route declares nothing of its callers, or more than one thing."""


@dataclass(frozen=True)
class Entry:
    """One row of the table. `path` as OpenAPI writes it."""

    method: str
    path: str
    access: Access
    endpoint: Callable[..., Any]  # whatever Starlette or FastAPI calls

    @property
    def said(self) -> str:
        """The declaration, for a person."""
        match self.access:
            case Needs(scopes=scopes):
                return " or ".join(sorted(scopes))
            case Public(why=why):
                return f"public: {why}"
            case Bearing(what=what):
                return f"bearing {what}"


def access_table(app: FastAPI) -> list[Entry]:
    """Every method of every route. Raises Undeclared."""
    return [
        Entry(method, (context.path or "").replace(":path}", "}"), needs_of(context), context.endpoint)
        for context in iter_route_contexts(app.routes)
        for method in sorted((context.methods or set()) - {"HEAD"})
        if context.endpoint is not None
    ]


def needs_of(route: RouteContext) -> Access:
    """What a route declares. Raises Undeclared."""
    found = list(_declarations(route))
    if len({_same(each) for each in found}) != 1:
        raise Undeclared(f"{route.path} declares {len(found)} things of its callers; declare one Needs or Public")
    return found[0]


def _declarations(route: RouteContext) -> Iterator[Access]:
    if isinstance(route.original_route, Declared):
        yield route.original_route.access
    elif (dependant := getattr(route, "dependant", None)) is not None:
        yield from _of(dependant)


def _of(dependant: Dependant) -> Iterator[Access]:
    for below in dependant.dependencies:
        if isinstance(below.call, Needs | Public | Bearing):
            yield below.call
        yield from _of(below)


def _same(access: Access) -> object:
    return access.scopes if isinstance(access, Needs) else access
