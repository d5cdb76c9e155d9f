"""What append, relay and project are compared with: the eventsourcing library, set up as its documentation shows it.

It runs in an environment of its own, configured by the library's own variables (PERSISTENCE_MODULE, POSTGRES_...):
`python pipeline.py write WRITERS STREAMS EACH`, `read`, `decode` or `project`. It says "ready", begins when a line
comes on its standard input (project: at once), and ends with what it measured as JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

MONTH = timedelta(days=30)
CORRELATION_ID = str(UUID(int=1))
SECTION = 1_000
READ_SECONDS = 2.0


class Subscription(Aggregate):
    """A subscription that is renewed. Times are text already: the library would wrap each in an object."""

    @event("Started")
    def __init__(self, id: UUID, account_id: str, period: dict[str, Any], correlation_id: str, principal: str) -> None:  # noqa: A002
        self._id = id
        self.account_id = account_id
        self.number = period["number"]

    @event("Renewed")
    def renew(self, account_id: str, period: dict[str, Any], correlation_id: str, principal: str) -> None:
        """One more period."""
        self.number = period["number"]


class Billing(Application[UUID]):
    """Its one command."""

    log_section_size = SECTION

    def renew(self, subscription_id: UUID, *, first: bool) -> None:
        """Load, decide, save."""
        if first:
            subscription = Subscription(subscription_id, *_renewal(subscription_id, 1))
        else:
            subscription = self.repository.get(subscription_id)
            subscription.renew(*_renewal(subscription_id, subscription.number + 1))
        self.save(subscription)


def _renewal(subscription_id: UUID, number: int) -> tuple[str, dict[str, Any], str, str]:
    now = datetime.now(UTC)
    period = {
        "number": number,
        "starts_at": now.isoformat(),
        "ends_at": (now + MONTH).isoformat(),
        "grace_until": (now + MONTH + timedelta(days=7)).isoformat(),
        "expires_at": (now + 2 * MONTH).isoformat(),
        "anchored_at": now.isoformat(),
        "months": 1,
    }
    return str(subscription_id), period, CORRELATION_ID, "billing"


class Rows(PostgresTrackingRecorder):
    """A row for each event, in the transaction that tracks it."""

    def __init__(self, datastore: PostgresDatastore, **given: Any) -> None:
        super().__init__(datastore, **given)
        table = {"schema": Identifier(datastore.schema), "table": Identifier("history")}
        self.sql_create_statements.append(
            SQL(
                "create table if not exists {schema}.{table} (event_id text primary key, account_id text not null, "
                "version bigint not null, type text not null, at timestamptz not null, principal text, "
                "data text not null)"
            ).format(**table)
        )
        self.insert = SQL("insert into {schema}.{table} values (%s, %s, %s, %s, %s, %s, %s)").format(**table)

    def add(self, row: tuple[object, ...], tracking: Tracking) -> None:
        """Insert it, once."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.insert, row, prepare=True)


class History(Projection[Rows]):
    """The history of each subscription."""

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """What is not a renewal."""

    @process_event.register
    def _(self, domain_event: Subscription.Started | Subscription.Renewed, tracking: Tracking) -> None:
        row = (
            f"{domain_event.originator_id}/{domain_event.originator_version}",
            domain_event.account_id,
            domain_event.originator_version,
            type(domain_event).__name__,
            domain_event.timestamp,
            domain_event.principal,
            json.dumps(domain_event.period),
        )
        self.view.add(row, tracking)


def write(writers: int, streams: int, each: int) -> dict[str, float]:
    """All streams in turn, `each` times, so many writers at a time; each has streams of its own."""
    with Billing() as billing:
        mine = [[uuid4() for _ in range(streams // writers)] for _ in range(writers)]
        for _ in range(10):  # the code paths warm, connections made
            billing.renew(uuid4(), first=True)
        _wait()
        began_cpu_s = time.process_time()
        took_s = _together([lambda of=of: _renew_all(billing, of, each) for of in mine])
        events = writers * (streams // writers) * each
        return {"per_s": events / took_s, "cpu_us": (time.process_time() - began_cpu_s) / events * 1e6}


def _renew_all(billing: Billing, subscriptions: list[UUID], each: int) -> None:
    for turn in range(each):
        for subscription_id in subscriptions:
            billing.renew(subscription_id, first=turn == 0)


def _together(work: list[Callable[[], None]]) -> float:
    began_s = time.perf_counter()
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began_s


def read(*, decoding: bool = False) -> dict[str, float]:
    """The notification log in order, from its beginning, again and again; nothing is done with it, or each event is
    made of its notification.
    """
    with Billing() as billing:
        _wait()
        began_s, began_cpu_s, events = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() < began_s + READ_SECONDS:
            events += sum(_sections(billing, decoding))
        took_s = time.perf_counter() - began_s
        return {"per_s": events / took_s, "cpu_us": (time.process_time() - began_cpu_s) / events * 1e6}


def decode() -> dict[str, float]:
    """The same, decoding."""
    return read(decoding=True)


def _sections(billing: Billing, decoding: bool) -> Iterator[int]:
    start = 1
    while section := billing.notification_log.select(start, SECTION):
        for notification in section if decoding else ():
            billing.mapper.to_domain_event(notification)
        yield len(section)
        start = section[-1].id + 1


def project() -> dict[str, float]:
    """Project what there is and what comes, until its standard input ends."""
    with ProjectionRunner(application_class=Billing, projection_class=History, view_class=Rows):
        print("ready", flush=True)
        sys.stdin.read()
    return {}


def _wait() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    print(
        json.dumps({"write": write, "read": read, "decode": decode, "project": project}[what](*map(int, numbers))),
        flush=True,
    )
