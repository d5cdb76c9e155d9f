"""Rows of one version, as its store has them: for whoever looks at an inspection. At most so many; by parts of the key
where that finds them fast, and in Redis by the hash at least.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from infra.cassandra import Cassandra
from infra.live_views import name_in_redis, table_in_cassandra
from infra.postgres import Role, connect_pool
from infra.redis import connect
from infra.settings import Settings
from projections.stores import cassandra, redis
from projections.stores.postgres_writing import told_apart
from projections.stores.redis import hash_of
from projections.versions.groups import PROJECTION, Group
from projections.versions.registry import Version, VersionRefused
from projections.views import SeriesView

FIELD: Final = "field"
Rows = list[dict[str, Any]]


async def rows_of(
    settings: Settings, group: Group, version: Version, view: Any, key: Mapping[str, str], most: int
) -> Rows:
    """Rows of a view of a version's group. Raises VersionRefused, StoreUnavailable."""
    if group.store == PROJECTION:
        return await _in_postgres(settings, version.tables[view.name], key, most)
    if group.store == "redis":
        return await _in_redis(settings, name_in_redis(view.name, version.version), key, most)
    return await _in_cassandra(settings, view, version, key, most)


async def _in_postgres(settings: Settings, table: str, key: Mapping[str, str], most: int) -> Rows:
    where = " and ".join(f'"{name}"::text = ${place}' for place, name in enumerate(key, 2)) or "true"
    pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
    try:
        with told_apart():
            rows = await pool.fetch(
                f"select to_jsonb(it) as row from {table} as it where {where} limit $1", most, *key.values()
            )
    finally:
        await pool.close()
    return [msgspec.json.decode(row["row"]) for row in rows]


async def _in_redis(settings: Settings, name: str, key: Mapping[str, str], most: int) -> Rows:
    owner = next((value for part, value in key.items() if part != FIELD), None)
    if owner is None:
        raise VersionRefused(f"rows of {name} are in hashes: say which, as --key profile=...")
    client = connect(settings)
    try:
        with redis.told_apart():
            found: dict[Any, Any] = await client.hgetall(hash_of(name, owner))
    finally:
        await client.aclose()
    fields = {field.decode(): value for field, value in found.items()}
    wanted = {field: value for field, value in fields.items() if key.get(FIELD, field) == field}
    return [{FIELD: field, **msgspec.json.decode(value.split(b":", 2)[2])} for field, value in [*wanted.items()][:most]]


async def _in_cassandra(
    settings: Settings, view: SeriesView[Any], version: Version, key: Mapping[str, str], most: int
) -> Rows:
    table, names = table_in_cassandra(view.name, version.version), (*view.bucket, *view.key)
    if key and not set(view.bucket) <= key.keys():
        raise VersionRefused(f"rows of {view.name} are found by {' and '.join(view.bucket)}: name all of these")
    if gap := [name for name in names[len(key) :] if name in key]:
        raise VersionRefused(f"name what comes before {gap[0]} in the key of {view.name}, too: {', '.join(names)}")
    told = [name for name in names if name in key]
    where = f" where {' and '.join(f'{name} = ?' for name in told)}" if told else ""
    kinds = {field.name: field.type for field in msgspec.structs.fields(view.row)}
    try:
        values = [msgspec.convert(key[name], kinds[name], strict=False) for name in told]
    except msgspec.ValidationError as error:
        raise VersionRefused(f"a part of the key of {view.name} is not what its column holds: {error}") from error
    with cassandra.told_apart():
        opened = await Cassandra.connect(settings)
        try:
            statement = await opened.prepare(f"select * from {table}{where} limit {most}")
            return [dict(row) for row in await opened.execute(statement, values)]
        finally:
            await opened.close()
