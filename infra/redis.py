"""Redis or Valkey: the client of every process. Lua is kept beside what uses it; keys of one profile share a hash
tag.
"""

import asyncio
from collections.abc import Iterable, Sequence
from ssl import TLSVersion
from typing import Any, Final, TypeAlias

import hiredis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import TimeoutError as RedisTimeoutError

from infra.settings import Settings

Redis: TypeAlias = "redis.asyncio.Redis"
PACKED: Final = frozenset({str, bytes, int})
"""The types of arguments that hiredis writes as the client does."""


def connect(settings: Settings, *, is_timed: bool = True) -> Redis:
    """A client that fails within the query timeout and does not retry by itself: its callers know what to do then. One
    that is not timed leaves it to them to bound what they ask together; the client times each reply of a pipeline.
    """
    return redis.asyncio.Redis.from_url(
        settings.redis_url,
        connection_class=_Connection,  # rediss:// has its own
        socket_timeout=settings.query_timeout_s if is_timed else None,
        socket_connect_timeout=settings.query_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        **_access(settings),
    )


async def round_trip(client: Redis, commands: Sequence[tuple[Any, ...]], *, timeout_s: float | None) -> list[Any]:
    """The replies to commands that are sent together, each as Redis says it or the ResponseError that it is. All of
    them have `timeout_s`. Raises RedisError and OSError.

    Past redis-py's pipelines, which take several times the CPU: they pack in Python, time each reply for itself, and
    ask Redis before every pipeline with scripts whether it has them.
    """
    pool = client.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # by its decorator
    try:
        async with asyncio.timeout(timeout_s):
            await connection.send_packed_command([_packed(commands)], check_health=False)
            read = connection._parser.read_response  # read_response() of the connection, but for its time
            return [await read(disable_decoding=True) for _ in commands]
    except BaseException as error:
        await connection.disconnect(nowait=True)  # what is still to come is the reply to nobody
        if isinstance(error, TimeoutError):
            raise RedisTimeoutError(f"no reply in {timeout_s} s") from error
        raise
    finally:
        await pool.release(connection)


def _packed(commands: Iterable[tuple[Any, ...]]) -> bytes:
    return b"".join([hiredis.pack_command(each) for each in commands])


class _Connection(redis.asyncio.Connection):
    """Writes commands by hiredis, which the client uses to read replies only: a tenth of the cost."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as it is sent. Its name may be two words, as the client says it when it connects."""
        name = args[0]
        if isinstance(name, str) and " " not in name and all(type(each) in PACKED for each in args):
            return [hiredis.pack_command(args)]
        return super().pack_command(*args)


def _access(settings: Settings) -> dict[str, Any]:
    """Who the client is, where the URL does not say it, and whose certificate it takes for Redis's."""
    return {**_user(settings), **(_tls(settings) if settings.redis_uses_tls else {})}


def _user(settings: Settings) -> dict[str, Any]:
    return {} if settings.redis_secret() is None else {"credential_provider": _Credentials(settings)}


def _tls(settings: Settings) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_certificate_file,
        "ssl_keyfile": settings.redis_certificate_key_file,
    }
    given = {name: str(path) for name, path in files.items() if path is not None}
    return {**given, "ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_min_version": TLSVersion.TLSv1_2}


class _Credentials(CredentialProvider):
    """Asked each time that a connection is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The user, unless it is the default one, and the password."""
        secret = self._settings.redis_secret() or ""
        return (self._settings.redis_username, secret) if self._settings.redis_username else (secret,)
