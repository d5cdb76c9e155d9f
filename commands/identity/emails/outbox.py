"""Mail on its way: written in the transaction of what it is about, sent by a loop of the commands process.

Each letter is sent at least once. Several processes share the rows. A row is claimed until it is tried again, so that
one whose sender was killed is sent by another.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
from cryptography.exceptions import InvalidTag
from prometheus_client import Counter

from infra.clock import Clock, utc_now
from infra.mail.mailer import Letter, Mailer, MailNotSent, MailRefused
from infra.personal_data import MasterKey
from infra.postgres import Connection, Pool
from infra.settings import Settings
from infra.telemetry import log

POST: Final = "insert into identity_mail (sealed, due_at, created_at) values ($1, $2, $2)"
CLAIM: Final = """
update identity_mail set tries = tries + 1, due_at = $1::timestamptz + $3 * interval '1 second' * power(2, tries + 1)
where mail_id = (
    select mail_id from identity_mail where due_at <= $1 and tries < $2 order by due_at limit 1
    for update skip locked
)
returning mail_id, sealed, tries
"""
SENT: Final = "delete from identity_mail where mail_id = $1"
FAIL: Final = "update identity_mail set tries = greatest(tries, $2) where mail_id = $1"
EXPIRED: Final = {
    "identity_one_time_tokens": "expires_at < $1",
    "identity_device_codes": "expires_at < $1::timestamptz - interval '1 hour'",  # devices are told that they are over
    "identity_grants": "expires_at < $1",
    "identity_mail": "tries >= $3 and created_at < $1::timestamptz - $4 * interval '1 day'",
}
DROP: Final = "delete from {table} where ctid in (select ctid from {table} where {expired} limit $2)"
NOTHING: Final = b""
"""What takes as long to post as a letter, and is never sent."""
MAIL = Counter("playhead_mail_total", "Letters, by how their sending ended", ["outcome"])


async def post(connection: Connection, master: MasterKey, letter: Letter | None, now: datetime) -> None:
    """Have a letter sent once the transaction is committed. None: only take the time for it."""
    text = msgspec.json.encode(letter) if letter else NOTHING
    await connection.execute(POST, master.seal(text.decode()), now)


class Outbox:
    """Sends what is due, and drops what has expired."""

    def __init__(
        self, pool: Pool, master: MasterKey, mailer: Mailer, settings: Settings, clock: Clock = utc_now
    ) -> None:
        self._pool = pool
        self._master = master
        self._mailer = mailer
        self._settings = settings
        self._clock = clock

    async def send_due(self) -> int:
        """Send at most a batch; how many were tried."""
        for tried in range(self._settings.mail_batch_rows):
            row: asyncpg.Record | None = await self._pool.fetchrow(
                CLAIM, self._clock(), self._settings.mail_max_tries, self._settings.mail_timeout_s
            )
            if row is None:
                return tried
            await self._send(row)
        return self._settings.mail_batch_rows

    async def _send(self, row: asyncpg.Record) -> None:
        try:
            if letter := self._opened(row["sealed"]):
                # Its name sorts by when it was posted.
                await self._mailer.send(letter, letter_id=f"playhead-{row['mail_id']:012}")
                MAIL.labels("sent").inc()
        except MailNotSent as error:
            await self._not_sent(row["mail_id"], row["tries"], error)
        else:
            await self._pool.execute(SENT, row["mail_id"])

    def _opened(self, sealed: bytes) -> Letter | None:
        try:
            text = self._master.open(sealed)
        except InvalidTag as error:
            raise MailRefused("the letter was sealed under another master key") from error
        return msgspec.json.decode(text, type=Letter) if text else None

    async def _not_sent(self, mail_id: int, tries: int, error: MailNotSent) -> None:
        if isinstance(error, MailRefused) or tries >= self._settings.mail_max_tries:
            await self._pool.execute(FAIL, mail_id, self._settings.mail_max_tries)
            MAIL.labels("failed").inc()
            log.error("mail_failed", mail_id=mail_id, tries=tries, reason=str(error))
        else:
            MAIL.labels("delayed").inc()
            log.warning("mail_delayed", mail_id=mail_id, tries=tries, reason=str(error))

    async def drop_expired(self) -> int:
        """Drop a bounded number of what has expired, and of mail that could not be sent; how many rows went."""
        dropped = 0
        settings, now = self._settings, self._clock()
        for table, expired in EXPIRED.items():
            values: tuple[Any, ...] = (now, settings.secrets_clean_rows)
            if table == "identity_mail":
                values = (*values, settings.mail_max_tries, settings.mail_failed_kept_days)
            status = await self._pool.execute(DROP.format(table=table, expired=expired), *values)
            dropped += int(status.rpartition(" ")[2])
        return dropped


class Clearing:
    """When what has expired is dropped next: not at every round of the outbox."""

    def __init__(self, settings: Settings) -> None:
        self._interval = timedelta(seconds=settings.secrets_clean_interval_s)
        self._next: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether it is time; asking again, it is not."""
        if self._next is not None and now < self._next:
            return False
        self._next = now + self._interval
        return True
