"""A sign-in as an app keeps it: its tokens, renewed in time, and once more when they are not taken."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from infra.clock import monotonic_s
from playhead.demo.api import Api, Reply, Ticket

TOKEN_PATH: Final = "/oauth/token"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
OK: Final = 200


class SignIn:
    """A Bearer: the access token of an app on one device. `refreshed`: how often it got others."""

    def __init__(self, commands: Api, tokens: dict[str, Any], address: str) -> None:
        self.address = address
        self.refreshed = 0
        self._commands = commands
        self._one_at_a_time = asyncio.Lock()
        self.take(tokens)

    def take(self, tokens: dict[str, Any]) -> None:
        """Use these from now on."""
        self.token = str(tokens["access_token"])
        self.scope = str(tokens["scope"])
        self.refresh_token = str(tokens["refresh_token"])
        self.sign_in_id = str(tokens["sign_in_id"])
        self.device_id = str(tokens["device_id"])
        self.account_id = str(tokens["account_id"])
        self.profile_id = str(tokens["profile_id"] or "")
        self._taken_s = monotonic_s()

    @property
    def age_s(self) -> float:
        """For how long it has used its tokens."""
        return monotonic_s() - self._taken_s

    async def renew(self, refused: str) -> bool:
        """Get other tokens, unless somebody has while this waited; whether there are. Raises NotTaken."""
        async with self._one_at_a_time:
            if self.token != refused:
                return True
            reply = await refresh(self._commands, self.refresh_token, self.address)
            if reply.status != OK:
                return False
            self.take(reply.json())
            self.refreshed += 1
            return True


async def refresh(commands: Api, refresh_token: str, address: str) -> Reply:
    """What a refresh token is answered with (RFC 6749, 6). Raises NotTaken."""
    asks = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return await post_form(commands, TOKEN_PATH, asks, address)


async def post_form(commands: Api, path: str, fields: Mapping[str, str], address: str) -> Reply:
    """POST a form, as OAuth asks for. Raises NotTaken."""
    return await commands.post(path, Ticket("", address), urlencode(fields).encode, FORM)
