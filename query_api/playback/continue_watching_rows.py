"""The rows of continue watching as Redis keeps them, and as they are shown."""

from typing import Final

import msgspec

from query_api.playback.playable import TitleFacts, Unplayable

IN_PROGRESS: Final = "in_progress"
OFFERED: Final = (IN_PROGRESS, "next_episode")


class NextTitle(msgspec.Struct):
    """See NextTitleModel."""

    name: str
    season_number: int | None
    episode_number: int | None


class Row(msgspec.Struct, kw_only=True):
    """A row as the projection stores it, without what only the projection needs; `progress`, `next_title` and
    `unplayable` are added here. `hidden`: by its viewer, and never in a reply (rule R7).
    """

    title_id: str
    kind: str
    name: str
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    position_ms: int
    duration_ms: int
    progress: float = 0.0
    state: str
    next_title_id: str | None = None
    next_title: NextTitle | None = None
    unplayable: Unplayable | None = None
    updated_at: str
    hidden: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def offered(self) -> str:
        """What it sends its viewer to: the title, or what follows it."""
        return self.title_id if self.state == IN_PROGRESS else str(self.next_title_id)

    def name_next(self, title: TitleFacts | None) -> None:
        """Say what follows, if that is what it offers."""
        if self.state != IN_PROGRESS and title is not None:
            self.next_title = NextTitle(title.name, title.season_number, title.episode_number)


_rows = msgspec.json.Decoder(Row)


def newest_first(values: list[bytes]) -> list[bytes]:
    """Rows as they are stored, each "<offset>:<updated_ms>:<row>", in the order in which they are shown."""
    return sorted(values, key=_updated_and_row, reverse=True)


def resumable(stored: bytes, withdrawn: frozenset[str] = frozenset()) -> Row | None:
    """A row, if it is neither completed nor hidden, and neither its title nor its series was withdrawn. What follows a
    finished episode may be: whether another comes after it is told elsewhere (rule R6).
    """
    row = _rows.decode(stored.split(b":", 2)[2])
    if row.state not in OFFERED or row.hidden is True:
        return None
    if withdrawn and (row.series_id in withdrawn or (row.state == IN_PROGRESS and row.title_id in withdrawn)):
        return None
    row.progress = progress_of(row.position_ms, row.duration_ms)
    return row


def progress_of(position_ms: int, duration_ms: int) -> float:
    """How far into a title a position is: 0 to 1, to four places."""
    return round(min(position_ms / duration_ms, 1.0), 4) if duration_ms > 0 else 0.0


def _updated_and_row(stored: bytes) -> tuple[int, bytes]:
    _, updated_ms, row = stored.split(b":", 2)
    return int(updated_ms), row
