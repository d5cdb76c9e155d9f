"""What a view declares, as the migration that makes its table: printed by `playhead views ddl`, to be gone through and
pasted. What it became is checked against the declaration (tests/integration/test_projections.py).
"""

import types
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from projections.stores.tables import Table, column_type
from projections.views import AggregateView, HashView, KeyedView, ListView, SeriesView

AnyView = KeyedView[Any, Any] | SeriesView[Any] | AggregateView[Any, Any]

OWNERS: Final = ("account_id", "profile_id")
SEES_ALL: Final = {"playback": "playback:read", "subscription": "billing:read", "identity": "accounts:read"}
"""By context, the scope that sees everyone's rows."""

_IN_CASSANDRA: Final = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    float: "double",
    bytes: "blob",
    datetime: "timestamp",
}
_OFTEN_CHANGED: Final = " with (fillfactor = 70)"
"""Room for a row's next version on the same page."""
_MIGRATION: Final = '''\
"""{about}"""

from infra.migrations.privileges import READER, grant{protect}, show_audits
from infra.migrations.sql import run_script

revision = "{revision}"
down_revision = "{after}"

PROJECTIONS = "playhead_projections"

SCRIPT = """
{table}"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(PROJECTIONS, {{"{name}": "select, insert, update, delete"}})
    grant(READER, {{"{name}": "select"}})
{protected}    show_audits("{name}")
'''
_PROTECT: Final = """\
    own = {{{own}}}
    protect("{name}", own=own, scopes=("{scope}",), writers=(PROJECTIONS,))
"""


def migration_of(view: AnyView, after: str) -> str:
    """The migration that follows revision `after`; of a time series its CQL, and of a hash nothing. What a declaration
    does not say is to be added: the indexes that reads need, and how long rows of a time series live.
    """
    if isinstance(view, HashView | SeriesView):
        return table_of(view)
    owners = [name for name in Table(view).stored if name in OWNERS]
    return _MIGRATION.format(
        about=(type(view).__doc__ or view.name).partition("\n")[0],
        protect=", protect" if owners else "",
        revision=f"{int(after) + 1:04}",
        after=after,
        table=table_of(view),
        name=view.name,
        protected=_protected(view, owners) if owners else "",
    )


def _protected(view: AnyView, owners: Iterable[str]) -> str:
    own = ", ".join(f'"{name}": "{name}"' for name in owners)
    scope = SEES_ALL.get(type(view).__module__.split(".")[1], "operations:read")
    return _PROTECT.format(own=own, name=view.name, scope=scope)


def table_of(view: AnyView) -> str:
    """The statement that makes a view's table."""
    if isinstance(view, HashView):
        return f"-- {view.name} is a hash in Redis: there is nothing to make\n"
    if isinstance(view, SeriesView):
        columns = [f"{field.name} {_cassandra_type(field.type)}" for field in msgspec.structs.fields(view.row)]
        key = f"primary key (({', '.join(view.bucket)}), {', '.join(view.key)})"
        return _statement("create table if not exists", view.name, [*columns, key])
    if isinstance(view, ListView):
        columns = [f"{name} {kind}" for name, kind in Table(view).stored.items()]
        return _statement("create table", view.name, [*columns, "record_id bigint generated always as identity"])
    columns = [_column(place, field) for place, field in enumerate(msgspec.structs.fields(view.row))]
    return _statement("create table", view.name, columns, _OFTEN_CHANGED if isinstance(view, AggregateView) else "")


def _statement(begins: str, name: str, columns: Iterable[str], ends: str = "") -> str:
    listed = ",\n    ".join(columns)
    return f"{begins} {name} (\n    {listed}\n){ends};\n"


def _column(place: int, field: msgspec.structs.FieldInfo) -> str:
    ends = " primary key" if place == 0 else "" if _is_optional(field.type) else " not null"
    return f'"{field.name}" {column_type(field.type)}{ends}'


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and types.NoneType in get_args(annotation)


def _cassandra_type(annotation: Any) -> str:
    """What is only ever true is a boolean; what is one of some texts, a text."""
    if _is_optional(annotation):
        annotation = next(one for one in get_args(annotation) if one is not types.NoneType)
    return _IN_CASSANDRA.get(annotation, "boolean" if get_args(annotation) == (True,) else "text")
