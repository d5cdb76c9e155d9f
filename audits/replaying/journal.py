"""What a replay is and how far it is, in a file: one that was interrupted goes on from there."""

from pathlib import Path
from typing import Final

import msgspec

from audits.history.asked import Asked
from audits.sources import Source
from infra.settings import Settings

DIRECTORY: Final = "replays"


class UnknownReplay(Exception):
    """There is no replay of this id here."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it was asked for. One of `topic` and `url` is set. Headers that were given are not kept: they may be
    secret, and are given again.
    """

    asked: Asked
    topic: str | None = None
    url: str | None = None
    speed: str | None = None
    rate: str | None = None
    without: tuple[Source, ...] = ()


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A replay and how far it is: everything up to `cursor` was taken or refused."""

    plan: Plan
    cursor: str | None = None
    sent: int = 0
    refused: dict[str, int] = {}
    is_done: bool = False


def path_of(replay_id: str, settings: Settings) -> Path:
    """Where a replay is noted."""
    return settings.state_dir / DIRECTORY / f"{replay_id}.json"


def read(replay_id: str, settings: Settings) -> Noted:
    """A replay that was begun here. Raises UnknownReplay."""
    path = path_of(replay_id, settings)
    try:
        if path.parent != settings.state_dir / DIRECTORY:
            raise FileNotFoundError(path)
        return msgspec.json.decode(path.read_bytes(), type=Noted)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise UnknownReplay(f"There is no replay {replay_id!r} in {path.parent}.") from error


def note(replay_id: str, noted: Noted, settings: Settings) -> None:
    """Keep how far a replay is."""
    path = path_of(replay_id, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(noted)))
    draft.replace(path)
