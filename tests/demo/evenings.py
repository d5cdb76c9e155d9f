"""Titles and evenings for the demo's logic tests."""

from collections.abc import Iterator
from random import Random

from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.watching.films import FILMS, MINUTE_MS, SEASONS
from playhead.demo.watching.manners import Delivery, deliveries
from playhead.demo.watching.script import Script
from playhead.demo.watching.sitting import Device, Moment, Sitting, Title

HOUR_MS = 60 * MINUTE_MS
TELEVISION = Device("tv", "tv", "Television")


def titles() -> list[Title]:
    """The demo's own catalog, as the API would have numbered it."""
    films = [
        Title(f"film-{number}", body["name"], body["duration_ms"], body.get("credits_start_ms"))
        for number, body in enumerate(FILMS)
    ]
    bodies = [body for season in SEASONS.values() for body in season]
    episodes = [
        Title(
            f"episode-{number}",
            body["name"],
            body["duration_ms"],
            body.get("credits_start_ms"),
            "series",
            f"episode-{number + 1}" if number + 1 < len(bodies) else None,
        )
        for number, body in enumerate(bodies)
    ]
    return films + episodes


def sittings(viewer: int, seed: int = 1) -> list[Sitting]:
    """One viewer's evening of an hour."""
    return list(Script(viewer, titles(), HOUR_MS, seed).sittings())


def sent(viewer: int, seed: int = 1) -> Iterator[tuple[Sitting, Delivery]]:
    """One viewer's POSTs in the order of their sending."""
    rng = Random(f"{seed}/{viewer}")
    posts = [(sitting, delivery) for sitting in sittings(viewer, seed) for delivery in deliveries(sitting, rng)]
    return iter(sorted(posts, key=lambda post: (post[1].at_ms, post[0].starts_ms)))


def session(title: Title, *moments: Moment, number: int = 0) -> AcknowledgedSession:
    """A session of which these moments were acknowledged."""
    return AcknowledgedSession(
        f"session-{number}", "profile", title, TELEVISION, 0, number, {moment.seq: moment for moment in moments}
    )


def watched(begins_s: int, *positions_s: int) -> list[Moment]:
    """A session that plays from position to position, as long as that takes; it begins `begins_s` into the evening."""
    first, *others = positions_s
    moments = [Moment(0, begins_s * 1000, "started", first * 1000)]
    for position_s in others:
        before = moments[-1]
        at_ms = before.at_ms + position_s * 1000 - before.position_ms
        moments.append(Moment(len(moments), at_ms, "heartbeat", position_s * 1000))
    return moments
