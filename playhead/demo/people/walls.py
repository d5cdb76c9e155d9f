"""Scenes in which somebody is refused, as they must be: a lost phone, a copied app, a child, and a neighbour who looks.

Each is counted when it is refused exactly as docs/problems.md says, and reported as a failure when it is not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from infra.clock import monotonic_s
from infra.ids import new_secret
from playhead.demo.api import Api, NotTaken, Refused, Reply, Ticket
from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.money.parts import Part, Subscribe
from playhead.demo.money.subscriber import Subscriber, Subscriptions
from playhead.demo.people.cast import Cast
from playhead.demo.people.person import Person
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn, refresh
from playhead.demo.watching.films import SECOND_MS
from playhead.demo.watching.player import OK, Living, Viewer
from playhead.demo.watching.script import BROWSER, PHONE, TELEVISION
from playhead.demo.watching.sitting import Act, Device, Leaving, Moment, Title

TAKES_EFFECT_WITHIN_S: Final = 20.0
"""What ended is refused when the APIs have heard of it; a projection that was killed tells them late."""
LOOKS_EVERY_S: Final = 0.25
CHILDS_LIMIT: Final = 7
FILM: Final = "Sintel"
"""Rated for twelve years and over."""
GONE, FORBIDDEN, UNAUTHENTICATED, BAD_REQUEST = 410, 403, 401, 400


@dataclass(frozen=True)
class Walls:
    """What the scenes share."""

    shared: Living
    query: Api
    register: Register

    async def lose_a_phone(self, person: Person, title: Title) -> None:
        """In the middle of a sitting; from another device it is removed, and its next report is refused."""
        laptop, phone = await person.on(BROWSER), await person.on(PHONE)
        watching = await Watching.begin(Viewer(person.name, person, self.shared), phone, _act(title, PHONE))
        await watching.go_on()
        await person.remove(PHONE, by=laptop)
        refused = await self._refused_in_time(watching.go_on)
        self._expect(
            "reports of lost phones (410)",
            refused.refuses(GONE, "session-terminated") and refused.json().get("reason") == "device_removed",
            refused,
        )
        await self._out(phone, "lost phones (401)")

    async def copy_an_app(self, person: Person) -> None:
        """A copy of an app uses a refresh token that the app has replaced: both are out, and the owner comes back."""
        app = await person.on(BROWSER)
        copied = app.refresh_token
        await app.renew(app.token)
        await app.renew(app.token)
        for token in (copied, app.refresh_token):
            reply = await refresh(self.shared.commands, token, app.address)
            invalid = reply.status == BAD_REQUEST and reply.json().get("error") == "invalid_grant"
            self._expect("refresh tokens of copied apps (invalid_grant)", invalid, reply)
        self.register.ended([app.sign_in_id], "refresh_token_reused")
        await self._out(app, "sign-ins of copied apps (401)")
        again = await person.sign_in_again(BROWSER)
        (await self.query.get(_watching_of(person.profile_id), again)).taken("reading after signing in again", OK)

    async def bring_up_a_child(self, person: Person, subscriber: Subscriber, title: Title) -> None:
        """A profile with a limit, and a title above it: refused, and played once the PIN was entered."""
        await subscriber.play()
        if not await subscriber.comes_true():
            return
        pin = f"{int.from_bytes(new_secret(4)) % 10**6:06}"
        television = await person.on(TELEVISION)
        child_id = await person.create_profile(person.phone, "Kim", kids=True, maturity_limit=CHILDS_LIMIT)
        await person.protect(child_id, pin)
        await person.choose(television, child_id, pin=pin)
        viewer = Viewer(f"child of {person.name}", person, self.shared)
        _, reply = await viewer.ask_to_start(_act(title, TELEVISION), television)
        self._expect("titles above a child's limit (403)", reply.refuses(FORBIDDEN, "pin-required"), reply)
        unlocked = await person.unlock(television, pin)
        watching = await Watching.begin(viewer, television, _act(title, TELEVISION), unlocked=unlocked)
        await watching.go_on()
        self.register.ledger.manners["titles unlocked by a PIN"] += 1

    async def look_at_a_neighbour(self, person: Person, neighbour: Person) -> None:
        """Somebody asks for what another watches, and for their devices."""
        reply = await self.query.get(_watching_of(neighbour.profile_id), person.phone)
        self._expect("looks at others' profiles (403)", reply.refuses(FORBIDDEN, "not-your-profile"), reply)
        reply = await self.query.get(f"/v1/accounts/{neighbour.account_id}/devices", person.phone)
        self._expect("looks at others' accounts (403)", reply.refuses(FORBIDDEN, "not-your-account"), reply)

    async def stand(self, cast: Cast, titles: Sequence[Title], subscriptions: Subscriptions) -> None:
        """Play every scene at its time of the evening."""
        film = next(title for title in titles if title.name == FILM)
        part = Part("has a child", (Subscribe("basic"),))
        scenes: list[tuple[float, Awaitable[None]]] = [
            *((0.15, self.lose_a_phone(person, film)) for person in cast.losers),
            *((0.25, self.copy_an_app(person)) for person in cast.copied),
            *(
                (0.1, self.bring_up_a_child(person, Subscriber(1, person, part, subscriptions), film))
                for person in cast.parents
            ),
            *((0.4, self.look_at_a_neighbour(person, cast.viewers[0])) for person in cast.copied),
        ]
        await asyncio.gather(*(self._told(*scene) for scene in scenes))

    async def _told(self, share: float, scene: Awaitable[None]) -> None:
        """Play a scene; what it could not do is a failure of the evening."""
        clock = self.shared.clock
        await clock.until(int(clock.length_ms * share))
        try:
            await scene
        except (NotTaken, Refused) as error:
            self.register.ledger.refused.append(str(error))

    async def _out(self, app: SignIn, what: str) -> None:
        """The last access token of a sign-in that has ended is not taken any more."""
        stale = Ticket(app.token, app.address)
        refused = await self._refused_in_time(lambda: self.query.get(_watching_of(app.profile_id), stale))
        self._expect(what, refused.refuses(UNAUTHENTICATED, "unauthenticated"), refused)

    async def _refused_in_time(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        deadline_s = monotonic_s() + TAKES_EFFECT_WITHIN_S
        reply = await ask()
        while reply.status == OK and monotonic_s() < deadline_s:
            await asyncio.sleep(LOOKS_EVERY_S)
            reply = await ask()
        return reply

    def _expect(self, what: str, as_documented: bool, reply: Reply) -> None:
        ledger = self.register.ledger
        if as_documented:
            ledger.walls[what] += 1
        else:
            ledger.refused.append(f"{what} not refused so: {reply}")


class Watching:
    """A sitting that is played a report at a time."""

    def __init__(self, viewer: Viewer, session: AcknowledgedSession, token: Ticket) -> None:
        self._viewer = viewer
        self._session = session
        self._token = token
        self._began_ms = viewer.now_ms
        self._seqs = count()

    @classmethod
    async def begin(cls, viewer: Viewer, app: SignIn, act: Act, *, unlocked: Ticket | None = None) -> "Watching":
        """Raises Refused, NotTaken."""
        session, reply = await viewer.ask_to_start(act, app, unlocked=unlocked)
        return cls(viewer, session, viewer.granted(session, reply))

    async def go_on(self) -> Reply:
        """One report of one more second; what it acknowledges is noted. Raises NotTaken."""
        seq = next(self._seqs)
        moment = Moment(seq, self._began_ms + seq * SECOND_MS, "heartbeat" if seq else "started", seq * SECOND_MS)
        reply = await self._viewer.ask_to_report(self._session, self._token, [moment])
        if reply.status == OK:
            self._viewer.take_in(self._session, [moment], reply)
        return reply


def _act(title: Title, device: Device) -> Act:
    return Act(title, device, 0, title.duration_ms, Leaving.WALKED_AWAY)


def _watching_of(profile_id: str) -> str:
    return f"/v1/profiles/{profile_id}/continue-watching"
