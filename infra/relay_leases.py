"""Who may relay which partition: rows that expire, shared out evenly among the relays that live."""

from infra.postgres import Pool
from infra.settings import Settings

HEARTBEAT = """
with member as (
    insert into relay_member values ($1, now() + $2 * interval '1 second')
    on conflict (owner) do update set expires_at = excluded.expires_at
), gone as (
    delete from relay_member where expires_at < now() - interval '1 minute'
)
update relay_lease set expires_at = now() + $2 * interval '1 second' where owner = $1
"""

# A relay's share: all partitions over all living relays, rounded up.
SHARE = """
select ceil((select count(*) from relay_lease)::numeric
            / greatest(1, (select count(*) from relay_member where expires_at > now())))::int
"""

TAKE = """
update relay_lease set owner = $1, expires_at = now() + $2 * interval '1 second'
where partition in (
    select partition from relay_lease where owner is null or expires_at < now()
    order by partition limit greatest(0, $3 - (select count(*) from relay_lease where owner = $1))
    for update skip locked
)
"""

RELEASE = """
update relay_lease set owner = null where partition in (
    select partition from relay_lease where owner = $1 order by partition offset $2
)
"""


class RelayLeases:
    """The leases of one relay, `owner`."""

    def __init__(self, pool: Pool, owner: str, settings: Settings) -> None:
        self._pool = pool
        self._owner = owner
        self._lease_s = settings.relay_lease_s

    async def keep(self) -> None:
        """Say that this relay lives, and extend what it has."""
        await self._pool.execute(HEARTBEAT, self._owner, self._lease_s)

    async def share_out(self) -> dict[int, int]:
        """Give back what is more than this relay's share, take what is free up to it; position by partition."""
        share = await self._pool.fetchval(SHARE)
        await self._pool.execute(RELEASE, self._owner, share)
        await self._pool.execute(TAKE, self._owner, self._lease_s, share)
        rows = await self._pool.fetch("select partition, position from relay_lease where owner = $1", self._owner)
        return {row["partition"]: row["position"] for row in rows}

    async def advance(self, positions: dict[int, int]) -> None:
        """Note how far Kafka has acknowledged; a lease that was lost meanwhile is left alone."""
        await self._pool.execute(
            """update relay_lease as lease set position = done.position
               from unnest($2::smallint[], $3::bigint[]) as done(partition, position)
               where lease.partition = done.partition and lease.owner = $1 and lease.position < done.position""",
            self._owner,
            list(positions),
            list(positions.values()),
        )

    async def give_back(self) -> None:
        """Leave: others may take everything at once."""
        await self._pool.execute("update relay_lease set owner = null where owner = $1", self._owner)
        await self._pool.execute("delete from relay_member where owner = $1", self._owner)
