"""Lua that Redis runs: kept beside what uses it, in projections/lua."""

from pathlib import Path
from typing import Final

_LUA: Final = Path(__file__).parent.parent / "lua"


class Script:
    """A Lua function and the name that Redis gave it."""

    def __init__(self, name: str) -> None:
        self.source = (_LUA / f"{name}.lua").read_text()
        self.sha = ""
