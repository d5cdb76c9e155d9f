"""What is kept of the catalog for continue watching: until its views move, and while Postgres is away."""

from typing import Any

from infra.settings import Settings
from query_api.playback.title_facts import FOLLOWING, MOVED, TitlesKept
from query_api.stores import Driver, Store


class Catalog:
    """A Postgres of one statement and another, with a clock beside it."""

    def __init__(self) -> None:
        self.moved = 1
        self.now_s = 0.0
        self.is_away = False
        self.names = {"heat": "Heat", "ran": "Ran"}
        self.read: list[list[str]] = []
        self.looked = 0

    def clock(self) -> float:
        return self.now_s

    async def fetchval(self, statement: str, *_: object) -> str:
        assert statement == MOVED
        self._answer()
        self.looked += 1
        return str(self.moved)

    async def fetch(self, statement: str, title_ids: list[str], territory: str) -> list[dict[str, Any]]:
        self._answer()
        self.read.append(title_ids)
        if statement == FOLLOWING:
            return [{"title_id": one, "following": [f"after {one}"]} for one in title_ids if one in self.names]
        none = dict.fromkeys(("season_number", "episode_number", "series_id", "minimum_age"))
        windows = {"licences": [territory], "open_s": [0.0], "close_s": [1.0]}
        return [
            {"title_id": one, "name": self.names[one], "is_published": True, **none, **windows}
            for one in title_ids
            if one in self.names
        ]

    def _answer(self) -> None:
        if self.is_away:
            raise ConnectionRefusedError


async def kept_of(catalog: Catalog) -> TitlesKept:
    async def connect() -> Any:
        return catalog

    async def nothing(_: object) -> None: ...

    store = Store[Any](Driver("postgres", connect, nothing, nothing, (OSError, TimeoutError)), Settings())
    store.open()
    await store.missing()
    return TitlesKept(store, Settings(), clock=catalog.clock)


async def names(kept: TitlesKept, *title_ids: str, territory: str | None = "KR") -> dict[str, str | None]:
    return {one: facts and facts.name for one, facts in (await kept.of(title_ids, territory)).items()}


async def test_a_title_is_read_once_until_the_views_moved() -> None:
    catalog = Catalog()
    kept = await kept_of(catalog)
    assert await names(kept, "heat", "gone") == {"heat": "Heat", "gone": None}
    catalog.names["heat"] = "Heat, mended"
    catalog.now_s = 60.0
    assert await names(kept, "heat", "gone", "ran") == {"heat": "Heat", "gone": None, "ran": "Ran"}
    assert catalog.read == [["heat", "gone"], ["ran"]]
    catalog.moved += 1
    assert (await names(kept, "heat"))["heat"] == "Heat"  # it was asked a moment ago
    kept.forget()
    assert (await names(kept, "heat"))["heat"] == "Heat, mended"


async def test_each_territory_has_its_own_windows() -> None:
    kept = await kept_of(Catalog())
    for territory in ("KR", "NL", None):
        facts = (await kept.of(["heat"], territory))["heat"]
        assert facts is not None
        assert facts.windows[0].licence == (territory or "")


async def test_while_postgres_is_away_what_is_known_goes_on_to_count() -> None:
    catalog = Catalog()
    kept = await kept_of(catalog)
    await names(kept, "heat")
    catalog.is_away, catalog.now_s = True, 10.0
    assert await names(kept, "heat", "ran") == {"heat": "Heat"}
    catalog.is_away = False
    assert await names(kept, "heat", "ran") == {"heat": "Heat"}  # left alone for a while
    catalog.now_s = 20.0
    assert await names(kept, "heat", "ran") == {"heat": "Heat", "ran": "Ran"}


async def test_what_follows_an_episode_is_read_once_until_the_views_moved() -> None:
    catalog = Catalog()
    kept = await kept_of(catalog)
    for _ in range(2):
        assert await kept.following({"heat", "gone"}) == {"heat": ("after heat",), "gone": ()}
    assert len(catalog.read) == 1
    catalog.moved, catalog.now_s = 2, 10.0
    await kept.following({"heat"})
    assert len(catalog.read) == 2


async def test_what_is_kept_has_another_version_when_the_views_moved() -> None:
    catalog = Catalog()
    kept = await kept_of(catalog)
    await names(kept, "heat")
    version = kept.version
    catalog.now_s = 10.0
    await kept.look()
    assert kept.version == version
    catalog.moved, catalog.now_s = 2, 20.0
    await kept.look()
    assert kept.version != version
