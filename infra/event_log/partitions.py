"""The log's partitions: how many is fixed when the log is created; a stream lives in one for good."""

import zlib

from infra.postgres import connect_pool
from infra.settings import Settings

GENESIS = bytes(32)
"""What the first event of a partition is chained to."""


class WrongPartitionCount(Exception):
    """The log has another number of partitions than settings say."""


def partition_of(stream_id: str, partitions: int) -> int:
    """The partition of a stream."""
    return zlib.crc32(stream_id.encode()) % partitions


async def create_partitions(settings: Settings) -> None:
    """Give the log its partitions, once. Raises WrongPartitionCount when it has another number already."""
    pool = await connect_pool(settings, size=1)
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("lock table partition_head in exclusive mode")
            have = await connection.fetchval("select count(*) from partition_head")
            if have not in (0, settings.log_partitions):
                raise WrongPartitionCount(
                    f"the event log was created with {have} partitions and PLAYHEAD_LOG_PARTITIONS is "
                    f"{settings.log_partitions}; set it to {have}"
                )
            wanted = range(settings.log_partitions)
            await connection.execute(
                "insert into partition_head select p, 0, $2 from unnest($1::smallint[]) p on conflict do nothing",
                wanted,
                GENESIS,
            )
            await connection.execute(
                "insert into relay_lease (partition) select unnest($1::smallint[]) on conflict do nothing", wanted
            )
    finally:
        await pool.close()
