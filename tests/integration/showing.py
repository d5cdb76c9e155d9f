"""Where the viewers of these tests are, and titles that can be played there, as the projection would write them."""

from infra.postgres import Pool

HOME = "KR"
SVOD = "svod"


async def shown(postgres: Pool, *title_ids: str, licence: str = SVOD, territory: str = HOME) -> None:
    """Open a window without an end for titles."""
    await postgres.executemany(
        "insert into catalog_windows (title_id, territory, licence) values ($1, $2, $3)",
        [(title_id, territory, licence) for title_id in title_ids],
    )
