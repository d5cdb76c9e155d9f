"""How far rebuilds of views are, beside the projections that they are of: GET /v1/projections."""

from typing import Final, Literal

import asyncpg
from pydantic import BaseModel

from query_api.view_versions import eta_s

REBUILDS_MAX: Final = 1_000
REBUILDS: Final = """
    select store, view, version, state, keeper, records_done, records_total, records_set_aside, records_per_s,
           case when paused then 'paused' else waits end as waits
    from view_versions
    where state in ('building', 'catching_up', 'ready') or (state = 'live' and keeper = 'rebuild')
    order by view, version limit $1
"""

REBUILD_EXAMPLE: Final = {
    "view": "continue_watching",
    "version": 2,
    "state": "building",
    "keeper": "rebuild",
    "records_done": 600_000,
    "records_total": 1_000_000,
    "lag_records": 400_000,
    "records_per_s": 20_000.0,
    "eta_s": 20.0,
    "records_set_aside": 0,
    "waits": None,
}


class RebuildState(BaseModel):
    """A version of a view that is not simply live: being built, ready beside the live one, or live and kept by a
    rebuild. `lag_records`: of the live view's records, what it has not applied; as its rebuild said last. `waits`: for
    what it stands still, if it does.
    """

    view: str
    version: int
    state: Literal["building", "catching_up", "ready", "live"]
    keeper: Literal["projection", "rebuild"]
    records_done: int
    records_total: int
    lag_records: int
    records_per_s: float | None
    eta_s: float | None
    records_set_aside: int
    waits: str | None


def rebuild_state(row: asyncpg.Record) -> RebuildState:
    """A row of REBUILDS, as it is shown."""
    left = max(row["records_total"] - row["records_done"], 0)
    return RebuildState.model_validate({**row, "lag_records": left, "eta_s": eta_s(row)})
